"""When requests may start, by a clock that the tests move."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.kissmetrics.http.pacing import LONGEST_RAMP_SECONDS, RAMP_SECONDS, Pacing


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_without_a_ceiling_every_request_starts_now() -> None:
    pacing = Pacing(None, Clock())
    assert [pacing.reserve() for _ in range(100)] == [0.0] * 100


def test_starts_are_evenly_apart() -> None:
    pacing = Pacing(4, Clock())
    assert [pacing.reserve() for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]


def test_no_burst_follows_an_idle_time() -> None:
    clock = Clock()
    pacing = Pacing(4, clock)
    pacing.reserve()
    clock.now += 3600
    assert [pacing.reserve() for _ in range(3)] == [0.0, 0.25, 0.5]


@pytest.mark.parametrize("per_second", [None, 1000.0])
def test_a_pause_holds_everybody_and_then_ends(per_second: float | None) -> None:
    clock = Clock()
    pacing = Pacing(per_second, clock)
    pacing.pause(5)
    assert pacing.reserve() == 5.0
    clock.now += 2
    assert pacing.reserve() == pytest.approx(3.0 + RAMP_SECONDS, abs=0.01)
    clock.now += 3600
    assert pacing.reserve() == 0.0


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    pacing = Pacing(None, Clock())
    pacing.pause(5)
    pacing.pause(1)
    assert pacing.reserve() == 5.0
    pacing.pause(7)
    assert pacing.reserve() == 7.0


def test_after_a_pause_starts_are_apart_again() -> None:
    pacing = Pacing(2, Clock())
    pacing.pause(5)
    assert [pacing.reserve() for _ in range(3)] == [5.0, 5.5, 6.0]


def test_after_a_pause_connections_start_one_by_one_and_twice_as_many_each_time() -> None:
    clock = Clock()
    pacing = Pacing(None, clock)
    pacing.pause(5)
    starts = [pacing.reserve() - 5 for _ in range(64)]
    assert starts[0] == 0
    for doubled in range(1, 6):
        assert len([start for start in starts if start < doubled * RAMP_SECONDS - 1e-9]) == 2**doubled - 1
    clock.now += 5 + LONGEST_RAMP_SECONDS
    assert [pacing.reserve() for _ in range(64)] == [0.0] * 64


def test_a_start_that_was_reserved_before_a_pause_waits_for_its_end() -> None:
    clock = Clock()
    pacing = Pacing(1, clock)
    assert [pacing.reserve(), pacing.reserve()] == [0.0, 1.0]
    assert pacing.overtaken() == 0.0
    pacing.pause(5)
    clock.now += 1
    assert pacing.overtaken() == 4.0
    clock.now += 4
    assert pacing.overtaken() == 0.0


@given(
    st.floats(0.1, 1000),
    st.lists(st.tuples(st.floats(0, 5), st.one_of(st.none(), st.floats(0, 20))), min_size=2, max_size=40),
)
def test_whatever_happens_starts_are_apart_and_outside_of_pauses(
    per_second: float, steps: list[tuple[float, float | None]]
) -> None:
    clock = Clock(0.0)
    pacing = Pacing(per_second, clock)
    starts: list[float] = []
    paused_until = 0.0
    for idle, pause in steps:
        clock.now += idle
        if pause is not None:
            pacing.pause(pause)
            paused_until = max(paused_until, clock.now + pause)
        wait = pacing.reserve()
        assert wait >= 0
        starts.append(clock.now + wait)
        assert starts[-1] >= paused_until - 1e-6
    assert all(later - earlier >= 1 / per_second - 1e-6 for earlier, later in pairwise(starts))
