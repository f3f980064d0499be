"""A run with `max_calls` sends no call beyond, and no STATE ahead of its rows; the runs after it send the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from fakes import Database, FakeKissmetrics, MemoryStore, pending
from hypothesis import example, given, settings
from hypothesis import strategies as st
from planning import T0, alias, attributes, once, order

from target_kissmetrics.kissmetrics.calls import Call, Outgoing
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.monitor import Monitor
from target_kissmetrics.reporting.reject_policy import RejectSink
from target_kissmetrics.sync.batch import Batch, BatchRow
from target_kissmetrics.sync.call_limit import CallLimit
from target_kissmetrics.sync.pipeline import Pipeline
from target_kissmetrics.sync.planner import Planner


class Answering:
    """Acknowledges every call at once."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def send(self, calls: Sequence[Outgoing], acknowledged: Callable[[], None]) -> None:
        self.calls += [outgoing.call for outgoing in calls]
        acknowledged()

    def tick(self) -> None:
        """Nothing is due."""

    def close(self, patience: float) -> None:
        """Nothing is open."""


class NoRejects(RejectSink):
    def flush(self) -> None:
        """Nothing was rejected."""


class Run:
    """A run over the rows of a source.

    Attributes:
        calls: What it sent.
        states: The STATE messages that it emitted.
        limit: Its limit.
        interrupted: It asked its reader to stop.
    """

    def __init__(self, database: Database, max_calls: int | None, batch_rows: int = 1000) -> None:
        self.limit = CallLimit(max_calls)
        self.states: list[Any] = []
        self.interrupted = threading.Event()
        self._counts = StreamCounts("s")
        delivery = Answering()
        self.calls = delivery.calls
        store = MemoryStore(database)
        planner = Planner(
            store=store,
            include_all=False,
            max_aliases=10,
            reject=lambda *_: None,
            warn=lambda *_: None,
        )
        self._pipeline = Pipeline(
            planner=planner,
            store=store,
            delivery=lambda _: delivery,
            emit=self.states.append,
            rejects=NoRejects(),
            monitor=Monitor(lambda: [self._counts]),
            interrupt=self.interrupted.set,
            limit=self.limit,
            batch_rows=batch_rows,
        )

    def send(self, rows: Sequence[Mapped], states: Sequence[int], begin: int = 0) -> Run:
        """Send the rows from one on; a STATE stands behind each number of rows in `states`."""
        for number, row in enumerate(rows[begin:], begin + 1):
            self._pipeline.add(BatchRow(self._counts, row, {"number": number}))
            if number in states:
                self._pipeline.state(number)
        self._pipeline.finish(complete=True)
        return self


def people(count: int) -> list[Mapped]:
    return [attributes(f"p{number}", number, plan="A") for number in range(count)]


@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
def test_rows_behind_the_limit_are_not_sent_and_their_state_is_not_emitted(batch_rows: int) -> None:
    run = Run(Database(), 5, batch_rows).send(people(12), [2, 4, 6, 12])
    assert len(run.calls) == 5
    assert run.states[-1] == 4
    assert run.interrupted.is_set()
    assert "max_calls: 5 calls were sent" in run.limit.ending
    assert [row.record["number"] for row in run.limit.unsent] == list(range(6, 13))


@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
def test_a_run_whose_rows_just_fit_is_complete(batch_rows: int) -> None:
    run = Run(Database(), 12, batch_rows).send(people(12), [12])
    assert (len(run.calls), run.states, run.limit.is_reached, run.interrupted.is_set()) == (12, [12], False, False)


@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
def test_what_is_unchanged_leaves_room_for_the_rows_behind_it(batch_rows: int) -> None:
    database = Database()
    Run(database, None).send(people(12), [12])
    run = Run(database, 2, batch_rows).send([*people(12), *people(14)[12:]], [14])
    assert (len(run.calls), run.states) == (2, [14])


