"""What the store says of the people of some batches, joined with what uncommitted batches will say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from target_kissmetrics.store.intents import Intent, LastSent, PendingIntents, PersonValues, pack_intent
from target_kissmetrics.store.packed import NOBODY, PackedPerson, merge
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.store.update import StoreUpdate


class StoreView:
    """Loads what a plan needs, takes its changes, and keeps them until they are committed.

    Attributes:
        people: Last sent values of those who were loaded.
        partners: Partners of those who were loaded for an alias; may be changed.
        intents: What the plan is about to send, packed.
    """

    def __init__(self, store: SqlStore) -> None:
        self.digests = store.digests
        self.pending = PendingIntents()
        self.people: dict[bytes, PackedPerson] = {}
        self.partners: dict[bytes, set[bytes]] = {}
        self.intents: list[bytes] = []
        self._store = store
        self._uncommitted: dict[bytes, PersonValues] = {}
        self._uncommitted_partners: dict[bytes, set[bytes]] = {}
        self._batches: Counter[bytes] = Counter()

    def load(self, people: Collection[bytes], aliased: Collection[bytes]) -> None:
        """Load people, and partners, under the planning lock.

        Intents first: what they were cleared for is in the values that are read after them.
        """
        self.pending.update(self._store.pending_intents(self.pending.numbers))
        self.intents = []
        stored = self._store.last_sent(people) if people else {}
        self.people = {person: stored.get(person, NOBODY) for person in people}
        for person in self._uncommitted.keys() & self.people.keys():
            self.people[person] = PackedPerson(merge(bytes(self.people[person]), self._uncommitted[person]))
        partners = self._store.partners(aliased) if aliased else {}
        own = self._uncommitted_partners
        self.partners = {person: {*partners.get(person, ()), *own.get(person, ())} for person in aliased}

    def change(self, person: bytes, key: bytes, last: LastSent, update: StoreUpdate) -> None:
        """Change the last sent value of a property, here and in the update of a batch."""
        self.people[person] = PackedPerson(merge(bytes(self.people[person]), {key: last}, always=True))
        update.add(person, key, last)

    def intend(self, intent: Intent) -> None:
        """Note what the plan is about to send."""
        self.intents.append(pack_intent(intent))

    def add_intents(self) -> list[int]:
        """Add the plan's intents to the store; give their number, and the numbers of those that they supersede."""
        number = self._store.add_intents(b"".join(self.intents)) if self.intents else None
        superseded = self.pending.superseded()
        if number is None:
            return superseded
        self.pending.add_own(number)
        return [*superseded, number]

    def keep(self, update: StoreUpdate) -> None:
        """Keep what a batch changes until it is committed: the store does not say it yet."""
        for person, values in update.people.items():
            # A copy: of a call that is refused, the update drops its values.
            kept = values if isinstance(values, PackedPerson) else dict(values)
            before = self._uncommitted.get(person)
            self._uncommitted[person] = kept if before is None else {**before, **kept}
            self._batches[person] += 1
        for one, other in update.aliases:
            self._uncommitted_partners.setdefault(one, set()).add(other)
            self._uncommitted_partners.setdefault(other, set()).add(one)

    def committed(self, update: StoreUpdate) -> None:
        """Drop what was kept of a batch."""
        for person in update.people:
            self._batches[person] -= 1
            if not self._batches[person]:
                del self._batches[person], self._uncommitted[person]
        for one, other in update.aliases:
            for person, partner in ((one, other), (other, one)):
                self._uncommitted_partners[person].discard(partner)
                if not self._uncommitted_partners[person]:
                    del self._uncommitted_partners[person]
