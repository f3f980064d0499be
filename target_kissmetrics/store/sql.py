"""The store in SQLite or PostgreSQL.

Several processes may share it: a commit joins its values, property by property, with what another process stored
meanwhile, within the transaction that writes them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import backoff
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from target_kissmetrics.errors import StoreError
from target_kissmetrics.store import layout
from target_kissmetrics.store.digests import PERSON_BYTES, VALUE_BYTES, Digests, derived_key
from target_kissmetrics.store.intents import (
    Intent,
    IntentChanges,
    LastSent,
    NewValue,
    pack_intent,
    unpack_intents,
)
from target_kissmetrics.store.layout import (
    ALIASES,
    INTENTS,
    NAMES,
    PEOPLE,
    RUNS,
    SECONDS,
    ConnectionLostError,
    store_errors,
)
from target_kissmetrics.store.packed import PackedPerson, joined
from target_kissmetrics.store.queries import (
    CLAIMED,
    ENTRIES,
    KEYS_PER_QUERY,
    LAST_SENT,
    PARTNERS,
    PENDING,
    TO_CHANGE,
    select,
    some,
)
from target_kissmetrics.store.update import Claim, StoredRun, StoreUpdate

INTENT_LIFETIME_SECONDS = 30 * 24 * 3600
"""Pending intents of a run that was never repeated are deleted after this."""

RUN_LIFETIME_SECONDS = 400 * 24 * 3600
"""Runs that began before this are deleted."""

again_if_lost = backoff.on_exception(
    backoff.constant, ConnectionLostError, max_time=60.0, interval=0.5, jitter=None, logger=None
)
"""Repeats what lost its connection, also in mid-commit: done twice, it has the same effect."""


class SqlStore:
    """Keeps what was sent. For one thread; several processes may share the database.

    Every method raises StoreError when the database cannot be read or written.

    Args:
        url: SQLAlchemy URL.
        api_key: Of the product whose intents, names and runs concern this run.
        read_only: Create and delete nothing: for a dry run.
        transaction: All happens within it, and the caller ends it: for a check.
        temporary: The folder of a store that ends with the run; errors name it.

    Attributes:
        digests: Of this product, with the store's salt; absent if the store is read-only and new.
        is_new: There were no tables.

    Raises:
        ConfigError: The URL cannot be used.
        StoreError: The database cannot be reached, or has the layout of a later version.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        read_only: bool = False,
        transaction: Connection | None = None,
        temporary: str | None = None,
    ) -> None:
        self._temporary = temporary
        self._shared = transaction
        self._plan: _Plan | None = None
        self._engine = transaction.engine if transaction is not None else layout.engine(url, read_only=read_only)
        self._is_sqlite = self._engine.dialect.name == "sqlite"
        self._insert = sqlite.insert if self._is_sqlite else postgresql.insert
        try:
            with self._reading() as connection:  # a layout that is not known is refused before anything changes
                self.is_new = layout.version_of(connection) is None
            if not read_only:
                with self._writing() as connection:
                    layout.lay_out(connection)
                    expired = INTENTS.c.made_at < int(time.time()) - INTENT_LIFETIME_SECONDS
                    connection.execute(sa.delete(INTENTS).where(expired))
            if not read_only or not self.is_new:
                with self._reading() as connection:
                    self.digests = Digests(derived_key(api_key, layout.salt_of(connection)))
        except StoreError:
            self.close()
            raise
        if not read_only and transaction is None:
            layout.keep_private(self._engine.url)

    @again_if_lost
    def last_sent(self, people: Collection[bytes]) -> dict[bytes, PackedPerson]:
        """Give the last sent values of people; unknown people are absent."""
        with self._reading() as connection:
            return {person: PackedPerson(packed) for person, packed in select(connection, LAST_SENT, people)}

    @again_if_lost
    def partners(self, people: Collection[bytes]) -> dict[bytes, set[bytes]]:
        """Give the people whom each of these was aliased with; people without an alias are absent."""
        partners: dict[bytes, set[bytes]] = {}
        with self._reading() as connection:
            for person, partner in select(connection, PARTNERS, people):
                partners.setdefault(person, set()).add(partner)
        return partners

    @again_if_lost
    def claimed(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Give what is claimed under these keys; free ones are absent."""
        with self._reading() as connection:
            return dict(select(connection, CLAIMED, keys))

    @again_if_lost
    def claim(self, claims: Sequence[Claim]) -> dict[bytes, bytes]:
        """Claim seconds permanently, each claim whole or not at all; give earlier claims that are in the way."""
        with self._writing() as connection:
            layout.lock(connection, layout.SECONDS_LOCK)
            keys = [key for claim in claims for key in claim]
            claimed = dict(select(connection, CLAIMED, keys))
            free = [claim for claim in claims if claim.keys().isdisjoint(claimed)]
            rows = [{"slot": slot, "holder": holder} for claim in free for slot, holder in claim.items()]
            if rows:
                connection.execute(sa.insert(SECONDS), rows)
            if self._plan is not None:
                self._plan.has_claimed = True
        return claimed

    @contextmanager
    def planning(self) -> Iterator[None]:
        """Keep other processes from planning; all that this context reads and writes is one transaction.

        It ends with `add_intents`, if that is called.
        """
        with closing(self._begin_plan()) as connection, store_errors(self._engine):
            self._shared, self._plan = connection, _Plan()
            try:
                yield
                connection.commit()
            finally:
                self._shared = self._plan = None

    @again_if_lost
    def pending_intents(self, seen: Collection[int]) -> IntentChanges:
        """Give the intents that are pending and not among the numbers seen, and the seen numbers that were cleared."""
        with self._reading() as connection:
            pending = self._pending(connection)
            if self._plan is not None:
                self._plan.pending = pending
            unseen = sorted(pending - set(seen))
            new = {number: unpack_intents(blob) for number, blob in select(connection, ENTRIES, unseen)}
        return IntentChanges(new, set(seen) - pending)

    @again_if_lost
    def add_intents(self, entries: bytes) -> int | None:
        """Add packed intents; give the number to clear them by, or None if nothing is about to be sent."""
        row = {"product": self.digests.product, "made_at": int(time.time()), "entries": entries}
        with self._writing() as connection:
            number = self._plan.number if self._plan is not None else None
            if number is None or number not in self._pending(connection):
                result = connection.execute(sa.insert(INTENTS), row)
                number = int(result.inserted_primary_key[0])  # type: ignore[index]
            if self._plan is not None:
                self._plan.number = number
                connection.commit()
            return number

    @again_if_lost
    def commit(self, update: StoreUpdate, cleared: Collection[int]) -> None:
        """Store an update and clear intents, in one transaction."""
        with self._writing() as connection:
            if update.people:
                self._write_people(connection, update)
            if update.aliases:
                pairs = {pair for one, other in update.aliases for pair in ((one, other), (other, one))}
                rows = [{"person": one, "partner": other} for one, other in sorted(pairs)]
                connection.execute(self._insert(ALIASES).on_conflict_do_nothing(), rows)
            for part in some(sorted(cleared)):
                connection.execute(sa.delete(INTENTS).where(INTENTS.c.id.in_(part)))

    @again_if_lost
    def add_names(self, new: Mapping[bytes, bool]) -> dict[bytes, bool]:
        """Add digests of names, each with whether it is an event's; give those of all names that were sent."""
        product = self.digests.product
        rows = [{"product": product, "name": name, "is_event": is_event} for name, is_event in sorted(new.items())]
        with self._writing() if rows else self._reading() as connection:
            if rows:
                connection.execute(self._insert(NAMES).on_conflict_do_nothing(), rows)
            found = connection.execute(sa.select(NAMES.c.name, NAMES.c.is_event).where(NAMES.c.product == product))
            return {row.name: row.is_event for row in found}

    @again_if_lost
    def put_run(self, run: StoredRun) -> None:
        """Add a run, or replace what is stored of it; delete old runs."""
        with self._writing() as connection:
            connection.execute(sa.delete(RUNS).where(RUNS.c.started_at < int(time.time()) - RUN_LIFETIME_SECONDS))
            connection.execute(sa.delete(RUNS).where(RUNS.c.run_id == run.run_id))
            connection.execute(sa.insert(RUNS), {"product": self.digests.product, **run._asdict()})

    def runs_since(self, moment: int) -> list[StoredRun]:
        """Give the runs that began at a moment or later, in their order."""
        query = sa.select(*(RUNS.c[name] for name in StoredRun._fields)).order_by(RUNS.c.run_id)
        with self._reading() as connection:
            found = connection.execute(query.where(RUNS.c.product == self.digests.product, RUNS.c.started_at >= moment))
            return [StoredRun(*row) for row in found]

    def drain(self) -> Iterator[StoreUpdate]:
        """Give everything that is stored of people and aliases, in updates of bounded size, and then delete it."""
        with self._writing() as connection:
            people = connection.execute(LAST_SENT)
            for rows in people.partitions(KEYS_PER_QUERY):
                yield StoreUpdate({person: PackedPerson(packed) for person, packed in rows})
            aliases = connection.execute(PARTNERS)
            for pairs in aliases.partitions(KEYS_PER_QUERY):
                yield StoreUpdate(aliases={(one, other) for one, other in pairs})
            connection.execute(sa.delete(PEOPLE))
            connection.execute(sa.delete(ALIASES))

    def close(self) -> None:
        """Close the database."""
        if self._shared is None:
            self._engine.dispose()

    def _write_people(self, connection: Connection, update: StoreUpdate) -> None:
        """Join with what is stored now, under a lock: another process may have stored since these people were read."""
        insert = self._insert(PEOPLE)
        upsert = insert.on_conflict_do_update(
            index_elements=[PEOPLE.c.person], set_={"properties": insert.excluded.properties}
        )
        missing = sorted(update.people)
        while missing:
            stored = dict(select(connection, TO_CHANGE, missing))
            known: list[dict[str, bytes]] = []
            new: list[dict[str, bytes]] = []
            for person in missing:
                packed = joined(stored.get(person), update.people[person], update.last_calls.get(person))
                row = {"person": person, "properties": packed}
                (known if person in stored or self._is_sqlite else new).append(row)
            if known:
                connection.execute(upsert, known)
            missing = []
            if new:  # of these, another process may have added some first; SQLite's writers exclude each other
                added = insert.on_conflict_do_nothing().returning(PEOPLE.c.person)
                missing = sorted({row["person"] for row in new} - set(connection.execute(added, new).scalars()))

    @again_if_lost
    def _begin_plan(self) -> Connection:
        with store_errors(self._engine):
            connection = self._connect_to_write()
            try:
                layout.lock(connection, layout.PLANNING_LOCK)
            except sa.exc.SQLAlchemyError:
                connection.close()
                raise
            return connection

    def _pending(self, connection: Connection) -> set[int]:
        return set(connection.execute(PENDING, {"product": self.digests.product}).scalars())

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if self._shared is not None:
            with store_errors(self._engine):
                self._go_on(self._shared)
                yield self._shared
            return
        with store_errors(self._engine, self._temporary), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._shared is not None:
            with self._reading() as connection:
                yield connection
            return
        with store_errors(self._engine, self._temporary), self._connect_to_write() as connection, connection.begin():
            yield connection

    def _connect_to_write(self) -> Connection:
        return self._engine.connect().execution_options(target_writes=True)

    def _go_on(self, connection: Connection) -> None:
        """Go on with a plan whose connection was lost, and the lock with it, if no other process planned meanwhile."""
        plan = self._plan
        if plan is None or not connection.invalidated:
            return
        connection.rollback()
        layout.lock(connection, layout.PLANNING_LOCK)
        changed = set() if plan.pending is None else (self._pending(connection) ^ plan.pending) - {plan.number}
        if plan.has_claimed or changed:
            raise StoreError(f"{layout.SETTING}: the connection was lost, and with it the lock for a plan; run again")


@dataclass
class _Plan:
    """What happened in `planning`: numbers of intents that were pending, that of its own intents, claims."""

    pending: set[int] | None = None
    number: int | None = None
    has_claimed: bool = False


def open_read_only(url: str, api_key: str) -> SqlStore | None:
    """Open a store without creating anything; None when there is none yet, but could be.

    Raises:
        ConfigError: The URL cannot be used, or its folder is missing.
        StoreError: The database cannot be reached.
    """
    if layout.is_missing(url):
        return None
    store = SqlStore(url, api_key, read_only=True)
    if not store.is_new:
        return store
    store.close()
    return None


def check_store(url: str, *, stores_rejects: bool = False) -> None:
    """Check that a run could use the store: do what it does, and roll it back.

    Raises:
        ConfigError: The URL cannot be used, or its folder is missing.
        StoreError: The database cannot be reached or written.
    """
    if layout.is_missing(url):
        return
    engine = layout.engine(url, read_only=False)
    options = {"target_writes": True, "target_rolls_back": True}
    try:
        with store_errors(engine), engine.connect().execution_options(**options) as connection:
            store = SqlStore(url, "", transaction=connection)
            person, key = bytes(PERSON_BYTES), bytes(VALUE_BYTES)
            store.add_intents(pack_intent(Intent(NewValue(person, key, key, 0), 0)))
            store.claim([{person: key}])
            store.add_names({key: True})
            store.put_run(StoredRun("check", 0))
            if stores_rejects:
                connection.execute(sa.insert(layout.REJECTS), {"product": person, "line": ""})
            for _ in range(2):  # a new person, and a known one
                store.commit(StoreUpdate({person: {key: LastSent(key, 0, 0)}}, {(person, person)}), [0])
    finally:
        engine.dispose()
