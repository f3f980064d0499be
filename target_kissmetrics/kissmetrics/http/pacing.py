"""When a request may start: an even ceiling on the rate, and one pause for all connections.

After a pause the connections do not start all at once, which would overload the host again: one starts, and the number
of starts doubles every quarter of a second, like TCP's slow start (RFC 5681, section 3.1).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

RAMP_SECONDS = 0.25
"""After a pause, the number of requests started doubles in each of these."""

LONGEST_RAMP_SECONDS = 3.0
"""After this, starts are free again."""


class Pacing:
    """Decides when the next request of a dispatcher may start. For one thread.

    Args:
        per_second: The highest rate of requests; None for no ceiling.
        clock: Monotonic seconds.
    """

    def __init__(self, per_second: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1.0 / per_second if per_second else 0.0
        self._clock = clock
        self._next = 0.0
        self._paused_until = 0.0
        self._started_since_pause = 0

    def start(self) -> float:
        """Claim a start. Returns 0 when a request may start now, else the seconds until the next start.

        Starts keep to a grid of `1 / per_second`, so that a late caller does not lower the rate. No burst follows an
        idle time.
        """
        if not self._interval and not self._paused_until:
            return 0.0
        now = self._clock()
        due = max(self._next, self._after_pause(now))
        if due > now:
            return due - now
        is_on_grid = now - due < self._interval
        self._next = (due if is_on_grid else now) + self._interval
        self._started_since_pause += 1
        return 0.0

    def pause(self, seconds: float) -> bool:
        """Let nothing start for so long; return whether a pause begins, so false during a pause or for no time."""
        now = self._clock()
        begins = seconds > 0 and now >= self._paused_until
        if now + seconds > self._paused_until:
            self._paused_until, self._started_since_pause = now + seconds, 0
        return begins

    def _after_pause(self, now: float) -> float:
        """Return when the latest pause allows the next start."""
        if not self._paused_until or now >= self._paused_until + LONGEST_RAMP_SECONDS:
            self._paused_until = 0.0
            return 0.0
        ramp = RAMP_SECONDS * math.log2(1 + self._started_since_pause)
        return self._paused_until + min(ramp, LONGEST_RAMP_SECONDS)
