"""A STATE is never ahead of delivery, and comes out as soon as it is earned."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes import pending

from target_kissmetrics.errors import StoreError, Unreachable
from target_kissmetrics.kissmetrics.calls import Outgoing, Record
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.monitor import Monitor
from target_kissmetrics.reporting.reject_policy import RejectSink
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.sync.batch import BatchRow
from target_kissmetrics.sync.pipeline import Pipeline
from target_kissmetrics.sync.planner import Planner

PATIENCE = 10.0


class HeldDelivery:
    """Takes calls when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[list[str], Callable[[], None]]] = []
        self.arrived = threading.Condition()
        self.failed: Callable[[BaseException], None] = lambda _: None

    def send(self, calls: Sequence[Outgoing], acknowledged: Callable[[], None]) -> None:
        if not calls:
            acknowledged()
            return
        with self.arrived:
            self.waiting.append(([outgoing.call.person for outgoing in calls], acknowledged))
            self.arrived.notify_all()

    def take(self, person: str) -> None:
        """Take the parcel that holds somebody's call; waits until it is there."""

        def there() -> bool:
            return any(person in people for people, _ in self.waiting)

        with self.arrived:
            assert self.arrived.wait_for(there, PATIENCE)
            entry = next(entry for entry in self.waiting if person in entry[0])
        entry[1]()

    def tick(self) -> None:
        """Nothing is due."""

    def close(self, patience: float) -> None:
        """Nothing is open."""


class States:
    def __init__(self) -> None:
        self.out: list[Any] = []
        self.changed = threading.Condition()

    def __call__(self, value: Any) -> None:
        with self.changed:
            self.out.append(value)
            self.changed.notify_all()

    def wait_for(self, value: Any) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.out[-1:] == [value], PATIENCE), self.out


class Quiet(RejectSink):
    def __init__(self) -> None:
        self.flush_fails: list[Callable[[], None]] = []

    def flush(self) -> None:
        """Write, or fail as often as a test says."""
        if self.flush_fails:
            self.flush_fails.pop()()
            raise StoreError("the disk is full")


class Bench:
    def __init__(self, folder: Path) -> None:
        self.delivery = HeldDelivery()
        self.states = States()
        self.counts = StreamCounts("s")
        self.store = SqlStore(f"sqlite:///{(folder / 'store.db').as_posix()}", "p" * 16)
        self.told = threading.Event()
        self.rejects = Quiet()
        planner = Planner(
            store=self.store,
            include_all=False,
            max_aliases=10,
            reject=lambda *_: None,
            warn=lambda *_: None,
        )
        self.pipeline = Pipeline(
            planner=planner,
            store=self.store,
            delivery=self._delivery,
            emit=self.states,
            rejects=self.rejects,
            monitor=Monitor(lambda: [self.counts]),
            interrupt=self.told.set,
            batch_rows=1,
        )

    def _delivery(self, failed: Callable[[BaseException], None]) -> HeldDelivery:
        self.delivery.failed = failed
        return self.delivery

    def row(self, person: str, *, once: bool = False) -> None:
        call = Record(person, "E", 1_700_000_000, once=once)
        self.pipeline.add(BatchRow(self.counts, Mapped(calls=[call]), {}))


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    bench = Bench(tmp_path)
    yield bench
    bench.delivery.failed(Unreachable("the test is over"))
    bench.pipeline.abandon()
    bench.store.close()


def test_a_state_comes_out_once_all_before_it_was_taken_and_not_only_at_the_end(bench: Bench) -> None:
    bench.row("a")
    bench.pipeline.state(1)
    bench.row("b")
    bench.pipeline.state(2)
    bench.delivery.take("b")
    assert bench.states.out == []
    bench.delivery.take("a")
    bench.states.wait_for(2)
    bench.pipeline.finish(complete=True)
    assert bench.counts.record_calls == 2


def test_a_failed_run_passes_on_the_last_state_that_was_earned(bench: Bench) -> None:
    bench.row("a")
    bench.pipeline.state(1)
    bench.delivery.take("a")
    bench.states.wait_for(1)
    bench.row("b")
    bench.pipeline.state(2)
    bench.delivery.failed(Unreachable("gone"))
    assert bench.told.wait(PATIENCE)
    with pytest.raises(Unreachable):
        bench.pipeline.finish(complete=True)
    assert bench.states.out == [1]


def test_after_a_failure_no_row_is_taken(bench: Bench) -> None:
    bench.delivery.failed(Unreachable("gone"))
    with pytest.raises(Unreachable):
        bench.row("a")
    with pytest.raises(Unreachable):
        bench.pipeline.state(1)


