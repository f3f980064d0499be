"""The store, over a SQLite file and over a PostgreSQL server."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from fakes import pending

from target_kissmetrics.errors import ConfigError, StoreError
from target_kissmetrics.store import layout
from target_kissmetrics.store.intents import Intent, LastSent, NewValue, PersonValues, pack_intent
from target_kissmetrics.store.packed import LastCall, PackedPerson
from target_kissmetrics.store.sql import INTENT_LIFETIME_SECONDS, SqlStore, open_read_only
from target_kissmetrics.store.update import StoreUpdate

PRODUCT, OTHER_PRODUCT = "p" * 16, "q" * 16
ANN, BOB, CAT = (letter * 16 for letter in (b"a", b"b", b"c"))
PLAN, CITY = b"plan....", b"city...."
GOLD, FREE = b"gold....", b"free...."


def packed(store: SqlStore) -> PackedPerson:
    """Give what is stored of Ann."""
    found = store.last_sent([ANN])[ANN]
    assert isinstance(found, PackedPerson)
    return found


def known(value: bytes = GOLD, time: int = 100, row_time: int | None = None) -> LastSent:
    return LastSent(value, time, time if row_time is None else row_time)


def learned(person: bytes, **properties: LastSent) -> StoreUpdate:
    keys = {"plan": PLAN, "city": CITY}
    return StoreUpdate(people={person: {keys[name]: value for name, value in properties.items()}})


@pytest.fixture
def url(store_url: str) -> str:
    return store_url


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    store = SqlStore(url, PRODUCT)
    yield store
    store.close()


@pytest.fixture
def other(url: str) -> Iterator[SqlStore]:
    """Another process's store over the same database."""
    store = SqlStore(url, PRODUCT)
    yield store
    store.close()


def test_what_was_never_remembered_is_absent(store: SqlStore) -> None:
    assert store.last_sent([ANN, BOB]) == {}
    assert store.last_sent([]) == {}
    assert store.partners([ANN]) == {}
    assert store.claimed([ANN]) == {}
    assert pending(store) == []


def test_what_is_remembered_is_there_for_the_next_process(store: SqlStore, url: str) -> None:
    store.commit(learned(ANN, plan=known(GOLD, -5, -7), city=known(FREE, 2**40)), [])
    store.close()
    again = SqlStore(url, PRODUCT)
    assert again.last_sent([ANN, BOB]) == {ANN: {PLAN: LastSent(GOLD, -5, -7), CITY: LastSent(FREE, 2**40, 2**40)}}
    again.close()


def test_the_call_that_changed_somebody_is_known_to_the_next_process_until_another_one_changes_them(
    store: SqlStore, other: SqlStore
) -> None:
    first = learned(ANN, plan=known(GOLD), city=known(FREE))
    first.last_calls[ANN] = LastCall(b"a call..", [PLAN + GOLD, CITY + FREE])
    store.commit(first, [])
    assert packed(other).was_set_by(b"a call..")
    (whole,) = [part for part in other.drain() if part.people]
    drained = whole.people[ANN]
    assert isinstance(drained, PackedPerson)
    assert drained.last_call == first.last_calls[ANN]

    assert store.last_sent([ANN]) == {}

    store.commit(first, [])
    other.commit(learned(ANN, plan=known(FREE, 110)), [])
    assert not packed(store).was_set_by(b"a call..")


def test_a_call_is_not_known_where_another_process_had_a_later_value(store: SqlStore, other: SqlStore) -> None:
    other.commit(learned(ANN, plan=known(FREE, 110)), [])
    late = learned(ANN, plan=known(GOLD), city=known(FREE))
    late.last_calls[ANN] = LastCall(b"a call..", [PLAN + GOLD, CITY + FREE])
    store.commit(late, [])
    assert store.last_sent([ANN]) == {ANN: {PLAN: known(FREE, 110), CITY: known(FREE)}}
    assert not packed(store).was_set_by(b"a call..")


def test_people_are_joined_property_by_property_with_what_another_process_stored(
    store: SqlStore, other: SqlStore
) -> None:
    store.commit(learned(ANN, plan=known(FREE, 100)), [])
    other.commit(learned(ANN, city=known(GOLD, 100)), [])
    store.commit(learned(ANN, plan=known(GOLD, 90)), [])
    assert store.last_sent([ANN]) == {ANN: {PLAN: known(FREE, 100), CITY: known(GOLD, 100)}}
    other.commit(learned(ANN, plan=known(GOLD, 110)), [])
    assert store.last_sent([ANN]) == {ANN: {PLAN: known(GOLD, 110), CITY: known(GOLD, 100)}}


def test_more_people_than_one_query_takes(store: SqlStore) -> None:
    people: dict[bytes, PersonValues] = {n.to_bytes(16, "big"): {PLAN: known(time=n)} for n in range(2_500)}
    store.commit(StoreUpdate(people=people), [])
    assert store.last_sent(people) == people


def test_an_alias_is_known_from_both_ends_and_kept_once(store: SqlStore, other: SqlStore) -> None:
    store.commit(StoreUpdate(aliases={(ANN, BOB)}), [])
    other.commit(StoreUpdate(aliases={(BOB, ANN), (ANN, CAT)}), [])
    assert store.partners([ANN, BOB, CAT]) == {ANN: {BOB, CAT}, BOB: {ANN}, CAT: {ANN}}


def test_a_second_is_held_whole_or_not_at_all_by_the_first_who_asks(store: SqlStore, other: SqlStore) -> None:
    assert store.claim([{ANN: b"row1....", BOB: b"row1...."}]) == {}
    assert other.claim([{BOB: b"row2....", CAT: b"row2...."}]) == {BOB: b"row1...."}
    assert store.claimed([ANN, BOB, CAT]) == {ANN: b"row1....", BOB: b"row1...."}


