"""The one observer of a run: it feeds the display or the log, the metrics, and the recorder of the report.

The SDK's structured metrics, which Meltano shows and forwards, are gauges during a run. When it ends, each figure of a
stream comes once as a counter under the same name: who adds up counters gets the whole run.
"""

from __future__ import annotations

import enum
import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from singer_sdk import metrics

from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.reporting.counts import FIGURES, StreamCounts, calls_word, unmatched_in_globs
from target_kissmetrics.reporting.report import Recorder

LOG_SECONDS = 10.0  # how often the log and the metrics say how far the run is
LIVE_SECONDS = 0.5  # how often a display on a terminal is redrawn
Streams = Callable[[], Sequence[StreamCounts]]  # gives the counts of all streams, as they are at each moment

RUN_FIGURES: Mapping[str, str] = {  # metrics of a run in progress, with their meanings
    "calls_per_second": "Calls acknowledged a second, since the gauge before.",
    "calls_under_way": "Calls that are sent and not acknowledged.",
    "retries": "Attempts made again so far.",
}

# The SDK's metrics take members of an enum.
_Metric = enum.Enum("_Metric", {name: name for name in [*FIGURES, *RUN_FIGURES]})  # type: ignore[misc]


class Progress(NamedTuple):
    """How far a run is, `seconds` after its start: the figures of each stream, calls, and attempts made again."""

    seconds: float = 0.0
    figures: Mapping[str, Mapping[str, int]] = {}
    acknowledged: int = 0
    in_flight: int = 0
    retries: int = 0

    def rate_since(self, before: Progress) -> float:
        """Give the calls acknowledged a second since an earlier moment."""
        return (self.acknowledged - before.acknowledged) / max(self.seconds - before.seconds, 1e-3)

    def totals(self) -> Counter[str]:
        """Give the sums over all streams."""
        return sum((Counter(figures) for figures in self.figures.values()), Counter())


def progress_line(now: Progress, before: Progress, *, is_dry_run: bool) -> str:
    """Write how far a run is, with the rate since an earlier moment."""
    totals = now.totals()
    return (
        f"{totals['rows']:,} rows read, {now.acknowledged:,} {calls_word(is_dry_run)} "
        f"({now.rate_since(before):,.0f} a second), "
        f"{now.in_flight:,} in flight, {totals['rejected']:,} rows rejected, {now.retries:,} retries"
    )


def log_progress(now: Progress, before: Progress) -> None:
    """Log gauges: the run's figures, and those of each stream that changed since an earlier moment."""
    for stream, figures in now.figures.items():
        earlier = before.figures.get(stream, {})
        for name, value in figures.items():
            if earlier.get(name, 0) != value:
                _log("gauge", name, value, stream)
    _log("gauge", "calls_per_second", round(now.rate_since(before), 1))
    _log("gauge", "calls_under_way", now.in_flight)
    _log("gauge", "retries", now.retries)


def log_totals(counts: StreamCounts) -> None:
    """Log all figures of a stream as counters."""
    for name, value in counts.figures().items():
        _log("counter", name, value, counts.stream)


def log_summary(  # noqa: PLR0913 - by name
    streams: Sequence[StreamCounts],
    log: logging.Logger,
    seconds: float,
    retries: int,
    *,
    is_dry_run: bool,
    rejects_path: str | None,
) -> None:
    """Log the summary of each stream of a run that took so long, its totals as metrics, and where its rejects are."""
    for counts in streams:
        rate, text = counts.calls / max(seconds, 0.001), counts.summary(is_dry_run=is_dry_run)
        log.info("stream '%s': %s; %.0f calls a second; %d retries in the run", counts.stream, text, rate, retries)
        for line in (*counts.warnings(), *counts.what_to_do()):
            log.warning("stream '%s': %s", counts.stream, line)
        log_totals(counts)
    for line in unmatched_in_globs(streams):
        log.warning(line)
    if rejects_path is not None and any(counts.rejected or counts.set_aside for counts in streams):
        log.info(
            "rejected rows and dropped properties are in %s, each with its reason; once the mapping is fixed: "
            "target-kissmetrics-replay %s --config ...",
            rejects_path,
            rejects_path,
        )


