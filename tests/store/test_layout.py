"""The store's layout: its version, migrations, the modes of its files, and what a check says of its tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from target_kissmetrics.errors import StoreError
from target_kissmetrics.store import layout
from target_kissmetrics.store.intents import Intent, LastSent, NewValue, pack_intent
from target_kissmetrics.store.sql import SqlStore, check_store, open_read_only
from target_kissmetrics.store.update import StoreUpdate

KEY = "k" * 40
ANN, BOB = b"a" * 16, b"b" * 16
GOLD = LastSent(b"gold....", 100, 100)
UPDATE = StoreUpdate({ANN: {b"plan....": GOLD}}, {(ANN, BOB)})


def url_of(file: Path) -> str:
    return f"sqlite:///{file.as_posix()}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store with something in it."""
    file = tmp_path / "store.db"
    with closing(SqlStore(url_of(file), KEY)) as store:
        store.commit(UPDATE, [])
        store.claim([{ANN: b"row1...."}])
        store.add_intents(pack_intent(Intent(NewValue(ANN, b"plan....", b"gold....", 100), 100)))
    return file


def altered(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


UNKNOWN = {
    "later": (
        ["UPDATE target_kissmetrics_layout SET version = 99"],
        "written by a later version of target-kissmetrics; upg",
    ),
    "unreleased": (
        [
            "DROP TABLE target_kissmetrics_layout",
            "CREATE TABLE target_kissmetrics_layout (version INTEGER NOT NULL PRIMARY KEY)",
            "INSERT INTO target_kissmetrics_layout VALUES (1)",
        ],
        r"an unreleased or unknown layout \(1\), which cannot be read; restore .* or name a new store: then every",
    ),
    "zero": (
        ["UPDATE target_kissmetrics_layout SET version = 0"],
        r"an unreleased or unknown layout \(0\), which",
    ),
    "negative": (
        ["UPDATE target_kissmetrics_layout SET version = -1"],
        r"an unreleased or unknown layout \(-1\), which",
    ),
    "none": (["DELETE FROM target_kissmetrics_layout"], r"an unreleased or unknown layout \(None\), which"),
    "no table": (["DROP TABLE target_kissmetrics_layout"], r"an unreleased or unknown layout \(None\), which"),
    "two": (
        ["INSERT INTO target_kissmetrics_layout VALUES (1, x'00')"],
        r"an unreleased or unknown layout \(None\), which",
    ),
}


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize(("statements", "problem"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_layout_that_is_not_known_is_one_line_and_the_file_stays_as_it_is(
    file: Path, statements: list[str], problem: str, journal: str
) -> None:
    altered(file, *statements, f"PRAGMA journal_mode={journal}")
    file.chmod(0o640)
    before = file.read_bytes(), file.stat().st_mode
    for use in (SqlStore, open_read_only):
        with pytest.raises(StoreError, match=f"^attribute_store_url: the store (was|has) [^\n]*{problem}[^\n]*$"):
            use(url_of(file), KEY)
    with pytest.raises(StoreError, match=problem):
        check_store(url_of(file))
    assert (file.read_bytes(), file.stat().st_mode) == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later version of this package, whose people have one more column."""

    def migrate(connection: Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE target_kissmetrics_people ADD COLUMN seen INTEGER")

    monkeypatch.setattr(layout, "MIGRATIONS", {layout.LAYOUT_VERSION: migrate})
    monkeypatch.setattr(layout, "LAYOUT_VERSION", layout.LAYOUT_VERSION + 1)


def columns(url: str) -> set[str]:
    engine = layout.engine(url, read_only=True)
    found = {column["name"] for column in sa.inspect(engine).get_columns("target_kissmetrics_people")}
    engine.dispose()
    return found


def test_an_older_layout_is_migrated_in_place(store_url: str, request: pytest.FixtureRequest) -> None:
    with closing(SqlStore(store_url, KEY)) as store:
        store.commit(UPDATE, [])
        person = store.digests.person("ann")
    request.getfixturevalue("next_version")
    check_store(store_url)
    with pytest.raises(StoreError, match="the store has an older layout, which a run"):
        open_read_only(store_url, KEY)
    assert "seen" not in columns(store_url)
    for _ in range(2):
        with closing(SqlStore(store_url, KEY)) as store:
            assert store.last_sent([ANN]) == {ANN: UPDATE.people[ANN]}
            assert store.digests.person("ann") == person
    assert "seen" in columns(store_url)


def test_a_store_of_layout_2_gets_the_tables_of_names_and_runs(store_url: str) -> None:
    with closing(SqlStore(store_url, KEY)) as store:
        store.commit(UPDATE, [])
    engine = layout.engine(store_url, read_only=False)
    with engine.connect().execution_options(target_writes=True) as connection, connection.begin():
        connection.exec_driver_sql("DROP TABLE target_kissmetrics_names")
        connection.exec_driver_sql("DROP TABLE target_kissmetrics_runs")
        connection.execute(sa.update(layout.LAYOUT).values(version=2))
    engine.dispose()
    with pytest.raises(StoreError, match="the store has an older layout, which a run"):
        open_read_only(store_url, KEY)
    check_store(store_url)
    with closing(SqlStore(store_url, KEY)) as store:
        assert store.last_sent([ANN]) == {ANN: UPDATE.people[ANN]}
        assert store.add_names({b"name....": True}) == {b"name....": True}
        assert store.runs_since(0) == []


def test_a_migration_that_fails_leaves_the_store_as_it_was(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    SqlStore(store_url, KEY).close()

    def migrate(connection: Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE target_kissmetrics_people ADD COLUMN seen INTEGER")
        connection.exec_driver_sql("SELECT nothing FROM nowhere")

    with monkeypatch.context() as later:
        later.setattr(layout, "MIGRATIONS", {layout.LAYOUT_VERSION: migrate})
        later.setattr(layout, "LAYOUT_VERSION", layout.LAYOUT_VERSION + 1)
        with pytest.raises(StoreError):
            SqlStore(store_url, KEY)
    assert "seen" not in columns(store_url)
    SqlStore(store_url, KEY).close()


# The files


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}


@pytest.mark.parametrize("query", ["", "file:{}?uri=true"])
@pytest.mark.parametrize("existing", [None, 0o666])
def test_nobody_else_may_read_the_files_of_sqlite(tmp_path: Path, query: str, existing: int | None) -> None:
    file = tmp_path / "store.db"
    if existing is not None:
        file.touch()
        file.chmod(existing)
    with closing(SqlStore(f"sqlite:///{query.format(file)}" if query else url_of(file), KEY)) as store:
        store.commit(UPDATE, [])
        assert modes(tmp_path) == dict.fromkeys(["store.db", "store.db-wal", "store.db-shm"], "0o600")


# Damage

DAMAGED = {
    "people": ["UPDATE target_kissmetrics_people SET properties = x'0102'"],
    "people, as text": ["UPDATE target_kissmetrics_people SET properties = 'abcdefghijklmnop'"],
    "aliases": ["UPDATE target_kissmetrics_aliases SET partner = x'01'"],
    "seconds": ["UPDATE target_kissmetrics_seconds SET holder = x'01020304050607080910111213141516'"],
    "intents": ["UPDATE target_kissmetrics_intents SET entries = x'01'"],
    "layout": ["UPDATE target_kissmetrics_layout SET salt = x'01'"],
    "layout, as a number": ["UPDATE target_kissmetrics_layout SET salt = 7"],
}


@pytest.mark.parametrize(("name", "statements"), DAMAGED.items(), ids=DAMAGED)
def test_a_damaged_row_is_one_line_that_names_its_table(file: Path, name: str, statements: list[str]) -> None:
    altered(file, *statements)
    table = f"target_kissmetrics_{name.partition(',')[0]}"
    with pytest.raises(StoreError, match=f"^attribute_store_url: the store has a damaged row in {table}, [^\n]*$"):
        read_all(file)


def read_all(file: Path) -> None:
    with closing(SqlStore(url_of(file), KEY)) as store:
        store.last_sent([ANN])
        store.partners([ANN, BOB])
        store.claimed([ANN])
        store.pending_intents(())


def test_a_damaged_person_is_not_overwritten(file: Path) -> None:
    altered(file, *DAMAGED["people"])
    with closing(SqlStore(url_of(file), KEY)) as store, pytest.raises(StoreError, match="a damaged row in"):
        store.commit(UPDATE, [])


# What a check says of tables that a run could not use


def test_tables_of_another_program_are_named(file: Path) -> None:
    altered(
        file, "DROP TABLE target_kissmetrics_people", "CREATE TABLE target_kissmetrics_people (id INTEGER PRIMARY KEY)"
    )
    with pytest.raises(
        StoreError,
        match=r"no such column: target_kissmetrics_people\.\w+; if the database has tables of another program",
    ):
        check_store(url_of(file))


@pytest.fixture
def role(store_url: str) -> Iterator[tuple[str, psycopg.Connection]]:
    """A store in PostgreSQL; the URL for a role without privileges, and a connection of the owner."""
    with psycopg.connect(store_url, autocommit=True) as owner:
        owner.execute("CREATE ROLE guest LOGIN")
        try:
            yield store_url.replace("postgres@", "guest@"), owner
        finally:
            owner.execute("DROP OWNED BY guest")
            owner.execute("DROP ROLE guest")


only_postgresql = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)

GRANT = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guest",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO guest",
)
DENIED = "permission denied for {}; grant the database user the privilege, or use another user$"


@only_postgresql
@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        ([], DENIED.format("table target_kissmetrics_layout")),
        (GRANT[:1], DENIED.format("sequence target_kissmetrics_intents_id_seq")),
        ([*GRANT, "REVOKE DELETE ON target_kissmetrics_intents FROM guest"], DENIED.format("table .*_intents")),
        ([*GRANT, "ALTER ROLE guest SET default_transaction_read_only = on"], "use the primary server, or a user that"),
        ([*GRANT, "ALTER ROLE guest CONNECTION LIMIT 0"], "too many connections for role .* needs one connection$"),
        (
            [*GRANT, "ALTER TABLE target_kissmetrics_people DROP CONSTRAINT target_kissmetrics_people_pkey"],
            "if the database has tables of another program with these names, use another database or schema$",
        ),
    ],
)  # fmt: skip
def test_what_a_role_lacks_is_found_by_the_check(
    role: tuple[str, psycopg.Connection], store_url: str, statements: list[str], problem: str
) -> None:
    url, owner = role
    SqlStore(store_url, KEY).close()
    for statement in statements:
        owner.execute(statement)
    with pytest.raises(StoreError, match=f"^attribute_store_url: [^\n]*{problem}"):
        check_store(url)


@only_postgresql
def test_a_role_with_all_it_needs_passes(role: tuple[str, psycopg.Connection], store_url: str) -> None:
    url, owner = role
    SqlStore(store_url, KEY).close()
    for grant in GRANT:
        owner.execute(grant)
    before = contents(store_url)
    check_store(url)
    assert contents(store_url) == before
    with closing(SqlStore(url, KEY)) as store:
        store.commit(
            UPDATE, [store.add_intents(pack_intent(Intent(NewValue(ANN, b"plan....", b"gold....", 100), 100))) or 0]
        )


# Locks and lost connections


@only_postgresql
@pytest.mark.parametrize("waits_for", ["LOCK TABLE target_kissmetrics_people", "SELECT pg_advisory_xact_lock(7411530)"])
def test_who_holds_a_lock_is_named(store_url: str, waits_for: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "LOCK_TIMEOUT_SECONDS", 0.1)
    with closing(SqlStore(store_url, KEY)) as store, psycopg.connect(store_url, application_name="nightly") as other:
        other.execute(waits_for)
        with pytest.raises(StoreError) as ended, store.planning():
            store.commit(UPDATE, [])
        holder = f"process {other.info.backend_pid} (postgres, nightly, 127.0.0.1) has held the lock since "
        assert holder in str(ended.value)
        assert "\n" not in str(ended.value)
    assert str(ended.value).endswith("; end that session, or wait until it ends, and run again")


@only_postgresql
def test_waiting_has_limits_unless_the_server_or_the_url_sets_them(store_url: str) -> None:
    engine = layout.engine(f"{store_url}?connect_timeout=7&options=-c%20lock_timeout%3D9s", read_only=False)
    with engine.connect() as connection:
        settings = [
            connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("lock_timeout", "statement_timeout", "application_name")
        ]
        driver: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        parameters = driver.info.get_parameters()
    engine.dispose()
    assert settings == ["9s", "5min", "target-kissmetrics"]
    assert {name: parameters[name] for name in ("connect_timeout", "keepalives_idle", "tcp_user_timeout")} == {
        "connect_timeout": "7", "keepalives_idle": "30", "tcp_user_timeout": "60000"
    }  # fmt: skip


def contents(url: str) -> list[tuple[object, ...]]:
    engine = layout.engine(url, read_only=True)
    with engine.connect() as connection:
        rows = [tuple(row) for table in layout.METADATA.sorted_tables for row in connection.execute(sa.select(table))]
    engine.dispose()
    return rows


def test_a_check_leaves_a_store_as_it_was(store_url: str) -> None:
    with closing(SqlStore(store_url, KEY)) as store:
        store.commit(UPDATE, [])
        store.add_intents(pack_intent(Intent(NewValue(ANN, b"plan....", b"gold....", 100), 100)))
    before = contents(store_url)
    check_store(store_url)
    assert contents(store_url) == before


def test_a_check_creates_nothing(store_url: str) -> None:
    check_store(store_url)
    assert open_read_only(store_url, KEY) is None


def end_sessions(url: str, *, of: str = "target-kissmetrics") -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [of])


@only_postgresql
@pytest.mark.parametrize("was_committed", [False, True])
def test_a_connection_that_is_lost_in_mid_commit_is_tried_again(store_url: str, *, was_committed: bool) -> None:
    with closing(SqlStore(store_url, KEY)) as store:
        number = store.add_intents(pack_intent(Intent(NewValue(ANN, b"plan....", b"gold....", 100), 100)))

        @sa.event.listens_for(store._engine, "commit", once=True)
        def lose(connection: Connection) -> None:
            if was_committed:
                connection.connection.commit()
            end_sessions(store_url)

        store.commit(UPDATE, [number or 0])
        assert store.last_sent([ANN]) == {ANN: UPDATE.people[ANN]}
        assert store.partners([ANN]) == {ANN: {BOB}}
        assert store.pending_intents(()).new == {}


@only_postgresql
def test_a_connection_that_is_lost_between_two_plans_is_made_again(store_url: str) -> None:
    with closing(SqlStore(store_url, KEY)) as store:
        end_sessions(store_url)
        with store.planning():
            assert store.last_sent([ANN]) == {}
        end_sessions(store_url)
        assert store.claim([{ANN: b"row1...."}]) == {}


@only_postgresql
@pytest.mark.parametrize("moment", ["before reading", "after reading", "before the commit", "after the commit"])
def test_a_plan_goes_on_over_another_connection(store_url: str, moment: str) -> None:
    intent = Intent(NewValue(ANN, b"plan....", b"gold....", 100), 100)
    with closing(SqlStore(store_url, KEY)) as store:

        @sa.event.listens_for(store._engine, "commit", once=True)
        def lose(connection: Connection) -> None:
            if moment == "after the commit":
                connection.connection.commit()
            if moment.endswith("the commit"):
                end_sessions(store_url)

        with store.planning():
            if moment == "before reading":
                end_sessions(store_url)
            assert store.pending_intents(()).new == {}
            assert store.last_sent([ANN]) == {}
            if moment == "after reading":
                end_sessions(store_url)
            number = store.add_intents(pack_intent(intent))
        assert store.pending_intents(()).new == {number: [intent]}


@only_postgresql
@pytest.mark.parametrize("other", ["plans", "clears", "nobody, but seconds were claimed"])
def test_a_plan_ends_where_another_process_may_have_planned_meanwhile(store_url: str, other: str) -> None:
    intent = Intent(NewValue(ANN, b"plan....", b"gold....", 100), 100)

    def plan(store: SqlStore, another: SqlStore, number: int) -> None:
        with store.planning():
            store.pending_intents(())
            if "claimed" in other:
                store.claim([{ANN: b"row1...."}])
            end_sessions(store_url)
            if other == "plans":
                another.add_intents(pack_intent(intent))
            elif other == "clears":
                another.commit(UPDATE, [number])
            store.add_intents(pack_intent(intent))

    with closing(SqlStore(store_url, KEY)) as store, closing(SqlStore(store_url, KEY)) as another:
        number = another.add_intents(pack_intent(intent))
        with pytest.raises(
            StoreError, match=r"^attribute_store_url: the connection was lost, and with it the lock for a"
        ):
            plan(store, another, number or 0)
        store.commit(UPDATE, [])  # the store can be used again
