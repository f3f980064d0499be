"""A store over another one: it reads through to the base and keeps what is new in a temporary SQLite file.

A dry run decides as a real run would, and its base stays as it is. With import files, hundreds of thousands of values
wait for their file, which must not fill the process's memory; claims and intents go to the base at once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from target_kissmetrics.store.intents import IntentChanges
from target_kissmetrics.store.layout import store_errors
from target_kissmetrics.store.packed import PackedPerson, merge
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.store.update import Claim, StoredRun, StoreUpdate


class OverlayStore(SqlStore):
    """Answers as if everything new were committed to the base.

    Args:
        base: The real store; None for a dry run without one.
        dry_run: Write nothing to the base.
    """

    def __init__(self, base: SqlStore | None, *, dry_run: bool) -> None:
        self._base = base or SqlStore("sqlite://", "")
        self._dry_run = dry_run
        self._cleared: list[int] = []
        with store_errors(None, "of this machine"):
            self._folder = tempfile.TemporaryDirectory(prefix="target-kissmetrics-")
        folder = Path(self._folder.name)
        super().__init__(f"sqlite:///{(folder / 'scratch.db').as_posix()}", "", temporary=str(folder.parent))
        self.digests = self._base.digests

    def last_sent(self, people: Collection[bytes]) -> dict[bytes, PackedPerson]:
        """Join the values of both."""
        joined = self._base.last_sent(people)
        for person, packed in super().last_sent(people).items():
            joined[person] = PackedPerson(merge(bytes(joined[person]), packed)) if person in joined else packed
        return joined

    def partners(self, people: Collection[bytes]) -> dict[bytes, set[bytes]]:
        """Join the partners in both."""
        joined = self._base.partners(people)
        for person, partners in super().partners(people).items():
            joined.setdefault(person, set()).update(partners)
        return joined

    def claimed(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Join what is claimed in both."""
        return {**self._base.claimed(keys), **super().claimed(keys)}

    def claim(self, claims: Sequence[Claim]) -> dict[bytes, bytes]:
        """Claim seconds: permanently, or in a dry run until its end."""
        return super().claim(claims) if self._dry_run else self._base.claim(claims)

    @contextmanager
    def planning(self) -> Iterator[None]:
        """Keep other processes from planning, unless nothing is about to be sent."""
        with nullcontext() if self._dry_run else self._base.planning():
            yield

    def pending_intents(self, seen: Collection[int]) -> IntentChanges:
        """Give the base's."""
        return self._base.pending_intents(seen)

    def add_intents(self, entries: bytes) -> int | None:
        """Add intents to the base, unless nothing is about to be sent."""
        return None if self._dry_run else self._base.add_intents(entries)

    def add_names(self, new: Mapping[bytes, bool]) -> dict[bytes, bool]:
        """Add names to the base, except in a dry run."""
        return self._base.add_names({} if self._dry_run else new)

    def put_run(self, run: StoredRun) -> None:
        """Add a run to the base; a dry run is none."""
        if not self._dry_run:
            self._base.put_run(run)

    def commit(self, update: StoreUpdate, cleared: Collection[int]) -> None:
        """Keep an update and the numbers to clear until they are committed to the base."""
        if update:
            super().commit(update, ())
        self._cleared.extend(cleared)

    def commit_to_base(self) -> None:
        """Commit every update to the base. Intents stay until the STATE behind them is emitted."""
        for update in self.drain():
            self._base.commit(update, ())

    def clear_intents(self) -> None:
        """Clear the intents in the base: the STATE behind them is emitted."""
        if self._cleared:
            self._base.commit(StoreUpdate(), self._cleared)
            self._cleared = []

    def close(self) -> None:
        """Close both stores; what was not committed to the base is lost."""
        super().close()
        self._folder.cleanup()
        self._base.close()
