"""When a request may start: a smooth ceiling on the rate, and one pause that all connections share.

After a pause the connections do not start all at once, which would overload the host again: one starts, and the number
of those that have doubles every quarter of a second, as TCP's slow start does it (RFC 5681, section 3.1).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

RAMP_SECONDS = 0.25
"""After a pause, the number of requests started doubles in each of these."""

LONGEST_RAMP_SECONDS = 3.0
"""After this, requests start as they like again."""


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
        self._started_since = 0

    def reserve(self) -> float:
        """Take the next start, and give the seconds to wait for it; 0 when it is now.

        The ceiling is smooth: starts are at least `1 / per_second` apart, with no burst after an idle time.
        """
        if not self._interval and not self._paused_until:
            return 0.0
        with self._lock:
            now = self._clock()
            start = max(now, self._after_pause(now))
            if self._interval:
                start = max(start, self._next)
                self._next = start + self._interval
            return start - now

    def overtaken(self) -> float:
        """Give the seconds left to wait when a pause began since a start was reserved; 0 when none did."""
        if not self._paused_until:
            return 0.0
        with self._lock:
            now = self._clock()
            return self._after_pause(now) - now if now < self._paused_until else 0.0

    def pause(self, seconds: float) -> bool:
        """Hold all starts for so long: the host is overloaded, and every connection would hammer it.

        Returns:
            Whether a pause begins with this: false when all wait already, or no time at all.
        """
        with self._lock:
            now = self._clock()
            begins = seconds > 0 and now >= self._paused_until
            if now + seconds > self._paused_until:
                self._paused_until, self._started_since = now + seconds, 0
            return begins

    def _after_pause(self, now: float) -> float:
        """Give the next start that the latest pause allows. With the lock held."""
        if not self._paused_until or now >= self._paused_until + LONGEST_RAMP_SECONDS:
            self._paused_until = 0.0
            return now
        ramp = RAMP_SECONDS * math.log2(1 + self._started_since)
        self._started_since += 1
        return self._paused_until + min(ramp, LONGEST_RAMP_SECONDS)
