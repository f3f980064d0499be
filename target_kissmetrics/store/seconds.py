"""Which second an event moves to, where another row's event of the same person and name holds its own.

Kissmetrics takes events of one person, name and second for one. A row takes the first second, from its own on, that is
free, and it is remembered which one that was: so the same row has the same second in any later run, even when its
amount or its line items changed since. An event with line items takes as many seconds in a row as it has items. Two
amounts of one person in one second are one to Kissmetrics even under two names, so an amount holds its second for the
revenue property as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from target_kissmetrics.store.digests import Digests

FIRST_WINDOW = 1
WINDOW_GROWTH = 8
"""Seconds looked at in each round grow by this: most rows need one look, a day with a thousand orders needs four."""

SECOND_BYTES = 8


@dataclass(slots=True)
class Wanted:
    """A row that wants a second.

    Attributes:
        identity: Its person.
        names: The event's name, and the revenue property when it has an amount.
        time: Its own second.
        seconds: How many it takes in a row.
        row: What tells the row from others, 8 bytes.
        found: The second it got.
    """

    identity: str
    names: tuple[str, ...]
    time: int
    seconds: int
    row: bytes
    found: int | None = None


Claim = Mapping[bytes, bytes]
"""What a row is about to hold, all or nothing: slots with its digest, and its own key with the second it got."""

Lookup = Callable[[Sequence[bytes]], Mapping[bytes, bytes]]
"""Keys -> what is held under those that are."""

Hold = Callable[[Sequence[Claim]], Mapping[bytes, bytes]]
"""Claims, each of which is held whole or not at all -> what others held first, in the way of some of them."""


def assign(wanted: Sequence[Wanted], digests: Digests, lookup: Lookup, hold: Hold) -> None:
    """Find a second for each row, and hold it for good, before anything is sent."""
    finder = _Finder(digests, lookup)
    waiting = list(wanted)
    while waiting:
        claims = finder.find(waiting)
        lost = hold(list(claims.values())) if claims else {}
        losers = {key for key, claim in claims.items() if not claim.keys().isdisjoint(lost)}
        for key in losers:
            finder.held.update((slot, lost.get(slot)) for slot in claims[key])
        waiting = [want for want in waiting if finder.key(want) in losers]


class _Finder:
    """Finds seconds, with what is known of them at hand.

    Attributes:
        held: Slots and rows' keys -> what is held under them; None: free.
    """

    def __init__(self, digests: Digests, lookup: Lookup) -> None:
        self._digests = digests
        self._lookup = lookup
        self.held: dict[bytes, bytes | None] = {}

    def key(self, want: Wanted) -> bytes:
        return self._digests.row(want.identity, want.names[0], want.time, want.row)

    def find(self, wanted: Sequence[Wanted]) -> dict[bytes, Claim]:
        """Give each row its second; what is to be held for those that had none, by their keys."""
        claims: dict[bytes, Claim] = {}
        self._look_up({self.key(want) for want in wanted})
        waiting = [want for want in wanted if not self._recall(want)]
        reach = FIRST_WINDOW
        while waiting:
            self._look_up({slot for want in waiting for slot in self._slots(want, want.time, reach + want.seconds - 1)})
            waiting = [want for want in waiting if not self._recall(want) and not self._place(want, reach, claims)]
            reach *= WINDOW_GROWTH
        return claims

    def _look_up(self, keys: set[bytes]) -> None:
        unknown = [key for key in keys if key not in self.held]
        held = self._lookup(unknown) if unknown else {}
        self.held.update((key, held.get(key)) for key in unknown)

    def _recall(self, want: Wanted) -> bool:
        second = self.held[self.key(want)]
        if second is None:
            return False
        want.found = int.from_bytes(second, "big", signed=True)
        return True

    def _place(self, want: Wanted, reach: int, claims: dict[bytes, Claim]) -> bool:
        for start in range(want.time, want.time + reach):
            slots = self._slots(want, start, want.seconds)
            if all(self.held[slot] is None for slot in slots):
                key = self.key(want)
                claim = {**dict.fromkeys(slots, want.row), key: start.to_bytes(SECOND_BYTES, "big", signed=True)}
                self.held.update(claim)
                claims[key] = claim
                want.found = start
                return True
        return False

    def _slots(self, want: Wanted, start: int, seconds: int) -> list[bytes]:
        return [
            self._digests.second(want.identity, name, second)
            for second in range(start, start + seconds)
            for name in want.names
        ]
