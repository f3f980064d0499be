"""A store that reads what is remembered and forgets all that is new: so a dry run decides as a real one would."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from target_kissmetrics.store.changes import Intent, KnownPerson, merge
from target_kissmetrics.store.protocol import OthersIntents, Store, StoreUpdate
from target_kissmetrics.store.seconds import Claim
from target_kissmetrics.store.sql import SqlStore


class DryRunStore:
    """Keeps what is new in a file of its own, in a temporary folder, over a store that it only reads.

    Args:
        base: The real store; None when there is none yet.
        product: Which product this run is for.
    """

    def __init__(self, base: Store | None, product: bytes) -> None:
        self._base = base
        self._folder = tempfile.TemporaryDirectory(prefix="target-kissmetrics-")
        self._new = SqlStore(f"sqlite:///{Path(self._folder.name, 'dry-run.db').as_posix()}", product)

    def people(self, persons: Collection[bytes]) -> Mapping[bytes, KnownPerson]:
        """Give what is known of people; those not known are absent."""
        known = dict(self._base.people(persons)) if self._base else {}
        for person, properties in self._new.people(persons).items():
            known[person] = merge(known.get(person, {}), properties)
        return known

    def partners(self, persons: Collection[bytes]) -> Mapping[bytes, set[bytes]]:
        """Give whom people were aliased with; those never aliased are absent."""
        known = {
            person: set(partners) for person, partners in (self._base.partners(persons) if self._base else {}).items()
        }
        for person, partners in self._new.partners(persons).items():
            known.setdefault(person, set()).update(partners)
        return known

    def held(self, slots: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Give what is held under slots; those that are free are absent."""
        return {**(self._base.held(slots) if self._base else {}), **self._new.held(slots)}

    def hold(self, claims: Sequence[Claim]) -> Mapping[bytes, bytes]:
        """Hold claims until the end of the run."""
        return self._new.hold(claims)

    def planning(self, after: int, noted: Collection[int]) -> AbstractContextManager[OthersIntents]:  # noqa: ARG002
        """Keep nobody off: nothing is about to be sent."""
        return nullcontext(OthersIntents({}, ()))

    def intend(self, intents: Sequence[Intent]) -> int:
        """Note nothing: nothing is about to be sent."""
        return len(intents)

    def unanswered(self) -> list[Intent]:
        """Give what was about to be sent by runs that did not see it answered."""
        return self._base.unanswered() if self._base else []

    def remember(self, learned: StoreUpdate, answered: Collection[int]) -> None:  # noqa: ARG002
        """Remember until the end of the run."""
        self._new.remember(learned, ())

    def close(self) -> None:
        """Forget everything new."""
        if self._base:
            self._base.close()
        self._new.close()
        self._folder.cleanup()
