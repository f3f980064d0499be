"""Limits a product's distinct event and property names: names made from data would use up Kissmetrics' 65,535.

A name that would be one more is rejected, and the store gets the others before their calls are sent. Another process
that plans at the same time may add a few more; each knows the other's names from its own next new name on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import EventSlot, Rejection
from target_kissmetrics.mapping.settings import MappingSettings
from target_kissmetrics.reporting.reject_policy import Parts
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.sync.batch import Batch, BatchRow

Reject = Callable[[BatchRow, Parts], None]
"""Takes a row, and what is rejected of it."""

_Dropped = dict[tuple[bool, str], Rejection]
"""Events by their places (True), and properties by their names."""


class NameLimits:
    """Applies `max_event_names` and `max_property_names`. For one thread.

    Args:
        store: Which names were sent.
        settings: The limits, and the property that holds revenue, whose name does not count.
        reject: Called with what is rejected of a row.
    """

    def __init__(self, store: SqlStore, settings: MappingSettings, reject: Reject) -> None:
        self._store = store
        self._reject = reject
        self._revenue_key = folded(settings.revenue_key)
        self._max = {True: settings.max_event_names, False: settings.max_property_names}
        self._known = dict(store.add_names({}))
        self._count = Counter(self._known.values())
        self._new: dict[bytes, bool] = {}
        # As they are spelled: a row costs one look-up a name.
        self._events: set[str] = set()
        self._properties: set[str] = set()

    def apply(self, batches: Sequence[Batch]) -> None:
        """Take from rows what is rejected."""
        for batch in batches:
            for row in batch.rows:
                for call in row.mapped.calls:
                    if not self._knows(call):
                        self._admit(row)
                        break
        if self._new:
            self._known.update(self._store.add_names(self._new))
            self._count, self._new = Counter(self._known.values()), {}

    def _knows(self, call: Call) -> bool:
        if isinstance(call, Record) and call.event not in self._events:
            return False
        return isinstance(call, Alias) or self._properties.issuperset(call.properties)

    def _admit(self, row: BatchRow) -> None:
        """Keep the calls of a row whose names are admitted."""
        mapped, dropped, is_kept = row.mapped, _Dropped(), True
        slots = {slot.record: slot for slot in mapped.slots}
        calls, mapped.calls, mapped.slots = mapped.calls, [], []
        for index, call in enumerate(calls):
            slot = slots.get(index)
            if isinstance(call, Record):
                # Of an event that was sent before only properties are sent.
                is_kept = (slot is not None and slot.was_sent) or self._admits(call.event, is_event=True)
                if not is_kept:
                    problem = self._problem(call.event, is_event=True)
                    if slot is None or not slot.place:
                        mapped.calls, mapped.slots, mapped.deletions = [], [], []
                        self._reject(row, [problem])
                        return
                    dropped[True, slot.place] = Rejection.of(problem, slot.place, counts_as_row=True)
            # An event takes its line items with it.
            if is_kept or isinstance(call, Alias) or getattr(call, "distinct", False):
                self._keep(row, call, slot, dropped)
        if dropped:
            self._reject(row, list(dropped.values()))

    def _keep(self, row: BatchRow, call: Call, slot: EventSlot | None, dropped: _Dropped) -> None:
        """Keep a call, without the properties whose names are not admitted."""
        if not isinstance(call, Alias):
            properties = {name: text for name, text in call.properties.items() if self._admits(name)}
            for name in (name for name in call.properties if name not in properties):
                dropped[False, folded(name)] = Rejection.of(self._problem(name), name)
            call = replace(call, properties=properties)
        if isinstance(call, Record) and slot is not None:
            row.mapped.add_event(call, slot)
        elif not isinstance(call, Set) or call.properties:
            row.mapped.calls.append(call)

    def _admits(self, name: str, *, is_event: bool = False) -> bool:
        spelled = self._events if is_event else self._properties
        if name in spelled:
            return True
        digests = self._store.digests
        key = digests.once_key(name) if is_event else digests.property_key(name)
        is_free = not is_event and folded(name) == self._revenue_key
        if key not in self._known and not is_free:
            if self._count[is_event] >= self._max[is_event]:
                return False
            self._count[is_event] += 1
            self._known[key] = self._new[key] = is_event
        spelled.add(name)
        return True

    def _problem(self, name: str, *, is_event: bool = False) -> Rejected:
        what, setting = ("event", "max_event_names") if is_event else ("property", "max_property_names")
        problem = f"{what} name {name[:60]!r} would be one more than {self._max[is_event]:,} ({setting})"
        return Rejected("too-many-names", problem)
