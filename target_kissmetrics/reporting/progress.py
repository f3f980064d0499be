"""How far a run is: as a line of the log, and in the SDK's structured metrics, which Meltano shows and forwards.

During a run the metrics are gauges. When it ends, each figure of a stream comes once as a counter under the same name.
So who adds up counters gets the whole run.
"""

from __future__ import annotations

import enum
import os
from collections import Counter
from collections.abc import Mapping
from typing import Literal, NamedTuple

from singer_sdk import metrics

from target_kissmetrics.reporting.counts import FIGURES, StreamCounts

RUN_FIGURES: Mapping[str, str] = {
    "calls_per_second": "Calls acknowledged a second, since the gauge before.",
    "calls_under_way": "Calls that are sent and not acknowledged.",
    "retries": "Attempts made again so far.",
}
"""Metrics of a run in progress, with their meanings."""

# The SDK's metrics take members of an enum.
_Metric = enum.Enum("_Metric", {name: name for name in [*FIGURES, *RUN_FIGURES]})  # type: ignore[misc]


class Progress(NamedTuple):
    """How far a run is, so many seconds after its start: the figures of each stream, calls, and attempts made again."""

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
    calls = "calls logged (dry run)" if is_dry_run else "calls sent"
    return (
        f"{totals['rows']:,} rows read, {now.acknowledged:,} {calls} ({now.rate_since(before):,.0f} a second), "
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


def _log(kind: Literal["counter", "gauge"], name: str, value: float, stream: str | None = None) -> None:
    tags = {} if stream is None else {metrics.Tag.STREAM.value: stream}
    point = metrics.Point(kind, _Metric(name), value, tags | {metrics.Tag.PID.value: os.getpid()})  # type: ignore[arg-type]
    metrics.log(metrics.get_metrics_logger(), point)
