"""The one observer of a run: it feeds the display or the log, the metrics, and the recorder of the report."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.progress import Progress, log_progress, progress_line

if TYPE_CHECKING:
    from target_kissmetrics.reporting.recorder import Recorder

Streams = Callable[[], Sequence[StreamCounts]]

LOG_SECONDS = 10.0  # how often the log and the metrics say how far the run is
LIVE_SECONDS = 0.5  # how often a display on a terminal is redrawn


class Monitor:
    """Observes a run. `acknowledged` and `retried` may be called from any thread, the rest from the pipeline's.

    Args:
        streams: Gives the counts of all streams, as they are at each moment.
        show: Called with how far the run is now, and was when it was last called: not before `every` seconds passed.
        recorder: Records the run for the report.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        streams: Streams,
        show: Callable[[Progress, Progress], None] = lambda _now, _before: None,
        *,
        every: float = LOG_SECONDS,
        recorder: Recorder | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.retries = 0
        self.close: Callable[[], None] = lambda: None  # takes the display away
        self._streams = streams
        self._show = show
        self._every = every
        self._recorder = recorder
        self._clock = clock
        self._start = clock()
        self._last = Progress()
        self._lock = threading.Lock()
        self._acknowledged = 0

    def acknowledged(self, outgoing: Outgoing, seconds: float, attempts: int) -> None:
        """Count an acknowledged call; its seconds run from its first attempt to the answer of its last one."""
        with self._lock:
            self._acknowledged += 1
        if self._recorder is not None:
            self._recorder.acknowledged(outgoing, seconds, attempts)

    def retried(self, why: str) -> None:
        """Count an attempt that is made again; `why` holds nothing of the call."""
        with self._lock:
            self.retries += 1
        if self._recorder is not None:
            self._recorder.retried(why)

    def batch_acknowledged(self, calls: Sequence[Outgoing]) -> None:
        """Record what the calls of an acknowledged batch are, whatever delivered them."""
        if self._recorder is not None:
            self._recorder.batch_acknowledged(calls)

    def tick(self, *, in_flight: int) -> None:
        """Show how far the run is, when that is due; called a few times a second.

        `in_flight` are the calls of batches that are not acknowledged as a whole.
        """
        streams = self._streams()
        if self._recorder is not None:
            self._recorder.tick(streams)
        seconds = self._clock() - self._start
        if seconds - self._last.seconds < self._every:
            return
        counted = sum(counts.calls for counts in streams)
        # Calls written to files, or logged, are counted by the batch alone. Of a batch in flight some are acknowledged.
        acknowledged = max(counted, self._acknowledged)
        in_flight = max(0, in_flight - (acknowledged - counted))
        figures = {counts.stream: counts.figures() for counts in streams}
        before, self._last = self._last, Progress(seconds, figures, acknowledged, in_flight, self.retries)
        self._show(self._last, before)


def make_monitor(
    streams: Streams, log: Callable[[str], None], *, is_dry_run: bool, recorder: Recorder | None = None
) -> Monitor:
    """Make the monitor that fits where standard error goes: a display on a terminal, lines of the log elsewhere.

    A dry run logs its calls, so it has no display.
    """
    if not is_dry_run and takes_a_display(os.environ):
        from target_kissmetrics.reporting.live import LiveDisplay  # noqa: PLC0415 - rich takes its time to load

        display = LiveDisplay()
        monitor = Monitor(streams, display.show, every=LIVE_SECONDS, recorder=recorder)
        monitor.close = display.close
        return monitor

    def show(now: Progress, before: Progress) -> None:
        log(progress_line(now, before, is_dry_run=is_dry_run))
        if collects_metrics(os.environ):
            log_progress(now, before)

    return Monitor(streams, show, recorder=recorder)


def takes_a_display(environment: Mapping[str, str]) -> bool:
    """Whether standard error is a terminal that can redraw lines, and not a log that another program reads.

    Source for TERM: https://www.gnu.org/software/termutils/manual/termcap-1.3/html_mono/termcap.html
    """
    if collects_metrics(environment) or not sys.stderr.isatty():
        return False
    return os.name == "nt" or environment.get("TERM", "").lower() not in {"", "dumb", "unknown"}


def collects_metrics(environment: Mapping[str, str]) -> bool:
    """Whether metrics are read during the run: by Meltano, or with a logging configuration of the SDK's."""
    return bool(environment.get("SINGER_SDK_LOG_CONFIG") or environment.get("MELTANO_PROJECT_ROOT"))
