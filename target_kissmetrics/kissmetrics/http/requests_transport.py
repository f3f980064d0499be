"""The `requests` client: a pool of worker threads with one connection each.

The pool also holds the deadline of each attempt. `requests` limits each read alone, and a host that sends a byte now
and then would keep a connection forever.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Hashable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

from target_kissmetrics.kissmetrics.http.requests_connection import RequestsConnection
from target_kissmetrics.kissmetrics.http.transport import TIMED_OUT, Host, Outcome
from target_kissmetrics.kissmetrics.wire import Request

DEADLINE_CHECK_SECONDS = 0.25
"""How often attempts are checked for their deadline."""

CLOSE_SECONDS = 1.0
"""How long `close` waits for idle workers."""


@dataclass(eq=False, slots=True)
class _Attempt:
    """An attempt that a worker makes."""

    mark: Hashable
    connection: RequestsConnection
    worker: threading.Thread
    began: float


class RequestsTransport:
    """A `Transport` of worker threads, which are started as they are needed."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._requests: queue.SimpleQueue[tuple[Request, Hashable] | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[Hashable, Outcome] | None] = queue.SimpleQueue()
        self._workers: list[threading.Thread] = []
        self._running: set[_Attempt] = set()
        self._late: list[_Attempt] = []
        self._in_flight = 0
        self._next_check = 0.0

    def start(self, request: Request, mark: Hashable) -> None:
        """Hand an attempt to a worker."""
        self._in_flight += 1
        if len(self._workers) < min(self._in_flight, self._host.connections):
            worker = threading.Thread(target=self._work, name="kissmetrics", daemon=True)
            self._workers.append(worker)
            worker.start()
        self._requests.put((request, mark))

    def wait(self, seconds: float) -> Sequence[tuple[Hashable, Outcome]]:
        """Return the outcomes since the last call; without any, wait for the first one."""
        outcomes: list[tuple[Hashable, Outcome]] = []
        with suppress(queue.Empty):
            item = self._outcomes.get(timeout=min(seconds, DEADLINE_CHECK_SECONDS) if self._in_flight else seconds)
            while True:
                if item is not None:
                    outcomes.append(item)
                item = self._outcomes.get_nowait()
        outcomes += self._timed_out()
        self._in_flight -= len(outcomes)
        return outcomes

    def wake(self) -> None:
        """Make `wait` return at once. Callable from any thread."""
        self._outcomes.put(None)

    def close(self) -> None:
        """End the workers and close their connections."""
        for attempt in list(self._running):
            self._abandon(attempt)
        for _ in self._workers:
            self._requests.put(None)
        deadline = time.monotonic() + CLOSE_SECONDS
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def _timed_out(self) -> list[tuple[Hashable, Outcome]]:
        """Abandon the attempts that are past their deadline, and return their outcomes."""
        now = time.monotonic()
        if now < self._next_check:
            return []
        self._next_check = now + DEADLINE_CHECK_SECONDS
        self._late = [attempt for attempt in self._late if attempt.worker.is_alive()]
        for attempt in self._late:
            attempt.connection.interrupt()  # it may have been connecting the last time
        late = [attempt for attempt in list(self._running) if now - attempt.began >= self._host.timeout]
        return [(attempt.mark, TIMED_OUT) for attempt in late if self._abandon(attempt)]

    def _abandon(self, attempt: _Attempt) -> bool:
        """Discard the outcome of an attempt and end its worker; false when it has just finished."""
        is_late = self._finish(attempt)
        if is_late:
            self._workers.remove(attempt.worker)
            self._late.append(attempt)
            attempt.connection.interrupt()
        return is_late

    def _finish(self, attempt: _Attempt) -> bool:
        """Claim an attempt's outcome. Removal is atomic: either its worker claims it or the deadline does."""
        try:
            self._running.remove(attempt)
        except KeyError:
            return False
        return True

    # From the workers' threads

    def _work(self) -> None:
        with closing(RequestsConnection(self._host)) as connection:
            while (item := self._requests.get()) is not None:
                request, mark = item
                attempt = _Attempt(mark, connection, threading.current_thread(), time.monotonic())
                self._running.add(attempt)
                outcome = connection.attempt(request)
                if not self._finish(attempt):
                    return
                self._outcomes.put((mark, outcome))
