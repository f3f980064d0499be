"""How far a run is, as it fits where it is shown: a display on a terminal, a line every ten seconds elsewhere, and
metrics as well where somebody collects them, Meltano say.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.rate import Rate

INTERVAL_SECONDS = 10.0

DUMB_TERMINALS = frozenset({"", "dumb", "unknown"})

Streams = Callable[[], Collection[StreamCounts]]
"""Gives the counts of all streams, as they are at each moment."""


class Shown(Protocol):
    """Something that shows how far a run is."""

    def tick(self, *, answered: int, under_way: int, retries: int) -> None:
        """Called a few times a second, from one thread.

        Args:
            answered: Calls that were taken so far, to the moment.
            under_way: Calls that were not yet.
            retries: Attempts made again.
        """

    def close(self) -> None:
        """Show no more; called once no tick will follow."""


class ProgressLines:
    """Tells how far a run is.

    Args:
        streams: The counts of all streams.
        tell: Takes a line.
        clock: Seconds that only grow.
    """

    def __init__(
        self, streams: Streams, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._streams = streams
        self._tell = tell
        self._clock = clock
        self._last = clock()
        self._rate = Rate(clock)

    def tick(self, *, answered: int, under_way: int, retries: int) -> None:
        """Tell, when it is time to."""
        now = self._clock()
        if now - self._last < INTERVAL_SECONDS:
            return
        self._last = now
        streams = list(self._streams())
        rows = sum(counts.rows for counts in streams)
        rejected = sum(sum(counts.all_rejected.values()) for counts in streams)
        self._tell(
            f"{rows} rows read, {answered} calls sent ({self._rate.of(answered):.0f} a second), {under_way} under way, "
            f"{rejected} rows rejected, {retries} retries"
        )

    def close(self) -> None:
        """Nothing is open."""


def progress(streams: Streams, tell: Callable[[str], None], *, is_dry_run: bool) -> Sequence[Shown]:
    """Choose what fits where standard error goes.

    Args:
        streams: The counts of all streams.
        tell: Takes a line for the log.
        is_dry_run: The log tells each call: no display would stay in sight among them.
    """
    if not is_dry_run and takes_a_display(os.environ):
        from target_kissmetrics.reporting.live import LiveDisplay  # noqa: PLC0415 - rich takes its time to load

        return [LiveDisplay(streams)]
    if collects_metrics(os.environ):
        from target_kissmetrics.reporting.metrics import MetricPoints  # noqa: PLC0415 - likewise

        return [ProgressLines(streams, tell), MetricPoints(streams)]
    return [ProgressLines(streams, tell)]


def takes_a_display(environment: Mapping[str, str]) -> bool:
    """Tell whether standard error is a terminal that lines can be drawn anew on, and nobody else's log.

    Source for TERM: https://www.gnu.org/software/termutils/manual/termcap-1.3/html_mono/termcap.html
    """
    if collects_metrics(environment) or not sys.stderr.isatty():
        return False
    return os.name == "nt" or environment.get("TERM", "").lower() not in DUMB_TERMINALS


def collects_metrics(environment: Mapping[str, str]) -> bool:
    """Tell whether metrics are worth their lines: Meltano runs this, or logging was set up as the SDK has it."""
    return bool(environment.get("SINGER_SDK_LOG_CONFIG") or environment.get("MELTANO_PROJECT_ROOT"))
