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

from target_kissmetrics.kissmetrics.http.requests_connection import RequestsConnection
from target_kissmetrics.kissmetrics.http.transport import TIMED_OUT, Outcome
from target_kissmetrics.kissmetrics.wire import Request

DEADLINE_CHECK_SECONDS = 0.25
"""How often attempts are checked for their deadline."""

CLOSE_SECONDS = 1.0
"""How long `close` waits for idle workers."""


class _Attempt:
    """An attempt at work in a thread."""

    __slots__ = ("began", "connection", "mark", "worker")

    def __init__(self, mark: Hashable, connection: RequestsConnection) -> None:
        self.mark = mark
        self.connection = connection
        self.worker = threading.current_thread()
        self.began = time.monotonic()


class RequestsTransport:
    """Makes attempts in worker threads, started as they are needed.

    Args:
        base_url: Scheme and host of the tracking API: `https://trk.kissmetrics.io`.
        timeout: Seconds for one attempt, with connecting and reading.
        user_agent: The `User-Agent` header.
        connections: The most worker threads.
        connect_timeout: Seconds for connecting, within `timeout`.
    """

    def __init__(
        self,
        base_url: str,
        timeout: float,
        connect_timeout: float,
        user_agent: str,
        connections: int,
    ) -> None:
        self._host = (base_url, timeout, min(connect_timeout, timeout), user_agent)
        self._timeout = timeout
        self._connections = connections
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
        if len(self._workers) < min(self._in_flight, self._connections):
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
        late = [attempt for attempt in list(self._running) if now - attempt.began >= self._timeout]
        return [(attempt.mark, Outcome(cause=TIMED_OUT)) for attempt in late if self._abandon(attempt)]

    def _abandon(self, attempt: _Attempt) -> bool:
        """Discard the outcome of an attempt and end its worker; false when it has just finished."""
        if not self._finish(attempt):
            return False
        self._workers.remove(attempt.worker)
        self._late.append(attempt)
        attempt.connection.interrupt()
        return True

    def _finish(self, attempt: _Attempt) -> bool:
        """Claim an attempt's outcome. Removal is atomic: either its worker claims it or the deadline does."""
        try:
            self._running.remove(attempt)
        except KeyError:
            return False
        return True

    # From the workers' threads

    def _work(self) -> None:
        with closing(RequestsConnection(*self._host)) as connection:
            while (item := self._requests.get()) is not None:
                request, mark = item
                attempt = _Attempt(mark, connection)
                self._running.add(attempt)
                outcome = connection.attempt(request)
                if not self._finish(attempt):
                    return
                self._outcomes.put((mark, outcome))
