"""The memory in SQLite or PostgreSQL.

    target_kissmetrics_people    a person's digest -> its properties: 32 bytes each (key, value, second, row's second),
                                 and 16 for the last call that changed one
    target_kissmetrics_aliases   pairs of people, each way round
    target_kissmetrics_seconds   a second's digest -> the row that holds it; a row's digest -> the second it got
    target_kissmetrics_intents   what is about to be sent, until it is answered
    target_kissmetrics_layout    the version of this layout

Several processes may share it: what one remembers is joined with what another stored meanwhile, property by property,
within the transaction that writes it.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from target_kissmetrics.errors import ConfigError, StoreError
from target_kissmetrics.store.changes import Intent, Said, merge
from target_kissmetrics.store.packed import PackedPerson, pack, unpack
from target_kissmetrics.store.protocol import OthersIntents, StoreUpdate
from target_kissmetrics.store.seconds import Claim

LAYOUT_VERSION = 1
LOCK_TIMEOUT_SECONDS = 120
"""How long another process may keep a SQLite file locked before the run ends."""

INTENT_LIFETIME_SECONDS = 30 * 24 * 3600
"""Intents of a run that nobody ever ran again are struck out after this."""

KEYS_A_QUERY = 1000

_LAYOUT_LOCK = 7411528
_SECONDS_LOCK = 7411529
_PLANNING_LOCK = 7411530
"""PostgreSQL's advisory locks are numbers. SQLite's writers exclude each other anyway."""

_INTENT = struct.Struct("<16s8s8sqq")
_SETTING = "attribute_store_url"

SQLITE_CACHE_KIB = 32 * 1024
"""Of the file's pages; SQLite's own 2 MiB hold the people of a few thousand rows."""


class _Bytes(sa.LargeBinary):
    """Bytes as they are: what SQLAlchemy wraps each value in, going and coming, both drivers do without."""

    def bind_processor(self, dialect: sa.Dialect) -> None:
        """Nothing is done to what is written."""

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> None:
        """Nothing is done to what is read."""


_METADATA = sa.MetaData()
_PEOPLE = sa.Table(
    "target_kissmetrics_people",
    _METADATA,
    sa.Column("person", _Bytes(16), primary_key=True),
    sa.Column("properties", _Bytes, nullable=False),
    sqlite_with_rowid=False,
)
_ALIASES = sa.Table(
    "target_kissmetrics_aliases",
    _METADATA,
    sa.Column("person", _Bytes(16), primary_key=True),
    sa.Column("partner", _Bytes(16), primary_key=True),
    sqlite_with_rowid=False,
)
_SECONDS = sa.Table(
    "target_kissmetrics_seconds",
    _METADATA,
    sa.Column("slot", _Bytes(16), primary_key=True),
    sa.Column("holder", _Bytes(8), nullable=False),
    sqlite_with_rowid=False,
)
_INTENTS = sa.Table(
    "target_kissmetrics_intents",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("product", _Bytes(16), nullable=False),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("entries", _Bytes, nullable=False),
    sqlite_autoincrement=True,  # a number is never given twice: what other processes note is told by it
)
_LAYOUT = sa.Table("target_kissmetrics_layout", _METADATA, sa.Column("version", sa.Integer, primary_key=True))

_T = TypeVar("_T")


class SqlStore:
    """Remembers in SQLite or PostgreSQL.

    Args:
        url: SQLAlchemy URL.
        product: Which product's intents are this run's business.
        read_only: Create nothing, strike nothing out: for a dry run, or a check.

    Raises:
        ConfigError: The URL cannot be used.
        StoreError: The database cannot be reached, or was laid out by a later version.
    """

    def __init__(self, url: str, product: bytes, *, read_only: bool = False) -> None:
        self._product = product
        self._read_only = read_only
        self._shared: Connection | None = None
        self._engine = _engine(url, read_only=read_only)
        self._insert = sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        if not read_only:
            try:
                with _named():
                    self._lay_out()
            except StoreError:
                self.close()
                raise

    def exists(self) -> bool:
        """Tell whether the tables are there."""
        with _named(), self._engine.connect() as connection:
            return bool(sa.inspect(connection).has_table(_LAYOUT.name))

    def check(self) -> None:
        """Make sure that a run could use what is there, or make it; changes nothing.

        Raises:
            StoreError: The database cannot be reached, lets nobody write, or was laid out by a later version.
        """
        with _named(), self._engine.connect() as connection:
            if sa.inspect(connection).has_table(_LAYOUT.name):
                _refuse_later(connection.execute(sa.select(sa.func.max(_LAYOUT.c.version))).scalar())
                allowed, what = sa.func.has_table_privilege(_PEOPLE.name, "INSERT"), "write its tables"
            else:
                allowed, what = sa.func.has_schema_privilege(sa.func.current_schema(), "CREATE"), "make its tables"
            if self._engine.dialect.name == "postgresql" and not connection.execute(sa.select(allowed)).scalar():
                raise StoreError(f"{_SETTING}: the database's user may not {what}; grant it that, or name another user")

    def people(self, persons: Collection[bytes]) -> dict[bytes, PackedPerson]:
        """Give what is known of people; those not known are absent."""
        with self._reading() as connection:
            query = sa.select(_PEOPLE.c.person, _PEOPLE.c.properties)
            found = _select(connection, query, _PEOPLE.c.person, persons)
            return {person: PackedPerson(packed) for person, packed in found}

    def partners(self, persons: Collection[bytes]) -> dict[bytes, set[bytes]]:
        """Give whom people were aliased with; those never aliased are absent."""
        partners: dict[bytes, set[bytes]] = {}
        with self._reading() as connection:
            query = sa.select(_ALIASES.c.person, _ALIASES.c.partner)
            for person, partner in _select(connection, query, _ALIASES.c.person, persons):
                partners.setdefault(person, set()).add(partner)
        return partners

    def held(self, slots: Sequence[bytes]) -> dict[bytes, bytes]:
        """Give what is held under slots; those that are free are absent."""
        with self._reading() as connection:
            return self._held(connection, slots)

    def hold(self, claims: Sequence[Claim]) -> dict[bytes, bytes]:
        """Hold each claim, whole or not at all, for good; give what was held first, in the way of some."""
        with self._writing() as connection:
            self._lock(connection, _SECONDS_LOCK)
            held = self._held(connection, [slot for claim in claims for slot in claim])
            free = [claim for claim in claims if claim.keys().isdisjoint(held)]
            rows = [{"slot": slot, "holder": holder} for claim in free for slot, holder in claim.items()]
            if rows:
                connection.execute(sa.insert(_SECONDS), rows)
        return held

    @contextmanager
    def planning(self, after: int, noted: Collection[int]) -> Iterator[OthersIntents]:
        """Keep other processes from planning; all reads and intents of the context are one transaction."""
        with self._writing() as connection:
            self._lock(connection, _PLANNING_LOCK)
            self._shared = connection
            try:
                # Intents first: what they are struck out for is in what is read after them.
                yield OthersIntents(self._noted_since(connection, after), self._struck(connection, noted))
            finally:
                self._shared = None

    def _noted_since(self, connection: Connection, after: int) -> dict[int, list[Intent]]:
        query = sa.select(_INTENTS.c.id, _INTENTS.c.entries).where(_INTENTS.c.product == self._product)
        rows = connection.execute(query.where(_INTENTS.c.id > after)).all()
        return {number: _unpack_intents(blob) for number, blob in rows}

    @staticmethod
    def _struck(connection: Connection, noted: Collection[int]) -> set[int]:
        left: set[int] = set()
        for some in _some(sorted(noted)):
            left.update(connection.execute(sa.select(_INTENTS.c.id).where(_INTENTS.c.id.in_(some))).scalars())
        return set(noted) - left

    def intend(self, intents: Sequence[Intent]) -> int:
        """Note what is about to be sent; give what to strike it out by."""
        entries = b"".join([_INTENT.pack(*said, moment) for said, moment in intents])
        row = {"product": self._product, "made_at": int(time.time()), "entries": entries}
        with self._writing() as connection:
            result = connection.execute(sa.insert(_INTENTS), row)
            return int(result.inserted_primary_key[0])  # type: ignore[index]

    def unanswered(self) -> list[Intent]:
        """Give what was about to be sent by runs that did not see it answered."""
        if not self._read_only:
            with self._writing() as connection:
                old = _INTENTS.c.made_at < int(time.time()) - INTENT_LIFETIME_SECONDS
                connection.execute(sa.delete(_INTENTS).where(old))
        with self._reading() as connection:
            query = sa.select(_INTENTS.c.entries).where(_INTENTS.c.product == self._product).order_by(_INTENTS.c.id)
            blobs = connection.execute(query).scalars().all()
        return [intent for blob in blobs for intent in _unpack_intents(blob)]

    def remember(self, learned: StoreUpdate, answered: Collection[int]) -> None:
        """Remember what was sent, and strike out the intents that were answered, in one transaction."""
        with self._writing() as connection:
            if learned.people:
                self._remember_people(connection, learned)
            if learned.aliases:
                pairs = {pair for one, other in learned.aliases for pair in ((one, other), (other, one))}
                rows = [{"person": one, "partner": other} for one, other in sorted(pairs)]
                connection.execute(self._insert(_ALIASES).on_conflict_do_nothing(), rows)
            for some in _some(sorted(answered)):
                connection.execute(sa.delete(_INTENTS).where(_INTENTS.c.id.in_(some)))

    def everything(self) -> Iterator[StoreUpdate]:
        """Give all that is remembered of people and aliases, a part at a time."""
        with self._reading() as connection:
            people = sa.select(_PEOPLE.c.person, _PEOPLE.c.properties)
            for rows in connection.execute(people).partitions(KEYS_A_QUERY):
                found = {person: PackedPerson(blob) for person, blob in rows}
                glances = ((person, packed.glance) for person, packed in found.items())
                yield StoreUpdate(
                    {person: dict(packed) for person, packed in found.items()},
                    glances={person: glance for person, glance in glances if glance is not None},
                )
            aliases = sa.select(_ALIASES.c.person, _ALIASES.c.partner)
            for rows in connection.execute(aliases).partitions(KEYS_A_QUERY):
                yield StoreUpdate(aliases={(one, other) for one, other in rows})

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _remember_people(self, connection: Connection, learned: StoreUpdate) -> None:
        """Join with what is stored now, under a lock: another process may have stored since these people were read."""
        people, glance_at = learned.people, learned.glances.get
        waiting = sorted(people)
        upsert = self._insert(_PEOPLE)
        upsert = upsert.on_conflict_do_update(
            index_elements=[_PEOPLE.c.person], set_={"properties": upsert.excluded.properties}
        )
        query = sa.select(_PEOPLE.c.person, _PEOPLE.c.properties).order_by(_PEOPLE.c.person).with_for_update()
        while waiting:
            stored = dict(_select(connection, query, _PEOPLE.c.person, waiting))
            rows = [
                {"person": person, "properties": pack(merge(unpack(stored[person]), people[person]), glance_at(person))}
                for person in waiting
                if person in stored
            ]
            if rows:
                connection.execute(upsert, rows)
            waiting = self._add_people(connection, learned, [person for person in waiting if person not in stored])

    def _add_people(self, connection: Connection, learned: StoreUpdate, new: Sequence[bytes]) -> list[bytes]:
        """Add people; give those that another process added first."""
        rows = [
            {"person": person, "properties": pack(learned.people[person], learned.glances.get(person))}
            for person in new
        ]
        if not rows:
            return []
        insert = self._insert(_PEOPLE).on_conflict_do_nothing()
        if self._engine.dialect.name == "sqlite":  # its writers exclude each other
            connection.execute(insert, rows)
            return []
        added = set(connection.execute(insert.returning(_PEOPLE.c.person), rows).scalars())
        return [person for person in new if person not in added]

    @staticmethod
    def _held(connection: Connection, slots: Sequence[bytes]) -> dict[bytes, bytes]:
        query = sa.select(_SECONDS.c.slot, _SECONDS.c.holder)
        return dict(_select(connection, query, _SECONDS.c.slot, slots))

    def _lock(self, connection: Connection, number: int) -> None:
        """Let one process at a time go on, until its transaction ends."""
        if self._engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if self._shared is not None:
            yield self._shared
            return
        with _named(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._shared is not None:
            yield self._shared
            return
        with _named(), self._engine.connect().execution_options(target_writes=True) as connection, connection.begin():
            yield connection

    def _lay_out(self) -> None:
        """Create the tables, or make sure that they are ours; one process at a time."""
        with self._engine.connect().execution_options(target_writes=True) as connection, connection.begin():
            self._lock(connection, _LAYOUT_LOCK)
            _METADATA.create_all(connection)
            version = connection.execute(sa.select(sa.func.max(_LAYOUT.c.version))).scalar()
            if version is None:
                connection.execute(sa.insert(_LAYOUT), {"version": LAYOUT_VERSION})
            else:
                _refuse_later(version)


def open_read_only(url: str, product: bytes) -> SqlStore | None:
    """Open a store without creating anything; None when there is none yet, but could be.

    Raises:
        ConfigError: The URL cannot be used, or names a folder that is not there.
        StoreError: The database cannot be reached.
    """
    store = SqlStore(url, product, read_only=True)
    file = _file(url)
    if file is not None and not file.exists():
        _check_file(file)
        return None
    is_there = False
    try:
        is_there = store.exists()
    finally:
        if not is_there:
            store.close()
    return store if is_there else None


def check_store(url: str, product: bytes) -> None:
    """Make sure that a run could remember here. Nothing is made or changed.

    Raises:
        ConfigError: The URL cannot be used, or its file may not be written.
        StoreError: The database cannot be reached, or lets nobody write.
    """
    store = SqlStore(url, product, read_only=True)
    file = _file(url)
    try:
        if file is None or file.exists():
            store.check()
    finally:
        store.close()
    if file is not None:
        _check_file(file)


def _file(url: str) -> Path | None:
    """Give SQLite's file; None when there is none."""
    name = sa.make_url(url).database if url.startswith("sqlite") else None
    return Path(name) if name and name != ":memory:" else None


