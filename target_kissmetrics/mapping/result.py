"""What a row becomes: calls, and what of it is rejected, deleted or skipped."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from target_kissmetrics.kissmetrics.calls import Alias, Call, Properties, Record, Set
from target_kissmetrics.mapping.reject_codes import Code, Rejected
from target_kissmetrics.mapping.rules.identity import Person


class Rejection(NamedTuple):
    """A part of a row that is not sent, while the rest is: a dropped property, or an event of a batch.

    Attributes:
        reason: What is wrong and what to do, in one line.
        field: The field at fault, as a path: `events[3].data`.
        counts_as_row: The part is what a row is in other formats, such as an event of a batch.
    """

    code: Code
    reason: str
    field: str | None
    counts_as_row: bool = False

    @classmethod
    def of(cls, problem: Rejected, field: str | None = None, *, counts_as_row: bool = False) -> Rejection:
        """Return the rejection for a problem; `field` is for one that names no field of its own."""
        return cls(problem.code, problem.reason, problem.field or field, counts_as_row)


class Deletion(NamedTuple):
    """A user attribute that was deleted at its source.

    Kissmetrics cannot delete it. Its last sent value is forgotten, so that it is sent again if it comes back. `person`
    is one identity, `time` is in seconds since the Unix epoch.
    """

    person: str
    name: str
    time: int


class EventSlot(msgspec.Struct, gc=False):
    """What distinguishes an event from others of the same person, name and second.

    Attributes:
        row: Identifies the row; stable between runs if `spread`, else within this process.
        record: Index of the event among the row's calls.
        seconds: How many consecutive seconds the event and its line items take.
        spread: Move the event to a free second if another row has its second; `may_spread`: the entry may ask for it.
        revenue_property: The property that holds its amount, if any. Kissmetrics counts two amounts of one person in
            one second as one, even if the events have different names.
        key: The row's key, if its event is sent once, whatever changes in the row.
        late_amount: The property that a later version of the row may give an amount; None if this one has an amount.
        is_dated: The row holds the event's time.
        was_sent: The event was sent before: its properties are only those that it lacked.
        place: The path without which the row has no such event, in a row of several; empty if it is the only one.
    """

    row: bytes
    record: int = 0
    seconds: int = 1
    spread: bool = False
    may_spread: bool = True
    revenue_property: str | None = None
    key: bytes | None = None
    late_amount: str | None = None
    is_dated: bool = True
    was_sent: bool = False
    place: str = ""


class Mapped(msgspec.Struct):
    """What one row becomes.

    Attributes:
        slots: One for each event among the calls, in their order.
        alias_field: The field that held the other identity, if the calls alias one.
        deletions: Attributes that were deleted at their source, before those of the calls are set.
        skipped_types: Types of the parts that have no meaning for Kissmetrics, one for each part.
        is_undated: It sets attributes at a guessed time, since the row has none.
        is_filtered: The row is left out by `when`, or nothing in it has happened.
    """

    calls: list[Call] = []
    rejections: list[Rejection] = []
    slots: list[EventSlot] = []
    alias_field: str | None = None
    deletions: list[Deletion] = []
    skipped_types: list[str] = []
    is_undated: bool = False
    is_filtered: bool = False

    def add(self, other: Mapped) -> None:
        """Add what another part of the row becomes."""
        for slot in other.slots:
            slot.record += len(self.calls)
        self.calls += other.calls
        self.slots += other.slots
        self.rejections += other.rejections
        self.deletions += other.deletions
        self.skipped_types += other.skipped_types

    def by_event(self) -> list[Mapped]:
        """Return a part for each event that has a second or a key of its own, with what follows it; else the whole."""
        if len(self.slots) < 2 or not any(slot.spread or slot.key for slot in self.slots):
            return [self]
        starts = [0, *(slot.record for slot in self.slots[1:]), len(self.calls)]
        parts = []
        for slot, start, end in zip(self.slots, starts[:-1], starts[1:], strict=True):
            slot.record -= start
            parts.append(Mapped(calls=self.calls[start:end], slots=[slot], alias_field=self.alias_field))
        parts[0].deletions = self.deletions
        return parts

    def add_event(self, record: Record, slot: EventSlot) -> None:
        """Add an event."""
        slot.record = len(self.calls)
        self.calls.append(record)
        self.slots.append(slot)

    def add_attributes(
        self, person: str, time: int, properties: Properties, address: str | None = None, user_agent: str | None = None
    ) -> None:
        """Add attributes of a person, to be sent only if they changed; none if there are no properties."""
        if properties:
            self.calls.append(Set(person, time, properties, address, user_agent, distinct=True))

    def add_alias(self, person: Person, time: int, address: str | None = None, user_agent: str | None = None) -> None:
        """Add the alias of a person's two identities, if there are two; a rejection if the other one cannot be one."""
        if person.problem is not None:
            self.rejections.append(Rejection.of(person.problem))
        if person.other is not None:
            self.calls.append(Alias(person.identity, person.other, time, address, user_agent))
            self.alias_field = person.other_field


def row_token(content: object) -> bytes:
    """Return what distinguishes rows within this process. It is not stable between processes."""
    return hash(content).to_bytes(8, "big", signed=True)