def test_an_intent_stays_until_its_calls_were_answered(store: SqlStore, other: SqlStore) -> None:
    one, two = Intent(NewValue(ANN, PLAN, GOLD, 100), 101), Intent(NewValue(BOB, CITY, FREE, -3), -3)
    first, second = store.add_intents(pack_intent(one) + pack_intent(two)), store.add_intents(pack_intent(two))
    assert pending(other) == [one, two, two]
    store.commit(StoreUpdate(), [first or 0])
    assert pending(other) == [two]
    store.commit(learned(BOB, city=known(FREE, -3)), [second or 0])
    assert pending(other) == []


def test_intents_are_each_product_s_own(store: SqlStore, url: str) -> None:
    store.add_intents(pack_intent(Intent(NewValue(ANN, PLAN, GOLD, 100), 100)))
    elsewhere = SqlStore(url, OTHER_PRODUCT)
    assert pending(elsewhere) == []
    elsewhere.close()


def test_intents_that_nobody_came_back_for_are_struck_out(
    store: SqlStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_intents(pack_intent(Intent(NewValue(ANN, PLAN, GOLD, 100), 100)))
    later = 2_000_000_000 + INTENT_LIFETIME_SECONDS
    monkeypatch.setattr("target_kissmetrics.store.sql.time.time", lambda: float(later))
    again = SqlStore(url, PRODUCT)
    assert pending(again) == []
    again.close()


def test_reading_alone_creates_nothing_and_sees_what_is_there(url: str) -> None:
    assert open_read_only(url, PRODUCT) is None
    store = SqlStore(url, PRODUCT)
    store.commit(learned(ANN, plan=known()), [])
    reader = open_read_only(url, PRODUCT)
    assert reader is not None
    assert reader.last_sent([ANN]) == {ANN: {PLAN: known()}}
    reader.close()
    store.close()


def test_a_store_of_a_later_version_is_left_alone(store: SqlStore, url: str) -> None:
    with store._engine.begin() as connection:
        connection.execute(sa.text("UPDATE target_kissmetrics_layout SET version = 99"))
    with pytest.raises(StoreError, match="attribute_store_url: the store was written by a later version"):
        SqlStore(url, PRODUCT)


# What cannot be used is one line that names the setting, without the statement or a password


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    file.write_text("this is a text, and has been one for long enough to be read as a page" * 20)
    with pytest.raises(
        StoreError, match="attribute_store_url: the store cannot be used: file is not a database"
    ) as told:
        SqlStore(f"sqlite:///{file.as_posix()}", PRODUCT)
    assert "PRAGMA" not in str(told.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    url = f"sqlite:///{(tmp_path / 'nowhere' / 'store.db').as_posix()}"
    with pytest.raises(StoreError, match="unable to open database file"):
        SqlStore(url, PRODUCT)
    with pytest.raises(ConfigError, match="no file can be created in"):
        open_read_only(url, PRODUCT)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("no url", "is not a SQLAlchemy URL"),
        ("mysql://u@h/db", "must be a sqlite or postgresql URL, not mysql"),
        ("postgresql://u:p@ss@h/db", "write them as %40"),
        ("postgresql://u:p@s/s@h/db", "write them as %40"),
    ],
)
def test_a_url_that_names_no_store_of_ours(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        SqlStore(url, PRODUCT)


def test_a_server_that_is_not_there_is_told_of_without_the_password() -> None:
    with pytest.raises(StoreError) as told:
        SqlStore("postgresql://ann:s3cret@127.0.0.1:1/db", PRODUCT)
    assert str(told.value).startswith("attribute_store_url: the store cannot be used: ")
    assert "s3cret" not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_sqlite_file_is_one_that_readers_can_read_while_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    store = SqlStore(f"sqlite:///{file.as_posix()}", PRODUCT)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[str, sqlite3.Connection]]:
    """A SQLite file that another process keeps locked."""
    url = f"sqlite:///{(tmp_path / 'locked.db').as_posix()}"
    SqlStore(url, PRODUCT).close()
    with closing(sqlite3.connect(tmp_path / "locked.db", isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        yield url, writer


def test_a_file_that_another_process_writes_into_is_waited_for(locked: tuple[str, sqlite3.Connection]) -> None:
    url, writer = locked
    with closing(SqlStore(url, PRODUCT, read_only=True)) as reader:
        assert reader.last_sent([ANN]) == {}  # who reads need not wait
    done = threading.Thread(target=lambda: _remember_in(url))
    done.start()
    done.join(0.5)
    assert done.is_alive()
    writer.execute("COMMIT")
    done.join(30)
    assert not done.is_alive()
    with closing(SqlStore(url, PRODUCT, read_only=True)) as reader:
        assert reader.last_sent([ANN]) == {ANN: {PLAN: known(GOLD)}}


def _remember_in(url: str) -> None:
    with closing(SqlStore(url, PRODUCT)) as store:
        store.commit(learned(ANN, plan=known(GOLD)), [])


def test_one_that_it_never_lets_go_of_ends_the_run_in_one_line(
    locked: tuple[str, sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "LOCK_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(StoreError, match=r"^attribute_store_url: .*database is locked.*; check [^\n]*$"):
        _remember_in(locked[0])


@pytest.mark.parametrize("driver", ["postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_psycopg_is_taken_whatever_driver_other_tools_have_the_url_for(driver: str) -> None:
    pytest.importorskip("psycopg")
    engine = layout.engine(f"{driver}://nobody@127.0.0.1:9/etl", read_only=True)
    assert engine.driver == "psycopg"
    engine.dispose()
