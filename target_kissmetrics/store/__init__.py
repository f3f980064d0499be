"""What was sent, so that unchanged values are not sent again.

digests   identities, names and values -> the few bytes the store keeps of them
intents   last sent values, and intents: what a run is about to send
packed    the last sent values of a person as bytes
update    what a batch and a run leave in the store
sql       the store in SQLite or PostgreSQL; `queries`: how it asks for many keys; `rejects_table`: rejects in it
layout    its tables, and how it connects
overlay   a store over another one, for dry runs and import files
"""

from __future__ import annotations

from contextlib import closing
from typing import IO


def add_rejects(url: str, api_key: str, lines: IO[bytes]) -> None:
    """Store a file's lines of rejects (`rejects_path: store`). Imports the database's library only then. StoreError."""
    from target_kissmetrics.store.rejects_table import RejectsTable  # noqa: PLC0415
    from target_kissmetrics.store.sql import again_if_lost  # noqa: PLC0415

    @again_if_lost  # done twice, the lines are there twice: a replay takes them for one
    def add() -> None:
        lines.seek(0)
        with closing(RejectsTable(url, api_key)) as table:
            table.add(lines)

    add()
