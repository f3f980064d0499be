"""What a batch and a run leave in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from target_kissmetrics.store.intents import LastSent, PersonValues
from target_kissmetrics.store.packed import LastCall, PackedPerson, unpack

Claim = Mapping[bytes, bytes]
"""What one row claims, whole or not at all: digests of seconds with the row's, and the row's own with its second."""


@dataclass(slots=True)
class StoreUpdate:
    """What to store once calls are acknowledged.

    Attributes:
        people: Person -> property key -> last sent value; packed if one call sets all that is known of the person.
        aliases: Pairs of people that were aliased.
        last_calls: Person -> the last call that changed something.
    """

    people: dict[bytes, PersonValues] = field(default_factory=dict)
    aliases: set[tuple[bytes, bytes]] = field(default_factory=set)
    last_calls: dict[bytes, LastCall] = field(default_factory=dict)

    def add(self, person: bytes, key: bytes, last: LastSent) -> None:
        """Add one property."""
        self.values(person)[key] = last

    def values(self, person: bytes) -> dict[bytes, LastSent]:
        """Give the values of a person, which may be changed."""
        values = self.people.get(person)
        if isinstance(values, PackedPerson) and values.last_call is not None:
            self.last_calls[person] = values.last_call
        if not isinstance(values, dict):
            values = self.people[person] = unpack(bytes(values)) if isinstance(values, PackedPerson) else {}
        return values

    def update(self, later: StoreUpdate) -> None:
        """Add a later update."""
        for person, values in later.people.items():
            before = self.people.get(person)
            self.people[person] = values if before is None else {**before, **values}
        self.aliases |= later.aliases
        self.last_calls.update(later.last_calls)

    def __bool__(self) -> bool:
        """Whether there is anything to store."""
        return bool(self.people or self.aliases)


class StoredRun(NamedTuple):
    """A run; one that was killed, or still runs, has only its start. Times are seconds since the Unix epoch.

    Attributes:
        run_id: Sorts by the start.
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
