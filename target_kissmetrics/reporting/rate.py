"""How fast a number grows."""

from __future__ import annotations

from collections.abc import Callable


class Rate:
    """Growth since the last time it was asked for.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._at = clock()
        self._number = 0

    def of(self, number: int) -> float:
        """Give the growth a second since the last call."""
        now = self._clock()
        seconds = now - self._at
        grown = number - self._number
        self._at, self._number = now, number
        return grown / seconds if seconds > 0 else 0.0
