"""Moves duplicate events to seconds of their own (`spread_duplicates`).

Kissmetrics keeps one event per person, name and second. A row claims the first free second from its own on, and the
store keeps the claim: so the same row has the same second in any later run, even when its amount or its line items
changed since. An event with line items claims as many seconds in a row as it has items. Kissmetrics also keeps one
amount per person and second, whatever the events' names, so an amount claims its second for the revenue property too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from target_kissmetrics.kissmetrics.calls import Record
from target_kissmetrics.mapping.result import EventSlot
from target_kissmetrics.store.digests import SECOND_BYTES, Digests
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.store.update import Claim
from target_kissmetrics.sync.batch import BatchRow
from target_kissmetrics.sync.once import moved

WINDOW_GROWTH = 8
"""Each round looks at this many times more seconds: most rows need one, a day with a thousand orders needs four."""


@dataclass(slots=True)
class _Wanted:
    """An event that wants seconds of its own, with the digest of its row, and the first second that it gets."""

    row: BatchRow
    event: Record
    slot: EventSlot
    key: bytes
    found: int | None = None


def spread_duplicates(rows: Iterable[BatchRow], digests: Digests, store: SqlStore) -> None:
    """Claim a second for each event that wants one, permanently, and move it there with its line items."""
    wanted = [
        _Wanted(row, event, slot, digests.row(event.person, event.event, event.time, slot.row))
        for row in rows
        for slot in row.mapped.slots
        if slot.spread and isinstance(event := row.mapped.calls[slot.record], Record) and not event.once
    ]
    finder = _Finder(digests, store)
    remaining = wanted
    while remaining:
        claims = finder.find(remaining)
        lost = store.claim(list(claims.values())) if claims else {}
        losers = {key for key, claim in claims.items() if not claim.keys().isdisjoint(lost)}
        for key in losers:
            finder.claimed.update((slot, lost.get(slot)) for slot in claims[key])
        remaining = [want for want in remaining if want.key in losers]
    for want in wanted:
        if want.found is not None and want.found != want.event.time:
            want.row.counts.moved += 1
            want.row.mapped.calls = [moved(call, want.found - want.event.time) for call in want.row.mapped.calls]


class _Finder:
    """Finds free seconds.

    Attributes:
        claimed: Digests of seconds and rows -> what is claimed under them; None: free.
    """

    def __init__(self, digests: Digests, store: SqlStore) -> None:
        self._digests = digests
        self._store = store
        self.claimed: dict[bytes, bytes | None] = {}

    def find(self, wanted: Sequence[_Wanted]) -> dict[bytes, Claim]:
        """Give each row its second; return the claims of those that had none, by the rows' keys."""
        claims: dict[bytes, Claim] = {}
        self._look_up({want.key for want in wanted})
        reach, remaining = 1, [want for want in wanted if not self._place(want, 0, claims)]
        while remaining:
            last = reach - 1
            self._look_up({key for w in remaining for key in self._keys(w, w.event.time, last + w.slot.seconds)})
            remaining = [want for want in remaining if not self._place(want, reach, claims)]
            reach *= WINDOW_GROWTH
        return claims

    def _look_up(self, keys: set[bytes]) -> None:
        unknown = [key for key in keys if key not in self.claimed]
        claimed = self._store.claimed(unknown) if unknown else {}
        self.claimed.update((key, claimed.get(key)) for key in unknown)

    def _place(self, want: _Wanted, reach: int, claims: dict[bytes, Claim]) -> bool:
        """Give a row the second that it has already, or claim one of the next `reach` seconds."""
        second = self.claimed[want.key]
        if second is not None:
            want.found = int.from_bytes(second, "big", signed=True)
            return True
        for start in range(want.event.time, want.event.time + reach):
            keys = self._keys(want, start, want.slot.seconds)
            if all(self.claimed[key] is None for key in keys):
                second = start.to_bytes(SECOND_BYTES, "big", signed=True)
                claims[want.key] = {**dict.fromkeys(keys, want.key[:SECOND_BYTES]), want.key: second}
                self.claimed.update(claims[want.key])
                want.found = start
                return True
        return False

    def _keys(self, want: _Wanted, start: int, seconds: int) -> list[bytes]:
        amount = want.slot.revenue_property or want.slot.late_amount
        names = (want.event.event, amount) if amount else (want.event.event,)
        digest, person = self._digests.second, want.event.person
        return [digest(person, name, second) for second in range(start, start + seconds) for name in names]
