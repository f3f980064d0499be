"""What each field of a row became.

The mapping is asked, not read: the row is mapped once more without the field, and what differs is the field's doing.
So the answer holds for every kind of stream, and cannot disagree with what a run would do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Deletion, Mapped, Rejection
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import Globs, Row, is_empty
from target_kissmetrics.mapping.rules.properties import is_metadata
from target_kissmetrics.mapping.settings import StreamSettings
from target_kissmetrics.mapping.stream import StreamMapping
from target_kissmetrics.preview.totals import sender
from target_kissmetrics.reporting import display as shown

MAX_FIELDS = 100
"""Fields of a row that are explained, each at the price of mapping the row again."""

FORGOTTEN = "deleted at the source: Kissmetrics keeps it, a run forgets it, so that it is sent again when it comes back"

_MAX_NAMES = 4
_SENDER = frozenset({"_ip", "_ua"})

Role = Literal[
    "identity", "event", "time", "revenue", "property", "calls", "forgotten", "aside", "left out", "rejected"
]


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
        forgotten: Attributes that were deleted at their source.
        left_out: Types of its parts that have no meaning for Kissmetrics, one for each part.
        parts: Its parts that are rejected, while the rest is sent: where, the code and the reason.
    """

    number: int
    fields: list[FieldShown] = field(default_factory=list)
    more_fields: int = 0
    calls: list[Call] = field(default_factory=list)
    rejected: tuple[str, str] | None = None
    forgotten: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    parts: list[tuple[str, str, str]] = field(default_factory=list)


def explain(  # noqa: PLR0913, PLR0917 - a stream's way to read, a row, what it became
    mapping: StreamMapping,
    entry: StreamSettings,
    revenue_key: str,
    row: Row,
    extracted: object,
    outcome: Mapped | Rejected,
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
    mapping: StreamMapping, entry: StreamSettings, row: Row, extracted: object, outcome: Mapped | Rejected, name: str
) -> tuple[Role, str]:
    if isinstance(outcome, Rejected):
        return _of_rejected(outcome, name)
    without: Mapped | Rejected
    try:
        without = mapping.map({key: value for key, value in row.items() if key != name}, extracted)
    except Rejected as problem:
        without = problem
    told = _told(_difference(outcome, without, name), _forgotten(outcome, without))
    asides = [aside for aside in outcome.rejections if aside.field is not None and _lies_in(aside.field, name)]
    if asides:
        return _of_asides(asides, name, told)
    if told is None and is_empty(row[name]):
        return "left out", "left out: null and empty values are not sent"
    return told or ("left out", _why_left_out(entry, name, row[name], outcome))


def _forgotten(outcome: Mapped, without: Mapped | Rejected) -> list[str]:
    """Give the attributes that are deleted at their source with the field alone."""
    left = set() if isinstance(without, Rejected) else {folded(one.name) for one in without.deletions}
    return deleted_attributes([one for one in outcome.deletions if folded(one.name) not in left])


def deleted_attributes(deletions: Iterable[Deletion]) -> list[str]:
    """Give the names of attributes that were deleted at their source, each once."""
    return list(dict.fromkeys(deletion.name for deletion in deletions))


def _told(told: tuple[Role, str] | None, forgotten: Sequence[str]) -> tuple[Role, str] | None:
    if not forgotten or (told is not None and told[0] in {"identity", "time"}):
        return told
    text = f"{_listed(map(shown.line, forgotten))}: {FORGOTTEN}"
    return (told[0], f"{told[1]}; {text}") if told else ("forgotten", text)


def _of_asides(asides: Sequence[Rejection], name: str, told: tuple[Role, str] | None) -> tuple[Role, str]:
    """Tell of parts that are not sent, those that are rejected first, and of what is sent beside them."""
    first = next((aside for aside in asides if aside.counts_as_row), asides[0])
    part = f" at {shown.line(first.field)}" if first.field and first.field != name else ""
    more = f" and {len(asides) - 1} more" if len(asides) > 1 else ""
    what = "rejected" if first.rejected else "set aside"
    rest = f"; the rest: {told[1]}" if told else ""
    return (
        "rejected" if first.rejected else "aside",
        f"{what} ({first.code}){part}: {shown.line(first.reason, 200)}{more}{rest}",
    )


def _of_rejected(problem: Rejected, name: str) -> tuple[Role, str]:
    if problem.field is not None and _lies_in(problem.field, name):
        return "rejected", f"{problem.code}: {shown.line(problem.reason, 200)}"
    return "left out", "not sent: the row is rejected"


def _lies_in(path: str, name: str) -> bool:
    return path == name or path.startswith((f"{name}.", f"{name}["))


_ESSENTIAL: dict[str, tuple[Role, str]] = {
    "no-identity": ("identity", "identity"),
    "blocked-identity": ("identity", "identity"),
    "no-event-name": ("event", "event's name"),
    "no-type": ("event", "what the message is"),
    "no-timestamp": ("time", "time"),
    "bad-timestamp": ("time", "time"),
    "too-old": ("time", "time"),
    "no-experiment": ("property", "property's name (the experiment)"),
    "no-variant": ("property", "property's value (the variant)"),
}


def _difference(outcome: Mapped, without: Mapped | Rejected, name: str) -> tuple[Role, str] | None:
    if isinstance(without, Rejected):
        return _ESSENTIAL.get(without.code, ("identity", "needed: without it the row is rejected"))
    before, after = outcome.calls, without.calls
    role = _role(before, after)
    lost = _lost_properties(before, after)
    if role is not None:
        # Another field that stood in for this one is no property any more: that is not this field's doing.
        own = [text for called, text in lost if _is_own(called, name) or called in _SENDER]
        return role[0], ", ".join([role[1], *own])
    aliases = [call for call in before if isinstance(call, Alias) and call not in after]
    fewer = _lost_calls(before, after)
    if fewer:
        return "calls", fewer + (f": {_listed(text for _, text in lost)}" if lost else "")
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
    # A call of another kind has come first: the field made calls, and tells no time.
    return ("time", "time") if type(one) is type(other) and one.time != other.time else None


def _properties(calls: Iterable[Call]) -> list[tuple[str, str]]:
    """Give what calls carry; who sent it comes first, so that personal data is not among what is cut off."""
    told = [call for call in calls if not isinstance(call, Alias)]
    senders = [pair for call in told for pair in sender(call)]
    return senders + [pair for call in told for pair in call.properties.items()]


def _lost_properties(before: list[Call], after: list[Call]) -> list[tuple[str, str]]:
    """Give the properties that are there with the field alone: each name, and how it is shown."""
    left = set(_properties(after))
    return [
        (name, f"{shown.line(name)} = {shown.line(value, 60)}")
        for name, value in dict.fromkeys(_properties(before))
        if (name, value) not in left
    ]


def _is_own(property_name: str, field_name: str) -> bool:
    return folded(property_name) == folded(names.clean(field_name))


def _lost_calls(before: list[Call], after: list[Call]) -> str:
    """Tell how many calls there are with the field alone; a row of nothing but attributes is one call, of them all."""
    if not any(isinstance(call, Record) for call in before):
        return ""
    lost = [
        (_how_many(before, kind) - _how_many(after, kind), noun)
        for kind, noun in ((Record, "record call"), (Set, "set call"))
    ]
    return ", ".join(shown.plural(number, noun) for number, noun in lost if number > 0)


def _how_many(calls: list[Call], kind: type[Call]) -> int:
    return sum(isinstance(call, kind) for call in calls)


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
