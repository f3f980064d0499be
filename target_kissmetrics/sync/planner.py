"""From mapped rows to what is sent: seconds for duplicate events, what changed, aliases once, events once.

A chunk of rows is planned together, with one look into the memory. What it is about to send is noted there before a
call leaves, and what was learned is kept at hand until it is remembered, so that the next chunk can be planned while
this one is on its way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from target_kissmetrics.kissmetrics.calls import Alias, Call, Outgoing, Properties, Record, Set
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.reject_codes import Code
from target_kissmetrics.mapping.result import Deletion, EventSlot
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.store import digests, seconds
from target_kissmetrics.store.changes import (
    Intent,
    Known,
    Said,
    Unanswered,
    alias_intent,
    forgotten,
    merge,
    once_time,
    property_change,
)
from target_kissmetrics.store.digests import Digests
from target_kissmetrics.store.packed import Glance, PackedPerson
from target_kissmetrics.store.protocol import OthersIntents, Store
from target_kissmetrics.sync.batch import Batch, BatchRow
from target_kissmetrics.sync.collisions import Collisions


@dataclass(slots=True)
class _Needed:
    """Whom the memory has to be asked about."""

    known: set[bytes] = field(default_factory=set)
    partners: set[bytes] = field(default_factory=set)


class _MergedSet(msgspec.Struct):
    """Attributes of one person and one second, to go out as one call with the last values.

    Attributes:
        call: The first of its calls; its own properties are all there are while `properties` is None.
        properties: By the key that the memory knows them under: names with their values.
        replaced: Likewise: the values that the last one replaced.
    """

    batch: Batch
    counts: StreamCounts
    call: Set
    properties: dict[bytes, tuple[str, str]] | None = None
    replaced: dict[bytes, list[str]] = {}
    person: bytes = b""

    def by_key(self) -> dict[bytes, tuple[str, str]]:
        """Give the properties."""
        if self.properties is None:
            self.properties = {digests.property_key(item[0]): item for item in self.call.properties.items()}
        return self.properties


@dataclass(slots=True)
class _Deleted:
    """An attribute to be forgotten, in its turn among the sets."""

    batch: Batch
    deletion: Deletion
    person: bytes = b""


LINE_ITEMS, AMOUNTS = "\0line items", "\0amounts "
"""Stand for an event's name, which holds no such character in front, where these are watched for twins."""

Reject = Callable[[BatchRow, Code, str], None]
"""A row, the code and the reason why its alias is set aside."""


