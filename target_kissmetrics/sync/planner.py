"""From mapped rows to calls: seconds for duplicate events, changed attributes, aliases and once-only events.

Batches are planned together, with one look into the store under its planning lock. The intents are in the store before
a call leaves, so the next batches can be planned while these are in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from target_kissmetrics.kissmetrics.calls import Alias, Call, Outgoing, Record, Set
from target_kissmetrics.mapping.reject_codes import REASONS, Rejected
from target_kissmetrics.mapping.result import Mapped, Rejection
from target_kissmetrics.store.intents import alias_intent
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.store.update import StoreUpdate
from target_kissmetrics.sync.batch import Batch, BatchRow, outgoing
from target_kissmetrics.sync.change_tracking import plan_changes, steps_of
from target_kissmetrics.sync.collisions import CollisionCounter
from target_kissmetrics.sync.name_limits import NameLimits, Reject
from target_kissmetrics.sync.once import (
    KeyedRow,
    OncePlanner,
    drop_plain_events,
    keyed_rows,
    turn_sent_events_into_sets,
)
from target_kissmetrics.sync.spreading import spread_duplicates
from target_kissmetrics.sync.store_view import StoreView

_Others = Sequence[tuple[Batch, BatchRow]]
"""Rows that are more than user attributes."""


class Planner:
    """Plans batches. For one thread.

    Args:
        store: What was sent.
        include_all: Send unchanged user attributes too.
        max_aliases: The most partners of one identity.
        remember_only: Store what the calls would leave, and plan no call.
        names: Rejects names that are too many; None for any number.
        reject: Called with each rejected alias.
        warn: Takes a stream and a message.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        *,
        store: SqlStore,
        include_all: bool,
        max_aliases: int,
        remember_only: bool = False,
        names: NameLimits | None = None,
        reject: Reject,
        warn: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._digests = store.digests
        self._include_all = include_all
        self._max_aliases = max_aliases
        self._remember_only = remember_only
        self._names = names
        self._reject = reject
        self._collisions = CollisionCounter(warn)
        self._view = StoreView(store)
        self._once = OncePlanner(self._view, warn)

    def plan(self, batches: Sequence[Batch]) -> None:
        """Give each batch its calls and its update, and the last batch the intents to clear after all of them."""
        if self._remember_only:
            drop_plain_events(row for batch in batches for row in batch.rows)
        if self._names is not None:
            self._names.apply(batches)
        self._plan(batches)
        if self._remember_only:
            for batch in batches:
                for one in batch.calls:
                    one.source.remembered += 1
                batch.calls = []

    def _plan(self, batches: Sequence[Batch]) -> None:
        others = [(batch, row) for batch in batches for row in batch.rows if not _is_change_tracked(row.mapped.calls)]
        special = [(batch, row) for batch, row in others if not _is_plain_event(row.mapped)]
        keyed = keyed_rows(special, self._digests)
        steps = steps_of(batches, self._digests)
        people, aliased = {step.person for step in steps} | {one.subject for one in keyed}, set[bytes]()
        for _, row in special:
            for call in row.mapped.calls:
                if isinstance(call, Alias):
                    aliased |= {self._digests.person(call.person), self._digests.person(call.other)}
                elif isinstance(call, Record) and call.once:
                    people.add(self._digests.person(call.person))
        if not people and not aliased:
            self._plan_others(others, special, keyed)
            return
        with self._store.planning():
            self._view.load(people, aliased)
            plan_changes(steps, self._view, include_all=self._include_all)
            self._plan_others(others, special, keyed)
            batches[-1].intents = self._view.add_intents()
        for batch in batches:
            self._view.keep(batch.update)

    def committed(self, batch: Batch) -> None:
        """Drop what was kept of a batch, now that the store has it."""
        self._view.committed(batch.update)

    def refused(self, batch: Batch, outgoing: Outgoing) -> None:
        """Reject the rows of a call that the host refused for its size; the store learns nothing of this call.

        Rows that were planned meanwhile are compared with its values all the same: those are in the rejects.
        """
        self._take_back(batch.update, outgoing)
        for row in outgoing.rows:
            if row.refused_at is None:
                row.refused_at = outgoing.call.time
                self._reject(row, [Rejected("call-too-large", REASONS["call-too-large"].meaning)])

    def _take_back(self, update: StoreUpdate, outgoing: Outgoing) -> None:
        call, person = outgoing.call, self._digests.person(outgoing.call.person)
        values = update.values(person) if person in update.people else {}
        update.last_calls.pop(person, None)
        if isinstance(call, Set) and call.distinct:
            for name, text in call.properties.items():
                key = self._digests.property_key(name)
                if key in values and values[key].value == self._digests.value(text):
                    del values[key]
            return
        if isinstance(call, Record):
            values.pop(self._digests.once_key(call.event), None)
        slots = [slot for row in outgoing.rows for slot in row.mapped.slots]
        for subject in (self._digests.sent_row(slot.key) for slot in slots if slot.key is not None):
            if subject in update.people:
                update.values(subject).clear()

    def _plan_others(self, others: _Others, special: _Others, keyed: Sequence[KeyedRow]) -> None:
        """Plan what is not change-tracked: events, line items, aliases; `special` are those not plain events."""
        rows = [row for _, row in special]
        self._once.spread_only_unsent(keyed)
        spread_duplicates(rows, self._digests, self._store)
        for one in keyed:
            self._once.plan_row(one)
        turn_sent_events_into_sets(rows)
        self._collisions.count(row for _, row in others)
        for batch, row in others:
            for call in row.mapped.calls:
                planned = self._plan_call(batch, row, call)
                if planned is not None:
                    batch.calls.append(outgoing([row], planned))

    def _plan_call(self, batch: Batch, row: BatchRow, call: Call) -> Call | None:
        if isinstance(call, Set):
            return None if call.distinct else call
        if isinstance(call, Record):
            return self._once.plan_event(call, row.counts, batch.update) if call.once else call
        try:
            return self._plan_alias(batch, row, call)
        except Rejected as rejected:
            is_row = len(row.mapped.calls) == 1
            self._reject(row, [rejected if is_row else Rejection.of(rejected, row.mapped.alias_field)])
            return None

    def _plan_alias(self, batch: Batch, row: BatchRow, call: Alias) -> Alias | None:
        """Give an alias if it was never sent.

        Raises:
            Rejected: One of the identities has `max_aliases` already.
        """
        one, other = self._digests.person(call.person), self._digests.person(call.other)
        intent, partners, pending = alias_intent(one, other), self._view.partners, self._view.pending
        if other in partners[one]:
            pending.repeated(intent)
            row.counts.unchanged += 1
            return None
        # An alias that a killed run or another process is about to send adds no partner.
        if other not in pending.partners_of(one):
            for identity, person in ((call.person, one), (call.other, other)):
                count = len(partners[person] | pending.partners_of(person))
                if count >= self._max_aliases:
                    problem = f"{identity!r} has {count} aliases already (max_aliases_per_identity)"
                    why = "an alias of a shared identity would merge all its people permanently"
                    raise Rejected("alias-limit", f"{problem}; {why}")
        pending.repeated(intent)
        self._view.intend(intent)
        partners[one].add(other)
        partners[other].add(one)
        batch.update.aliases.add((one, other))
        return call


def _is_plain_event(mapped: Mapped) -> bool:
    """Tell a row that is one event, which is sent as it is."""
    if len(mapped.calls) != 1 or len(mapped.slots) != 1:
        return False
    call, slot = mapped.calls[0], mapped.slots[0]
    return type(call) is Record and not (call.once or slot.spread or slot.key or slot.was_sent or mapped.deletions)


def _is_change_tracked(calls: Sequence[Call]) -> bool:
    """Tell a row that is user attributes and nothing else, as most are where they are many."""
    return len(calls) == 1 and isinstance(calls[0], Set) and calls[0].distinct
