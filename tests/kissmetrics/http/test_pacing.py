"""When requests may start, by a clock that the tests move."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.kissmetrics.http.pacing import Pacing


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def starts(pacing: Pacing, clock: Clock, count: int) -> list[float]:
    """Start requests as soon as they may; give the seconds from now until each start."""
    began = clock.now
    moments: list[float] = []
    while len(moments) < count:
        seconds = pacing.start()
        if seconds > 0:
            clock.now += seconds
        else:
            moments.append(clock.now - began)
    return moments


def test_without_a_ceiling_every_request_starts_now() -> None:
    clock = Clock()
    assert starts(Pacing(None, clock), clock, 100) == [0.0] * 100


def test_starts_are_evenly_apart_and_no_burst_follows_an_idle_time() -> None:
    clock = Clock()
    pacing = Pacing(4, clock)
    assert starts(pacing, clock, 4) == [0.0, 0.25, 0.5, 0.75]
    clock.now += 3600
    assert starts(pacing, clock, 3) == [0.0, 0.25, 0.5]


def test_a_late_caller_does_not_lower_the_rate() -> None:
    clock = Clock()
    pacing = Pacing(4, clock)
    moments = []
    for _ in range(9):
        moments += starts(pacing, clock, 1)
        clock.now += 0.26
        assert pacing.start() == 0.0
        clock.now += 0.24
    assert clock.now - 1000 <= 9 * 0.5 + 0.01


@pytest.mark.parametrize("per_second", [None, 1000.0])
def test_a_pause_stops_all_starts_and_then_ends(per_second: float | None) -> None:
    clock = Clock()
    pacing = Pacing(per_second, clock)
    assert pacing.pause(5)
    assert pacing.start() == 5.0
    clock.now += 2
    assert pacing.start() == 3.0
    clock.now += 3600
    assert pacing.start() == 0.0


def test_a_pause_that_is_not_longer_changes_nothing() -> None:
    pacing = Pacing(None, Clock())
    assert pacing.pause(5)
    assert not pacing.pause(1)
    assert pacing.start() == 5.0
    assert not pacing.pause(7)
    assert pacing.start() == 7.0
    assert not Pacing(None, Clock()).pause(0)


def test_after_a_pause_starts_are_apart_again() -> None:
    clock = Clock()
    pacing = Pacing(2, clock)
    pacing.pause(5)
    assert starts(pacing, clock, 3) == [5.0, 5.5, 6.0]


@given(
    st.floats(0.1, 1000),
    st.lists(st.tuples(st.floats(0, 5), st.one_of(st.none(), st.floats(0, 20))), min_size=2, max_size=40),
)
def test_the_rate_stays_below_its_ceiling_and_nothing_starts_in_a_pause(
    per_second: float, steps: list[tuple[float, float | None]]
) -> None:
    clock = Clock(0.0)
    pacing = Pacing(per_second, clock)
    moments: list[float] = []
    paused_until = 0.0
    for idle, pause in steps:
        clock.now += idle
        if pause is not None:
            pacing.pause(pause)
            paused_until = max(paused_until, clock.now + pause)
        began = clock.now
        moments += [began + start for start in starts(pacing, clock, 1)]
        assert moments[-1] >= paused_until - 1e-6
    for first, one in enumerate(moments):
        for count, other in enumerate(moments[first:]):
            assert other - one >= (count - 1) / per_second - 1e-6
    assert all(later >= earlier for earlier, later in pairwise(moments))
