"""The tables of the store, and connections to SQLite or PostgreSQL.

target_kissmetrics_people    a person's digest -> its properties: 32 bytes each (key, value, second, row's second),
                             and 16 for the last call that changed one
target_kissmetrics_aliases   pairs of people, each way round
target_kissmetrics_seconds   a second's digest -> the row that claimed it; a row's digest -> the second it got
target_kissmetrics_intents   what is about to be sent, until its STATE is emitted
target_kissmetrics_layout    the version of this layout
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from target_kissmetrics.errors import ConfigError, StoreError

SETTING = "attribute_store_url"
LAYOUT_VERSION = 1
LOCK_TIMEOUT_SECONDS = 120
"""How long another process may lock a SQLite file before the run ends."""

SQLITE_CACHE_KIB = 32 * 1024
"""SQLite's page cache; its default of 2 MiB holds the people of a few thousand rows."""

LAYOUT_LOCK = 7411528


class _Bytes(sa.LargeBinary):
    """Bytes as they are: both drivers do without SQLAlchemy's conversion of each value."""

    def bind_processor(self, dialect: sa.Dialect) -> None:
        """Convert nothing that is written."""

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> None:
        """Convert nothing that is read."""


METADATA = sa.MetaData()


def _table(name: str, *columns: sa.Column[Any], **options: Any) -> Any:  # `Table` is generic from SQLAlchemy 2.1 on
    return sa.Table(f"target_kissmetrics_{name}", METADATA, *columns, **options)


def _key(name: str) -> sa.Column[Any]:
    return sa.Column(name, _Bytes(16), primary_key=True)


PEOPLE = _table("people", _key("person"), sa.Column("properties", _Bytes, nullable=False), sqlite_with_rowid=False)
ALIASES = _table("aliases", _key("person"), _key("partner"), sqlite_with_rowid=False)
SECONDS = _table("seconds", _key("slot"), sa.Column("holder", _Bytes(8), nullable=False), sqlite_with_rowid=False)
INTENTS = _table(
    "intents",
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("product", _Bytes(16), nullable=False),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("entries", _Bytes, nullable=False),
    sqlite_autoincrement=True,  # a number is never used twice: processes know each other's intents by it
)
LAYOUT = _table("layout", sa.Column("version", sa.Integer, primary_key=True))


def lock(connection: Connection, number: int) -> None:
    """Let one process at a time go on, until its transaction ends. SQLite's writers exclude each other anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))


def lay_out(connection: Connection) -> None:
    """Create the tables, or check the version of those that exist; one process at a time."""
    lock(connection, LAYOUT_LOCK)
    METADATA.create_all(connection)
    if not _check_version(connection):
        connection.execute(sa.insert(LAYOUT), {"version": LAYOUT_VERSION})


def exists(connection: Connection) -> bool:
    """Tell whether the tables exist."""
    return bool(sa.inspect(connection).has_table(LAYOUT.name))


def check_usable(connection: Connection) -> None:
    """Check, without a change, that a run could use the tables or create them.

    Raises:
        StoreError: It lacks a privilege, or the layout is a later version's.
    """
    if exists(connection):
        _check_version(connection)
        allowed, what = sa.func.has_table_privilege(PEOPLE.name, "INSERT"), "write its tables"
    else:
        allowed, what = sa.func.has_schema_privilege(sa.func.current_schema(), "CREATE"), "create its tables"
    if connection.dialect.name == "postgresql" and not connection.execute(sa.select(allowed)).scalar():
        raise StoreError(f"{SETTING}: the database user may not {what}; grant it the privilege, or use another user")


def _check_version(connection: Connection) -> int | None:
    version: int | None = connection.execute(sa.select(sa.func.max(LAYOUT.c.version))).scalar()
    if version is not None and version > LAYOUT_VERSION:
        raise StoreError(f"{SETTING}: the store was written by a later version of target-kissmetrics; upgrade yours")
    return version


def sqlite_file(url: str) -> Path | None:
    """Give SQLite's file; None for a database without one."""
    parsed = _parsed(url)
    name = parsed.database if parsed.get_backend_name() == "sqlite" else None
    if name and name.startswith("file:") and "uri" in parsed.query:
        name = unquote(urlsplit(name).path) if parsed.query.get("mode") != "memory" else None
    return Path(name) if name and name != ":memory:" else None


