"""A run with `delivery: files`: updates are committed, and STATE emitted, only once their file is whole.

A file takes hundreds of thousands of lines; their store updates wait in an overlay. Once a file is whole under
its final name, the overlay is committed to the real store, and then the latest STATE that the file covers is emitted. A
run that is killed in between leaves whole files that the store does not know of: the next run writes the same lines
with the same seconds, which Kissmetrics ignores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.kissmetrics.import_files import ImportFiles
from target_kissmetrics.store.overlay import OverlayStore

LONGEST_OPEN_SECONDS = 3600.0
"""A file is completed after this, full or not, so that STATE advances: Kissmetrics imports one file an hour."""


class FilesDelivery:
    """A delivery that holds STATE until its file is whole. For the pipeline's thread.

    Args:
        store: Holds updates until their file is whole.
        url: The folder of the files.
        base: The beginning of the files' names.
        max_rows: Lines per file.
        emit: Writes the value of a STATE.
    """

    def __init__(self, *, store: OverlayStore, url: str, base: str, max_rows: int, emit: Callable[[Any], None]) -> None:
        self._store = store
        self._emit = emit
        self._states: list[Any] = []
        self._files = ImportFiles(url=url, base=base, max_rows=max_rows, completed=self._completed)

    def send(self, calls: Sequence[Outgoing], acknowledged: Callable[[], None]) -> None:
        """Write calls as lines. `acknowledged` says that they are written; the store and STATE wait for the file."""
        self._files.write([outgoing.call for outgoing in calls])
        acknowledged()

    def tick(self) -> None:
        """Complete a file that has been open for long."""
        if self._files.age >= LONGEST_OPEN_SECONDS:
            self._files.complete()

    def close(self, patience: float) -> None:  # noqa: ARG002 - there is no answer to wait for
        """Complete the open file, commit its updates, and emit the STATE that waits for it."""
        self._files.complete()

    def emit(self, value: Any) -> None:
        """Hold a STATE until the open file is whole. Without one, the rows before it are in whole files."""
        self._states = [value]
        if not self._files.is_open:
            self._files.complete()

    def _completed(self) -> None:
        self._store.commit_to_base()
        if self._states:
            self._emit(self._states.pop())
        self._store.clear_intents()
