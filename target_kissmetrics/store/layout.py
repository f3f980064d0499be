"""The tables of the store, and connections to SQLite or PostgreSQL.

target_kissmetrics_people    a person's digest -> its properties: 32 bytes each (key, value, second, row's second),
                             and 16 for the last call that changed one
target_kissmetrics_aliases   pairs of people, each way round
target_kissmetrics_seconds   a second's digest -> the row that claimed it; a row's digest -> the second it got
target_kissmetrics_intents   what is about to be sent, until its STATE is emitted
target_kissmetrics_names     digests of the names of events and properties that were sent
target_kissmetrics_runs      the runs of the last 400 days, with the names of the events that they sent
target_kissmetrics_rejects   what was rejected (`rejects_path: store`), and the SCHEMA messages of its streams
target_kissmetrics_layout    the version of this layout, and the salt of all digests
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import backoff
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from target_kissmetrics.errors import ConfigError, StoreError
from target_kissmetrics.store.digests import SALT_BYTES

SETTING = "attribute_store_url"
LAYOUT_VERSION = 4

LOCK_TIMEOUT_SECONDS = 120
"""How long another process may lock the store before the run ends."""

STATEMENT_TIMEOUT_SECONDS = 300

SQLITE_CACHE_KIB = 32 * 1024
"""SQLite's page cache; its default of 2 MiB holds the people of a few thousand rows."""