def test_a_store_that_cannot_remember_ends_the_run_without_the_state(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(bench.store, "add_intents", broken)
    monkeypatch.setattr(bench.store, "commit", broken)
    bench.pipeline.add(BatchRow(bench.counts, Mapped(calls=[Record("a", "E", 1_700_000_000, once=True)]), {}))
    with contextlib.suppress(StoreError):  # which may have come already
        bench.pipeline.state(1)
    with pytest.raises(StoreError):
        bench.pipeline.finish(complete=True)
    assert bench.states.out == []


def test_a_store_that_failed_once_and_then_works_passes_no_later_state_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = bench.store.commit
    failures = [StoreError("the database is locked")]

    def failing_once(*arguments: Any) -> None:
        if failures:
            bench.delivery.take("b")
            raise failures.pop()
        commit(*arguments)

    monkeypatch.setattr(bench.store, "commit", failing_once)
    for person in "ab":
        bench.row(person, once=True)
        bench.pipeline.state(person)
    bench.delivery.take("a")
    with pytest.raises(StoreError):
        bench.pipeline.finish(complete=True)
    assert bench.states.out == []


def test_rejects_that_could_not_be_written_once_hold_every_later_state_back(bench: Bench) -> None:
    bench.rejects.flush_fails = [lambda: bench.delivery.take("b")]
    for person in "ab":
        bench.row(person)
        bench.pipeline.state(person)
    bench.delivery.take("a")
    with pytest.raises(StoreError):
        bench.pipeline.finish(complete=True)
    assert bench.states.out == []


def test_a_stream_on_probation_holds_state_back_until_the_input_ends(bench: Bench) -> None:
    doubtful = StreamCounts("t")
    doubtful.rejected["no-identity"] += 1
    bench.pipeline.state(1)
    bench.pipeline.state(2, (doubtful,))
    bench.states.wait_for(1)
    bench.pipeline.finish(complete=True)
    assert bench.states.out == [1, 2]


def test_however_many_wait_for_one_stream_the_last_of_them_is_kept_alone(bench: Bench) -> None:
    """A small stream of rejects may be on probation for as long as a run takes."""
    doubtful, worse = StreamCounts("t"), StreamCounts("u")
    for counts in (doubtful, worse):
        counts.rejected["no-identity"] += 1
    for number in range(200):
        bench.pipeline.state(number, (doubtful,) if number < 190 else (doubtful, worse))
    bench.row("a")
    bench.delivery.take("a")
    bench.pipeline.state(200, (doubtful, worse))
    bench.pipeline.finish(complete=False)
    assert [state.value for state in bench.pipeline._states] == [189, 200]
    assert bench.states.out == []


def test_a_stream_that_is_accepted_at_last_lets_the_state_out_that_waited_for_it_alone(bench: Bench) -> None:
    doubtful, worse = StreamCounts("t"), StreamCounts("u")
    for counts in (doubtful, worse):
        counts.rejected["no-identity"] += 1
    bench.pipeline.state(1, (doubtful,))
    bench.pipeline.state(2, (doubtful, worse))
    doubtful.accepted = 1
    bench.states.wait_for(1)
    worse.accepted = 1
    bench.states.wait_for(2)


def test_and_for_good_when_the_input_was_cut_off(bench: Bench) -> None:
    doubtful = StreamCounts("t")
    doubtful.rejected["no-identity"] += 1
    bench.pipeline.state(2, (doubtful,))
    bench.pipeline.finish(complete=False)
    assert bench.states.out == []


def remembered(bench: Bench, *people: str) -> set[str]:
    digests = bench.store.digests
    known = bench.store.last_sent([digests.person(person) for person in people])
    return {person for person in people if digests.person(person) in known}


def test_what_was_taken_is_remembered_with_its_state_and_not_before(bench: Bench) -> None:
    """Else a run that repeats rows after a crash would take some for older ones, and send what had not changed."""
    bench.row("a", once=True)
    bench.pipeline.state(1)
    bench.row("b", once=True)
    bench.delivery.take("b")
    bench.delivery.take("a")
    bench.states.wait_for(1)
    assert remembered(bench, "a", "b") == {"a"}
    bench.pipeline.state(2)
    bench.states.wait_for(2)
    assert remembered(bench, "a", "b") == {"a", "b"}


def test_a_run_that_ends_well_remembers_all_it_sent_without_a_state(bench: Bench) -> None:
    bench.row("a", once=True)
    bench.delivery.take("a")
    bench.pipeline.finish(complete=True)
    assert remembered(bench, "a") == {"a"}


def test_one_that_does_not_leaves_what_is_behind_the_last_state_to_the_next_run(bench: Bench) -> None:
    bench.row("a", once=True)
    bench.delivery.take("a")
    bench.pipeline.finish(complete=False)
    assert remembered(bench, "a") == set()
    assert [intent.new.person for intent in pending(bench.store)] == [bench.store.digests.person("a")]


def test_without_any_state_it_is_remembered_once_it_is_much(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("target_kissmetrics.sync.pipeline.MAX_CALLS_UNCOMMITTED", 1)
    for person in "abc":
        bench.row(person, once=True)
        bench.delivery.take(person)
    bench.delivery.failed(Unreachable("gone"))
    bench.pipeline.abandon()
    assert remembered(bench, "a", "b") == {"a", "b"}


def test_what_was_noted_stays_until_its_state_is_out_and_is_struck_out_at_the_end(bench: Bench) -> None:
    bench.row("a", once=True)
    bench.pipeline.state(1)
    bench.delivery.take("a")
    bench.states.wait_for(1)
    assert len(pending(bench.store)) == 1
    bench.pipeline.finish(complete=True)
    assert pending(bench.store) == []


def test_consecutive_states_are_one_and_states_wait_for_room_behind_a_stalled_host(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("target_kissmetrics.sync.pipeline.MAX_BATCHES_IN_FLIGHT", 3)
    taken = 0

    def read() -> None:
        nonlocal taken
        for number in range(50):
            bench.row(f"p{number}")
            for again in range(100):
                bench.pipeline.state((number, again))
            taken = number + 1

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    pipeline = bench.pipeline
    with pipeline._changed:
        assert pipeline._changed.wait_for(lambda: len(pipeline._in_flight) > 3 and pipeline._queue, PATIENCE)
        assert len(pipeline._in_flight) + len(pipeline._queue) <= 6
        assert taken <= 6
    while reader.is_alive():
        for person in [person for people, _ in list(bench.delivery.waiting) for person in people]:
            bench.delivery.take(person)
        reader.join(0.01)
    for number in range(50):
        bench.delivery.take(f"p{number}")
    bench.pipeline.finish(complete=True)
    assert bench.states.out[-1] == (49, 99)
    assert all(again == 99 for _, again in bench.states.out)
