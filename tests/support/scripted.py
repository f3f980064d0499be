"""Transports that answer what they were told to, and what a delivery over them comes to."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from target_kissmetrics.errors import DeliveryError
from target_kissmetrics.kissmetrics.calls import Call, Outgoing, Set
from target_kissmetrics.kissmetrics.http.delivery import ApiDelivery
from target_kissmetrics.kissmetrics.http.loop_delivery import LoopDelivery
from target_kissmetrics.kissmetrics.http.observer import Observer
from target_kissmetrics.kissmetrics.http.pacing import Pacing
from target_kissmetrics.kissmetrics.http.retry import RetryPolicy
from target_kissmetrics.kissmetrics.http.transport import Outcome
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


class ManyScripted:
    """Many attempts at once, each in a thread of its own, over transports that are kept as connections are."""

    def __init__(self, transport: Callable[[], ScriptedTransport]) -> None:
        self._make = transport
        self._idle: list[ScriptedTransport] = [transport()]
        self._outcomes: queue.SimpleQueue[tuple[Hashable, Outcome] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def start(self, request: Request, mark: Hashable) -> None:
        transport = self._idle.pop() if self._idle else self._make()
        thread = threading.Thread(target=self._attempt, args=(transport, request, mark), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _attempt(self, transport: ScriptedTransport, request: Request, mark: Hashable) -> None:
        outcome = transport.attempt(request)
        self._idle.append(transport)
        self._outcomes.put((mark, outcome))

    def wait(self, seconds: float) -> list[tuple[Hashable, Outcome]]:
        with contextlib.suppress(queue.Empty):
            came = self._outcomes.get(timeout=max(seconds, 0.0001))
            return [came] if isinstance(came, tuple) else []
        return []

    def wake(self) -> None:
        self._outcomes.put(None)

    def close(self) -> None:
        for thread in self._threads:
            thread.join(SECONDS)
        for transport in self._idle:
            transport.close()


Kind = Literal["threads", "loop"]


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
    kind: Kind = "threads",
    observer: Observer | None = None,
) -> ApiDelivery | LoopDelivery:
    one = transport or script.transport
    if kind == "loop":
        return LoopDelivery(
            encoder=Encoder("s3cret"),
            transport=lambda: ManyScripted(one),
            policy=RetryPolicy(budget, jitter),
            pacing=pacing or Pacing(),
            connections=connections,
            host="https://trk.example",
            failed=ending.failed,
            told=ending.lines.append,
            observer=observer,
        )
    return ApiDelivery(
        encoder=Encoder("s3cret"),
        transport=one,
        policy=RetryPolicy(budget, jitter),
        pacing=pacing or Pacing(),
        connections=connections,
        host="https://trk.example",
        failed=ending.failed,
        told=ending.lines.append,
        observer=observer,
    )


def deliver(
    script: Script,
    *parcels: Sequence[Call],
    connections: int = 1,
    budget: float = 10.0,
    jitter: Callable[[float], float] = no_wait,
    kind: Kind = "threads",
) -> Ending:
    """Send the parcels and wait until all were delivered or the delivery failed."""
    ending = Ending()
    delivery = make(script, ending, connections=connections, budget=budget, jitter=jitter, kind=kind)
    try:
        for number, parcel in enumerate(parcels):
            delivery.send([Outgoing(None, call) for call in parcel], ending.delivered(number))
        ending.wait(lambda: bool(ending.errors) or len(ending.parcels) == len(parcels))
    finally:
        delivery.close(SECONDS)
    return ending
