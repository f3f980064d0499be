"""A run with `delivery: files`: what is remembered, and the STATE passed on, only once the files are whole.

A file takes hundreds of thousands of lines; what they teach waits in a store of its own (`memory/waiting.py`). When a
file is whole under its final name, what waits is remembered for good, and then the latest STATE that it covers is
passed on. A run that breaks off in between leaves files that are whole and a memory that does not know of them: the
next run writes the same lines with the same seconds, which Kissmetrics ignores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.kissmetrics.import_files import ImportFiles
from target_kissmetrics.store.waiting import WaitingStore

LONGEST_OPEN_SECONDS = 3600.0
"""A file is completed after this, full or not, so that STATE advances: Kissmetrics takes one file an hour."""


class FilesRun:
    """A delivery, and the gate that STATE waits at. For the pipeline's thread.

    Args:
        store: Where what was learned waits for its file.
        url: The folder of the files.
        base: Names of files start with it.
        max_rows: Lines of a file.
        pass_on: Takes a STATE that was earned.
    """

    def __init__(
        self,
        *,
        store: WaitingStore,
        url: str,
        base: str,
        max_rows: int,
        pass_on: Callable[[Any], None],
    ) -> None:
        self._store = store
        self._pass_on = pass_on
        self._states: list[Any] = []
        self._files = ImportFiles(url=url, base=base, max_rows=max_rows, completed=self._completed)

    def send(self, calls: Sequence[Outgoing], acknowledged: Callable[[], None]) -> None:
        """Write calls as lines. `acknowledged` says that they were written; memory and STATE wait for the whole file."""
        self._files.write([outgoing.call for outgoing in calls])
        acknowledged()

    def tick(self) -> None:
        """Complete a file that was open for long."""
        if self._files.age >= LONGEST_OPEN_SECONDS:
            self._files.complete()

    def close(self, patience: float) -> None:  # noqa: ARG002 - there is nobody to wait for
        """Complete the open file, remember what it taught, pass on the STATE that waits."""
        self._files.complete()

    def pass_on(self, value: Any) -> None:
        """Let a STATE wait for the file that is open; with none open, what it covers is in files that are whole."""
        self._states = [value]
        if not self._files.is_open:
            self._files.complete()

    def _completed(self) -> None:
        self._store.remember_all()
        if self._states:
            self._pass_on(self._states.pop())
        self._store.strike_out()
