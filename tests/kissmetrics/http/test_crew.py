"""How many threads are at work."""

from __future__ import annotations

import threading

import pytest

from target_kissmetrics.kissmetrics.http.crew import FEWEST, Crew

COMPUTING = 0.0005


def settled(crew: Crew, latency: float, computing: float = COMPUTING) -> int:
    """Let threads work against a host of some latency, one of them computing at a time, until their number stays."""
    for _ in range(5000):
        at_once = crew.limit
        # Either the host is waited for, or the other threads are.
        seconds = max(latency + computing, at_once * computing)
        crew.worked(computing, seconds if at_once > FEWEST + 1 else latency + computing)
    return crew.limit


def test_where_the_host_is_slow_all_are_at_work() -> None:
    assert settled(Crew(64), 0.05) == 64
    assert settled(Crew(32), 2.0) == 32


def test_where_it_answers_at_once_a_few_are_and_where_it_becomes_slow_all_are_again() -> None:
    crew = Crew(64)
    # As it is with threads that get in each other's way: now and then one is not held up.
    for _ in range(2000):
        for seconds in (crew.limit * COMPUTING, COMPUTING * 1.5):
            crew.worked(COMPUTING, max(seconds, COMPUTING * 1.5))
    assert crew.limit <= 8
    assert settled(crew, 0.05) == 64


def test_those_that_just_suffice_are_not_sent_away() -> None:
    # 64 x 0.8 ms of computing in 51 ms: the interpreter is busy, and half of the threads would do half of the work.
    crew = Crew(64)
    for _ in range(1000):
        crew.worked(0.0008, 0.0512)
    assert crew.limit == 64


@pytest.mark.parametrize("size", [1, 2])
def test_a_small_crew_stays_as_it_is(size: int) -> None:
    assert settled(Crew(size), 0.0) == size


def test_a_clock_that_counts_no_processor_time_changes_nothing() -> None:
    crew = Crew(16)
    for _ in range(100):
        crew.worked(0.0, 0.001)
    assert crew.limit == 16


def test_at_the_end_nobody_stands_by() -> None:
    crew = Crew(8)
    for _ in range(200):
        crew.worked(0.001, 0.001)
    assert crew.limit <= FEWEST + 1
    waiting = threading.Thread(target=crew.wait, args=(7,), daemon=True)
    waiting.start()

    crew.end()

    waiting.join(20)
    assert not waiting.is_alive()
    crew.worked(0.001, 0.001)
    assert crew.limit == 8
