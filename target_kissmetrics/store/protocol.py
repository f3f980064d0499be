"""What a store of the memory has to offer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from target_kissmetrics.store.changes import Intent, Known, KnownPerson
from target_kissmetrics.store.packed import Glance
from target_kissmetrics.store.seconds import Claim


@dataclass(slots=True)
class StoreUpdate:
    """What is known once some calls were taken.

    Attributes:
        people: Person -> property key -> what is known.
        aliases: Pairs of people who are one.
        glances: Person -> the last call that changed something.
    """

    people: dict[bytes, dict[bytes, Known]] = field(default_factory=dict)
    aliases: set[tuple[bytes, bytes]] = field(default_factory=set)
    glances: dict[bytes, Glance] = field(default_factory=dict)

    def add(self, person: bytes, key: bytes, known: Known) -> None:
        """Take note of one property."""
        self.people.setdefault(person, {})[key] = known

    def update(self, other: StoreUpdate) -> None:
        """Take note of all that was learned later."""
        for person, properties in other.people.items():
            self.people.setdefault(person, {}).update(properties)
        self.aliases |= other.aliases
        self.glances.update(other.glances)

    def __bool__(self) -> bool:
        """Whether anything was learned."""
        return bool(self.people or self.aliases)


class OthersIntents(NamedTuple):
    """What other processes are about to send.

    Attributes:
        new: Intents noted since, by the numbers of their notes.
        struck: Notes that were struck out since.
    """

    new: Mapping[int, Sequence[Intent]]
    struck: Collection[int]


class Store(Protocol):
    """Remembers what was sent. Used by one thread; several processes may share what lies behind it.

    All of it raises StoreError when it cannot be read or written.
    """

    def people(self, persons: Collection[bytes]) -> Mapping[bytes, KnownPerson]:
        """Give what is known of people; those not known are absent."""

    def partners(self, persons: Collection[bytes]) -> Mapping[bytes, set[bytes]]:
        """Give whom people were aliased with; those never aliased are absent."""

    def held(self, slots: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Give what is held under slots; those that are free are absent."""

    def hold(self, claims: Sequence[Claim]) -> Mapping[bytes, bytes]:
        """Hold each claim, whole or not at all, for good; give what was held first, in the way of some."""

    def planning(self, after: int, noted: Collection[int]) -> AbstractContextManager[OthersIntents]:
        """Keep other processes from planning for the length of a context; reads and intents belong in it.

        Args:
            after: The highest number of a note that is known of.
            noted: Numbers of which it is to be told whether they were struck out.
        """

    def intend(self, intents: Sequence[Intent]) -> int:
        """Note what is about to be sent; give what to strike it out by."""

    def unanswered(self) -> list[Intent]:
        """Give what was about to be sent by runs that did not see it answered."""

    def remember(self, learned: StoreUpdate, answered: Collection[int]) -> None:
        """Remember what was sent, and strike out the intents that were answered, in one transaction."""

    def close(self) -> None:
        """Let go of the store."""