def sqlite_files(url: str) -> list[Path]:
    """Give the files that SQLite writes: the database, and the journals that lie beside it."""
    file = sqlite_file(url)
    real = os.path.realpath(file) if file is not None else ""
    return [Path(f"{real}{end}") for end in ("", "-wal", "-shm", "-journal")] if real else []


def check_file(file: Path) -> None:
    """Check that a file can be written, and others created beside it: SQLite's journal.

    Raises:
        ConfigError: They cannot.
    """
    folder = file.absolute().parent
    if not os.access(folder, os.W_OK):
        raise ConfigError(SETTING, f"no file can be created in {folder}; use another folder, or make it writable")
    if file.exists() and not os.access(file, os.W_OK):
        raise ConfigError(SETTING, f"{file} is not writable; make it writable, or use another file")


def engine(url: str, *, read_only: bool) -> Engine:
    """Make the engine for a SQLAlchemy URL.

    Raises:
        ConfigError: The URL cannot be used.
    """
    parsed = _parsed(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        # Without a file, another connection has another, empty database: every thread uses the same one.
        pool = sa.pool.StaticPool if parsed.database in {None, "", ":memory:"} else None
        arguments = {"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False}
        made = sa.create_engine(parsed, connect_args=arguments, poolclass=pool)
        sa.event.listen(made, "connect", _prepare_sqlite_to_read if read_only else _prepare_sqlite)
        sa.event.listen(made, "begin", _begin_sqlite)
        return made
    if backend != "postgresql":
        raise ConfigError(SETTING, f"must be a sqlite or postgresql URL, not {backend}")
    if "@" in f"{parsed.host}{parsed.database}":
        raise ConfigError(SETTING, "has an '@' or '/' in its user or password; write them as %40 and %2F")
    parsed = parsed.set(drivername="postgresql+psycopg")  # whatever driver other tools have the URL for
    try:
        return sa.create_engine(parsed, pool_pre_ping=True)
    except ModuleNotFoundError:
        raise ConfigError(SETTING, "PostgreSQL needs: pip install 'target-kissmetrics[postgres]'") from None


def _parsed(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError(SETTING, "is not a SQLAlchemy URL; use one such as sqlite:///target-kissmetrics.db") from None


def _prepare_sqlite_to_read(connection: Any, _: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only=ON")


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Let this package begin transactions, and let readers go on while one process writes.

    Synchronous: an emitted STATE must not outlive, in a power cut, the commit behind it.
    """
    connection.isolation_level = None
    _keep_write_ahead_log(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA cache_size=-{SQLITE_CACHE_KIB}")


def _keep_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch a new file to a write-ahead log. SQLite does not wait for this lock: it answers "busy" at once."""
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a reader that turns writer fails if another process wrote in between."""
    if connection.get_execution_options().get("target_writes"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def store_errors(temporary: str | None = None) -> Iterator[None]:
    """Turn the library's errors, whose texts hold statements and data, into one line; name a temporary store's folder.

    Raises:
        StoreError: The store cannot be used.
    """
    try:
        yield
    except (sa.exc.SQLAlchemyError, OSError) as error:
        orig = getattr(error, "strerror", None) or getattr(error, "orig", None)
        cause = (str(orig or type(error).__name__).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    else:
        return
    # Outside the handler, so that no traceback shows the statement.
    if temporary is not None:
        raise StoreError(f"the temporary folder {temporary} cannot be used: {cause}; free some space, or set TMPDIR")
    to_do = "check the URL, and that the database exists and is writable"
    raise StoreError(f"{SETTING}: the store cannot be used: {cause}; {to_do}")
