"""What each field of a row became.

The row is mapped once more without the field, and what differs is the field's effect. So the answer holds for every
kind of stream, and cannot disagree with a run.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import Globs, Row, is_empty
from target_kissmetrics.mapping.rules.loaders import is_metadata
from target_kissmetrics.mapping.stream import Stream, StreamMapping
from target_kissmetrics.preview.totals import sender, type_of
from target_kissmetrics.reporting import display

MAX_FIELDS = 100  # fields of a row that are explained; for each, the row is mapped again
DELETED = "deleted at the source; Kissmetrics keeps it"
_PAIRS_LISTED = 4


class Field(NamedTuple):
    """A field of a row, fit for display: its role, which gives its color, and what became of it."""

    name: str
    value: str
    role: str
    text: str


class MappedRow(NamedTuple):
    """A row by its place in its stream, its first 100 fields, and what the mapping made of it."""

    number: int
    fields: list[Field]
    outcome: Mapped | Rejected


def explain(
    stream: Stream, mapping: StreamMapping, row: Row, extracted: object, outcome: Mapped | Rejected
) -> list[Field]:
    """Explain a row by its message's `time_extracted` and what it became."""
    fields = []
    for name, value in list(row.items())[:MAX_FIELDS]:
        if isinstance(outcome, Rejected):
            is_cause = outcome.field is not None and _is_within(outcome.field, name)
            reason = f"{outcome.code}: {display.line(outcome.reason, 200)}"
            role, text = ("rejected", reason) if is_cause else ("unused", "not sent: the row is rejected")
        else:
            try:
                without: Mapped | Rejected = mapping.map({key: row[key] for key in row if key != name}, extracted)
            except Rejected as problem:
                without = problem
            role, text = _effect(outcome, without, name) or ("unused", _why_unused(stream, name, value))
        if role == "property" and f"{stream.settings.revenue_key} = " in text:
            role = "revenue"
        fields.append(Field(display.line(name), display.value(value), role, text))
    return fields


def _why_unused(stream: Stream, name: str, value: Any) -> str:
    entry = stream.entry
    if is_empty(value):
        return "not sent: null or empty"
    if is_metadata(name):
        return "not sent: metadata of the tap or a loader"
    if Globs(entry.exclude).match(name):
        return f"not sent: in {entry.place}.exclude"
    if entry.include is not None and not Globs(entry.include).match(name):
        return f"not sent: not in {entry.place}.include"
    if isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
        return "not sent: a list of objects is no property (name it as line_items)"
    return "not used: another field comes first or has its name, or this kind of stream sends no such field"


def _effect(outcome: Mapped, without: Mapped | Rejected, name: str) -> tuple[str, str] | None:
    """Give the effect of a field: what it makes, with what of it is rejected or dropped in front."""
    effect = _made(outcome, without, name)
    losses = [part for part in outcome.rejections if part.field is not None and _is_within(part.field, name)]
    if not losses:
        return effect
    # Rejected events first.
    first, *others = sorted(losses, key=lambda part: not part.counts_as_row)
    role = "rejected" if first.counts_as_row else "dropped"
    more = f" and {len(others)} more" if others else ""
    rest = f"; the rest: {effect[1]}" if effect else ""
    reason = display.line(first.reason, 200)
    return role, f"{role} ({first.code}) at {display.line(first.field or name)}: {reason}{more}{rest}"


def _is_within(path: str, name: str) -> bool:
    return path == name or path.startswith((f"{name}.", f"{name}["))


_NEEDED = {
    "no-event-name": ("event", "event name"),
    "no-type": ("event", "type of the message"),
    **dict.fromkeys(("no-timestamp", "bad-timestamp", "too-old"), ("time", "time")),
    "no-experiment": ("property", "property name (the experiment)"),
    "no-variant": ("property", "property value (the variant)"),
}
"""What a field is when the row is rejected without it, by the code; an identity otherwise."""


def _made(outcome: Mapped, without: Mapped | Rejected, name: str) -> tuple[str, str] | None:
    if isinstance(without, Rejected):
        return _NEEDED.get(without.code, ("identity", "identity"))
    before, after = outcome.calls, without.calls
    remaining = set(_pairs(without))
    lost = [pair for pair in dict.fromkeys(_pairs(outcome)) if pair not in remaining]
    role = _role(before[0], after[0]) if before and after else None
    if role is not None:
        # A field that takes this one's place is no property any more; that is not this field's effect.
        own = [pair for pair in lost if folded(pair[0]) == folded(names.clean(name)) or pair[0] in {"_ip", "_ua"}]
        return role, ", ".join(["event name" if role == "event" else role, *map(shown, own)])
    more = f" and {len(lost) - _PAIRS_LISTED} more" if len(lost) > _PAIRS_LISTED else ""
    properties = "; ".join(map(shown, lost[:_PAIRS_LISTED])) + more
    counts = Counter(map(type_of, before)) - Counter(map(type_of, after))
    if any(isinstance(call, Record) for call in before) and counts["record"] + counts["set"]:
        calls = ", ".join(display.plural(counts[kind], f"{kind} call") for kind in ("record", "set") if counts[kind])
        return "calls", f"{calls}: {properties}" if lost else calls
    if lost:
        return "deleted" if lost[0][1] == DELETED else "property", properties
    aliases = [call for call in before if isinstance(call, Alias) and call not in after]
    return ("calls", f"alias with {display.line(aliases[0].other)}") if aliases else None


def _role(before: Call, after: Call) -> str | None:
    if before.person != after.person:
        return "identity"
    if isinstance(before, Record) and isinstance(after, Record) and before.event != after.event:
        return "event"
    # When a call of another kind comes first, the field made calls; it holds no time.
    return "time" if type(before) is type(after) and before.time != after.time else None


def _pairs(mapped: Mapped) -> list[tuple[str, str]]:
    """Give the properties of calls, and deleted ones; no list cuts off addresses and user agents, which come first."""
    carrying = [call for call in mapped.calls if not isinstance(call, Alias)]
    senders = [pair for call in carrying for pair in sender(call)]
    deleted = [(one.name, DELETED) for one in mapped.deletions]
    return senders + deleted + [pair for call in carrying for pair in call.properties.items()]


def shown(pair: tuple[str, str]) -> str:
    """Write a property as `Plan = Gold`."""
    return f"{display.line(pair[0])} = {display.line(pair[1], 60)}"
