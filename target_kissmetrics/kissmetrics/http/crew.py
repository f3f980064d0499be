"""How many of a delivery's threads are at work: more of them hide a host's latency, none of them adds processor time.

Python computes in one thread at a time. Where a host answers fast, all threads but a few wait for the interpreter, not
for the host, and the hand-overs between them cost more than they bring. So all begin, and those stand by that turn out
to be too many, until the host becomes slow.
"""

from __future__ import annotations

import math
import threading

FEWEST = 2

ENOUGH = 0.5
"""Below this share of the interpreter's time spent by all threads together, more threads do more."""

FULL = 0.8
"""Above this share, threads wait for each other."""

SPARE = 1.5
"""Threads kept at work, as a multiple of those that would use the interpreter's time up if answers took no longer than
the fastest one does."""


class Crew:
    """Tells threads when to stand by. Thread-safe.

    Args:
        size: How many threads there may be.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._limit = size
        self._ends = False
        self._changed = threading.Condition()
        self._calls = 0
        self._busy = self._seconds = 0.0
        self._fastest = math.inf

    @property
    def limit(self) -> int:
        """How many threads are to be at work."""
        return self._limit

    def wait(self, place: int) -> None:
        """Stand by while there are enough at work.

        Args:
            place: The thread's own number, from 0.
        """
        if place < self._limit:
            return
        with self._changed:
            while place >= self._limit:
                self._changed.wait()

    def worked(self, busy: float, seconds: float) -> None:
        """Take note of one call.

        Args:
            busy: Seconds of processor time that it took its thread.
            seconds: How long it took.
        """
        with self._changed:
            self._calls += 1
            self._busy += busy
            self._seconds += seconds
            self._fastest = min(self._fastest, seconds)
            if self._calls >= 2 * self._limit and self._busy > 0 and not self._ends:
                self._set_limit(self._judged())
                self._calls, self._busy, self._seconds, self._fastest = 0, 0.0, 0.0, math.inf

    def end(self) -> None:
        """Let nobody stand by any more."""
        with self._changed:
            self._ends = True
            self._set_limit(self._size)

    def _judged(self) -> int:
        share = self._limit * self._busy / max(self._seconds, 1e-9)
        if share < ENOUGH:
            return min(self._size, 2 * self._limit)
        if share > FULL:
            enough = math.ceil(SPARE * self._fastest * self._calls / self._busy) + 1
            return max(min(enough, self._limit), self._limit // 2, min(FEWEST, self._size))
        return self._limit

    def _set_limit(self, limit: int) -> None:
        grows, self._limit = limit > self._limit, limit
        if grows:
            self._changed.notify_all()
