"""Delivery from one thread: an event loop with many requests under way, each retried until it is taken.

Does what `ApiDelivery` does, with a transport that can make many attempts at once: a connection costs no thread. Work
comes in groups and answers are counted in groups, so that the thread which reads and maps is seldom disturbed.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import closing
from typing import NamedTuple

from target_kissmetrics.errors import DeliveryError
from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.kissmetrics.http.observer import Observer
from target_kissmetrics.kissmetrics.http.pacing import Pacing
from target_kissmetrics.kissmetrics.http.retry import Done, GiveUp, RetryPolicy, Wait
from target_kissmetrics.kissmetrics.http.transport import ManyAttempts, Outcome
from target_kissmetrics.kissmetrics.http.trouble import Trouble
from target_kissmetrics.kissmetrics.wire import Encoder, Request

LONGEST_WAIT_SECONDS = 1.0
"""An idle loop looks around this often, whether it is woken or not."""


class _Parcel:
    """Calls of one `send`.

    Attributes:
        calls: All of them.
        begun: How many were begun.
        outstanding: How many were not taken yet.
        delivered: What to do once all were.
    """

    __slots__ = ("begun", "calls", "delivered", "outstanding")

    def __init__(self, calls: Sequence[Outgoing], delivered: Callable[[], None]) -> None:
        self.calls = calls
        self.begun = 0
        self.outstanding = len(calls)
        self.delivered = delivered


class _Job:
    """A call on its way.

    Attributes:
        call: The call.
        request: It, written.
        parcel: Where it belongs.
        attempts: Made so far.
        began: When the first of them did, in seconds of a clock that only grows; None before.
        reserved: It has its place in the pacing and waits for it.
    """

    __slots__ = ("attempts", "began", "outgoing", "parcel", "request", "reserved")

    def __init__(self, outgoing: Outgoing, request: Request, parcel: _Parcel) -> None:
        self.outgoing = outgoing
        self.request = request
        self.parcel = parcel
        self.attempts = 0
        self.began: float | None = None
        self.reserved = False


class _Later(NamedTuple):
    """A job that waits for a moment: its next attempt, or its place in the pacing."""

    due: float
    number: int
    job: _Job


class LoopDelivery:
    """Delivers through the tracking API: one request a call, from one thread that starts with the first call.

    Args:
        encoder: Writes calls as requests.
        transport: Makes the transport, in the thread that uses it.
        policy: When to try again, and when to stop.
        pacing: When a request may start.
        connections: The most requests in flight at once.
        host: The tracking API's address as error texts name it.
        failed: Called once, from any thread, with why the delivery stopped. No `delivered` follows for calls that
            were not taken.
        told: Called, from any thread, with a line for a person when calls have to wait.
        observer: Told of each call that was taken, from the loop's thread.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        *,
        encoder: Encoder,
        transport: Callable[[], ManyAttempts],
        policy: RetryPolicy,
        pacing: Pacing,
        connections: int,
        host: str,
        failed: Callable[[DeliveryError], None],
        told: Callable[[str], None] = lambda _: None,
        observer: Observer | None = None,
    ) -> None:
        self._encoder = encoder
        self._make_transport = transport
        self._policy = policy
        self._pacing = pacing
        self._connections = connections
        self._failed = failed
        self._trouble = Trouble(host, policy.budget, told)
        self._observer = observer
        self._lock = threading.Lock()
        self._parcels: deque[_Parcel] = deque()
        self._thread: threading.Thread | None = None
        self._transport: ManyAttempts | None = None
        self._stopping = False
        self._later: list[_Later] = []
        self._numbers = 0
        self._in_flight: set[Hashable] = set()
        self._retries = 0

    @property
    def retries(self) -> int:
        """Attempts made again so far."""
        return self._retries

    def send(self, calls: Sequence[Outgoing], delivered: Callable[[], None]) -> None:
        """Begin to deliver. Returns at once; the caller bounds how much is under way."""
        if not calls:
            delivered()
            return
        with self._lock:
            self._parcels.append(_Parcel(calls, delivered))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="kissmetrics", daemon=True)
                self._thread.start()
        self._wake()

    def tick(self) -> None:
        """Nothing is due."""

    def close(self, patience: float) -> None:
        """End the thread and its connections. Requests under way are waited for, so many seconds, then abandoned."""
        self._stopping = True
        self._wake()
        if self._thread is not None:
            self._thread.join(patience)

    def _wake(self) -> None:
        transport = self._transport
        if transport is not None:
            transport.wake()

    # From the loop's thread

    def _work(self) -> None:
        try:
            with closing(self._make_transport()) as transport:
                self._transport = transport
                self._loop(transport)
        except Exception as error:  # noqa: BLE001 - a thread that died in silence would hang the run
            self._stop_with(DeliveryError(f"a call could not be delivered: {type(error).__name__} in the client"))
        finally:
            self._transport = None

    def _loop(self, transport: ManyAttempts) -> None:
        while not self._stopping or self._in_flight:
            seconds = LONGEST_WAIT_SECONDS if self._stopping else self._begin(transport)
            answers = transport.wait(seconds)
            if answers:
                self._judge(answers)

    def _begin(self, transport: ManyAttempts) -> float:
        """Start what may start; give the seconds until something else may."""
        now = time.monotonic()
        while self._later and self._later[0].due <= now and not self._stopping:
            self._start(transport, heapq.heappop(self._later).job)
        room = self._connections - len(self._in_flight) - len(self._later)
        while room > 0 and self._parcels:
            parcel = self._parcels[0]
            group = parcel.calls[parcel.begun : parcel.begun + room]
            parcel.begun += len(group)
            if parcel.begun == len(parcel.calls):
                self._parcels.popleft()
            for outgoing in group:
                self._start(transport, _Job(outgoing, self._encoder.encode(outgoing.call), parcel))
            room -= len(group)
        return min(LONGEST_WAIT_SECONDS, max(0.0, self._later[0].due - now)) if self._later else LONGEST_WAIT_SECONDS

    def _start(self, transport: ManyAttempts, job: _Job) -> None:
        """Make an attempt, now or when the pacing lets it."""
        wait = self._pacing.overtaken() if job.reserved else self._pacing.reserve()
        if wait > 0:
            job.reserved = True
            self._put_off(job, wait)
            return
        job.reserved = False
        job.attempts += 1
        if job.began is None:
            # What a ceiling on the rate made it wait before is no part of the budget.
            job.began = time.monotonic()
        self._in_flight.add(job)
        transport.start(job.request, job)

    def _put_off(self, job: _Job, seconds: float) -> None:
        self._numbers += 1
        heapq.heappush(self._later, _Later(time.monotonic() + seconds, self._numbers, job))

    def _judge(self, answers: Sequence[tuple[Hashable, Outcome]]) -> None:
        monotonic, now = time.monotonic(), time.time()
        for job, outcome in answers:
            assert isinstance(job, _Job)  # noqa: S101 - what was started comes back
            self._in_flight.discard(job)
            elapsed = monotonic - (job.began or monotonic)
            verdict = self._policy.judge(outcome, attempts=job.attempts, elapsed=elapsed, now=now)
            if isinstance(verdict, Done):
                self._trouble.is_reached = True
                if self._observer is not None:
                    self._observer.acknowledged(job.outgoing, elapsed, job.attempts)
                parcel = job.parcel
                parcel.outstanding -= 1
                if not parcel.outstanding:
                    parcel.delivered()
            elif self._stopping:
                continue
            elif isinstance(verdict, GiveUp):
                self._stop_with(self._trouble.ended(verdict))
            else:
                self._hold_back(job, verdict)

    def _hold_back(self, job: _Job, verdict: Wait) -> None:
        self._retries += 1
        if self._observer is not None:
            self._observer.retried(verdict.why)
        if verdict.overloaded:
            if self._pacing.pause(verdict.seconds):
                self._trouble.paused(verdict)
        else:
            self._trouble.put_off(verdict, job.attempts)
        self._put_off(job, verdict.seconds)

    def _stop_with(self, error: DeliveryError) -> None:
        first, self._stopping = not self._stopping, True
        if first:
            self._failed(error)
