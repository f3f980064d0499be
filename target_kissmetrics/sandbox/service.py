"""A sandbox: a model, and a SQLite file that keeps its calls when one is asked for; and import files.

The file holds every call, also those of which nothing was kept, and no API key: a replay leads to the same model. A
call that was taken survives the end of the process; a power failure may cost the last ones.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final

from target_kissmetrics.sandbox import rules
from target_kissmetrics.sandbox.model import REVENUE_PROPERTY, Duplicates, Model
from target_kissmetrics.sandbox.rules import Call, SandboxError

_APPLICATION_ID: Final = 0x4B4D5342  # "KMSB" marks a sandbox's file: no other program's database is written to
_SCHEMA: Final = """CREATE TABLE calls (
  position INTEGER PRIMARY KEY, product TEXT NOT NULL, path TEXT NOT NULL, arrived INTEGER NOT NULL,
  imported INTEGER NOT NULL, parameters TEXT NOT NULL)"""
_INSERT: Final = "INSERT INTO calls (product, path, parameters, arrived, imported) VALUES (?, ?, ?, ?, ?)"
_SELECT: Final = "SELECT product, path, parameters, arrived, imported FROM calls ORDER BY position"


class Sandbox:
    """A local Kissmetrics, without its HTTP side.

    Its `model` is what is kept of all calls so far; another object after a reset. Whoever reads it beside a thread that
    takes calls holds the `lock` meanwhile. A `store` is a file that keeps everything, for one process at a time; what
    it holds is judged anew by the rule for `duplicates`. SandboxError when it cannot be used, from `take`, `take_all`
    and `reset` when it cannot be written.
    """

    def __init__(
        self, *, revenue_property: str = REVENUE_PROPERTY, duplicates: Duplicates = "current", store: Path | None = None
    ) -> None:
        self.lock: Final = Lock()
        self._path = store
        self._store = None if store is None else _open(store)
        self._new_model = partial(Model, revenue_property, duplicates)
        self.model = self._new_model()
        if self._store is not None:
            with closing(self._store.execute(_SELECT)) as rows:
                for product, path, parameters, arrived, imported in rows:
                    self.model.take(Call(product, path, json.loads(parameters), arrived, imported=bool(imported)))

    def take(self, call: Call) -> None:
        """Take a call. The model takes it also when the store cannot be written."""
        self.take_all([call])

    def take_all(self, calls: Iterable[Call]) -> int:
        """Take many calls at once, or none of them after an error in between; return how many."""
        taken = list(calls)
        rows = [(one.product, one.path, json.dumps(one.parameters), one.arrived, one.imported) for one in taken]
        with self.lock:
            for call in taken:
                self.model.take(call)
            self._write(_INSERT, rows)
        return len(taken)

    def reset(self) -> None:
        """Delete everything, in the store too."""
        with self.lock:
            self._write("DELETE FROM calls", [()])
            self.model = self._new_model()

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        if self._store is None:
            return
        try:
            with self._store:
                self._store.executemany(statement, rows)
        except sqlite3.Error as error:
            raise SandboxError(f"cannot write {self._path}: {error}; make room, or make it writable") from error


def _open(path: Path) -> sqlite3.Connection:
    """Open a store; a new one is readable by its owner alone."""
    try:
        path.touch(mode=0o600)
        with ExitStack() as on_error:
            store = on_error.enter_context(closing(sqlite3.connect(path, timeout=1, check_same_thread=False)))
            # The lock is kept from the first read on: a second sandbox on this file would not see this one's calls.
            store.execute("PRAGMA locking_mode = EXCLUSIVE")
            (application,) = store.execute("PRAGMA application_id").fetchone()
            (tables,) = store.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if application != _APPLICATION_ID and tables:
                raise sqlite3.DatabaseError("it is another program's database")
            # With a write-ahead log a call costs one short write, and no wait for the disk.
            store.execute("PRAGMA journal_mode = WAL")
            store.execute("PRAGMA synchronous = NORMAL")
            if not tables:
                store.executescript(f"BEGIN; {_SCHEMA}; PRAGMA application_id = {_APPLICATION_ID}; COMMIT")
            on_error.pop_all()
    except (OSError, sqlite3.Error) as error:
        raise SandboxError(f"cannot use {path} as a store: {error}; name another file with --store") from error
    return store


def calls_of_file(path: Path, arrived: int) -> Iterator[Call]:
    """Read an import file in UTF-8, without empty lines. SandboxError when it, or a line of it, cannot be read."""
    number = 0
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield from rules.calls_of_line(line.decode("utf-8-sig" if number == 1 else "utf-8"), arrived)
    except OSError as error:
        raise SandboxError(f"cannot read {path}: {error.strerror or error}; check its path") from error
    except (ValueError, SandboxError) as error:
        raise SandboxError(f"{path}, line {number}: {error}; fix or remove the line") from error
