"""A dispatcher over a transport that answers as a script says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from target_kissmetrics.errors import DeliveryError
from target_kissmetrics.kissmetrics.calls import Call, Outgoing, Set
from target_kissmetrics.kissmetrics.http.dispatcher import Dispatcher
from target_kissmetrics.kissmetrics.http.pacing import Pacing
from target_kissmetrics.kissmetrics.http.retry import RetryPolicy
from target_kissmetrics.kissmetrics.http.transport import Outcome, Transport
from target_kissmetrics.kissmetrics.wire import Encoder, Request

SECONDS = 30.0
"""No test waits longer for what has to happen."""


class ScriptedTransport:
    """Answers with the given outcomes in turn, then 200.

    Args:
        outcomes: In turn.
        answer: Gives the outcome of a request, instead.

    Attributes:
        started: Every request that was attempted.
        most: The most attempts that were in flight at once.
        closed: How often it was closed.
    """

    def __init__(self, *outcomes: Outcome, answer: Callable[[Request], Outcome] | None = None) -> None:
        self._outcomes = list(outcomes)
        self._answer = answer or self._in_turn
        self._is_stalled: Callable[[Request], bool] = lambda _: False
        self._in_flight: list[tuple[Request, Hashable]] = []
        self._woken = threading.Event()
        self.started: list[Request] = []
        self.most = 0
        self.closed = 0

    def _in_turn(self, _: Request) -> Outcome:
        return self._outcomes.pop(0) if self._outcomes else Outcome(200)

    def stall(self, is_stalled: Callable[[Request], bool]) -> None:
        """Do not answer some requests until the next call."""
        self._is_stalled = is_stalled
        self.wake()

    def start(self, request: Request, mark: Hashable) -> None:
        self.started.append(request)
        self._in_flight.append((request, mark))
        self.most = max(self.most, len(self._in_flight))

    def wait(self, seconds: float) -> list[tuple[Hashable, Outcome]]:
        answered = [entry for entry in self._in_flight if not self._is_stalled(entry[0])]
        if not answered:
            self._woken.wait(seconds)
            self._woken.clear()
        self._in_flight = [entry for entry in self._in_flight if entry not in answered]
        return [(mark, self._answer(request)) for request, mark in answered]

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        self.closed += 1


@dataclass
class Result:
    """What a dispatcher reported: batches acknowledged, errors, log lines, and what its monitor saw."""

    batches: list[int] = field(default_factory=list)
    errors: list[DeliveryError] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    calls: list[tuple[Call, float, int]] = field(default_factory=list)
    retries: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def failed(self, error: DeliveryError) -> None:
        with self.changed:
            self.errors.append(error)
            self.changed.notify_all()

    def batch(self, number: int) -> Callable[[], None]:
        def acknowledged() -> None:
            with self.changed:
                self.batches.append(number)
                self.changed.notify_all()

        return acknowledged

    def acknowledged(self, outgoing: Outgoing, seconds: float, attempts: int) -> None:
        self.calls.append((outgoing.call, seconds, attempts))

    def retried(self, why: str) -> None:
        with self.changed:
            self.retries.append(why)
            self.changed.notify_all()

    def wait(self, what: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(what, SECONDS), "it did not happen in time"


def calls(number: int, start: int = 0) -> list[Call]:
    return [Set(f"person-{n}", 1_700_000_000, {"plan": "Gold"}) for n in range(start, start + number)]


def outgoing(batch: Sequence[Call]) -> list[Outgoing]:
    return [Outgoing(None, call) for call in batch]


def make(
    transport: Transport | Callable[[], Transport],
    result: Result,
    *,
    connections: int = 1,
    budget: float = 10.0,
    wait: float = 0.0,
    pacing: Pacing | None = None,
    host: str = "https://trk.example",
    clock: Callable[[], float] = time.monotonic,
) -> Dispatcher:
    """Make a dispatcher whose retries wait so many seconds each."""
    return Dispatcher(
        encoder=Encoder("s3cret"),
        transport=transport if callable(transport) else lambda: transport,
        policy=RetryPolicy(budget, lambda longest: min(longest, wait)),
        pacing=pacing or Pacing(),
        connections=connections,
        host=host,
        failed=result.failed,
        warn=result.lines.append,
        acknowledged=result.acknowledged,
        retried=result.retried,
        clock=clock,
    )


def deliver(
    transport: Transport, *batches: Sequence[Call], connections: int = 1, budget: float = 10.0, wait: float = 0.0
) -> Result:
    """Send batches and wait until all are acknowledged or the delivery failed."""
    result = Result()
    dispatcher = make(transport, result, connections=connections, budget=budget, wait=wait)
    try:
        for number, batch in enumerate(batches):
            dispatcher.send(outgoing(batch), result.batch(number))
        result.wait(lambda: bool(result.errors) or len(result.batches) == len(batches))
    finally:
        dispatcher.close(SECONDS)
    return result
