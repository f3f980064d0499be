"""When a request may start: an even ceiling on the rate, a pause for all, and a window of requests in flight.

The window answers overload in proportion, as DCTCP does (RFC 8257): the share of failures in a round trip, not the fact
that there was one, says by how much it is cut. So a stray failure delays its own call alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable

STRAY_SHARE = 0.1
"""The window is not cut for a smaller share of failures in a round trip."""

OVERLOADED_SHARE = 0.25
"""From this share of failures on, all requests heed what the host asks of one, and no new call starts."""


class Window:
    """How many requests may be in flight. For one thread.

    A round trip ends once as many answers came as requests were in flight at its start. It cuts the window by half its
    share of failures, or lets it grow: to twice its size up to the last size that the host could bear, then by one.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = self._bearable = float(limit)
        self._round = limit
        self._answers = self._failures = 0
        self._last_answers = self._last_failures = 0
        self._is_cut = False

    @property
    def size(self) -> int:
        """Requests that may be in flight now, at least 1."""
        return int(self._size)

    @property
    def is_overloaded(self) -> bool:
        """Whether the latest answers, those of at most two round trips, say that the host is overloaded."""
        return self._failures + self._last_failures > OVERLOADED_SHARE * (self._answers + self._last_answers)

    def answered(self, answers: int, failures: int, in_flight: int) -> None:
        """Take `answers`, of which `failures` are retried; `in_flight` requests are still in flight."""
        self._answers += answers
        self._failures += failures
        if self._answers >= self._round:
            self._end_round()
            self._round = max(1, in_flight)

    def _end_round(self) -> None:
        share = self._failures / self._answers
        if self._is_cut:
            self._is_cut = False  # these requests started before the cut
        elif share > STRAY_SHARE:
            if share < 0.5:
                self._bearable = self._size
            self._size = max(1.0, self._size * (1 - share / 2))
            self._is_cut = True
        else:
            grown = min(self._bearable, self._size * 2)
            self._size = min(self._limit, max(grown, self._size + 1))
            self._bearable = max(self._bearable, self._size)
        self._last_answers, self._last_failures = self._answers, self._failures
        self._answers = self._failures = 0


class Pacing:
    """When the next request may start: `per_second` at most, without a burst after idle time. For one thread."""

    def __init__(self, per_second: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1.0 / per_second if per_second else 0.0
        self._clock = clock
        self._next = 0.0
        self._paused_until = 0.0

    def start(self) -> float:
        """Claim a start: 0 when a request may start now, else the seconds until the next start of a grid."""
        if not self._interval and not self._paused_until:
            return 0.0
        now = self._clock()
        due = max(self._next, self._paused_until)
        if due > now:
            return due - now
        self._paused_until = 0.0
        is_on_grid = now - due < self._interval
        self._next = (due if is_on_grid else now) + self._interval
        return 0.0

    def pause(self, seconds: float) -> bool:
        """Let nothing start for so long; return whether a pause begins, so false during a pause or for no time."""
        now = self._clock()
        begins = seconds > 0 and now >= self._paused_until
        self._paused_until = max(self._paused_until, now + seconds)
        return begins
