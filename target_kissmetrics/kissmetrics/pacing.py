"""When a request may start: a smooth ceiling on the rate, and one pause that all connections share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pacing:
    """Shared by all connections of one delivery. Thread-safe.

    Args:
        per_second: The highest rate of requests; None for no ceiling.
        clock: Seconds that only grow.
    """

    def __init__(self, per_second: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1.0 / per_second if per_second else 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._next = 0.0
        self._paused_until = 0.0

    def reserve(self) -> float:
        """Take the next start, and give the seconds to wait for it; 0 when it is now.

        The ceiling is smooth: starts are at least `1 / per_second` apart, with no burst after an idle time.
        """
        if not self._interval and not self._paused_until:
            return 0.0
        with self._lock:
            now = self._clock()
            start = max(now, self._paused_until)
            if self._interval:
                start = max(start, self._next)
                self._next = start + self._interval
            return start - now

    def pause(self, seconds: float) -> bool:
        """Hold all starts for so long: the host is overloaded, and every connection would hammer it.

        Returns:
            Whether a pause begins with this: false when all wait already, or no time at all.
        """
        with self._lock:
            now = self._clock()
            begins = seconds > 0 and now >= self._paused_until
            self._paused_until = max(self._paused_until, now + seconds)
            return begins