LAYOUT_LOCK, SECONDS_LOCK, PLANNING_LOCK = LOCKS = 7411528, 7411529, 7411530


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
NAMES = _table(
    "names", _key("product"), _key("name"), sa.Column("is_event", sa.Boolean, nullable=False), sqlite_with_rowid=False
)
RUNS = _table(
    "runs",
    sa.Column("run_id", sa.String(64), primary_key=True),
    sa.Column("product", _Bytes(16), nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    *(sa.Column(name, kind) for name, kind in (("ended_at", sa.BigInteger), ("outcome", sa.Text), ("reason", sa.Text))),
    *(sa.Column(name, sa.Text, nullable=False) for name in ("counts", "events")),
)
REJECTS = _table(
    "rejects",
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("product", _Bytes(16), nullable=False),
    *(sa.Column(name, sa.Text) for name in ("run_id", "stream", "code")),  # no code: a SCHEMA message
    sa.Column("line", sa.Text, nullable=False),
    sqlite_autoincrement=True,  # a replay deletes up to a number
)
LAYOUT = _table(
    "layout", sa.Column("version", sa.Integer, primary_key=True), sa.Column("salt", _Bytes(SALT_BYTES), nullable=False)
)

MIGRATIONS: Mapping[int, Callable[[Connection], None]] = dict.fromkeys((2, 3), METADATA.create_all)
"""What makes the tables of a version into those of the next one, in place; 1 was never released."""


def lock(connection: Connection, number: int) -> None:
    """Let one process at a time go on, until its transaction ends. SQLite's writers exclude each other anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))


def lay_out(connection: Connection) -> None:
    """Create the tables, or migrate an older version's in place; one process at a time, and whole or not at all."""
    lock(connection, LAYOUT_LOCK)
    version = version_of(connection)
    if version is None:
        METADATA.create_all(connection)
        connection.execute(sa.insert(LAYOUT), {"version": LAYOUT_VERSION, "salt": os.urandom(SALT_BYTES)})
    elif version < LAYOUT_VERSION:
        for step in range(version, LAYOUT_VERSION):
            MIGRATIONS[step](connection)
        connection.execute(sa.update(LAYOUT).values(version=LAYOUT_VERSION))


_RENEW = "which cannot be read; restore it from a backup, or name a new store: then every attribute is sent once more"


def version_of(connection: Connection) -> int | None:
    """Give the version of the tables, which this one can use or migrate; None if there are no tables.

    Raises:
        StoreError: It can do neither.
    """
    existing = [name for name in METADATA.tables if sa.inspect(connection).has_table(name)]
    if not existing:
        return None
    versions = connection.execute(sa.select(LAYOUT.c.version)).scalars().all() if LAYOUT.name in existing else []
    version = versions[0] if len(versions) == 1 else None
    if version == LAYOUT_VERSION or version in MIGRATIONS:
        return version
    if isinstance(version, int) and version > LAYOUT_VERSION:
        raise StoreError(f"{SETTING}: the store was written by a later version of target-kissmetrics; upgrade yours")
    raise StoreError(f"{SETTING}: the store has an unreleased or unknown layout ({version}), {_RENEW}")


def salt_of(connection: Connection) -> bytes:
    """Give the salt of all digests in the store.

    Raises:
        StoreError: It is damaged, or the tables have to be migrated first.
    """
    if version_of(connection) != LAYOUT_VERSION:
        raise StoreError(
            f"{SETTING}: the store has an older layout, which a run without dry_run upgrades; begin with it"
        )
    salt = connection.execute(sa.select(LAYOUT.c.salt)).scalar()
    if not isinstance(salt, bytes) or len(salt) != SALT_BYTES:
        raise damaged(LAYOUT.name)
    return salt


def damaged(table: str) -> StoreError:
    """Make the error for a row that no version of this package wrote."""
    return StoreError(f"{SETTING}: the store has a damaged row in {table}, {_RENEW}")


def sqlite_file(url: sa.URL) -> Path | None:
    """Give SQLite's file; None for a database without one."""
    name = url.database if url.get_backend_name() == "sqlite" else None
    if name and name.startswith("file:") and "uri" in url.query:
        name = unquote(urlsplit(name).path) if url.query.get("mode") != "memory" else None
    return Path(name) if name and name != ":memory:" else None


def sqlite_files(url: str | sa.URL) -> list[Path]:
    """Give the files that SQLite writes: the database, and the journals that lie beside it."""
    file = sqlite_file(parsed(url))
    if file is None:
        return []
    return [Path(f"{os.path.realpath(file)}{suffix}") for suffix in ("", "-wal", "-shm", "-journal")]


def keep_private(url: sa.URL) -> None:
    """Let nobody but the owner read SQLite's files."""
    for file in sqlite_files(url):
        with suppress(OSError):  # not there, or another user's
            file.chmod(0o600)


def is_missing(url: str) -> bool:
    """Tell whether SQLite's file has to be created.

    Raises:
        ConfigError: The URL cannot be used, or the file cannot be created.
    """
    file = sqlite_file(parsed(url))
    if file is None or file.exists():
        return False
    folder = file.absolute().parent
    if not os.access(folder, os.W_OK):
        raise ConfigError(SETTING, f"no file can be created in {folder}; use another folder, or make it writable")
    return True


def parsed(url: str | sa.URL) -> sa.URL:
    """Read a SQLAlchemy URL.

    Raises:
        ConfigError: The URL cannot be used.
    """
    try:
        read = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError(SETTING, "is not a SQLAlchemy URL; use one such as sqlite:///target-kissmetrics.db") from None
    backend = read.get_backend_name()
    if backend not in {"sqlite", "postgresql"}:
        raise ConfigError(SETTING, f"must be a sqlite or postgresql URL, not {backend}")
    return read if backend == "sqlite" else read.set(drivername="postgresql+psycopg")  # whatever other tools use


def engine(url: str, *, read_only: bool) -> Engine:
    """Make the engine for a SQLAlchemy URL.

    Raises:
        ConfigError: The URL cannot be used.
    """
    address = parsed(url)
    if address.get_backend_name() == "sqlite":
        file = sqlite_file(address)
        if file is not None and not read_only:
            with suppress(OSError):  # it exists, or SQLite says why it cannot
                os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))  # SQLite gives its mode to those beside it
        # Without a file, another connection has another, empty database: every thread uses the same one.
        pool = sa.pool.StaticPool if file is None else None
        arguments = {"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False}
        made = sa.create_engine(address, connect_args=arguments, poolclass=pool)
        sa.event.listen(made, "connect", _prepare_sqlite_to_read if read_only else _prepare_sqlite)
        sa.event.listen(made, "begin", _begin_sqlite)
        return made
    if "@" in f"{address.host}{address.database}":
        raise ConfigError(SETTING, "has an '@' or '/' in its user or password; write them as %40 and %2F")
    own = {name: value for name, value in _POSTGRESQL.items() if name not in address.query}
    try:
        made = sa.create_engine(address, pool_pre_ping=True, connect_args=own)
    except ModuleNotFoundError:
        raise ConfigError(SETTING, "PostgreSQL needs: pip install 'target-kissmetrics[postgres]'") from None
    sa.event.listen(made, "connect", _limit_waiting)
    return made


_POSTGRESQL = {
    "application_name": "target-kissmetrics",
    "connect_timeout": 30,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""What libpq is given where the URL says nothing else: a server that is gone is noticed within a minute."""


def _limit_waiting(connection: Any, _: object) -> None:
    """Give locks and statements a deadline, where the server has none of its own."""
    limits = {"lock_timeout": LOCK_TIMEOUT_SECONDS, "statement_timeout": STATEMENT_TIMEOUT_SECONDS}
    for name, seconds in limits.items():
        connection.execute(
            "SELECT set_config(%s, %s, false) WHERE current_setting(%s) = '0'", (name, f"{seconds * 1000:.0f}", name)
        )
    connection.commit()


def _prepare_sqlite_to_read(connection: Any, _: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only=ON")


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Let this package begin transactions, and let readers go on while one process writes.

    Synchronous: an emitted STATE must not outlive, in a power cut, the commit behind it.
    """
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA cache_size=-{SQLITE_CACHE_KIB}")


@backoff.on_exception(
    backoff.constant,
    sqlite3.OperationalError,
    giveup=lambda error: getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY,
    max_time=LOCK_TIMEOUT_SECONDS,
    interval=0.01,
    jitter=None,
    logger=None,
)
def _keep_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch a new file to a write-ahead log. SQLite does not wait for this lock: it answers "busy" at once."""
    connection.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a reader that turns writer fails if another process wrote in between."""
    options = connection.get_execution_options()
    if options.get("target_writes"):
        if not options.get("target_rolls_back"):
            driver: Any = connection.connection.driver_connection
            _keep_write_ahead_log(driver)
        connection.exec_driver_sql("BEGIN IMMEDIATE")


class ConnectionLostError(StoreError):
    """The server is gone, or ended the connection; it may be back soon."""


@contextmanager
def store_errors(engine: Engine | None, temporary: str | None = None) -> Iterator[None]:
    """Turn the library's errors, whose texts hold statements and data, into one line; name a temporary store's folder.

    Raises:
        StoreError: The store cannot be used.
    """
    try:
        yield
    except (sa.exc.SQLAlchemyError, OSError) as error:
        if temporary is not None or engine is None:
            where = f"the temporary folder {temporary} cannot be used"
            problem = StoreError(f"{where}: {_cause(error)}; free some space, or set TMPDIR")
        elif isinstance(error, OSError):
            raise
        else:
            problem = _problem(error, engine)
    else:
        return
    raise problem  # outside the handler, so that no traceback shows the statement


_FOREIGN = "if the database has tables of another program with these names, use another database or schema"
_REMEDIES = {
    "too many c": "raise the limit of the database or its user, or end other sessions; a run needs one connection",
    "connection slots": "raise max_connections, or end other sessions; a run needs one connection",
    "malformed": "restore it from a backup",
    "read-only transaction": "use the primary server, or a user that may write",
    "column": _FOREIGN,
    "ON CONFLICT": _FOREIGN,
    "permission denied": "grant the database user the privilege, or use another user",
    "terminating": "run again once the database answers",
    "closed": "run again once the database answers",
    "canceling statement": "end that session, or wait until it ends, and run again",
}


def _cause(error: Exception) -> str:
    original = getattr(error, "strerror", None) or getattr(error, "orig", None)
    return (str(original or "").strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _problem(error: sa.exc.SQLAlchemyError, engine: Engine) -> StoreError:
    original, cause = getattr(error, "orig", None), _cause(error)
    state = getattr(original, "sqlstate", "none of PostgreSQL's")
    default = "check the URL, and that the database exists and is writable"
    remedy = next((remedy for words, remedy in _REMEDIES.items() if words in cause), default)
    if state in {"55P03", "57014"}:  # lock_not_available, query_canceled
        cause += _blocker(engine)
    # The driver gives no state where it cannot connect; the others are the server's farewells.
    is_lost = getattr(error, "connection_invalidated", False) or state is None or state.startswith(("08", "57P"))
    return (ConnectionLostError if is_lost else StoreError)(f"{SETTING}: the store cannot be used: {cause}; {remedy}")


_BLOCKER = sa.text("""
    SELECT concat(
        ': process ', pid, ' (', concat_ws(', ', usename, nullif(application_name, ''), host(client_addr)), ')',
        ' has held the lock since ' || to_char(xact_start AT TIME ZONE 'UTC', 'HH24:MI:SS') || ' UTC'
    )
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE granted AND pid <> pg_backend_pid() AND datname = current_database()
        AND wait_event_type IS DISTINCT FROM 'Lock' AND (
            (locktype = 'advisory' AND objid::bigint = ANY(CAST(:numbers AS bigint[])))
            OR relation IN (SELECT to_regclass(name) FROM unnest(CAST(:names AS text[])) AS name)
        )
    ORDER BY mode = 'AccessShareLock', xact_start LIMIT 1
""")


def _blocker(engine: Engine) -> str:
    """Say who holds a lock on PostgreSQL's tables, or this package's locks, for the longest time."""
    with suppress(sa.exc.SQLAlchemyError), engine.connect() as connection:
        found = connection.execute(_BLOCKER, {"numbers": [*LOCKS], "names": [*METADATA.tables]})
        return str(found.scalar() or "")
    return ""
