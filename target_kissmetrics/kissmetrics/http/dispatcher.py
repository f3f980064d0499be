"""Delivers calls through the tracking API: one thread, many requests in flight, each retried until it is acknowledged.

Calls are independent: each carries its own time, which is what counts at Kissmetrics, so they may arrive in any order.
Calls come in batches, and outcomes are judged in groups, so that the reading thread is seldom interrupted.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from target_kissmetrics.errors import DeliveryError, Refused, Unreachable
from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.kissmetrics.http.pacing import Pacing, Window
from target_kissmetrics.kissmetrics.http.retry import TOO_LARGE_STATUSES, GiveUp, Retry, RetryPolicy, is_acknowledged
from target_kissmetrics.kissmetrics.http.transport import Outcome, Transport
from target_kissmetrics.kissmetrics.wire import Encoder, Request

IDLE_SECONDS = 1.0
"""The longest wait of the loop; it is woken when there is work."""

RECOVERY_SECONDS = 1.0
"""Once the host recovers, calls that wait for a retry, which may be half a minute, are retried within this time."""

LOG_INTERVAL_SECONDS = 30.0
"""At most one line in this time says why calls are retried."""

SILENT_ATTEMPTS = 2
"""The first failures of a call are not logged; most pass."""

NEVER = "; no call was ever acknowledged: check tracking_url, the network and any proxy"


@dataclass(slots=True)
class _SentCalls:
    """Calls of one `send`: how many have no final answer, what to call when none is left, and the refused ones."""

    unanswered: int
    acknowledged: Callable[..., None]
    refused: list[Outgoing] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _CallInFlight:
    """A call from its first attempt to its acknowledgement; `earliest`: no retry before this, by `Retry-After`."""

    outgoing: Outgoing
    request: Request
    batch: _SentCalls
    began: float
    attempts: int = 0
    earliest: float = 0.0


@dataclass(kw_only=True, eq=False)
class Dispatcher:
    """Delivers calls, one request each. Its thread starts with the first call, and makes the transport.

    Args:
        failed: Called once with the reason when the delivery stops. All functions are called from the own thread.
        acknowledged: Called with each acknowledged call, and the seconds and number of its attempts. May not raise.
        retried: Called with the cause of each failed attempt, which holds nothing of the call. May not raise.
    """

    encoder: Encoder
    transport: Callable[[], Transport]
    policy: RetryPolicy
    pacing: Pacing
    connections: int
    host: str
    failed: Callable[[DeliveryError], None]
    warn: Callable[[str], None]
    acknowledged: Callable[[Outgoing, float, int], None]
    retried: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Begin without calls."""
        self._has_acknowledged = False
        self._silent_until = -1.0
        self._window = Window(self.connections)
        self._thread: threading.Thread | None = None
        self._open_transport: Transport | None = None
        self._stopping = False
        self._new_calls: deque[tuple[Outgoing, _SentCalls]] = deque()
        self._retries: list[tuple[float, int, _CallInFlight]] = []
        self._retry_numbers = itertools.count()
        self._in_flight = 0

    def send(self, calls: Sequence[Outgoing], acknowledged: Callable[..., None]) -> None:
        """Begin to deliver a batch. Returns at once; the caller bounds how many calls are in flight. For one thread."""
        if not calls:
            acknowledged()
            return
        batch = _SentCalls(len(calls), acknowledged)
        self._new_calls.extend(zip(calls, itertools.repeat(batch), strict=False))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
            self._thread.start()
        self._wake()

    def tick(self) -> None:
        """Nothing is due by time alone."""

    def close(self, patience: float) -> None:
        """End the thread and its connections. Attempts in flight get `patience` seconds, then they are abandoned."""
        self._stopping = True
        self._wake()
        if self._thread is not None:
            self._thread.join(patience)

    def _wake(self) -> None:
        if self._open_transport is not None:
            self._open_transport.wake()

    # From the dispatcher's thread

    def _run(self) -> None:
        try:
            with closing(self.transport()) as transport:
                self._open_transport = transport
                while not self._stopping or self._in_flight:
                    seconds = IDLE_SECONDS if self._stopping else self._start_attempts(transport)
                    self._judge(transport.wait(seconds))
        except Exception as error:  # noqa: BLE001 - a thread that dies silently would hang the run
            self._stop(DeliveryError(f"a call could not be delivered: {type(error).__name__} in the HTTP client"))

    def _start_attempts(self, transport: Transport) -> float:
        """Start all attempts that may start now. Returns the seconds until the next one may."""
        now = self.clock()
        while self._in_flight < self._window.size:
            until_retry = self._retries[0][0] - now if self._retries else IDLE_SECONDS
            if until_retry > 0 and not self._may_start_call():
                return min(IDLE_SECONDS, until_retry)
            seconds = self.pacing.start()
            if seconds > 0:
                return min(IDLE_SECONDS, seconds)
            call = self._next_call() if until_retry > 0 else heapq.heappop(self._retries)[2]
            call.attempts += 1
            self._in_flight += 1
            transport.start(call.request, call)
        return IDLE_SECONDS

    def _may_start_call(self) -> bool:
        """Tell whether a new call may start; while the host fails, calls that wait for a retry go first."""
        return bool(self._new_calls) and (len(self._retries) < self.connections or not self._window.is_overloaded)

    def _next_call(self) -> _CallInFlight:
        outgoing, batch = self._new_calls.popleft()
        return _CallInFlight(outgoing, self.encoder.encode(outgoing.call), batch, self.clock())

    def _judge(self, outcomes: Sequence[tuple[Hashable, Outcome]]) -> None:
        self._in_flight -= len(outcomes)
        monotonic, now = self.clock(), time.time()
        failures: list[tuple[_CallInFlight, Outcome]] = []
        for call, outcome in outcomes:
            assert isinstance(call, _CallInFlight)  # noqa: S101 - the mark that was given to `start`
            if is_acknowledged(outcome):
                self._has_acknowledged = True
                self.acknowledged(call.outgoing, monotonic - call.began, call.attempts)
            elif outcome.status in TOO_LARGE_STATUSES and call.outgoing.rows:
                call.batch.refused.append(call.outgoing)
            else:
                failures.append((call, outcome))
                continue
            call.batch.unanswered -= 1
            if not call.batch.unanswered:
                call.batch.acknowledged(call.batch.refused)
        was_overloaded = self._window.is_overloaded
        self._window.answered(len(outcomes), len(failures), self._in_flight)
        if was_overloaded and not self._window.is_overloaded:
            self._retry_sooner(monotonic)
        for call, outcome in failures:
            if not self._stopping:
                elapsed = monotonic - call.began
                self._follow(self.policy.judge(outcome, attempts=call.attempts, elapsed=elapsed, now=now), call)

    def _follow(self, verdict: Retry | GiveUp, call: _CallInFlight) -> None:
        if isinstance(verdict, GiveUp):
            self._stop(self._error(verdict))
            return
        self.retried(verdict.why)
        now = self.clock()
        if verdict.asked and self._window.is_overloaded:
            if self.pacing.pause(verdict.asked):
                self.warn(f"{self.host}: {verdict.why}; all connections wait {verdict.asked:.1f} s")
        elif call.attempts > SILENT_ATTEMPTS and now >= self._silent_until:
            self._silent_until = now + LOG_INTERVAL_SECONDS
            budget = f"calls are retried for up to {self.policy.budget:g} s (retry_timeout_seconds)"
            self.warn(f"{self.host}: {verdict.why}; {budget}{'' if self._has_acknowledged else NEVER}")
        call.earliest = now + verdict.asked
        heapq.heappush(self._retries, (now + verdict.seconds, next(self._retry_numbers), call))

    def _error(self, verdict: GiveUp) -> DeliveryError:
        """Return the error that ends the delivery: what happened, and what to do about it."""
        if verdict.permanent:
            return Refused(f"{self.host}: {verdict.why}; check tracking_url and any proxy in between")
        why = f"{verdict.why}{'' if self._has_acknowledged else NEVER}"
        return Unreachable(f"{self.host}: {why}. Run again: calls that were not acknowledged are sent again")

    def _retry_sooner(self, now: float) -> None:
        """Spread the retries over the next moments: the host recovered, and their waits were for one that fails."""
        self._retries = [
            (min(due, max(call.earliest, now + self.policy.jitter(RECOVERY_SECONDS))), number, call)
            for due, number, call in self._retries
        ]
        heapq.heapify(self._retries)

    def _stop(self, error: DeliveryError) -> None:
        if not self._stopping:
            self._stopping = True
            self.failed(error)