def _check_file(file: Path) -> None:
    """Make sure that a file can be written, and others made beside it: SQLite's journal."""
    folder = file.absolute().parent
    if not os.access(folder, os.W_OK):
        raise ConfigError(_SETTING, f"no file can be made in {folder}; name another folder, or make it writable")
    if file.exists() and not os.access(file, os.W_OK):
        raise ConfigError(_SETTING, f"{file} is not writable; make it so, or name another file")


def _refuse_later(version: int | None) -> None:
    if version is not None and version > LAYOUT_VERSION:
        raise StoreError(f"{_SETTING}: the store was written by a later version of target-kissmetrics; upgrade yours")


def _engine(url: str, *, read_only: bool) -> Engine:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError(
            _SETTING, "is no SQLAlchemy URL; it must be one such as sqlite:///target-kissmetrics.db"
        ) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        engine = sa.create_engine(parsed, connect_args=_SQLITE_ARGUMENTS, poolclass=_pool(parsed))
        sa.event.listen(engine, "connect", _prepare_sqlite_to_read if read_only else _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    if backend != "postgresql":
        raise ConfigError(_SETTING, f"must be a sqlite or postgresql URL, not {backend}")
    parsed = parsed.set(drivername="postgresql+psycopg")  # whatever driver other tools have the URL for
    try:
        return sa.create_engine(parsed, pool_pre_ping=True)
    except ModuleNotFoundError:
        raise ConfigError(_SETTING, "PostgreSQL needs: pip install 'target-kissmetrics[postgres]'") from None


_SQLITE_ARGUMENTS = {"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False}


def _pool(url: sa.URL) -> type[sa.pool.Pool] | None:
    """Give each thread the same connection where there is no file: another one would see another, empty database."""
    return sa.pool.StaticPool if url.database in {None, "", ":memory:"} else None


def _prepare_sqlite_to_read(connection: Any, _: object) -> None:
    """Leave the file as it is."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only=ON")
    cursor.close()


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Let this module say when a transaction begins, and let readers go on while one process writes.

    Synchronous: a STATE that is passed on must not outlive, in a power cut, the memory behind it.
    """
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA cache_size=-{SQLITE_CACHE_KIB}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a reader that becomes a writer half-way fails when another process wrote since."""
    if connection.get_execution_options().get("target_writes"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _named() -> Iterator[None]:
    """Turn the library's errors, whose texts hold statements and data, into one line."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines() or [type(error).__name__]
        text = (
            f"{_SETTING}: the store cannot be used: {cause[0].rstrip('.')}; check the URL, and that the database is "
            "there and may be written"
        )
    else:
        return
    raise StoreError(text)


def _select(
    connection: Connection, query: sa.Select[Any], column: sa.Column[Any], keys: Collection[bytes]
) -> Iterator[Any]:
    for some in _some(list(keys)):
        yield from connection.execute(query.where(column.in_(some))).all()


def _some(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(values), KEYS_A_QUERY):
        yield values[start : start + KEYS_A_QUERY]


def _unpack_intents(blob: bytes) -> list[Intent]:
    return [Intent(Said(*said), moment) for *said, moment in _INTENT.iter_unpack(bytes(blob))]
