"""Transports that answer what they were told to, and what a delivery over them comes to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from target_kissmetrics.kissmetrics.calls import Call, Set
from target_kissmetrics.kissmetrics.delivery import ApiDelivery
from target_kissmetrics.kissmetrics.errors import DeliveryError
from target_kissmetrics.kissmetrics.pacing import Pacing
from target_kissmetrics.kissmetrics.retry import RetryPolicy
from target_kissmetrics.kissmetrics.transport import Outcome
from target_kissmetrics.kissmetrics.wire import Encoder, Request

SECONDS = 30.0
"""No test waits longer for what has to happen."""


class Script:
    """Answers shared by the transports of one delivery: the given ones in turn, then 200 for ever.

    Attributes:
        asked: Every request that was attempted.
        gate: Attempts wait here.
        opened: Transports made.
        closed: Transports closed.
        most: The most attempts that were under way at once.
    """

    def __init__(self, *outcomes: Outcome, answer: Callable[[Request], Outcome] | None = None) -> None:
        self._outcomes = list(outcomes)
        self._answer = answer or self._in_turn
        self._lock = threading.Lock()
        self.asked: list[Request] = []
        self.gate = threading.Event()
        self.gate.set()
        self.opened = 0
        self.closed = 0
        self.most = 0
        self._now = 0

    def transport(self) -> ScriptedTransport:
        with self._lock:
            self.opened += 1
        return ScriptedTransport(self)

    def attempt(self, request: Request) -> Outcome:
        with self._lock:
            self.asked.append(request)
            self._now += 1
            self.most = max(self.most, self._now)
        assert self.gate.wait(SECONDS)
        with self._lock:
            self._now -= 1
            return self._answer(request)

    def _in_turn(self, _: Request) -> Outcome:
        return self._outcomes.pop(0) if self._outcomes else Outcome(200)


@dataclass
class ScriptedTransport:
    script: Script

    def attempt(self, request: Request) -> Outcome:
        return self.script.attempt(request)

    def close(self) -> None:
        self.script.closed += 1


@dataclass
class Ending:
    """What a delivery told: parcels that were delivered, errors, lines for a person."""

    parcels: list[int] = field(default_factory=list)
    errors: list[DeliveryError] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def failed(self, error: DeliveryError) -> None:
        with self.changed:
            self.errors.append(error)
            self.changed.notify_all()

    def delivered(self, parcel: int) -> Callable[[], None]:
        def taken() -> None:
            with self.changed:
                self.parcels.append(parcel)
                self.changed.notify_all()

        return taken

    def wait(self, what: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(what, SECONDS), "it did not happen in time"


def calls(number: int, start: int = 0) -> list[Call]:
    return [Set(f"person-{n}", 1_700_000_000, {"plan": "Gold"}) for n in range(start, start + number)]


def no_wait(_: float) -> float:
    return 0.0


def make(
    script: Script,
    ending: Ending,
    *,
    connections: int = 1,
    budget: float = 10.0,
    jitter: Callable[[float], float] = no_wait,
    pacing: Pacing | None = None,
    transport: Callable[[], ScriptedTransport] | None = None,
) -> ApiDelivery:
    return ApiDelivery(
        encoder=Encoder("s3cret"),
        transport=transport or script.transport,
        policy=RetryPolicy(budget, jitter),
        pacing=pacing or Pacing(),
        connections=connections,
        host="https://trk.example",
        failed=ending.failed,
        told=ending.lines.append,
    )


def deliver(
    script: Script,
    *parcels: Sequence[Call],
    connections: int = 1,
    budget: float = 10.0,
    jitter: Callable[[float], float] = no_wait,
) -> Ending:
    """Send the parcels and wait until all were delivered or the delivery failed."""
    ending = Ending()
    delivery = make(script, ending, connections=connections, budget=budget, jitter=jitter)
    try:
        for number, parcel in enumerate(parcels):
            delivery.send(parcel, ending.delivered(number))
        ending.wait(lambda: bool(ending.errors) or len(ending.parcels) == len(parcels))
    finally:
        delivery.close(SECONDS)
    return ending
