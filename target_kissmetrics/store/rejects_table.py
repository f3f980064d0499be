"""Rejects in the store (`rejects_path: store`): the lines that a rejects file would have."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from target_kissmetrics.errors import StoreError
from target_kissmetrics.store.layout import REJECTS
from target_kissmetrics.store.queries import KEYS_PER_QUERY
from target_kissmetrics.store.sql import SqlStore


class RejectsTable(SqlStore):
    """The table of rejects of one product. Lines are JSON objects, as bytes that end with a line break."""

    def add(self, lines: Iterable[bytes]) -> None:
        """Add lines in one transaction: a `code` makes it a reject, else it is a SCHEMA message."""
        with self._writing() as connection:
            self._add(connection, lines)

    def _add(self, connection: Connection, lines: Iterable[bytes]) -> None:
        remaining = iter(lines)
        while rows := [self._row(line) for line in islice(remaining, KEYS_PER_QUERY)]:
            connection.execute(sa.insert(REJECTS), rows)

    def _row(self, line: bytes) -> dict[str, Any]:
        entry = json.loads(line, parse_int=str)  # a number may be longer than Python converts
        columns = {name: entry.get(name) for name in ("run_id", "stream", "code")}
        columns["stream"] = entry["rejects"] if entry.get("rejects") is not None else columns["stream"]
        texts = {name: None if text is None else _storable(text) for name, text in columns.items()}
        return {**texts, "product": self.digests.product, "line": line.decode()}

    def export(self, rejects: Path, schemas: Path) -> tuple[int, int]:
        """Write the lines into two files; give the number of the last reject, and how many there are."""
        own = REJECTS.c.product == self.digests.product
        query = sa.select(REJECTS.c.id, REJECTS.c.code, REJECTS.c.line).where(own)
        query = query.order_by(REJECTS.c.run_id, REJECTS.c.id)  # runs may add at once; a row's lines stay together
        last = count = 0
        with self._reading() as connection, rejects.open("wb") as lines, schemas.open("wb") as messages:
            for number, code, line in connection.execute(query.execution_options(yield_per=KEYS_PER_QUERY)):
                (messages if code is None else lines).write(line.encode())
                last, count = max(last, number), count + (code is not None)
        return last, count

    def replace(self, exported: tuple[int, int], lines: Iterable[bytes]) -> None:
        """Store lines in the place of those that were exported; StoreError if another replay did so meanwhile."""
        last, count = exported
        rejects = REJECTS.c.product == self.digests.product, REJECTS.c.id <= last, REJECTS.c.code.is_not(None)
        with self._writing() as connection:
            if connection.execute(sa.delete(REJECTS).where(*rejects)).rowcount != count:
                raise StoreError("rejects_path: another replay changed the rejects meanwhile; run this one again")
            self._add(connection, lines)


def _storable(text: str) -> str:
    """Escape what PostgreSQL's texts cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
