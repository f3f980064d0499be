"""What a store has to offer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from target_kissmetrics.store.digests import Digests
from target_kissmetrics.store.intents import Intent, IntentChanges, LastSent, PersonValues
from target_kissmetrics.store.packed import LastCall

Claim = Mapping[bytes, bytes]
"""What one row claims, whole or not at all: digests of seconds with the row's, and the row's own with its second."""


@dataclass(slots=True)
class StoreUpdate:
    """What to store once calls are acknowledged.

    Attributes:
        people: Person -> property key -> last sent value.
        aliases: Pairs of people that were aliased.
        last_calls: Person -> the last call that changed something.
    """

    people: dict[bytes, dict[bytes, LastSent]] = field(default_factory=dict)
    aliases: set[tuple[bytes, bytes]] = field(default_factory=set)
    last_calls: dict[bytes, LastCall] = field(default_factory=dict)

    def add(self, person: bytes, key: bytes, last: LastSent) -> None:
        """Add one property."""
        self.people.setdefault(person, {})[key] = last

    def update(self, later: StoreUpdate) -> None:
        """Add a later update."""
        for person, properties in later.people.items():
            self.people.setdefault(person, {}).update(properties)
        self.aliases |= later.aliases
        self.last_calls.update(later.last_calls)

    def __bool__(self) -> bool:
        """Whether there is anything to store."""
        return bool(self.people or self.aliases)


class StoredRun(NamedTuple):
    """A run; one that was killed, or still runs, has only its start.

    Attributes:
        run_id: Sorts by the start.
        started_at: Seconds since the Unix epoch.
        ended_at: Likewise.
        outcome: `complete`, `failed` or `stopped`.
        reason: Why it failed or stopped, in one line without personal data.
        counts: JSON: stream -> its figures, and rejects by code.
        events: JSON: name -> how many acknowledged events had it (`count`), with their first and last second (`first`,
            `last`).
    """

    run_id: str
    started_at: int
    ended_at: int | None = None
    outcome: str | None = None
    reason: str | None = None
    counts: str = "{}"
    events: str = "{}"


class Store(Protocol):
    """Keeps what was sent. For one thread; several processes may share what lies behind it.

    Every method raises StoreError when the store cannot be read or written.

    Attributes:
        digests: Of what it keeps.
    """

    digests: Digests

    def last_sent(self, people: Collection[bytes]) -> Mapping[bytes, PersonValues]:
        """Give the last sent values of people; unknown people are absent."""

    def partners(self, people: Collection[bytes]) -> Mapping[bytes, set[bytes]]:
        """Give the people whom each of these was aliased with; people without an alias are absent."""

    def claimed(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Give what is claimed under these keys; free ones are absent."""

    def claim(self, claims: Sequence[Claim]) -> Mapping[bytes, bytes]:
        """Claim seconds permanently, each claim whole or not at all; give earlier claims that are in the way."""

    def planning(self) -> AbstractContextManager[None]:
        """Keep other processes from planning. Read people and add intents in this context."""

    def pending_intents(self, seen: Collection[int]) -> IntentChanges:
        """Give the intents that are pending and not among the numbers seen, and the seen numbers that were cleared."""

    def add_intents(self, intents: Sequence[Intent]) -> int | None:
        """Add intents; give the number to clear them by, or None if nothing is about to be sent."""

    def add_names(self, new: Mapping[bytes, bool]) -> Mapping[bytes, bool]:
        """Add digests of names, each with whether it is an event's; give those of all names that were sent."""

    def put_run(self, run: StoredRun) -> None:
        """Add a run, or replace what is stored of it; delete old runs."""

    def commit(self, update: StoreUpdate, cleared: Collection[int]) -> None:
        """Store an update and clear intents, in one transaction."""

    def close(self) -> None:
        """Close the store."""
