"""Change tracking over batches and killed runs: Kissmetrics ends with the source's values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from fakes import Database, FakeKissmetrics, MemoryStore, pending
from hypothesis import given, settings
from hypothesis import strategies as st
from planning import T0, Run, attributes, calls_of, deleted, store_in, times

from target_kissmetrics.kissmetrics.calls import Call, Set
from target_kissmetrics.mapping.result import Mapped

T = TypeVar("T")
Row = tuple[str, int, str]
"""Person, second, plan."""

STEPS = st.lists(st.tuples(st.sampled_from("pq"), st.integers(0, 2), st.sampled_from("ABC")), min_size=1, max_size=9)
CUTS = st.lists(st.integers(1, 4), min_size=9, max_size=9)


class Kill(NamedTuple):
    """How a run ends.

    Attributes:
        batch: In this batch.
        cuts: Sizes of its batches.
        received: Which of the batch's calls Kissmetrics receives.
        committed: The batch was committed, and its STATE not emitted.
    """

    batch: int
    cuts: list[int]
    received: list[bool]
    committed: bool


KILLS = st.builds(Kill, st.integers(0, 9), CUTS, st.lists(st.booleans(), min_size=9, max_size=9), st.booleans())


@settings(deadline=None, max_examples=300)
@given(steps=STEPS, kills=st.lists(KILLS, min_size=1, max_size=3), cuts=CUTS)
def test_after_kills_anywhere_a_complete_run_leaves_the_source_s_values_and_no_intent(
    steps: list[Row], kills: list[Kill], cuts: list[int]
) -> None:
    rows = _rows(steps)
    kissmetrics, store = _deliver(rows, kills, cuts)
    assert kissmetrics.current() == {(person, "plan"): value for person, _, value in rows}
    # Intents whose rows are repeated by two runs, a part by each, stay until they expire.
    assert len(kills) > 1 or pending(store) == []


@settings(deadline=None, max_examples=300)
@given(
    steps=st.lists(st.tuples(st.sampled_from("pq"), st.integers(1, 2), st.sampled_from("ABC")), min_size=1, max_size=9),
    kills=st.lists(KILLS, min_size=1, max_size=3),
    cuts=CUTS,
)
def test_where_no_second_has_two_values_killed_runs_send_the_calls_of_one_that_was_not_killed(
    steps: list[Row], kills: list[Kill], cuts: list[int]
) -> None:
    rows = _rows(steps)
    kissmetrics, _ = _deliver(rows, kills, cuts)
    assert kissmetrics.properties == _deliver(rows, [], cuts)[0].properties


def _rows(steps: list[Row]) -> list[Row]:
    """Give rows whose times are those of the steps before, added up for each person."""
    clock: dict[str, int] = {}
    rows = []
    for person, later, value in steps:
        clock[person] = clock.get(person, 0) + later
        rows.append((person, clock[person], value))
    return rows


def _deliver(rows: Sequence[Row], kills: list[Kill], cuts: list[int]) -> tuple[FakeKissmetrics, MemoryStore]:
    """Send rows by runs that are killed, and a complete run in the end."""
    database, kissmetrics = Database(), FakeKissmetrics()
    position = 0
    for kill in kills:
        position += _until_killed(Run(MemoryStore(database)), rows[position:], kill, kissmetrics)
    run = Run(MemoryStore(database))
    for some in _cut(rows[position:], cuts):
        _take(kissmetrics, run.send(*_mapped(some)))
    return kissmetrics, MemoryStore(database)


def _until_killed(run: Run, rows: Sequence[Row], kill: Kill, kissmetrics: FakeKissmetrics) -> int:
    """Send batches until the one in which the run is killed; give the number of rows that its last STATE covers."""
    covered = 0
    for number, some in enumerate(_cut(rows, kill.cuts)):
        batch = run.plan(*_mapped(some))
        if number == kill.batch:
            received = zip(calls_of(batch), itertools.cycle(kill.received), strict=False)
            _take(kissmetrics, [call for call, is_received in received if kill.committed or is_received])
            if kill.committed:
                run.commit(batch, clear=False)
            break
        _take(kissmetrics, calls_of(batch))
        run.commit(batch)
        covered += len(some)
    return covered


def _mapped(rows: Sequence[Row]) -> list[Mapped]:
    return [attributes(person, second, plan=value) for person, second, value in rows]


def _cut(rows: Sequence[T], sizes: list[int]) -> list[Sequence[T]]:
    starts = [0, *itertools.accumulate(sizes)]
    return [rows[start : start + size] for start, size in zip(starts, sizes, strict=False) if start < len(rows)]


def test_a_value_that_was_overtaken_by_an_unacknowledged_one_is_sent_again(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    run, kissmetrics = Run(store), FakeKissmetrics()
    _take(kissmetrics, [*run.send(attributes("p", 0, plan="A")), *run.send(attributes("p", 0, plan="C"))])
    batch = run.plan(attributes("p", 0, plan="A"))
    _take(kissmetrics, calls_of(batch))
    # The run is killed before the answer; the next one reads the rest in one batch, where the last value counts.
    _take(kissmetrics, Run(store).send(attributes("p", 0, plan="A"), attributes("p", 0, plan="C")))
    assert kissmetrics.current() == {("p", "plan"): "C"}
    store.close()


def test_a_deleted_attribute_is_sent_again_when_it_comes_back_also_by_the_next_process(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    assert times(Run(store).send(attributes("p", 0, plan="A"), deleted("p", 5, "Plan"))) == [0]
    assert times(Run(store).send(attributes("q", 6, plan="A"), attributes("p", 6, plan="A"))) == [6, 6]
    assert Run(store).send(attributes("p", 7, plan="A")) == []
    store.close()


def test_in_one_batch_the_order_of_setting_and_deleting_counts(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    rows = [attributes("p", 0, plan="A"), deleted("p", 0), attributes("p", 0, plan="B"), attributes("p", 1, plan="B")]
    assert times(Run(store).send(*rows)) == [0, 1]
    store.close()


def test_what_was_deleted_is_forgotten_only_once_what_came_before_is_acknowledged(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    Run(store).send(attributes("p", 0, plan="A"))
    run = Run(store)
    batch = run.plan(attributes("p", 3, city="Oslo"), deleted("p", 5))
    assert Run(store).send(attributes("p", 6, plan="A")) == []  # as another process would, meanwhile
    run.commit(batch)
    assert times(Run(store).send(attributes("p", 7, plan="A"))) == [7]
    store.close()


@settings(deadline=None, max_examples=150)
@given(
    steps=st.lists(st.tuples(st.integers(1, 2), st.sampled_from(["A", "B", None])), min_size=1, max_size=9),
    cuts=CUTS,
    again=CUTS,
    crash=st.integers(0, 9),
    taken=st.booleans(),
    committed=st.booleans(),
)
def test_deletions_over_a_kill_anywhere_leave_the_last_value_at_the_time_it_came_back(
    steps: list[tuple[int, str | None]],
    cuts: list[int],
    again: list[int],
    crash: int,
    taken: bool,
    committed: bool,
) -> None:
    rows, said, changes = _deleting(steps)
    kissmetrics, database, done = FakeKissmetrics(), Database(), 0
    run = Run(MemoryStore(database))
    for number, some in enumerate(_cut(rows, cuts)):
        batch = run.plan(*some)
        if number < crash or taken or committed:
            _take(kissmetrics, calls_of(batch))
        if number < crash or committed:
            run.commit(batch)
        if number == crash:
            break
        done += len(some)
    run = Run(MemoryStore(database))
    for some in _cut(rows[done:], again):
        _take(kissmetrics, run.send(*some))
    sent = set(kissmetrics.properties.get(("p", "plan"), {}).items())
    assert changes <= sent <= said


def _take(kissmetrics: FakeKissmetrics, calls: Sequence[Call]) -> None:
    for call in calls:
        kissmetrics.take(call)


def _deleting(steps: list[tuple[int, str | None]]) -> tuple[list[Mapped], set[tuple[int, str]], set[tuple[int, str]]]:
    """Give rows that set and delete, the values they set, and those that are new or came back."""
    clock, last = 0, None
    rows: list[Mapped] = []
    said, changes = set(), set()
    for later, value in steps:
        clock += later
        rows.append(deleted("p", clock) if value is None else attributes("p", clock, plan=value))
        if value is not None:
            said.add((T0 + clock, value))
            if value != last:
                changes.add((T0 + clock, value))
        last = value
    return rows, said, changes


def test_what_is_equal_is_not_sent_also_by_the_next_process(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    assert times(Run(store).send(attributes("p", 0, plan="A"))) == [0]
    run = Run(store)
    assert run.send(attributes("p", 5, plan="A"), attributes("p", 6, Plan="A")) == []
    assert run.counts.unchanged == 2
    store.close()


def test_with_include_all_it_is(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    run = Run(store, include_all=True)
    assert times(run.send(attributes("p", 0, plan="A")) + run.send(attributes("p", 5, plan="A"))) == [0, 5]
    store.close()


def test_an_older_value_is_sent_with_its_own_time_and_is_not_the_last(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    run = Run(store)
    run.send(attributes("p", 10, plan="New"))
    assert times(run.send(attributes("p", 3, plan="Old"))) == [3]
    assert run.send(attributes("p", 11, plan="New")) == []
    store.close()


def test_another_value_in_the_same_second_moves_on_by_one(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    run = Run(store)
    sent = [call for value in "ABC" for call in run.send(attributes("p", 0, plan=value))]
    assert times(sent) == [0, 1, 2]
    assert Run(store).send(attributes("p", 0, plan="C")) == []
    store.close()


def test_rows_of_one_second_go_out_as_one_call_with_the_last_values(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    (call,) = Run(store).send(attributes("p", 0, plan="A", city="Oslo"), attributes("p", 0, Plan="B"))
    assert isinstance(call, Set)
    assert call.properties == {"Plan": "B", "city": "Oslo"}
    store.close()


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.sampled_from("ABC"), min_size=1, max_size=12), cut=st.integers(1, 12), again=st.integers(1, 12)
)
def test_a_kill_between_the_commit_and_the_state_changes_no_second(values: list[str], cut: int, again: int) -> None:
    """Everything was sent and committed, and no intent cleared; then all rows come again, cut elsewhere."""
    rows = [attributes("p", second, plan=value) for second, value in enumerate(values)]
    database, kissmetrics = Database(), FakeKissmetrics()
    run = Run(MemoryStore(database))
    for start in range(0, len(rows), cut):
        batch = run.plan(*rows[start : start + cut])
        _take(kissmetrics, calls_of(batch))
        run.commit(batch, clear=False)
    before = {key: dict(by_second) for key, by_second in kissmetrics.properties.items()}
    run = Run(MemoryStore(database))
    for start in range(0, len(rows), again):
        _take(kissmetrics, run.send(*rows[start : start + again]))
    assert kissmetrics.properties == before
    assert pending(run.store) == []


def test_what_another_process_sent_and_cleared_between_two_plans_is_seen(tmp_path: Path) -> None:
    """Although the person's first batch is in flight all the time."""
    one, other = Run(store_in(tmp_path)), Run(store_in(tmp_path))
    one.plan(attributes("p", 0, plan="A"))
    other.plan()
    assert times(other.send(attributes("p", 5, plan="B"))) == [5]
    assert times(calls_of(one.plan(attributes("p", 5, plan="C")))) == [6]
    one.store.close()
    other.store.close()
