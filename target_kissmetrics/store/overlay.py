"""A store over another one: it reads through to the base and keeps what is new in a temporary SQLite file.

A dry run decides as a real run would, and its base stays as it is. With import files, hundreds of thousands of values
wait for their file, which must not fill the process's memory; claims and intents go to the base at once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from target_kissmetrics.errors import StoreError
from target_kissmetrics.store.intents import Intent, IntentChanges, PersonValues
from target_kissmetrics.store.layout import store_errors
from target_kissmetrics.store.packed import merge
from target_kissmetrics.store.protocol import Claim, Store, StoredRun, StoreUpdate
from target_kissmetrics.store.sql import SqlStore


class OverlayStore:
    """Answers as if everything new were committed to the base.

    Args:
        base: The real store; None for a dry run without one.
        dry_run: Write nothing to the base.
    """

    def __init__(self, base: Store | None, *, dry_run: bool) -> None:
        self._base = base or SqlStore("sqlite://", "")
        self.digests = self._base.digests
        self._dry_run = dry_run
        with store_errors(None, "of this machine"):
            self._folder = tempfile.TemporaryDirectory(prefix="target-kissmetrics-")
        folder = Path(self._folder.name)
        url = f"sqlite:///{(folder / 'scratch.db').as_posix()}"
        try:
            self._scratch = SqlStore(url, "", temporary=str(folder.parent))
        except StoreError:
            self._folder.cleanup()
            raise
        self._cleared: list[int] = []

    def last_sent(self, people: Collection[bytes]) -> Mapping[bytes, PersonValues]:
        """Give the last sent values of people; unknown people are absent."""
        joined: dict[bytes, PersonValues] = dict(self._base.last_sent(people))
        for person, properties in self._scratch.last_sent(people).items():
            joined[person] = merge(joined[person], properties) if person in joined else properties
        return joined

    def partners(self, people: Collection[bytes]) -> Mapping[bytes, set[bytes]]:
        """Give the people whom each of these was aliased with; people without an alias are absent."""
        joined = {person: set(partners) for person, partners in self._base.partners(people).items()}
        for person, partners in self._scratch.partners(people).items():
            joined.setdefault(person, set()).update(partners)
        return joined

    def claimed(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Give what is claimed under these keys; free ones are absent."""
        return {**self._base.claimed(keys), **(self._scratch.claimed(keys) if self._dry_run else {})}

    def claim(self, claims: Sequence[Claim]) -> Mapping[bytes, bytes]:
        """Claim seconds: permanently, or in a dry run until its end."""
        return (self._scratch if self._dry_run else self._base).claim(claims)

    def planning(self) -> AbstractContextManager[None]:
        """Keep other processes from planning, unless nothing is about to be sent."""
        return nullcontext() if self._dry_run else self._base.planning()

    def pending_intents(self, seen: Collection[int]) -> IntentChanges:
        """Give how the base's pending intents differ from those seen."""
        return self._base.pending_intents(seen)

    def add_intents(self, intents: Sequence[Intent]) -> int | None:
        """Add intents to the base; a dry run has none."""
        return None if self._dry_run else self._base.add_intents(intents)

    def add_names(self, new: Mapping[bytes, bool]) -> Mapping[bytes, bool]:
        """Add digests of names to the base, which a dry run does not; give those of all names that were sent."""
        return self._base.add_names({} if self._dry_run else new)

    def put_run(self, run: StoredRun) -> None:
        """Add a run to the base; a dry run is none."""
        if not self._dry_run:
            self._base.put_run(run)

    def commit(self, update: StoreUpdate, cleared: Collection[int]) -> None:
        """Keep an update and the numbers to clear until they are committed to the base."""
        if update:
            self._scratch.commit(update, ())
        self._cleared.extend(cleared)

    def commit_to_base(self) -> None:
        """Commit every update to the base. Intents stay until the STATE behind them is emitted."""
        for update in self._scratch.drain():
            self._base.commit(update, ())

    def clear_intents(self) -> None:
        """Clear the intents in the base: the STATE behind them is emitted."""
        if self._cleared:
            self._base.commit(StoreUpdate(), self._cleared)
            self._cleared = []

    def close(self) -> None:
        """Close both stores; what was not committed to the base is lost."""
        self._scratch.close()
        self._folder.cleanup()
        self._base.close()
