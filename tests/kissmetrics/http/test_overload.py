"""Overload is answered in proportion: a simulated host, whose clock moves from answer to answer."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Hashable

import pytest
from fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st
from scripted import SECONDS, Result, calls, make, outgoing

from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.kissmetrics.http.pacing import Pacing, Window
from target_kissmetrics.kissmetrics.http.retry import RetryPolicy
from target_kissmetrics.kissmetrics.http.transport import Outcome
from target_kissmetrics.kissmetrics.wire import Request

LATENCY = 0.05
CONNECTIONS = 64
BUSY = Outcome(503)
ASKING = Outcome(429, retry_after="1")
STRAYS = (BUSY, Outcome(429), Outcome(cause="reset"))

Host = Callable[[float], Outcome]
"""What the host answers to a request that arrives so many seconds after the start."""


class SimulatedTransport:
    """Answers each request after `LATENCY`; waiting moves the clock."""

    def __init__(self, clock: FakeClock, host: Host) -> None:
        self._clock = clock
        self._start = clock()
        self._host = host
        self._in_flight: list[tuple[float, int, Hashable, Outcome]] = []
        self._numbers = itertools.count()
        self.requests = 0

    def start(self, request: Request, mark: Hashable) -> None:  # noqa: ARG002
        self.requests += 1
        outcome = self._host(self._clock() - self._start)
        heapq.heappush(self._in_flight, (self._clock() + LATENCY, next(self._numbers), mark, outcome))

    def wait(self, seconds: float) -> list[tuple[Hashable, Outcome]]:
        until = self._clock() + seconds
        if not self._in_flight or self._in_flight[0][0] > until:
            self._clock.advance(seconds)
            return []
        self._clock.now = self._in_flight[0][0]
        answered = []
        while self._in_flight and self._in_flight[0][0] <= self._clock.now:
            _, _, mark, outcome = heapq.heappop(self._in_flight)
            answered.append((mark, outcome))
        return answered

    def wake(self) -> None:
        """Work is found by the next wait."""

    def close(self) -> None:
        """Nothing is open."""


class Run(Result):
    """Moments of acknowledgement, in seconds since the start."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self._start = clock()
        self.moments: list[float] = []
        self.requests = 0

    def acknowledged(self, outgoing: Outgoing, seconds: float, attempts: int) -> None:
        super().acknowledged(outgoing, seconds, attempts)
        self.moments.append(self._clock() - self._start)

    def rate_between(self, begin: float, end: float) -> float:
        return sum(begin <= moment < end for moment in self.moments) / (end - begin)


def send(number: int, host: Host, *, per_second: float | None = None) -> Run:
    clock = FakeClock()
    run, transport = Run(clock), SimulatedTransport(clock, host)
    dispatcher = make(
        transport, run, connections=CONNECTIONS, budget=300.0, pacing=Pacing(per_second, clock), clock=clock
    )
    jitter = random.Random(5)  # noqa: S311
    dispatcher.policy = RetryPolicy(300.0, lambda longest: jitter.uniform(0, longest))
    try:
        dispatcher.send(outgoing(calls(number)), run.batch(0))
        run.wait(lambda: bool(run.errors) or run.batches == [0])
    finally:
        dispatcher.close(SECONDS)
    assert not run.errors
    run.requests = transport.requests
    return run


def well(_: float) -> Outcome:
    return Outcome(200)


def straying(outcome: Outcome, seed: int) -> Host:
    chance = random.Random(seed)  # noqa: S311
    return lambda _: outcome if chance.random() < 0.05 else Outcome(200)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("outcome", "number", "most"),
    [
        *((outcome, number, most) for outcome in STRAYS for number, most in ((600, 3.0), (20_000, 1.5))),
        (ASKING, 20_000, 1.5),
    ],
    ids=str,
)
def test_a_stray_failure_in_twenty_delays_little_more_than_its_own_call(
    outcome: Outcome, number: int, most: float, seed: int
) -> None:
    alone = send(number, well).moments[-1]
    # What is measured of a process begins with half a second to start.
    assert (0.5 + send(number, straying(outcome, seed)).moments[-1]) / (0.5 + alone) <= most


def fixed_window(now: float, seen: deque[float]) -> bool:
    return sum(int(moment) == int(now) for moment in seen) < 200


def sliding_window(now: float, seen: deque[float]) -> bool:
    return sum(moment > now - 1 for moment in seen) < 200


@pytest.mark.parametrize("retry_after", ["1", None])
@pytest.mark.parametrize("allows", [fixed_window, sliding_window])
def test_a_host_s_limit_is_used(allows: Callable[[float, deque[float]], bool], retry_after: str | None) -> None:
    seen: deque[float] = deque(maxlen=400)

    def host(now: float) -> Outcome:
        if not allows(now, seen):
            return Outcome(429, retry_after=retry_after)
        seen.append(now)
        return Outcome(200)

    run = send(4_000, host)
    assert 4_000 / run.moments[-1] >= 0.8 * 200
    if retry_after:
        assert run.requests <= 1.5 * 4_000


@pytest.mark.parametrize("outcome", [BUSY, Outcome(cause="connection refused"), ASKING], ids=str)
@pytest.mark.parametrize("per_second", [None, 500.0])
def test_after_an_outage_the_rate_is_full_again_within_three_seconds(
    outcome: Outcome, per_second: float | None
) -> None:
    run = send(20_000, lambda now: outcome if 2 <= now < 12 else Outcome(200), per_second=per_second)
    full = run.rate_between(0.5, 2)
    assert run.rate_between(15, 17) >= 0.9 * full
    in_outage = run.requests - 20_000
    assert in_outage <= 20 * CONNECTIONS


def test_a_host_that_bears_twenty_requests_at_once_gets_about_so_many() -> None:
    window, failed = Window(64), 0
    for _ in range(200):
        excess = max(0, window.size - 20)
        window.answered(window.size, excess, window.size)
        failed += excess
    assert 16 <= window.size <= 26
    assert failed <= 0.2 * 200 * 20


@given(st.lists(st.tuples(st.integers(1, 64), st.floats(0, 1)), max_size=200), st.integers(1, 64))
def test_the_window_stays_between_one_and_its_limit(groups: list[tuple[int, float]], limit: int) -> None:
    window = Window(limit)
    for answers, share in groups:
        window.answered(answers, int(answers * share), limit // 2)
        assert 1 <= window.size <= limit


def test_the_window_is_cut_once_a_round_trip() -> None:
    window = Window(64)
    window.answered(64, 64, 64)
    assert window.size == 32
    window.answered(64, 64, 32)
    assert window.size == 32
    window.answered(32, 32, 32)
    assert window.size == 16