def test_what_was_sent_behind_the_last_state_is_stored_and_its_intents_stay_for_the_next_run() -> None:
    database = Database()
    run = Run(database, 5).send(people(12), [4])
    assert run.states == [4]
    digests = MemoryStore(database).digests
    assert set(database.people) == {digests.person(f"p{number}") for number in range(5)}
    assert [intent.new.person for intent in pending(MemoryStore(database))] == [digests.person("p4")]
    again = Run(database, None).send(people(12), [12], 4)
    assert [call.person for call in again.calls] == [f"p{number}" for number in range(5, 12)]
    assert pending(MemoryStore(database)) == []


def test_a_row_that_needs_more_calls_than_are_left_is_not_begun() -> None:
    rows = [order("a", 0, items=2), order("b", 10, items=2), order("c", 20)]
    run = Run(Database(), 5).send(rows, [1, 2, 3])
    assert (len(run.calls), run.states[-1]) == (3, 1)
    alone = Run(Database(), 2).send(rows, [1, 2, 3])
    assert (alone.calls, alone.states) == ([], [])
    assert "raise max_calls" in alone.limit.ending


def test_more_calls_than_the_rows_had_are_cut_and_their_rows_are_repeated() -> None:
    limit = CallLimit(3)
    counts = StreamCounts("s")
    planned = [Batch([BatchRow(counts, row, {})]) for row in people(3)]
    (part,) = limit.parts(planned)
    for batch in part:
        batch.calls = [Outgoing(counts, call) for call in batch.rows[0].mapped.calls * 2]
        batch.update.people[b"p"] = {}
        batch.intents = [1]
    limit.count(part)
    assert [len(batch.calls) for batch in part] == [2, 1, 0]
    assert [bool(batch.update) for batch in part] == [True, False, False]
    assert [batch.intents for batch in part] == [[1], [], []]
    assert limit.is_reached
    assert len(limit.unsent) == 2


ROWS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from("pq"), st.integers(1, 2), st.sampled_from("AB")),
        st.tuples(st.just("once"), st.sampled_from("pqr")),
        st.tuples(st.just("alias"), st.sampled_from("pq"), st.sampled_from("xy")),
        st.tuples(st.just("order"), st.sampled_from("abc"), st.integers(0, 2)),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=150)
@example(
    steps=[("set", "p", 1, "A"), ("set", "p", 1, "A"), ("set", "p", 1, "B")], states=set(), limits=[2], batch_rows=1
)
@given(
    steps=ROWS,
    states=st.sets(st.integers(1, 12)),
    limits=st.lists(st.integers(1, 6), max_size=4),
    batch_rows=st.sampled_from([1, 3, 1000]),
)
def test_limited_runs_and_a_last_one_give_kissmetrics_what_one_run_does(
    steps: list[tuple[Any, ...]], states: set[int], limits: list[int], batch_rows: int
) -> None:
    whole, parts, database, position = FakeKissmetrics(), FakeKissmetrics(), Database(), 0
    _take(whole, Run(Database(), None).send(_mapped(steps), []).calls)
    for max_calls in [*limits, None]:
        run = Run(database, max_calls, batch_rows).send(_mapped(steps), sorted(states), position)
        assert max_calls is None or len(run.calls) <= max_calls
        _take(parts, run.calls)
        position = max([position, *run.states])
        if not run.limit.is_reached:
            break  # complete: one more run would read all rows again
    assert parts == whole


def _mapped(steps: list[tuple[Any, ...]]) -> list[Mapped]:
    """Give new rows; the seconds of attributes are those of the steps before, added up."""
    rows, clock = [], 0
    for step in steps:
        if step[0] == "set":
            clock += step[2]
            rows.append(attributes(step[1], clock, plan=step[3]))
        elif step[0] == "once":
            rows.append(once(step[1], 5))
        elif step[0] == "alias":
            rows.append(alias(step[1], step[2]))
        else:
            rows.append(order(step[1], 10 * ord(step[1]), items=step[2]))
    return rows


def _take(kissmetrics: FakeKissmetrics, calls: Sequence[Call]) -> None:
    for call in calls:
        assert getattr(call, "time", T0) >= T0
        kissmetrics.take(call)