class Planner:
    """Plans chunks. For one thread.

    Args:
        store: The memory.
        digests: Digests within this product.
        include_all: Send unchanged user attributes too.
        max_aliases: The most partners of one identity.
        reject: Told of aliases that are set aside.
        warn: Takes lines for a person.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        *,
        store: Store,
        digests: Digests,
        include_all: bool,
        max_aliases: int,
        reject: Reject,
        warn: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._digests = digests
        self._include_all = include_all
        self._max_aliases = max_aliases
        self._reject = reject
        self._warn = warn
        self._unanswered = Unanswered.of(store.unanswered())
        self._latest_note = 0
        self._is_first = True
        self._noted_before: set[tuple[bytes, bytes]] = set()
        self._collisions = Collisions()
        self._at_hand: dict[bytes, PackedPerson | dict[bytes, Known]] = {}
        self._partners_at_hand: dict[bytes, set[bytes]] = {}
        self._needed_by: Counter[bytes] = Counter()

    def plan(self, batches: Sequence[Batch]) -> None:
        """Give each batch its calls and what they teach.

        Returns:
            What to strike the noted intents out by, once all batches were answered; None when there are none.
        """
        self._spread(batches)
        needed = _Needed()
        steps = self._read(batches, needed)
        if not needed.known and not needed.partners:
            self._plan_all(batches, steps, [])
            return
        intents: list[Intent] = []
        self._noted_before.clear()
        with self._store.planning(self._latest_note, self._unanswered.later.keys()) as others:
            self._learn_of(others)
            self._get_at_hand(needed)
            self._plan_all(batches, steps, intents)
            note = self._store.intend(intents) if intents else None
        self._latest_note = max(self._latest_note, note or 0)
        batches[-1].intents = note

    def _plan_all(
        self, batches: Sequence[Batch], steps: Sequence[_MergedSet | _Deleted], intents: list[Intent]
    ) -> None:
        for step in steps:
            if isinstance(step, _MergedSet):
                self._plan_set(step, intents)
            else:
                self._forget(step)
        for batch in batches:
            for row in batch.rows:
                if not _is_change_tracked(row.mapped.calls):
                    self._plan_rest(batch, row, intents)
        for batch in batches:
            self._keep_at_hand(batch)

    def _keep_at_hand(self, batch: Batch) -> None:
        """Keep what the batch changed until it is remembered; what it only looked at is read again when it is needed."""
        at_hand, partners = self._at_hand, self._partners_at_hand
        changed = {person for person in batch.people if type(at_hand.get(person)) is dict or person in partners}
        for person in batch.people - changed:
            at_hand.pop(person, None)
        for person in changed:
            self._needed_by[person] += 1
        batch.people = changed

    def _learn_of(self, others: OthersIntents) -> None:
        """Take note of what other processes are about to send, and of what they have sent since."""
        if self._is_first:
            self._unanswered = Unanswered.of(intent for note in sorted(others.new) for intent in others.new[note])
        else:
            self._unanswered.later.update((note, Unanswered.of(intents)) for note, intents in others.new.items())
        for note in others.struck:
            del self._unanswered.later[note]
        self._is_first = False
        self._latest_note = max([self._latest_note, *others.new])

    def remembered(self, batch: Batch) -> None:
        """Let go of what was kept at hand for a batch, now that the store remembers it."""
        for person in batch.people:
            self._needed_by[person] -= 1
            if not self._needed_by[person]:
                del self._needed_by[person]
                self._at_hand.pop(person, None)
                self._partners_at_hand.pop(person, None)

    def _spread(self, batches: Sequence[Batch]) -> None:
        """Move events to seconds of their own where their streams want it; count collisions where they do not."""
        wanted: list[tuple[BatchRow, seconds.Wanted]] = []
        for row, event, slot in _events(batches):
            if slot.spread:
                names = (event.event, slot.revenue_property) if slot.revenue_property else (event.event,)
                wanted.append((row, seconds.Wanted(event.person, names, event.time, slot.seconds, slot.row)))
            else:
                self._watch_event(row.counts, event, slot)
        if not wanted:
            return
        seconds.assign([want for _, want in wanted], self._digests, self._store.held, self._store.hold)
        for row, want in wanted:
            if want.found is not None and want.found != want.time:
                row.counts.moved += 1
                row.mapped.calls = [_moved(call, want.found - want.time) for call in row.mapped.calls]

    def _watch_event(self, counts: StreamCounts, event: Record, slot: EventSlot) -> None:
        """Count what Kissmetrics drops: an event of one person, name and second, an amount of one person and second."""
        amount = slot.revenue_property
        if self._collisions.seen(event.person, folded(event.event), event.time, slot.row):
            counts.collisions += 1
            if counts.collisions == 1:
                self._warn(
                    counts.stream,
                    "different rows are one event to Kissmetrics (same person, name "
                    f"{event.event!r} and second), which keeps the first alone; {_way_out(slot)}",
                )
        elif amount is not None and self._collisions.seen(event.person, AMOUNTS + folded(amount), event.time, slot.row):
            counts.amount_collisions += 1
            if counts.amount_collisions == 1:
                self._warn(
                    counts.stream,
                    f"two events of one person have an amount in one second, of which Kissmetrics keeps one; "
                    f"{_way_out(slot)}",
                )

    def _read(self, batches: Sequence[Batch], needed: _Needed) -> list[_MergedSet | _Deleted]:
        """Merge user attributes of one person and second, and tell about whom the memory has to be asked.

        Returns:
            What is to be set and what is to be forgotten, in the order it came.
        """
        steps: list[_MergedSet | _Deleted] = []
        merged: dict[tuple[str, int, int], _MergedSet] = {}
        deletions: Counter[str] = Counter()
        for batch in batches:
            for row in batch.rows:
                for deletion in row.mapped.deletions:
                    deletions[deletion.person] += 1
                    steps.append(_Deleted(batch, deletion))
                for call in row.mapped.calls:
                    if isinstance(call, Set):
                        if call.distinct:
                            # What is set after a deletion is not merged with what was set before.
                            turn = deletions[call.person] if deletions else 0
                            self._merge(steps, merged, (call.person, call.time, turn), batch, row.counts, call)
                    else:
                        self._need(needed, batch, call)
        for step in steps:
            identity = step.call.person if isinstance(step, _MergedSet) else step.deletion.person
            step.person = self._digests.person(identity)
            step.batch.people.add(step.person)
            needed.known.add(step.person)
        return steps

    def _need(self, needed: _Needed, batch: Batch, call: Record | Alias) -> None:
        if isinstance(call, Alias):
            people = {self._digests.person(call.person), self._digests.person(call.other)}
            needed.partners |= people
            batch.people |= people
        elif call.once:
            person = self._digests.person(call.person)
            needed.known.add(person)
            batch.people.add(person)

    @staticmethod
    def _merge(  # noqa: PLR0913, PLR0917 - called for each set
        steps: list[_MergedSet | _Deleted],
        merged: dict[tuple[str, int, int], _MergedSet],
        key: tuple[str, int, int],
        batch: Batch,
        counts: StreamCounts,
        call: Set,
    ) -> None:
        entry = merged.get(key)
        if entry is None:
            entry = merged[key] = _MergedSet(batch, counts, call)
            steps.append(entry)
            return
        properties, key_of = entry.by_key(), digests.property_key
        for item in call.properties.items():
            known_as = key_of(item[0])
            before = properties.get(known_as)
            if before is not None and before[1] != item[1]:
                entry.replaced.setdefault(known_as, []).append(before[1])
            properties[known_as] = item

    def _get_at_hand(self, needed: _Needed) -> None:
        # Those at hand, too: another process may have sent since, although nothing that it noted is left to tell of it.
        stored = self._store.people(needed.known) if needed.known else {}
        for person in needed.known:
            at_hand = self._at_hand.get(person)
            known = stored.get(person)
            if isinstance(at_hand, dict) and at_hand:
                # What this process has on its way is not stored yet.
                self._at_hand[person] = merge(known or {}, at_hand)
            else:
                self._at_hand[person] = known if isinstance(known, PackedPerson) else dict(known or {})
        partners = self._store.partners(needed.partners) if needed.partners else {}
        for person in needed.partners:
            self._partners_at_hand.setdefault(person, set()).update(partners.get(person, ()))

    def _plan_set(self, merged: _MergedSet, intents: list[Intent]) -> None:
        if self._is_plainly_unchanged(merged):
            merged.counts.unchanged += len(merged.call.properties)
            return
        person, alone = merged.person, merged.properties is None
        known = self._known(person)
        by_time: dict[int, Properties] = {}
        value_of = digests.value
        unchanged = 0
        pairs: list[bytes] = []
        for key, (name, text) in merged.by_key().items():
            value = value_of(text)
            pairs.append(key + value)
            old = known.get(key)
            said = Said(person, key, value, merged.call.time)
            after = self._may_be_taken(said, merged.replaced.get(key, ()))
            sent = property_change(old, said, self._unanswered, always=self._include_all, after=after)
            if sent is None:
                unchanged += 1
                continue
            by_time.setdefault(sent.time, {})[name] = text
            self._note_before(said, known.get(said.key), intents)
            intents.append(Intent(said, sent.time))
            if sent.remember:
                known[said.key] = Known(said.value, sent.time, said.row_time)
                merged.batch.update.add(person, said.key, known[said.key])
        merged.counts.unchanged += unchanged
        # Of several calls merged into one, none sets all that this one does: none would be known again.
        if by_time and alone:
            merged.batch.update.glances[person] = Glance(digests.whole(merged.call.properties), pairs)
        for time, properties in by_time.items():
            merged.batch.calls.append(Outgoing(merged.counts, replace(merged.call, time=time, properties=properties)))

    def _is_plainly_unchanged(self, merged: _MergedSet) -> bool:
        """Tell at a glance what most of a second run is, as `property_change` would tell it."""
        known = self._at_hand[merged.person]
        if merged.properties is not None or not isinstance(known, PackedPerson):
            return False
        if self._include_all or not self._unanswered.is_empty:
            return False
        if known.was_left_by(digests.whole(merged.call.properties)):
            return True
        key_of, value_of = digests.property_key, digests.value
        return known.plainly_has([key_of(name) + value_of(text) for name, text in merged.call.properties.items()])

    def _known(self, person: bytes) -> dict[bytes, Known]:
        """Give what is known of a person, to be changed."""
        known = self._at_hand[person]
        if isinstance(known, PackedPerson):
            known = self._at_hand[person] = dict(known)
        return known

    def _may_be_taken(self, said: Said, replaced: Sequence[str]) -> int:
        """Give the latest second at which an earlier run may have sent one of the values that this one replaced."""
        intended = [self._unanswered.intended(said._replace(value=digests.value(text))) for text in replaced]
        return max((second for second in intended if second is not None), default=-1)

    def _note_before(self, said: Said, known: Known | None, intents: list[Intent]) -> None:
        """Note beside a change what was known before it, once a chunk, for rows that are read again after a crash."""
        key = (said.person, said.key)
        if known is not None and known.value != digests.FORGOTTEN and key not in self._noted_before:
            self._noted_before.add(key)
            intents.append(Intent(said._replace(value=known.value, row_time=known.row_time), known.time))

    def _forget(self, deleted: _Deleted) -> None:
        """Forget an attribute that was deleted at its source; remembered once all that came before it was answered."""
        person = deleted.person
        known = self._known(person)
        key = digests.property_key(deleted.deletion.name)
        after = forgotten(known.get(key), deleted.deletion.time)
        if after is not None:
            known[key] = after
            deleted.batch.update.add(person, key, after)

    def _plan_rest(self, batch: Batch, row: BatchRow, intents: list[Intent]) -> None:
        """Plan what is not change-tracked: events, line items, aliases."""
        event = -1
        for index, call in enumerate(row.mapped.calls):
            if isinstance(call, Alias):
                self._plan_alias(batch, row, call, intents)
            elif isinstance(call, Record):
                event = index
                if not call.once:
                    batch.calls.append(Outgoing(row.counts, call))
                else:
                    self._plan_once(batch, row, call, intents)
            elif not call.distinct:
                self._watch_item(row, event, call)
                batch.calls.append(Outgoing(row.counts, call))

    def _watch_item(self, row: BatchRow, event: int, item: Set) -> None:
        """Count line items that lose values: Kissmetrics keeps one value of a property for each second."""
        token = next((slot.row for slot in row.mapped.slots if slot.record == event), b"")
        if self._collisions.seen(item.person, LINE_ITEMS, item.time, token):
            self._count_item(
                row.counts,
                "line items of different events of one person fall into one second, and Kissmetrics keeps one value of "
                "each of their properties for it: events closer together than they have items lose some",
            )
        elif event >= 0 and _overlap(row.mapped.calls[event], item):
            self._count_item(
                row.counts,
                "an event and its first line item have two values of one property in one second, and Kissmetrics keeps "
                "one: give the items' another name with rename: [{field: ITEMS.FIELD, property: NAME}], or exclude one",
            )

    def _count_item(self, counts: StreamCounts, why: str) -> None:
        counts.item_collisions += 1
        if counts.item_collisions == 1:
            self._warn(counts.stream, why)

    def _plan_once(self, batch: Batch, row: BatchRow, call: Record, intents: list[Intent]) -> None:
        said = Said(self._digests.person(call.person), digests.once_key(call.event), digests.NO_VALUE, call.time)
        known = self._known(said.person)
        time = once_time(known, said, self._unanswered)
        if time is None:
            row.counts.unchanged += 1
            return
        known[said.key] = Known(said.value, time, call.time)
        batch.update.add(said.person, said.key, known[said.key])
        intents.append(Intent(said, time))
        batch.calls.append(Outgoing(row.counts, call if time == call.time else replace(call, time=time)))

    def _plan_alias(self, batch: Batch, row: BatchRow, call: Alias, intents: list[Intent]) -> None:
        one, other = self._digests.person(call.person), self._digests.person(call.other)
        partners = self._partners_at_hand
        if other in partners[one]:
            row.counts.unchanged += 1
            return
        # One that a run which died, or another process, is about to send gives nobody a partner more.
        if other not in self._unanswered.partners_of(one):
            for identity, person in ((call.person, one), (call.other, other)):
                count = len(partners[person] | self._unanswered.partners_of(person))
                if count >= self._max_aliases:
                    self._reject(
                        row,
                        "alias-limit",
                        f"{identity!r} has {count} aliases already (max_aliases_per_identity), and one that is shared "
                        "would merge all its people for ever",
                    )
                    return
        intents.append(alias_intent(one, other))
        partners[one].add(other)
        partners[other].add(one)
        batch.update.aliases.add((one, other))
        batch.calls.append(Outgoing(row.counts, call))


def _events(batches: Sequence[Batch]) -> Iterator[tuple[BatchRow, Record, EventSlot]]:
    """Give the events among what rows became, but for those that are recorded once: they have no twins."""
    for batch in batches:
        for row in batch.rows:
            for slot in row.mapped.slots:
                event = row.mapped.calls[slot.record]
                if isinstance(event, Record) and not event.once:
                    yield row, event, slot


def _is_change_tracked(calls: Sequence[Call]) -> bool:
    """Tell a row that is user attributes and nothing else, as most are where they are many."""
    return len(calls) == 1 and isinstance(calls[0], Set) and calls[0].distinct


def _way_out(slot: EventSlot) -> str:
    if slot.may_spread:
        return "set spread_duplicates: true in the stream's entry to give each a second of its own"
    return "spread_duplicates, which gives each a second of its own, is for kind event"


def _overlap(event: Call, item: Set) -> bool:
    """Tell whether an item has another value of one of its event's properties in the event's own second."""
    if not isinstance(event, Record) or event.time != item.time or event.person != item.person:
        return False
    own = {folded(name): text for name, text in event.properties.items()}
    return any(own.get(folded(name), text) != text for name, text in item.properties.items())


def _moved(call: Call, by: int) -> Call:
    """Move an event and its line items; user attributes and aliases keep their time."""
    if isinstance(call, Alias) or (isinstance(call, Set) and call.distinct):
        return call
    return replace(call, time=call.time + by)