def _log(kind: Literal["counter", "gauge"], name: str, value: float, stream: str | None = None) -> None:
    tags = {} if stream is None else {metrics.Tag.STREAM.value: stream}
    point = metrics.Point(kind, _Metric(name), value, tags | {metrics.Tag.PID.value: os.getpid()})  # type: ignore[arg-type]
    metrics.log(metrics.get_metrics_logger(), point)


@dataclass
class Monitor:
    """Observes a run. `acknowledged` and `retried` may be called from any thread, the rest from the pipeline's."""

    streams: Streams
    show: Callable[[Progress, Progress], None] = lambda _now, _before: None  # how far it is, and was the last time
    every: float = field(default=LOG_SECONDS, kw_only=True)  # seconds between two calls of `show`
    recorder: Recorder | None = field(default=None, kw_only=True)
    clock: Callable[[], float] = field(default=time.monotonic, kw_only=True)
    close: Callable[[], None] = field(default=lambda: None, kw_only=True)  # takes the display away
    retries: int = field(default=0, init=False)
    _acknowledged: int = field(default=0, init=False)
    _last: Progress = field(default=Progress(), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        """Start the clock."""
        self._start = self.clock()

    def acknowledged(self, outgoing: Outgoing, seconds: float, attempts: int) -> None:
        """Count an acknowledged call; its seconds run from its first attempt to the answer of its last one."""
        with self._lock:
            self._acknowledged += 1
        if self.recorder is not None:
            self.recorder.acknowledged(outgoing, seconds, attempts)

    def retried(self, why: str) -> None:
        """Count an attempt that is made again; `why` holds nothing of the call."""
        with self._lock:
            self.retries += 1
        if self.recorder is not None:
            self.recorder.retried(why)

    def batch_acknowledged(self, calls: Sequence[Outgoing]) -> None:
        """Record what the calls of an acknowledged batch are, whatever delivered them."""
        if self.recorder is not None:
            self.recorder.batch_acknowledged(calls)

    def tick(self, *, in_flight: int) -> None:
        """Show how far the run is, when that is due; `in_flight` are calls of batches not acknowledged as a whole."""
        streams = self.streams()
        if self.recorder is not None:
            self.recorder.tick(streams)
        seconds = self.clock() - self._start
        if seconds - self._last.seconds < self.every:
            return
        counted = sum(counts.calls for counts in streams)
        # Calls written to files, or logged, are counted by the batch alone. Of a batch in flight some are acknowledged.
        acknowledged = max(counted, self._acknowledged)
        in_flight = max(0, in_flight - (acknowledged - counted))
        figures = {counts.stream: counts.figures() for counts in streams}
        before, self._last = self._last, Progress(seconds, figures, acknowledged, in_flight, self.retries)
        self.show(self._last, before)


def make_monitor(
    streams: Streams, log: Callable[[str], None], *, is_dry_run: bool, recorder: Recorder | None = None
) -> Monitor:
    """Make the monitor of a run: a display on a terminal, lines of the log elsewhere and in a dry run."""
    if not is_dry_run and takes_a_display(os.environ):
        from target_kissmetrics.reporting.live import LiveDisplay  # noqa: PLC0415 - rich takes its time to load

        display = LiveDisplay()
        return Monitor(streams, display.show, every=LIVE_SECONDS, recorder=recorder, close=display.close)

    def show(now: Progress, before: Progress) -> None:
        log(progress_line(now, before, is_dry_run=is_dry_run))
        if collects_metrics(os.environ):
            log_progress(now, before)

    return Monitor(streams, show, recorder=recorder)


def takes_a_display(environment: Mapping[str, str]) -> bool:
    """Whether standard error is a terminal that can redraw lines, and not a log that another program reads."""
    if collects_metrics(environment) or not sys.stderr.isatty():
        return False
    return os.name == "nt" or environment.get("TERM", "").lower() not in {"", "dumb", "unknown"}


def collects_metrics(environment: Mapping[str, str]) -> bool:
    """Whether metrics are read during the run: by Meltano, or with a logging configuration of the SDK's."""
    return bool(environment.get("SINGER_SDK_LOG_CONFIG") or environment.get("MELTANO_PROJECT_ROOT"))
