"""Plans what is sent once: an event of each person (`once`), and the event of each row (`send_once_per_row`).

Kissmetrics may count a changed version of an event as a second event, or drop it: which one, nobody outside knows
(support.kissmetrics.io, "Detecting Duplicates"; the older pages differ). So an event is sent once, and later versions
are not sent. The store keeps a digest of what was sent, under the person or under the row's key.

After a kill, nobody can know whether an event with a pending intent arrived. The same version goes out again, in the
same second: both rules take it for a duplicate. Another version does not: if the first one arrived, the current rule
would count two events, and the older one would drop properties in the same second but count two events in another. The
store does not hold the first version, only its digest. So the intent stands for the event, and the change is warned of.

An event without an amount may get one later: a *set* of the amount alone, in the second of the event, once. It goes to
the person of the event; the store has only a digest of that person, so a row that names somebody else gets no amount.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec.structs import replace

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.mapping.result import EventSlot
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.store import digests
from target_kissmetrics.store.intents import Intent, LastSent, NewValue
from target_kissmetrics.store.update import StoreUpdate
from target_kissmetrics.sync.batch import Batch, BatchRow
from target_kissmetrics.sync.store_view import StoreView

CHANGED = (
    "a row changed after it was sent; Kissmetrics cannot correct it; further changes are counted (already_sent), not "
    "logged; send rows once they are final, or set send_once_per_row: false to send each version as an event"
)


class KeyedRow(msgspec.Struct):
    """A row whose event is sent once.

    Attributes:
        subject: Digest of its key: the store keeps it like a person.
        content: Digest of its event and line items.
    """

    batch: Batch
    row: BatchRow
    slot: EventSlot
    subject: bytes
    content: bytes


def keyed_rows(rows: Iterable[tuple[Batch, BatchRow]], product: digests.Digests) -> list[KeyedRow]:
    """Give the rows whose event is sent once."""
    return [
        KeyedRow(batch, row, slot, product.sent_row(slot.key), _content(row.mapped.calls, slot, product))
        for batch, row in rows
        for slot in row.mapped.slots
        if slot.key is not None
    ]


def _content(calls: Sequence[Call], slot: EventSlot, product: digests.Digests) -> bytes:
    event = calls[slot.record]
    items = [(call.time - event.time, call.properties) for call in calls if isinstance(call, Set) and not call.distinct]
    what = event.event if isinstance(event, Record) else None
    return product.event((event.person, what, event.time if slot.is_dated else None, _properties(event), items))


def _properties(call: Call) -> object:
    return None if isinstance(call, Alias) else call.properties


def moved(call: Call, by: int) -> Call:
    """Move an event or a line item; user attributes and aliases keep their time."""
    if not by or isinstance(call, Alias) or (isinstance(call, Set) and call.distinct):
        return call
    return replace(call, time=call.time + by)


def drop_plain_events(rows: Iterable[BatchRow]) -> None:
    """Leave what the store keeps: attributes, aliases, and events that are sent once."""
    for row in rows:
        if any(slot.key is not None for slot in row.mapped.slots):
            continue  # an event with a key is the row's only one
        calls, row.mapped.slots = row.mapped.calls, []
        row.mapped.calls = [call for call in calls if _is_stored(call)]
        row.counts.skipped += sum(isinstance(call, Record) and not call.once for call in calls)


def _is_stored(call: Call) -> bool:
    return isinstance(call, Alias) or (call.once if isinstance(call, Record) else call.distinct)


def turn_sent_events_into_sets(rows: Iterable[BatchRow]) -> None:
    """Replace an event that was already sent by a set of the properties it lacked."""
    for row in rows:
        by_record = {slot.record: slot for slot in row.mapped.slots}
        if not any(slot.was_sent for slot in by_record.values()):
            continue
        calls, row.mapped.calls, row.mapped.slots = row.mapped.calls, [], []
        for index, call in enumerate(calls):
            slot = by_record.get(index)
            if slot is None:
                row.mapped.calls.append(call)
            elif isinstance(call, Record) and not slot.was_sent:
                row.mapped.add_event(call, slot)
            elif isinstance(call, Record) and call.properties:
                row.mapped.calls.append(Set(call.person, call.time, call.properties, call.address, call.user_agent))


class OncePlanner:
    """Decides what is sent of events that are sent once.

    Args:
        view: What was sent.
        warn: Takes a stream and a message.
    """

    def __init__(self, view: StoreView, warn: Callable[[str, str], None]) -> None:
        self._view = view
        self._digests = view.digests
        self._warn = warn
        self._warned: set[str] = set()

    def plan_event(self, call: Record, counts: StreamCounts, update: StoreUpdate) -> Record | None:
        """Give an event of a person if it was never sent, or with the second of its pending intent."""
        person, key = self._digests.person(call.person), self._digests.once_key(call.event)
        time = self._second(person, key, self._digests.event(call.properties), call.time, update)
        if time is None:
            counts.unchanged += 1
            return None
        return call if time == call.time else replace(call, time=time)

    def spread_only_unsent(self, rows: Sequence[KeyedRow]) -> None:
        """Let only those rows claim a second whose event was never sent."""
        seen: set[bytes] = set()
        for one in rows:
            if one.subject in seen or one.subject in self._view.pending or self._view.people[one.subject]:
                one.slot.spread = False
            seen.add(one.subject)

    def plan_row(self, one: KeyedRow) -> None:
        """Take from a row what was sent of it."""
        mapped, slot, subject, update = one.row.mapped, one.slot, one.subject, one.batch.update
        event = mapped.calls[slot.record]
        assert isinstance(event, Record)  # noqa: S101 - a slot is an event's
        amount = event.properties.get(slot.revenue_property) if slot.revenue_property else None
        if slot.was_sent:
            self._add_to_sent(one, event, amount)
            return
        time = self._second(subject, digests.SENT_EVENT, one.content, event.time, update)
        if time is not None:
            if amount is None:
                self._second(subject, digests.SENT_TO, self._short(event.person), time, update)
            mapped.calls = [moved(call, time - event.time) for call in mapped.calls]
            return
        one.row.counts.already_sent += 1
        for key in (digests.SENT_EVENT, digests.SENT_TO, digests.SENT_AMOUNT):
            sent = self._sent(subject, key, update)
            # The version of the intent may never be read again; but that of an amount may follow in the input.
            if sent is not None and (amount is not None or key != digests.SENT_AMOUNT):
                self._repeated(subject, key, sent)
        if self._view.people[subject][digests.SENT_EVENT].value != one.content:
            self._warn_of_change(one.row.counts.stream)
        late = self._late_amount(one, amount) if amount is not None else None
        mapped.calls = [call for call in mapped.calls if isinstance(call, Alias) or getattr(call, "distinct", False)]
        mapped.slots = []
        if late is not None:
            mapped.calls.append(late)
            slot.record = len(mapped.calls) - 1
            mapped.slots = [slot]  # it may collide with other amounts

    def _add_to_sent(self, one: KeyedRow, event: Record, amount: str | None) -> None:
        """Move what an event lacked to the second in which it was sent."""
        mapped, update = one.row.mapped, one.batch.update
        sent, _ = [self._sent(one.subject, key, update) for key in (digests.SENT_EVENT, digests.SENT_TO)]
        if sent is None:
            return
        late = None
        if amount is not None:
            late = self._late_amount(one, amount)
            others = {name: text for name, text in event.properties.items() if name != one.slot.revenue_property}
            mapped.calls[one.slot.record] = replace(event, properties=others)
        mapped.calls = [moved(call, sent.time - event.time) for call in mapped.calls]
        mapped.calls += [late] if late is not None else []

    def _late_amount(self, one: KeyedRow, amount: str) -> Set | None:
        """Give the amount of an event that was sent without one, once."""
        receiver = self._view.people[one.subject].get(digests.SENT_TO)
        people = {name for call in one.row.mapped.calls for name in (call.person, getattr(call, "other", call.person))}
        person = next((name for name in people if receiver and self._short(name) == receiver.value), None)
        if receiver is None:
            return None
        if person is None:
            self._warn_of_change(one.row.counts.stream)
            return None
        value, update = self._digests.value(amount), one.batch.update
        time = self._second(one.subject, digests.SENT_AMOUNT, value, receiver.time, update)
        return None if time is None else Set(person, time, {str(one.slot.revenue_property): amount})

    def _warn_of_change(self, stream: str) -> None:
        if stream not in self._warned:
            self._warned.add(stream)
            self._warn(stream, CHANGED)

    def _short(self, person: str) -> bytes:
        return self._digests.person(person)[: digests.VALUE_BYTES]

    def _second(self, subject: bytes, key: bytes, content: bytes, time: int, update: StoreUpdate) -> int | None:
        """Give the second to send something with, and note it; None if it was sent, or something else in its place."""
        intended = self._view.pending.of(subject, key).once_time(content)
        if intended is None and self._sent(subject, key, update) is not None:
            return None
        second = time if intended is None else intended
        sent = LastSent(content, second, second)
        self._view.change(subject, key, sent, update)
        self._repeated(subject, key, sent)
        self._view.intend(Intent(NewValue(subject, key, content, second), second))
        return second

    def _sent(self, subject: bytes, key: bytes, update: StoreUpdate) -> LastSent | None:
        """Give what was sent, or what a killed run may have sent, which then counts as sent."""
        sent = self._view.people[subject].get(key)
        first = self._view.pending.of(subject, key).first
        if sent is None and first is not None:
            sent = LastSent(first.new.value, first.time, first.time)
            self._view.change(subject, key, sent, update)
        return sent

    def _repeated(self, subject: bytes, key: bytes, sent: LastSent) -> None:
        self._view.pending.repeated(Intent(NewValue(subject, key, sent.value, sent.time), sent.time))
