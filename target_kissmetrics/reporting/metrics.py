"""What a run tells in the SDK's structured metrics, which Meltano shows by name and hands on.

A stream's figures come as a counter each when the run ends, as the summary has them. On the way there the same names
come as gauges: how far each figure is. Who adds up counters gets what the run did.
"""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Callable, Collection
from typing import Literal

from singer_sdk import metrics

from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.rate import Rate

INTERVAL_SECONDS = 10.0


class StreamMetric(str, enum.Enum):
    """Names of this target's own metrics, beside the SDK's."""

    RECORD_CALLS = "record_calls"
    SET_CALLS = "set_calls"
    ALIAS_CALLS = "alias_calls"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    SET_ASIDE = "set_aside"
    DELETED = "deleted"
    MOVED = "moved"
    COLLISIONS = "collisions"
    AMOUNT_COLLISIONS = "amount_collisions"
    ITEM_COLLISIONS = "item_collisions"
    ROWS = "rows"
    LEFT_OUT = "left_out"
    DELETED_ATTRIBUTES = "deleted_attributes"


class RunMetric(str, enum.Enum):
    """Names of metrics of the whole run, told while it is under way."""

    CALLS_PER_SECOND = "calls_per_second"
    CALLS_UNDER_WAY = "calls_under_way"
    RETRIES = "retries"


def tell_totals(counts: StreamCounts) -> None:
    """Tell what a stream came to, all of its figures."""
    tags = {metrics.Tag.STREAM: counts.stream}
    for name, value in counts.figures().items():
        _tell("counter", StreamMetric(name), value, tags)


class MetricPoints:
    """Tells how far a run is, as gauges: of each stream the figures that changed, and those of the run.

    Args:
        streams: The counts of all streams, as they are at each moment.
        clock: Seconds that only grow.
    """

    def __init__(
        self, streams: Callable[[], Collection[StreamCounts]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._streams = streams
        self._clock = clock
        self._last = clock()
        self._rate = Rate(clock)
        self._told: dict[tuple[str, str], int] = {}

    def tick(self, *, answered: int, under_way: int, retries: int) -> None:
        """Tell, when it is time to."""
        now = self._clock()
        if now - self._last < INTERVAL_SECONDS:
            return
        self._last = now
        for counts in self._streams():
            self._tell_changes(counts)
        rate = self._rate.of(answered)
        _tell("gauge", RunMetric.CALLS_PER_SECOND, round(rate, 1), {})
        _tell("gauge", RunMetric.CALLS_UNDER_WAY, under_way, {})
        _tell("gauge", RunMetric.RETRIES, retries, {})

    def close(self) -> None:
        """Nothing is open."""

    def _tell_changes(self, counts: StreamCounts) -> None:
        for name, value in counts.figures().items():
            key = (counts.stream, name)
            if self._told.get(key, 0) != value:
                self._told[key] = value
                _tell("gauge", StreamMetric(name), value, {metrics.Tag.STREAM: counts.stream})


def _tell(
    kind: Literal["counter", "gauge"], metric: StreamMetric | RunMetric, value: float, tags: dict[metrics.Tag, str]
) -> None:
    whole = {str(tag.value): text for tag, text in tags.items()} | {metrics.Tag.PID.value: os.getpid()}
    point = metrics.Point(kind, metric, value, whole)  # type: ignore[arg-type]
    metrics.log(metrics.get_metrics_logger(), point)
