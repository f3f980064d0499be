"""Records what the report says of a run, in bounded memory and at little cost a call.

Of a row nothing is kept but names of events and properties, and of those a bounded number.
"""

from __future__ import annotations

import math
import platform
import threading
import time
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate

import msgspec

from target_kissmetrics.kissmetrics.calls import Alias, Call, Outgoing, Record
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.reporting import report as tree
from target_kissmetrics.reporting.counts import FIGURES, StreamCounts

OTHER_CAUSES = "others"
SAMPLE_SECONDS = 0.5  # how often rows are counted into buckets
FIRST_WIDTH_SECONDS = 0.5  # of a bucket; it doubles whenever a run would have more than `MAX_MOMENTS` of them
_STEPS_PER_DOUBLING = 8  # of durations, so that a percentile is at most a tenth too high, and never too low
_SHORTEST_SECONDS = 1e-5


@dataclass(slots=True)
class Bucket:
    """What happened in a stretch of time: rows read, calls acknowledged, and how many calls took how long."""

    rows: int = 0
    calls: int = 0
    longest: float = 0.0
    durations: Counter[int] = field(default_factory=Counter)

    def add(self, other: Bucket) -> None:
        """Add what happened in another bucket."""
        self.rows += other.rows
        self.calls += other.calls
        self.longest = max(self.longest, other.longest)
        self.durations.update(other.durations)

    def add_duration(self, seconds: float) -> None:
        """Add how long a call took."""
        self.longest = max(self.longest, seconds)
        self.durations[math.ceil(math.log2(max(seconds, _SHORTEST_SECONDS)) * _STEPS_PER_DOUBLING)] += 1

    def percentile(self, part: float) -> float:
        """Give the duration in seconds that this part of the calls (0.5 is half) did not exceed."""
        steps = sorted(self.durations)
        counts = list(accumulate(self.durations[step] for step in steps))
        step = steps[bisect_left(counts, part * counts[-1])]
        return min(float(2.0 ** (step / _STEPS_PER_DOUBLING)), self.longest)

    def latency(self) -> tree.Latency:
        """Give the latency of its calls."""
        if not self.durations:
            return tree.Latency(None, None, None)
        return tree.Latency(*(round(value, 6) for value in (self.percentile(0.5), self.percentile(0.95), self.longest)))


Series = defaultdict[int, Bucket]  # by their number since the start of the run; those in which nothing happened lack


def joined(numbered: Iterable[tuple[int, Bucket]]) -> Series:
    """Add up the buckets with the same number."""
    series = Series(Bucket)
    for number, bucket in numbered:
        series[number].add(bucket)
    return series


def over_time(series: Series, width: float, seconds: float) -> list[tree.Moment]:
    """Give the course of a run of so many seconds, without gaps, from buckets of this width in seconds.

    The last moment ends with the run. A rest of less than half a bucket belongs to the one before it, or its rate would
    be that of an instant.
    """
    if not series:
        return []
    last = max(1, round(seconds / width)) - 1
    whole = joined((min(number, last), bucket) for number, bucket in series.items())
    moments = []
    for number in range(last + 1):
        bucket, begin = whole[number], number * width
        length = width if number < last else max(seconds, 1e-3) - begin
        moments.append(tree.Moment(begin, round(length, 6), bucket.rows, bucket.calls, bucket.latency()))
    return moments


@dataclass(slots=True)
class StreamDetails:
    """What is recorded of a stream besides its counts: its course, the first and the last time, names."""

    series: Series = field(default_factory=lambda: Series(Bucket))
    retries: int = 0
    first: int | None = None
    last: int | None = None
    events: set[str] = field(default_factory=set)
    properties: set[str] = field(default_factory=set)

    def note(self, call: Call) -> None:
        """Note the time and the names of an acknowledged call."""
        if isinstance(call, Alias):
            return
        self.first = call.time if self.first is None else min(self.first, call.time)
        self.last = call.time if self.last is None else max(self.last, call.time)
        if len(self.properties) <= tree.MAX_NAMES:
            self.properties.update(call.properties)
        if isinstance(call, Record) and len(self.events) <= tree.MAX_NAMES:
            self.events.add(call.event)


