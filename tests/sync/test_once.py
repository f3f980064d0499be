"""What is sent once is sent in one version, under either rule for duplicates, over changes, kills and processes."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fakes import Database, FakeKissmetrics, MemoryStore, pending
from hypothesis import given, settings
from hypothesis import strategies as st
from planning import T0, Run, attributes, calls_of, once, order, store_in, times

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.store.overlay import OverlayStore
from target_kissmetrics.store.sql import SqlStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    store = store_in(tmp_path)
    yield store
    store.close()


def events(calls: Sequence[Call]) -> list[dict[str, str]]:
    return [call.properties for call in calls if isinstance(call, Record)]


# One row, in runs that end


def test_an_unchanged_row_is_sent_once_and_counted_without_a_warning(store: SqlStore) -> None:
    run = Run(store)
    assert events(run.send(order("7", 0, amount="20", items=2), order("8", 0))) == [
        {"order": "7", "Billing Amount": "20"},
        {"order": "8"},
    ]
    later = Run(store)
    assert later.send(order("7", 0, amount="20", items=2), order("8", 0)) == []
    assert (later.counts.already_sent, later.warnings) == (2, [])


@pytest.mark.parametrize(
    "changed",
    [
        order("7", 0, amount="22"),
        order("7", 86400, amount="20"),
        order("7", 0, amount="20", status="shipped"),
        order("7", 0, amount="20", person="q"),
        order("7", 0, amount="20", items=1),
        order("7", 0),
    ],
)
def test_a_changed_row_is_counted_and_warned_of_once(store: SqlStore, changed: Mapped) -> None:
    Run(store).send(order("7", 0, amount="20"), order("8", 5, amount="1"))
    run = Run(store)
    assert run.send(changed, order("8", 6, amount="1")) == []
    assert run.counts.already_sent == 2
    (warning,) = run.warnings
    assert "changed after it was sent; Kissmetrics cannot correct it" in warning


def test_versions_within_one_batch_are_one_event(store: SqlStore) -> None:
    run = Run(store)
    assert times(run.send(order("7", 0, amount="20"), order("7", 3, amount="20"), order("7", 0, amount="20"))) == [0]
    assert (run.counts.already_sent, len(run.warnings)) == (2, 1)


def test_user_attributes_and_aliases_of_a_sent_row_go_on(store: SqlStore) -> None:
    def row(second: int, plan: str, device: str) -> Mapped:
        mapped = order("7", 0, amount="20", items=2)
        mapped.calls += [Set("p", T0 + second, {"plan": plan}, distinct=True), Alias("p", device, T0 + second)]
        return mapped

    Run(store).send(row(0, "A", "d1"))
    assert Run(store).send(row(5, "B", "d2")) == [
        Set("p", T0 + 5, {"plan": "B"}, distinct=True),
        Alias("p", "d2", T0 + 5),
    ]
    assert Run(store, include_all=True).send(row(5, "B", "d2")) == [Set("p", T0 + 5, {"plan": "B"}, distinct=True)]


def test_a_first_version_without_an_amount_gets_it_once_in_the_second_of_its_event(store: SqlStore) -> None:
    Run(store).send(order("7", 0, status="pending"))
    run = Run(store)
    assert run.send(order("7", 99, amount="20", items=2), order("7", 99, amount="22")) == [
        Set("p", T0, {"Billing Amount": "20"})
    ]
    assert run.counts.already_sent == 2
    assert Run(store).send(order("7", 99, amount="20"), order("7", 99, amount="25")) == []


def test_an_amount_goes_to_the_person_of_the_event_or_to_nobody(store: SqlStore) -> None:
    Run(store).send(order("7", 0, person="d1"), order("8", 0, person="d1"))
    known = order("7", 5, amount="20", person="u1")
    known.calls.append(Alias("u1", "d1", T0))
    sent = Run(store).send(known, order("8", 5, amount="30", person="u1"))
    assert [call for call in sent if isinstance(call, Set)] == [Set("d1", T0, {"Billing Amount": "20"})]


def test_a_sent_row_keeps_its_second_and_claims_no_other(store: SqlStore) -> None:
    first = Run(store).send(*[order(key, 0, spread=True) for key in "abc"])
    assert times(first) == [0, 1, 2]
    run = Run(store)
    assert times(run.send(order("b", 7, amount="20", spread=True), order("c", 0, spread=True))) == [1]
    assert run.counts.moved == 0
    # The amount's second was claimed with the event's, and the row's new time claimed nothing.
    assert times(run.send(order("d", 7, amount="5", spread=True), order("e", 0, amount="5", spread=True))) == [7, 3]


def test_a_guessed_time_is_no_change(store: SqlStore) -> None:
    def undated(second: int) -> Mapped:
        mapped = order("7", second, amount="20", items=2)
        mapped.slots[0].is_dated = False
        return mapped

    killed = calls_of(Run(store).plan(undated(0)))
    run = Run(store)
    assert run.send(undated(50)) == killed
    assert run.send(undated(90)) == []
    assert run.warnings == []


def test_a_dry_run_and_import_files_decide_alike(store: SqlStore, tmp_path: Path) -> None:
    Run(store).send(order("7", 0))
    rows = [order("7", 5, amount="20"), order("8", 0), order("8", 9, amount="5")]
    sent = []
    for dry_run in (True, False):
        overlay = OverlayStore(store_in(tmp_path), dry_run=dry_run)
        sent.append(Run(overlay).send(*copy.deepcopy(rows)))
        if not dry_run:
            overlay.commit_to_base()
            overlay.clear_intents()
        overlay.close()
    assert sent[0] == sent[1]
    assert times(sent[0]) == [0, 0, 0]
    assert Run(store).send(*rows) == []


# Kills


def test_the_version_of_a_killed_run_stands_and_the_same_version_is_repeated(store: SqlStore) -> None:
    killed = calls_of(Run(store).plan(order("7", 0, amount="20", items=2), order("8", 0)))
    changed = Run(store)
    assert changed.send(order("8", 4, amount="5")) == [Set("p", T0, {"Billing Amount": "5"})]
    assert len(changed.warnings) == 1
    assert Run(store).send(order("7", 0, amount="20", items=2)) == killed[:3]
    run = Run(store)
    assert run.send(order("7", 5, amount="22"), order("8", 9, amount="7")) == []
    assert pending(store) == []


def test_an_amount_of_a_killed_run_is_repeated_and_no_other_one_follows(store: SqlStore) -> None:
    Run(store).send(order("7", 0))
    killed = calls_of(Run(store).plan(order("7", 5, amount="20")))
    assert calls_of(Run(store).plan(order("7", 6, amount="20"))) == killed
    assert Run(store).send(order("7", 6, amount="22")) == []
    assert Run(store).send(order("7", 6, amount="20")) == []


def test_a_version_without_an_amount_before_the_one_that_a_killed_run_sent_loses_nothing(store: SqlStore) -> None:
    Run(store).send(order("7", 0))
    killed = calls_of(Run(store).plan(order("7", 5, amount="20")))
    run = Run(store)
    assert run.send(order("7", 4, status="packed")) == []
    assert run.send(order("7", 5, amount="20")) == killed
    assert pending(store) == []


def test_an_event_that_a_person_has_once_is_not_repeated_with_other_values(store: SqlStore) -> None:
    killed = calls_of(Run(store).plan(once("p", 0, source="ad")))
    run = Run(store)
    assert run.send(once("p", 5, source="mail")) == []
    assert run.send(once("p", 0, source="ad")) == killed
    assert Run(store).send(once("p", 0, source="ad"), once("p", 5, source="mail")) == []


class Version(NamedTuple):
    """A version of a row, as a source has it for a while."""

    key: str
    second: int
    amount: str
    status: str
    items: int

    def mapped(self, *, spread: bool) -> Mapped:
        return order(self.key, self.second, amount=self.amount, items=self.items, spread=spread, status=self.status)


class Kill(NamedTuple):
    """How a run ends: in which of its batches, how much of that one arrives, and whether it was committed."""

    batch: int
    cut: int
    received: list[bool]
    committed: bool


VERSIONS = st.lists(
    st.builds(
        Version,
        st.sampled_from("abc"),
        st.integers(0, 2),
        st.sampled_from(["", "5", "9"]),
        st.sampled_from(["new", "paid"]),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=8,
)
KILLS = st.lists(
    st.builds(
        Kill, st.integers(0, 4), st.integers(1, 4), st.lists(st.booleans(), min_size=1, max_size=6), st.booleans()
    ),
    max_size=3,
)


def deliver(
    run: Run, rows: Sequence[Version], kissmetrics: FakeKissmetrics, *, cut: int, kill: Kill | None, spread: bool
) -> int:
    """Send rows in batches, until the kill; give the number of rows that the last STATE covers."""
    for number, start in enumerate(range(0, len(rows), cut)):
        batch = run.plan(*[row.mapped(spread=spread) for row in rows[start : start + cut]])
        is_last = kill is not None and number == kill.batch
        received = itertools.cycle(kill.received if kill is not None and is_last and not kill.committed else [True])
        for call, is_received in zip(calls_of(batch), received, strict=False):
            if is_received:
                kissmetrics.take(call)
        if not is_last or (kill is not None and kill.committed):
            run.commit(batch, clear=not is_last)
        if is_last:
            return start
    return len(rows)


@settings(max_examples=300)
@given(log=VERSIONS, kills=KILLS, cut=st.integers(1, 4), spread=st.booleans())
def test_a_log_of_versions_gives_the_same_calls_with_kills_and_without(
    log: list[Version], kills: list[Kill], cut: int, spread: bool
) -> None:
    database, kissmetrics, position = Database(), FakeKissmetrics(), 0
    for kill in kills:
        run = Run(MemoryStore(database))
        position += deliver(run, log[position:], kissmetrics, cut=kill.cut, kill=kill, spread=spread)
    deliver(Run(MemoryStore(database)), log[position:], kissmetrics, cut=cut, kill=None, spread=spread)
    unbroken = FakeKissmetrics()
    deliver(Run(MemoryStore()), log, unbroken, cut=len(log), kill=None, spread=spread)
    if not spread:  # else the seconds depend on the batches
        assert kissmetrics.distinct == unbroken.distinct
        assert kissmetrics.events.keys() == unbroken.events.keys()
    assert without_seconds(kissmetrics) == without_seconds(unbroken)
    assert_one_version_each(kissmetrics)
    assert len(kills) > 1 or pending(MemoryStore(database)) == []


@settings(max_examples=300)
@given(tables=st.lists(VERSIONS, min_size=1, max_size=4), kills=KILLS, spread=st.booleans(), data=st.data())
def test_a_table_that_changes_between_killed_runs_gives_no_row_two_events_or_two_amounts(
    tables: list[list[Version]], kills: list[Kill], spread: bool, data: st.DataObject
) -> None:
    database, kissmetrics = Database(), FakeKissmetrics()
    for table, kill in itertools.zip_longest(tables, kills[: len(tables) - 1]):
        rows = list({version.key: version for version in table}.values())
        cut = data.draw(st.integers(1, 3))
        deliver(Run(MemoryStore(database)), rows, kissmetrics, cut=cut, kill=kill, spread=spread)
    assert_one_version_each(kissmetrics)


@settings(max_examples=200)
@given(
    tables=st.lists(VERSIONS, min_size=2, max_size=2),
    actions=st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["plan", "arrive", "commit", "die"])), max_size=20),
    spread=st.booleans(),
)
def test_processes_that_read_the_same_rows_give_no_row_two_events_or_two_amounts(
    tables: list[list[Version]], actions: list[tuple[int, str]], spread: bool
) -> None:
    database, kissmetrics = Database(), FakeKissmetrics()
    runs: list[Any] = [Run(MemoryStore(database)), Run(MemoryStore(database))]
    waiting, flying = [list(table) for table in tables], [list[Any](), list[Any]()]
    for who, action in actions:
        if action == "plan" and waiting[who]:
            flying[who].append(runs[who].plan(waiting[who].pop(0).mapped(spread=spread)))
        elif action in {"arrive", "commit"} and flying[who]:
            for call in calls_of(flying[who][0]):
                kissmetrics.take(call)
            if action == "commit":
                runs[who].commit(flying[who].pop(0))
        elif action == "die":
            runs[who], flying[who], waiting[who] = Run(MemoryStore(database)), [], list(tables[who])
    assert_one_version_each(kissmetrics)


def without_seconds(kissmetrics: FakeKissmetrics) -> list[Any]:
    return sorted((person, name or "", sorted(properties)) for person, name, _, properties in kissmetrics.distinct)


def assert_one_version_each(kissmetrics: FakeKissmetrics) -> None:
    """Check both rules: of what the current one counts, no row has two events, two sets of items, or two amounts."""
    sent = [(name, second, dict(properties)) for _, name, second, properties in kissmetrics.distinct]
    keys = [properties["order"] for name, _, properties in sent if name]
    assert len(keys) == len(set(keys))
    items = [properties["sku"] for _, _, properties in sent if "sku" in properties]
    assert len(items) == len(set(items))
    paid = [properties["order"] for name, _, properties in sent if name and "Billing Amount" in properties]
    late = [properties for name, _, properties in sent if name is None and "Billing Amount" in properties]
    assert len(paid) + len(late) <= len("abc")
    assert len(kissmetrics.events) <= len(keys)


def test_attributes_alone_are_left_to_change_tracking(store: SqlStore) -> None:
    assert times(Run(store).send(attributes("p", 0, plan="A"))) == [0]
