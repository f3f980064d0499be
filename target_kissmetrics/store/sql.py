"""The store in SQLite or PostgreSQL.

Several processes may share it: a commit joins its values, property by property, with what another process stored
meanwhile, within the transaction that writes them.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from target_kissmetrics.errors import StoreError
from target_kissmetrics.store import layout
from target_kissmetrics.store.intents import Intent, IntentChanges, NewValue
from target_kissmetrics.store.layout import ALIASES, INTENTS, PEOPLE, SECONDS, store_errors
from target_kissmetrics.store.packed import PackedPerson, merge, pack, unpack
from target_kissmetrics.store.protocol import Claim, StoreUpdate

INTENT_LIFETIME_SECONDS = 30 * 24 * 3600
"""Pending intents of a run that was never repeated are deleted after this."""

KEYS_PER_QUERY = 1000

_SECONDS_LOCK = 7411529
_PLANNING_LOCK = 7411530

_INTENT = struct.Struct("<16s8s8sqq")

_T = TypeVar("_T")


class SqlStore:
    """Stores in SQLite or PostgreSQL.

    Args:
        url: SQLAlchemy URL.
        product: The product whose intents concern this run.
        read_only: Create and delete nothing: for a dry run, or a check.
        temporary: The folder of a store that ends with the run; errors name it.

    Raises:
        ConfigError: The URL cannot be used.
        StoreError: The database cannot be reached, or has the layout of a later version.
    """

    def __init__(self, url: str, product: bytes, *, read_only: bool = False, temporary: str | None = None) -> None:
        self._product = product
        self._temporary = temporary
        self._shared: Connection | None = None
        self._engine = layout.engine(url, read_only=read_only)
        self._is_sqlite = self._engine.dialect.name == "sqlite"
        self._insert = sqlite.insert if self._is_sqlite else postgresql.insert
        if not read_only:
            try:
                with self._writing() as connection:
                    layout.lay_out(connection)
                    expired = INTENTS.c.made_at < int(time.time()) - INTENT_LIFETIME_SECONDS
                    connection.execute(sa.delete(INTENTS).where(expired))
            except StoreError:
                self.close()
                raise

    def exists(self) -> bool:
        """Tell whether the tables exist."""
        with self._reading() as connection:
            return layout.exists(connection)

    def last_sent(self, people: Collection[bytes]) -> dict[bytes, PackedPerson]:
        """Give the last sent values of people; unknown people are absent."""
        with self._reading() as connection:
            query = sa.select(PEOPLE.c.person, PEOPLE.c.properties)
            return {person: PackedPerson(packed) for person, packed in _select(connection, query, people)}

    def partners(self, people: Collection[bytes]) -> dict[bytes, set[bytes]]:
        """Give the people whom each of these was aliased with; people without an alias are absent."""
        partners: dict[bytes, set[bytes]] = {}
        with self._reading() as connection:
            query = sa.select(ALIASES.c.person, ALIASES.c.partner)
            for person, partner in _select(connection, query, people):
                partners.setdefault(person, set()).add(partner)
        return partners

    def claimed(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Give what is claimed under these keys; free ones are absent."""
        with self._reading() as connection:
            return dict(_select(connection, sa.select(SECONDS.c.slot, SECONDS.c.holder), keys))

    def claim(self, claims: Sequence[Claim]) -> dict[bytes, bytes]:
        """Claim seconds permanently, each claim whole or not at all; give earlier claims that are in the way."""
        with self._writing() as connection:
            layout.lock(connection, _SECONDS_LOCK)
            keys = [key for claim in claims for key in claim]
            claimed = dict(_select(connection, sa.select(SECONDS.c.slot, SECONDS.c.holder), keys))
            free = [claim for claim in claims if claim.keys().isdisjoint(claimed)]
            rows = [{"slot": slot, "holder": holder} for claim in free for slot, holder in claim.items()]
            if rows:
                connection.execute(sa.insert(SECONDS), rows)
        return claimed

    @contextmanager
    def planning(self) -> Iterator[None]:
        """Keep other processes from planning; all that this context reads and writes is one transaction."""
        with self._writing() as connection:
            layout.lock(connection, _PLANNING_LOCK)
            self._shared = connection
            try:
                yield
            finally:
                self._shared = None

    def pending_intents(self, seen: Collection[int]) -> IntentChanges:
        """Give the intents that are pending and not among the numbers seen, and the seen numbers that were cleared."""
        with self._reading() as connection:
            query = sa.select(INTENTS.c.id).where(INTENTS.c.product == self._product)
            pending = set(connection.execute(query).scalars())
            query = sa.select(INTENTS.c.id, INTENTS.c.entries)
            new = {number: _unpack(blob) for number, blob in _select(connection, query, sorted(pending - set(seen)))}
        return IntentChanges(new, set(seen) - pending)

    def add_intents(self, intents: Sequence[Intent]) -> int:
        """Add intents; give the number to clear them by."""
        entries = b"".join([_INTENT.pack(*new, moment) for new, moment in intents])
        row = {"product": self._product, "made_at": int(time.time()), "entries": entries}
        with self._writing() as connection:
            result = connection.execute(sa.insert(INTENTS), row)
            return int(result.inserted_primary_key[0])  # type: ignore[index]

    def commit(self, update: StoreUpdate, cleared: Collection[int]) -> None:
        """Store an update and clear intents, in one transaction."""
        with self._writing() as connection:
            if update.people:
                self._write_people(connection, update)
            if update.aliases:
                pairs = {pair for one, other in update.aliases for pair in ((one, other), (other, one))}
                rows = [{"person": one, "partner": other} for one, other in sorted(pairs)]
                connection.execute(self._insert(ALIASES).on_conflict_do_nothing(), rows)
            for some in _some(sorted(cleared)):
                connection.execute(sa.delete(INTENTS).where(INTENTS.c.id.in_(some)))

    def drain(self) -> Iterator[StoreUpdate]:
        """Give everything that is stored of people and aliases, in updates of bounded size, and then delete it."""
        with self._writing() as connection:
            people = connection.execute(sa.select(PEOPLE.c.person, PEOPLE.c.properties))
            for rows in people.partitions(KEYS_PER_QUERY):
                found = {person: PackedPerson(packed) for person, packed in rows}
                calls = {person: call for person, packed in found.items() if (call := packed.last_call) is not None}
                yield StoreUpdate({person: dict(packed) for person, packed in found.items()}, last_calls=calls)
            aliases = connection.execute(sa.select(ALIASES.c.person, ALIASES.c.partner))
            for pairs in aliases.partitions(KEYS_PER_QUERY):
                yield StoreUpdate(aliases={(one, other) for one, other in pairs})
            connection.execute(sa.delete(PEOPLE))
            connection.execute(sa.delete(ALIASES))

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def _write_people(self, connection: Connection, update: StoreUpdate) -> None:
        """Join with what is stored now, under a lock: another process may have stored since these people were read."""
        insert = self._insert(PEOPLE)
        upsert = insert.on_conflict_do_update(
            index_elements=[PEOPLE.c.person], set_={"properties": insert.excluded.properties}
        )
        query = sa.select(PEOPLE.c.person, PEOPLE.c.properties).order_by(PEOPLE.c.person).with_for_update()
        missing = sorted(update.people)
        while missing:
            stored = dict(_select(connection, query, missing))
            known: list[dict[str, bytes]] = []
            new: list[dict[str, bytes]] = []
            for person in missing:
                joined = merge(unpack(stored.get(person, b"")), update.people[person])
                row = {"person": person, "properties": pack(joined, update.last_calls.get(person))}
                (known if person in stored or self._is_sqlite else new).append(row)
            if known:
                connection.execute(upsert, known)
            missing = []
            if new:  # of these, another process may have added some first; SQLite's writers exclude each other
                added = insert.on_conflict_do_nothing().returning(PEOPLE.c.person)
                missing = sorted({row["person"] for row in new} - set(connection.execute(added, new).scalars()))

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if self._shared is not None:
            yield self._shared
            return
        with store_errors(self._temporary), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._shared is not None:
            yield self._shared
            return
        with (
            store_errors(self._temporary),
            self._engine.connect().execution_options(target_writes=True) as connection,
            connection.begin(),
        ):
            yield connection


