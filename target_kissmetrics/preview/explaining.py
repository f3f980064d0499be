"""What each field of a row became.

The mapping is asked, not read: the row is mapped once more without the field, and what differs is the field's doing.
So the answer holds for every kind of stream, and cannot disagree with what a run would do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from target_kissmetrics.errors import RowRejected
from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.mapping import names
from target_kissmetrics.mapping.fields import Globs, Row, is_empty
from target_kissmetrics.mapping.mapped import Mapped
from target_kissmetrics.mapping.properties import is_metadata
from target_kissmetrics.mapping.settings import StreamSettings
from target_kissmetrics.mapping.stream import StreamMapping
from target_kissmetrics.preview import shown

MAX_FIELDS = 100
"""Fields of a row that are explained, each at the price of mapping the row again."""

_MAX_NAMES = 4

Role = Literal["identity", "event", "time", "revenue", "property", "calls", "aside", "left out", "rejected"]


@dataclass(frozen=True, slots=True)
class FieldShown:
    """A field of a row.

    Attributes:
        name: The field.
        value: What it holds, fit to be shown.
        role: What it is for.
        text: What became of it, for a person.
    """

    name: str
    value: str
    role: Role
    text: str


@dataclass(slots=True)
class RowShown:
    """A row beside what it becomes.

    Attributes:
        number: Its place in its stream, from 1.
        fields: Its fields, the first 100.
        more_fields: How many there are beyond these.
        calls: What is sent.
        rejected: Why nothing is sent, when the row is rejected: the code and the reason.
    """

    number: int
    fields: list[FieldShown] = field(default_factory=list)
    more_fields: int = 0
    calls: list[Call] = field(default_factory=list)
    rejected: tuple[str, str] | None = None


def explain(  # noqa: PLR0913, PLR0917 - a stream's way to read, a row, what it became
    mapping: StreamMapping,
    entry: StreamSettings,
    revenue_key: str,
    row: Row,
    extracted: object,
    outcome: Mapped | RowRejected,
) -> list[FieldShown]:
    """Tell what became of each field.

    Args:
        mapping: The stream's. It must give the same calls for the same row.
        entry: The stream's entry.
        revenue_key: The property that holds revenue.
        row: The row.
        extracted: Its message's `time_extracted`.
        outcome: What the row became.
    """
    fields = []
    for name, value in list(row.items())[:MAX_FIELDS]:
        role, text = _became(mapping, entry, row, extracted, outcome, name)
        if role == "property" and f"{revenue_key} = " in text:
            role = "revenue"
        fields.append(FieldShown(shown.line(name), shown.value(value), role, text))
    return fields


def _became(  # noqa: PLR0913, PLR0917 - what is asked about, and the field
    mapping: StreamMapping, entry: StreamSettings, row: Row, extracted: object, outcome: Mapped | RowRejected, name: str
) -> tuple[Role, str]:
    if isinstance(outcome, RowRejected):
        return _of_rejected(outcome, name)
    asides = [aside for aside in outcome.asides if aside.field is not None and _lies_in(aside.field, name)]
    if asides:
        return "aside", f"set aside ({asides[0].code}): {shown.line(asides[0].reason, 200)}"
    if is_empty(row[name]):
        return "left out", "left out: null and empty values are not sent"
    without: Mapped | RowRejected
    try:
        without = mapping.map({key: value for key, value in row.items() if key != name}, extracted)
    except RowRejected as problem:
        without = problem
    told = _difference(outcome, without, name)
    return told or ("left out", _why_left_out(entry, name, row[name], outcome))


def _of_rejected(problem: RowRejected, name: str) -> tuple[Role, str]:
    if problem.field is not None and _lies_in(problem.field, name):
        return "rejected", f"{problem.code}: {shown.line(problem.reason, 200)}"
    return "left out", "not sent: the row is rejected"


def _lies_in(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}.")


_ESSENTIAL: dict[str, tuple[Role, str]] = {
    "no-identity": ("identity", "identity"),
    "blocked-identity": ("identity", "identity"),
    "no-event-name": ("event", "event's name"),
    "no-timestamp": ("time", "time"),
    "bad-timestamp": ("time", "time"),
    "too-old": ("time", "time"),
    "no-experiment": ("property", "property's name (the experiment)"),
    "no-variant": ("property", "property's value (the variant)"),
}


def _difference(outcome: Mapped, without: Mapped | RowRejected, name: str) -> tuple[Role, str] | None:
    if isinstance(without, RowRejected):
        return _ESSENTIAL.get(without.code, ("identity", "needed: without it the row is rejected"))
    before, after = outcome.calls, without.calls
    role = _role(before, after)
    lost = _lost_properties(before, after)
    if role is not None:
        # Another field that stood in for this one is no property any more: that is not this field's doing.
        own = [text for property_name, text in lost if _is_own(property_name, name)]
        return role[0], ", ".join([role[1], *own])
    aliases = [call for call in before if isinstance(call, Alias) and call not in after]
    sets = _lost_sets(before, after)
    if sets:
        return "calls", f"{shown.plural(sets, 'set call')}: {_listed(text for _, text in lost)}"
    if lost:
        return "property", _listed(text for _, text in lost)
    return ("calls", f"alias with {shown.line(aliases[0].other)}") if aliases else None


def _role(before: list[Call], after: list[Call]) -> tuple[Role, str] | None:
    if not before or not after:
        return None
    one, other = before[0], after[0]
    if one.person != other.person:
        return "identity", "identity"
    if isinstance(one, Record) and isinstance(other, Record) and one.event != other.event:
        return "event", "event's name"
    return ("time", "time") if one.time != other.time else None


def _properties(calls: Iterable[Call]) -> list[tuple[str, str]]:
    return [pair for call in calls if not isinstance(call, Alias) for pair in call.properties.items()]


def _lost_properties(before: list[Call], after: list[Call]) -> list[tuple[str, str]]:
    """Give the properties that are there with the field alone: each name, and how it is shown."""
    left = set(_properties(after))
    return [
        (name, f"{shown.line(name)} = {shown.line(value, 60)}")
        for name, value in dict.fromkeys(_properties(before))
        if (name, value) not in left
    ]


def _is_own(property_name: str, field_name: str) -> bool:
    return names.folded(property_name) == names.folded(names.clean(field_name))


def _lost_sets(before: list[Call], after: list[Call]) -> int:
    counts = [sum(isinstance(call, Set) for call in calls) for calls in (before, after)]
    has_events = any(isinstance(call, Record) for call in before)
    return counts[0] - counts[1] if has_events and counts[0] > counts[1] else 0


def _listed(texts: Iterable[str]) -> str:
    every = list(texts)
    more = f" and {len(every) - _MAX_NAMES} more" if len(every) > _MAX_NAMES else ""
    return "; ".join(every[:_MAX_NAMES]) + more


def _why_left_out(entry: StreamSettings, name: str, value: Any, outcome: Mapped) -> str:
    if is_metadata(name):
        return "left out: the tap added it for itself"
    if Globs(entry.exclude).match(name):
        return f"left out: {entry.place}.exclude has it"
    if entry.include is not None and not Globs(entry.include).match(name):
        return f"left out: {entry.place}.include does not have it"
    if isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
        return "left out: a list of objects is no property (line_items takes one)"
    if any(_is_own(property_name, name) for property_name, _ in _properties(outcome.calls)):
        return "left out: another field of the row is this property already"
    return "not used: another field comes first, or this kind of stream sends no such field"
