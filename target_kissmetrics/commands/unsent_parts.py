"""What a row lacked when it was sent: the parts that its reject lines name, and nothing that Kissmetrics has.

The row is mapped twice, as it is and without the rejected fields. What the second mapping has was sent. What only the
first one has is left to send: properties of an event as a *set* in its second, an event of a batch as a whole.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from msgspec.structs import replace

from target_kissmetrics.kissmetrics.calls import Alias, Call, Properties, Record, Set
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.fields import Row, loose, parsed

NO_AMOUNT = "bad-amount"  # of an amount alone: the field that was to hold it was sent as a property
TOO_MANY_NAMES = "too-many-names"  # of a property, by its name, in each call of the row; or of an event, by its field
_OF_TIMES = frozenset({"no-timestamp", "bad-timestamp", "too-old", "future-timestamp"})  # of a whole event of a batch

_INDEX = re.compile(r"\[(\d+)\]\.?")
_HEAD = re.compile(r"[.\[]")


class Part(NamedTuple):
    """A rejected part of a row."""

    field: str  # its path
    code: str

    @property
    def path(self) -> str:
        """The path of all that was not sent."""
        end = self.field.rfind("]") + 1
        return self.field[:end] if end and self.code in _OF_TIMES else self.field


def lacking(row: Row, parts: Collection[Part], mapped_from: Callable[[Row], Mapped]) -> Mapped | None:
    """Give what a row lacked when it was sent; None if that cannot be known. Rejected if the whole row is now."""
    whole = mapped_from(row)
    amounts = {part.path for part in parts if part.code == NO_AMOUNT}
    try:
        sent = mapped_from(without(row, {part.path for part in parts if part.code != NO_AMOUNT}))
        names = _names_in(sent, whole.calls)
        names_but_amounts = _names_in(mapped_from(without(row, amounts)), whole.calls)
    except Rejected:
        return None if whole.slots else whole
    unknown = frozenset(folded(part.field) for part in parts if part.code == TOO_MANY_NAMES)
    slots = {slot.record: slot for slot in whole.slots}
    left = Mapped(rejections=whole.rejections, alias_field=whole.alias_field, skipped_types=whole.skipped_types)
    left.deletions = [deletion for deletion in whole.deletions if deletion not in sent.deletions]
    for index, whole_call in enumerate(whole.calls):
        call, slot, its_names = whole_call, slots.get(index), names[index]
        if its_names is not None and not isinstance(call, Alias):
            its_names -= unknown
            if slot is not None and slot.revenue_property:
                amount = {folded(slot.revenue_property)}
                its_names = (its_names - amount) | ((names_but_amounts[index] or amount) & amount)
            call = replace(call, properties={n: v for n, v in call.properties.items() if folded(n) not in its_names})
        if slot is not None and isinstance(call, Record):
            slot.was_sent = its_names is not None
            left.add_event(call, slot)
        elif its_names is None or (isinstance(call, Set) and call.properties):
            left.calls.append(call)
    # Where an event is another one without the field, what was sent may have been that one.
    added = sum(not slot.was_sent for slot in left.slots)
    return left if added == len(slots) - len(sent.slots) else None


def _names_in(sent: Mapped, calls: Sequence[Call]) -> list[frozenset[str] | None]:
    """Give, for each call, the folded names of what was sent in its place; None where nothing was."""
    remaining = list(sent.calls)
    found: dict[int, frozenset[str]] = {}
    for essence in (lambda call: call, _without_properties):  # calls that are the same find each other first
        for index, call in enumerate(calls):
            others = (other for other in remaining if essence(other) == essence(call))
            if index not in found and (other := next(others, None)) is not None:
                found[index] = frozenset(map(folded, properties_of(other)))
                remaining.remove(other)
    return [found.get(index) for index in range(len(calls))]


def _without_properties(call: Call) -> Call:
    return call if isinstance(call, Alias) else replace(call, properties={})


def properties_of(call: Call) -> Properties:
    """Give a call's properties; an alias has none."""
    return {} if isinstance(call, Alias) else call.properties


def without(row: Row, paths: Collection[str]) -> Row:
    """Give a row without some fields, as paths: `note`, `items.sku` of each item, `events[3].data.note`."""
    for path in paths:
        row = _without(row, path)
    return row


def _without(value: Any, path: str) -> Any:
    with suppress(ValueError):
        value = parsed(value)
    if isinstance(value, list):
        index = _INDEX.match(path)
        if index is None:
            return [_without(item, path) for item in value]
        number, rest = int(index[1]), path[index.end() :]
        return [(_without(item, rest) if rest else None) if n == number else item for n, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    path = _as_spelled(path, value)
    return {
        key: _without(item, path[len(key) :].removeprefix(".")) if path.startswith((f"{key}.", f"{key}[")) else item
        for key, item in value.items()
        if path != key
    }


def _as_spelled(path: str, row: Row) -> str:
    """Give a path as a row spells it: in another case, flattened (`properties__a`), or with mParticle's `$`."""
    head = _HEAD.split(path, 1)[0]
    if path in row or head in row:
        return path
    spellings = {_loose(key): key for key in reversed([*row])}
    if whole := spellings.get(_loose(path)):
        return whole
    return spellings.get(_loose(head), head) + path[len(head) :]


def _loose(path: str) -> str:
    return loose(path.replace(".", "").replace("$", ""))