def open_read_only(url: str, product: bytes) -> SqlStore | None:
    """Open a store without creating anything; None when there is none yet, but could be.

    Raises:
        ConfigError: The URL cannot be used, or its folder is missing.
        StoreError: The database cannot be reached.
    """
    store = SqlStore(url, product, read_only=True)
    file = layout.sqlite_file(url)
    if file is not None and not file.exists():
        layout.check_file(file)
    elif store.exists():
        return store
    store.close()
    return None


def check_store(url: str) -> None:
    """Check that a run could use the store; create and change nothing.

    Raises:
        ConfigError: The URL cannot be used, or its file is not writable.
        StoreError: The database cannot be reached or written.
    """
    engine = layout.engine(url, read_only=True)
    file = layout.sqlite_file(url)
    try:
        if file is None or file.exists():
            with store_errors(), engine.connect() as connection:
                layout.check_usable(connection)
    finally:
        engine.dispose()
    if file is not None:
        layout.check_file(file)


def _select(connection: Connection, query: sa.Select[Any], keys: Collection[Any]) -> Iterator[Any]:
    """Run a query for keys of its first column."""
    column = query.selected_columns[0]
    for some in _some(list(keys)):
        yield from connection.execute(query.where(column.in_(some))).all()


def _some(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(values), KEYS_PER_QUERY):
        yield values[start : start + KEYS_PER_QUERY]


def _unpack(blob: bytes) -> list[Intent]:
    return [Intent(NewValue(*new), moment) for *new, moment in _INTENT.iter_unpack(bytes(blob))]