class Recorder:
    """Records a run. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._lock = threading.Lock()
        self._causes: Counter[str] = Counter()
        self._slowest: list[tuple[float, float, int, Outgoing]] = []
        self._width = FIRST_WIDTH_SECONDS
        self._sampled_at = float("-inf")
        self._rows: Counter[str] = Counter()
        self._streams: dict[str, StreamDetails] = {}
        self._spare = StreamDetails()  # shared by the streams past MAX_STREAMS
        self._has_durations = False

    def acknowledged(self, outgoing: Outgoing, seconds: float, attempts: int) -> None:
        """Record how long an acknowledged call took, and its attempts."""
        with self._lock:
            moment, details = self._seconds(), self._details(outgoing.source.stream)
            self._has_durations = True
            details.retries += attempts - 1
            bucket = self._bucket(details, moment)
            bucket.calls += 1
            bucket.add_duration(seconds)
            if len(self._slowest) < tree.MAX_SLOWEST or seconds > self._slowest[-1][0]:
                insort(self._slowest, (seconds, moment, attempts, outgoing), key=lambda slow: -slow[0])
                del self._slowest[tree.MAX_SLOWEST :]

    def retried(self, why: str) -> None:
        """Record why a call is tried again."""
        with self._lock:
            is_counted = why in self._causes or len(self._causes) < tree.MAX_CAUSES
            self._causes[why if is_counted else OTHER_CAUSES] += 1

    def batch_acknowledged(self, calls: Iterable[Outgoing]) -> None:
        """Record times and names of the calls of an acknowledged batch, and their number where that is all there is."""
        with self._lock:
            moment = self._seconds()
            for counts, call in calls:
                details = self._details(counts.stream)
                details.note(call)
                if not self._has_durations:
                    self._bucket(details, moment).calls += 1

    def tick(self, streams: Collection[StreamCounts], *, at_end: bool = False) -> None:
        """Count the rows read since the last time, when that is due."""
        with self._lock:
            moment = self._seconds()
            if moment - self._sampled_at < SAMPLE_SECONDS and not at_end:
                return
            self._sampled_at = moment
            for counts in streams:
                rows = counts.rows - self._rows[counts.stream]
                if rows:
                    self._rows[counts.stream] += rows
                    self._bucket(self._details(counts.stream), moment).rows += rows

    def report(
        self, streams: Sequence[StreamCounts], about: tree.About, ending: tree.Ending, *, names: bool, now: datetime
    ) -> tree.RunReport:
        """Give the report of the run, which has ended; `names` lists the names of events and properties."""
        self.tick(streams, at_end=True)
        seconds = self._seconds()
        whole = joined(item for one in (*self._streams.values(), self._spare) for item in one.series.items())
        figures = [counts.figures() for counts in streams]
        busiest = sorted(streams, key=lambda counts: (counts.calls, counts.rows), reverse=True)[: tree.MAX_PLOTTED]
        return tree.RunReport(
            **msgspec.structs.asdict(about),
            **ending._asdict(),
            python=f"Python {platform.python_version()} on {platform.system()} {platform.machine()}",
            started=_utc(now.timestamp() - seconds),
            seconds=round(seconds, 3),
            retries=self._causes.total(),
            retries_by_cause=dict(self._causes.most_common()),
            figures={name: sum(one[name] for one in figures) for name in FIGURES},
            latency=_latency(whole),
            over_time=over_time(whole, self._width, seconds),
            slowest_calls=[_slow_call(*slow, with_name=names) for slow in self._slowest],
            streams=[self._stream(counts, seconds, names, is_plotted=counts in busiest) for counts in streams],
        )

    def _stream(self, counts: StreamCounts, seconds: float, names: bool, *, is_plotted: bool) -> tree.StreamReport:
        is_recorded = counts.stream in self._streams
        details = self._streams.get(counts.stream, StreamDetails())
        return tree.StreamReport(
            stream=counts.stream,
            figures=counts.figures(),
            rejected_by_reason=dict(counts.rejected.most_common()),
            set_aside_by_reason=dict(counts.set_aside.most_common()),
            retries=details.retries if is_recorded else None,
            first_time=None if details.first is None else _utc(details.first),
            last_time=None if details.last is None else _utc(details.last),
            event_names=_names(details.events, listed=names) if is_recorded else None,
            property_names=_names(details.properties, listed=names) if is_recorded else None,
            latency=_latency(details.series),
            over_time=over_time(details.series, self._width, seconds) if is_plotted else [],
        )

    def _seconds(self) -> float:
        """Give the time since the start; buckets get wider where a run has become too long for them."""
        seconds = self._clock() - self._start
        while seconds / self._width >= tree.MAX_MOMENTS:
            self._width *= 2
            for details in (*self._streams.values(), self._spare):
                details.series = joined((number // 2, bucket) for number, bucket in details.series.items())
        return seconds

    def _details(self, stream: str) -> StreamDetails:
        if stream not in self._streams and len(self._streams) >= tree.MAX_STREAMS:
            return self._spare
        return self._streams.setdefault(stream, StreamDetails())

    def _bucket(self, details: StreamDetails, moment: float) -> Bucket:
        return details.series[int(moment / self._width)]


def _latency(series: Series) -> tree.Latency:
    return joined((0, bucket) for bucket in series.values())[0].latency()


def _names(names: Collection[str], *, listed: bool) -> tree.Names:
    as_written = {folded(name): name for name in names}
    distinct, more = min(len(as_written), tree.MAX_NAMES), len(names) > tree.MAX_NAMES
    return tree.Names(distinct, more, sorted(as_written.values())[: tree.MAX_LISTED] if listed else None)


def _slow_call(seconds: float, moment: float, attempts: int, outgoing: Outgoing, *, with_name: bool) -> tree.SlowCall:
    counts, call = outgoing
    event = call.event if with_name and isinstance(call, Record) else None
    kind = type(call).__name__.lower()
    return tree.SlowCall(round(seconds, 6), round(moment, 6), attempts, counts.stream, kind, event)


def _utc(seconds: float) -> str:
    """Write a time; an event's may be one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(seconds)
