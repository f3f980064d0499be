"""The calls that arrived, in a SQLite file, so that a sandbox outlives its process.

The journal is append-only and holds every call, also those of which nothing was kept: a replay leads to the same model.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from target_kissmetrics.sandbox.calls import Call

_APPLICATION_ID: Final = 0x4B4D5342
"""Marks a SQLite file as a sandbox's ("KMSB"), so that no other program's database is written to."""

_SCHEMA: Final = """
CREATE TABLE calls (
  position INTEGER PRIMARY KEY,
  product TEXT NOT NULL,
  path TEXT NOT NULL,
  arrived INTEGER NOT NULL,
  imported INTEGER NOT NULL,
  parameters TEXT NOT NULL
)
"""


class JournalError(Exception):
    """The file cannot be used as a sandbox's store; the text says which file and why."""


class Journal:
    """An append-only list of calls in a file, for one process at a time.

    A call that was appended survives the end of the process; a power failure may cost the last ones. API keys are not
    written, only what `rules.product_of` makes of them.

    Args:
        path: The file; a new one is readable by its owner alone.

    Raises:
        JournalError: The file cannot be opened, is in use by another sandbox or is not a sandbox's.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.touch(mode=0o600)
            self._connection = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"cannot open {path}: {error}; name another file with --store") from error
        try:
            self._prepare()
        except (sqlite3.Error, JournalError) as error:
            self._connection.close()
            raise JournalError(f"cannot use {path} as a store: {error}; name another file with --store") from error

    def __iter__(self) -> Iterator[Call]:
        """Iterate over all calls in the order in which they arrived."""
        query = "SELECT product, path, parameters, arrived, imported FROM calls ORDER BY position"
        with closing(self._connection.execute(query)) as rows:
            for product, path, parameters, arrived, imported in rows:
                yield Call(product, path, json.loads(parameters), arrived, imported=bool(imported))

    def append(self, call: Call) -> None:
        """Append a call.

        Raises:
            JournalError: The file cannot be written.
        """
        parameters = {name: value for name, value in call.parameters.items() if name != "_k"}
        row = (call.product, call.path, call.arrived, call.imported, json.dumps(parameters, separators=(",", ":")))
        self._write("INSERT INTO calls (product, path, arrived, imported, parameters) VALUES (?, ?, ?, ?, ?)", row)

    def clear(self) -> None:
        """Delete all calls.

        Raises:
            JournalError: The file cannot be written.
        """
        self._write("DELETE FROM calls")

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Append all calls of this context, or none of them when it ends by an error."""
        self._write("BEGIN")
        try:
            yield
        except BaseException:
            self._write("ROLLBACK")
            raise
        self._write("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _prepare(self) -> None:
        # The lock is kept from the first read on: a second sandbox on this file would not see this one's calls.
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != _APPLICATION_ID and tables:
            raise JournalError("it is another program's database")
        # With a write-ahead log a call costs one short write, and no wait for the disk.
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if not tables:
            self._connection.executescript(f"BEGIN; {_SCHEMA}; PRAGMA application_id = {_APPLICATION_ID}; COMMIT")

    def _write(self, statement: str, row: tuple[object, ...] = ()) -> None:
        try:
            self._connection.execute(statement, row)
        except sqlite3.Error as error:
            raise JournalError(f"cannot write {self._path}: {error}; make room, or make it writable") from error
