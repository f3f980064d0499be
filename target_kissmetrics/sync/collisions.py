"""Counts events that Kissmetrics may drop: different rows of this run with the same person, name and second."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.result import EventSlot
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.sync.batch import BatchRow

RECENT_EVENTS = 200_000
"""Collisions are found among the last 100,000 to 200,000 events, so that the process's memory stays bounded."""

LINE_ITEMS, AMOUNTS = "\0line items", "\0amounts "
"""In the place of an event's name, which never begins with this character, for collisions of these."""


class Collisions:
    """Finds collisions among recent events."""

    def __init__(self, recent: int = RECENT_EVENTS) -> None:
        self._half = max(1, recent // 2)
        self._young: dict[int, bytes] = {}
        self._old: dict[int, bytes] = {}

    def seen(self, person: str, event: str, time: int, row: bytes) -> bool:
        """Add an event, by its folded name; true if a different row had the same person, name and second."""
        key = hash((person, event, time))
        other = self._young.get(key) or self._old.get(key)
        if other is not None:
            return other != row
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = row
        return False


class CollisionCounter:
    """Counts collisions by stream, and warns of the first of each kind.

    Args:
        warn: Takes a stream and a message.
        are_final: Events that `spread_duplicates` moves have their seconds already; in a preview, they have not.
    """

    def __init__(self, warn: Callable[[str, str], None], *, are_final: bool = True) -> None:
        self._warn = warn
        self._are_final = are_final
        self._collisions = Collisions()

    def count(self, rows: Iterable[BatchRow]) -> None:
        """Count the collisions of rows, with their final seconds."""
        for row in rows:
            for slot in row.mapped.slots:
                event = row.mapped.calls[slot.record]
                # An event that is recorded once, or that claimed its second, collides with none.
                if not isinstance(event, Alias) and not slot.spread and not getattr(event, "once", False):
                    self._count_event(row.counts, event, slot)
            if len(row.mapped.calls) > 1:
                self._count_items(row)

    def _count_items(self, row: BatchRow) -> None:
        calls, of_records = row.mapped.calls, {slot.record: slot for slot in row.mapped.slots}
        holder: EventSlot | None = None
        for index, call in enumerate(calls):
            if isinstance(call, Record):
                holder = of_records.get(index)
            elif holder is not None and isinstance(call, Set) and not call.distinct:
                self._count_item(row.counts, calls[holder.record], holder, call)

    def _count_event(self, counts: StreamCounts, event: Record | Set, slot: EventSlot) -> None:
        """Count an event, or the amount of an event that was sent before."""
        amount = slot.revenue_property
        if isinstance(event, Record) and self._collisions.seen(event.person, folded(event.event), event.time, slot.row):
            counts.collisions += 1
            problem = f"different rows have the same person, event name {event.event!r} and second"
            self._warn_once(counts, counts.collisions, f"{problem}; Kissmetrics may count them as one; {_remedy(slot)}")
        elif amount is not None and self._collisions.seen(event.person, AMOUNTS + folded(amount), event.time, slot.row):
            counts.amount_collisions += 1
            problem = "two events of one person have an amount in the same second"
            self._warn_once(counts, counts.amount_collisions, f"{problem}; Kissmetrics may keep one; {_remedy(slot)}")

    def _count_item(self, counts: StreamCounts, event: Call, slot: EventSlot, item: Set) -> None:
        """Count a line item that loses values: Kissmetrics keeps one value of a property per second."""
        is_final = self._are_final or not slot.spread
        if is_final and self._collisions.seen(item.person, LINE_ITEMS, item.time, slot.row):
            problem, remedy = (
                "line items of different events of one person have the same second",
                "events closer together than they have items lose some",
            )
        elif isinstance(event, Record) and _overlap(event, item):
            problem, remedy = (
                "an event and its first line item have different values of one property in the same second",
                "rename the item's with rename: [{field: ITEMS.FIELD, property: NAME}], or exclude one"
                if slot.may_spread
                else "give the item's field another name in the tap",
            )
        else:
            return
        counts.item_collisions += 1
        message = f"{problem}; Kissmetrics may keep one value of a property per second; {remedy}"
        self._warn_once(counts, counts.item_collisions, message)

    def _warn_once(self, counts: StreamCounts, count: int, message: str) -> None:
        if count == 1:
            self._warn(counts.stream, message)


def _remedy(slot: EventSlot) -> str:
    if slot.may_spread:
        return "set spread_duplicates: true in the stream's entry to give each a second of its own"
    return "give them times a second apart in the tap; kind kissmetrics has no spread_duplicates"


def _overlap(event: Record, item: Set) -> bool:
    """Tell whether an item has another value of one of its event's properties in the event's own second."""
    if (event.time, event.person) != (item.time, item.person):
        return False
    own = {folded(name): text for name, text in event.properties.items()}
    return any(own.get(folded(name), text) != text for name, text in item.properties.items())
