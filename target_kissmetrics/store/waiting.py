"""A store over another one: what is remembered waits in a temporary file until it is told to be remembered for good.

For deliveries whose answer comes long after the call, and for hundreds of thousands of calls at once: what they teach
must not fill the process's memory meanwhile.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from target_kissmetrics.store.changes import Intent, KnownPerson, merge
from target_kissmetrics.store.protocol import OthersIntents, Store, StoreUpdate
from target_kissmetrics.store.seconds import Claim
from target_kissmetrics.store.sql import SqlStore


class WaitingStore:
    """Answers as if all were remembered already. What was intended and held is noted in the real store at once.

    Args:
        store: The real store.
        product: Which product this run is for.
    """

    def __init__(self, store: Store, product: bytes) -> None:
        self._store = store
        self._product = product
        self._scratch = tempfile.TemporaryDirectory(prefix="target-kissmetrics-")
        self._waiting: SqlStore | None = None
        self._answered: list[int] = []

    def people(self, persons: Collection[bytes]) -> Mapping[bytes, KnownPerson]:
        """Give what is known of people; those not known are absent."""
        known = self._store.people(persons)
        if self._waiting is None:
            return known
        joined = dict(known)
        for person, properties in self._waiting.people(persons).items():
            joined[person] = merge(joined.get(person, {}), properties)
        return joined

    def partners(self, persons: Collection[bytes]) -> Mapping[bytes, set[bytes]]:
        """Give whom people were aliased with; those never aliased are absent."""
        known = self._store.partners(persons)
        if self._waiting is None:
            return known
        joined = {person: set(partners) for person, partners in known.items()}
        for person, partners in self._waiting.partners(persons).items():
            joined.setdefault(person, set()).update(partners)
        return joined

    def held(self, slots: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Give what is held under slots."""
        return self._store.held(slots)

    def hold(self, claims: Sequence[Claim]) -> Mapping[bytes, bytes]:
        """Hold claims, for good, before anything is written."""
        return self._store.hold(claims)

    def planning(self, after: int, noted: Collection[int]) -> AbstractContextManager[OthersIntents]:
        """Keep other processes from planning for the length of a context."""
        return self._store.planning(after, noted)

    def intend(self, intents: Sequence[Intent]) -> int:
        """Note what is about to be written, for good."""
        return self._store.intend(intents)

    def unanswered(self) -> list[Intent]:
        """Give what was about to be sent by runs that did not see it answered."""
        return self._store.unanswered()

    def remember(self, learned: StoreUpdate, answered: Collection[int]) -> None:
        """Let what was learned wait."""
        if learned:
            if self._waiting is None:
                path = Path(self._scratch.name, "waiting.db")
                self._waiting = SqlStore(f"sqlite:///{path.as_posix()}", self._product)
            self._waiting.remember(learned, ())
        self._answered.extend(answered)

    def remember_all(self) -> None:
        """Remember for good all that waits. What was noted stays until its STATE is out."""
        if self._waiting is not None:
            for learned in self._waiting.everything():
                self._store.remember(learned, ())
            self._forget_waiting()

    def strike_out(self) -> None:
        """Strike out, for good, what was noted of all that was answered: its STATE is out."""
        if self._answered:
            self._store.remember(StoreUpdate(), self._answered)
            self._answered = []

    def close(self) -> None:
        """Let go of both stores. What still waits is forgotten."""
        self._forget_waiting()
        self._scratch.cleanup()
        self._store.close()

    def _forget_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.close()
            for path in Path(self._scratch.name).iterdir():
                path.unlink()
            self._waiting = None
