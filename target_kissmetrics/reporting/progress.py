"""One line every ten seconds of a long run."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from target_kissmetrics.reporting.counts import StreamCounts

INTERVAL_SECONDS = 10.0


class ProgressLines:
    """Tells how far a run is.

    Args:
        streams: The counts of all streams, as they are at each moment.
        tell: Takes a line.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        streams: Callable[[], Collection[StreamCounts]],
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._streams = streams
        self._tell = tell
        self._clock = clock
        self._last = clock()
        self._last_calls = 0

    def tick(self, *, under_way: int, retries: int) -> None:
        """Tell, when it is time to."""
        now = self._clock()
        if now - self._last < INTERVAL_SECONDS:
            return
        streams = list(self._streams())
        calls = sum(counts.calls for counts in streams)
        rate = (calls - self._last_calls) / (now - self._last)
        self._last, self._last_calls = now, calls
        rows = sum(counts.rows for counts in streams)
        rejected = sum(sum(counts.all_rejected.values()) for counts in streams)
        self._tell(
            f"{rows} rows read, {calls} calls sent ({rate:.0f} a second), {under_way} under way, "
            f"{rejected} rows rejected, {retries} retries"
        )
