"""Delivery: many calls over many connections, each retried until it is taken or the delivery fails.

A `Delivery` takes parcels: some calls and what to do once every one of them was taken. Parcels are independent, and so
are the calls within one: each carries its own time, which is what counts at Kissmetrics, so the order of arrival is
nobody's promise.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from target_kissmetrics.errors import DeliveryError
from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.kissmetrics.http.crew import Crew
from target_kissmetrics.kissmetrics.http.observer import Observer
from target_kissmetrics.kissmetrics.http.pacing import Pacing
from target_kissmetrics.kissmetrics.http.retry import Done, GiveUp, RetryPolicy, Wait
from target_kissmetrics.kissmetrics.http.transport import Transport
from target_kissmetrics.kissmetrics.http.trouble import Trouble
from target_kissmetrics.kissmetrics.wire import Encoder


@dataclass(slots=True)
class _Parcel:
    """Calls of one `send`, and how many of them are still out."""

    outstanding: int
    delivered: Callable[[], None]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def one_taken(self) -> None:
        with self.lock:
            self.outstanding -= 1
            last = self.outstanding == 0
        if last:
            self.delivered()


class ApiDelivery:
    """Delivers through the tracking API: one request a call.

    Threads are started as calls come in, up to `connections`, each with a transport of its own.

    Args:
        encoder: Writes calls as requests.
        transport: Makes a transport; called once for each thread.
        policy: When to try again, and when to stop.
        pacing: When a request may start.
        connections: The most requests in flight at once.
        host: The tracking API's address as error texts name it.
        failed: Called once, from any thread, with why the delivery stopped. No `delivered` follows for calls that
            were not taken.
        told: Called, from any thread, with a line for a person when calls have to wait.
        observer: Told of each call that was taken, from any thread.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        *,
        encoder: Encoder,
        transport: Callable[[], Transport],
        policy: RetryPolicy,
        pacing: Pacing,
        connections: int,
        host: str,
        failed: Callable[[DeliveryError], None],
        told: Callable[[str], None] = lambda _: None,
        observer: Observer | None = None,
    ) -> None:
        self._encoder = encoder
        self._transport = transport
        self._policy = policy
        self._pacing = pacing
        self._connections = connections
        self._crew = Crew(connections)
        self._failed = failed
        self._trouble = Trouble(host, policy.budget, told)
        self._observer = observer
        self._jobs: queue.SimpleQueue[tuple[Outgoing, _Parcel] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._out = 0
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
        parcel = _Parcel(len(calls), delivered)
        with self._lock:
            self._out += len(calls)
            missing = min(self._connections, self._out) - len(self._threads)
        for _ in range(missing):
            self._start_thread()
        for call in calls:
            self._jobs.put((call, parcel))

    def tick(self) -> None:
        """Nothing is due."""

    def close(self, patience: float) -> None:
        """End the threads and their connections. Requests under way are waited for, so many seconds, then abandoned."""
        self._stop.set()
        self._crew.end()
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start_thread(self) -> None:
        place = len(self._threads)
        thread = threading.Thread(target=self._work, args=(place,), name=f"kissmetrics-{place}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, place: int) -> None:
        try:
            with closing(self._transport()) as transport:
                self._work_with(transport, place)
        except Exception as error:  # noqa: BLE001 - a thread that died in silence would hang the run
            self._stop_with(DeliveryError(f"a call could not be delivered: {type(error).__name__} in the client"))

    def _work_with(self, transport: Transport, place: int) -> None:
        while (job := self._next_job(place)) is not None and not self._stop.is_set():
            outgoing, parcel = job
            computed, began = time.thread_time(), time.monotonic()
            if not self._deliver(transport, outgoing):
                return
            with self._lock:
                self._out -= 1
            parcel.one_taken()
            self._crew.worked(time.thread_time() - computed, time.monotonic() - began)

    def _next_job(self, place: int) -> tuple[Outgoing, _Parcel] | None:
        self._crew.wait(place)
        return self._jobs.get()

    def _deliver(self, transport: Transport, outgoing: Outgoing) -> bool:
        """Try until taken. False: the delivery has stopped."""
        request = self._encoder.encode(outgoing.call)
        attempts = 0
        began: float | None = None
        while self._wait_to_start():
            attempts += 1
            # What a ceiling on the rate made it wait before is no part of the budget.
            began = time.monotonic() if began is None else began
            outcome = transport.attempt(request)
            elapsed = time.monotonic() - began
            verdict = self._policy.judge(outcome, attempts=attempts, elapsed=elapsed, now=time.time())
            if isinstance(verdict, Done):
                self._trouble.is_reached = True
                if self._observer is not None:
                    self._observer.acknowledged(outgoing, elapsed, attempts)
                return True
            if isinstance(verdict, GiveUp):
                self._stop_with(self._trouble.ended(verdict))
                return False
            self._hold_back(verdict, attempts)
            if not self._wait(verdict.seconds):
                return False
        return False

    def _hold_back(self, verdict: Wait, attempts: int) -> None:
        if self._observer is not None:
            self._observer.retried(verdict.why)
        with self._lock:
            self._retries += 1
        if verdict.overloaded:
            if self._pacing.pause(verdict.seconds):
                self._trouble.paused(verdict)
        else:
            self._trouble.put_off(verdict, attempts)

    def _wait_to_start(self) -> bool:
        """Sleep until the next request may start; False when the delivery was stopped meanwhile."""
        seconds = self._pacing.reserve()
        while seconds > 0:
            if self._stop.wait(seconds):
                return False
            seconds = self._pacing.overtaken()
        return not self._stop.is_set()

    def _wait(self, seconds: float) -> bool:
        """Sleep; False when the delivery was stopped meanwhile."""
        if seconds > 0:
            return not self._stop.wait(seconds)
        return not self._stop.is_set()

    def _stop_with(self, error: DeliveryError) -> None:
        with self._lock:
            first = not self._stop.is_set()
            self._stop.set()
        if first:
            self._failed(error)
