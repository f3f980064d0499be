"""The report of a run: the counts of each stream's rows, how fast and when, and how the run ended.

It holds no personal data, so that it can be attached to a ticket: no identity, no value of a property, and no name of
an event or property, which may come from the data, unless `report_names` asks for them.

The structs are the JSON, field by field. The text beside a field is its line in the reference.
"""

from __future__ import annotations

import json
import math
import platform
import threading
import time
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from typing import Annotated, Literal, NamedTuple

import msgspec

from target_kissmetrics.kissmetrics.calls import Alias, Call, Outgoing
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.reporting import display
from target_kissmetrics.reporting.counts import FIGURES, StreamCounts
from target_kissmetrics.reporting.redaction import each_text

FORMAT = 1  # incremented when the JSON changes in a way that breaks its readers
# A report is of bounded size, and so is what is recorded for it.
MAX_STREAMS = 200  # of which more than the counts is recorded
MAX_PLOTTED = 20  # streams with a course over time: those with the most calls and rows
MAX_MOMENTS = 120
MAX_NAMES = 1000  # of events, and of properties, in a stream: more than these come from the data
MAX_LISTED = 100
MAX_SLOWEST = 20
MAX_CAUSES = 50
SAMPLE_SECONDS = 0.5  # how often rows are counted into buckets
FIRST_WIDTH_SECONDS = 0.5  # of a bucket; it doubles whenever a run would have more than `MAX_MOMENTS` of them
_STEPS_PER_DOUBLING = 8  # of durations, so that a percentile is at most a tenth too high, and never too low


class Latency(msgspec.Struct, frozen=True):
    """How long calls took; null where nothing was measured."""

    median: Annotated[float | None, "Half of the calls took no longer, in seconds, including retries."]
    p95: Annotated[float | None, "95 of 100 calls took no longer."]
    longest: Annotated[float | None, "The longest."]


class Moment(msgspec.Struct, frozen=True):
    """A stretch of a run."""

    at: Annotated[float, "When it began, in seconds since the start of the run."]
    seconds: Annotated[float, "How long it is."]
    rows: Annotated[int, "Rows read in it."]
    calls: Annotated[int, "Calls acknowledged in it."]
    latency: Annotated[Latency, "Of the calls that were acknowledged in it."]


class SlowCall(msgspec.Struct, frozen=True):
    """One of the slowest calls."""

    seconds: Annotated[float, "From the start of its first attempt to the answer of its last one."]
    moment: Annotated[float, "When it was acknowledged, in seconds since the start of the run."]
    attempts: Annotated[int, "Made in all."]
    stream: Annotated[str, "Its stream."]
    type: Annotated[str, "`record`, `set` or `alias`."]
    event: Annotated[str | None, "The name of a recorded event; null unless `report_names` asks for it."]


class Names(msgspec.Struct, frozen=True):
    """Names of events or properties."""

    distinct: Annotated[int, "How many there are; names that differ only in case are one, as for Kissmetrics."]
    more: Annotated[bool, f"There are more: past {MAX_NAMES:,} they are not counted."]
    listed: Annotated[Sequence[str] | None, f"The first {MAX_LISTED} in order; null unless `report_names` is true."]


class StreamReport(msgspec.Struct, frozen=True):
    """A stream. In the JSON its figures stand beside the other fields."""

    stream: Annotated[str, "Its name."]
    figures: Mapping[str, int]
    rejected_by_reason: Annotated[Mapping[str, int], "Rejected rows by code."]
    set_aside_by_reason: Annotated[Mapping[str, int], "Dropped properties and aliases by code."]
    retries: Annotated[int | None, f"Attempts made again for its calls; null past the first {MAX_STREAMS} streams."]
    first_time: Annotated[str | None, "The earliest time of an event or attribute that was sent, in UTC."]
    last_time: Annotated[str | None, "The latest."]
    event_names: Annotated[Names | None, f"Of events that were sent; null past the first {MAX_STREAMS} streams."]
    property_names: Annotated[Names | None, f"Of properties that were sent; null past the first {MAX_STREAMS} streams."]
    latency: Annotated[Latency, "Of all its calls."]
    over_time: Annotated[Sequence[Moment], f"Its course; only of the {MAX_PLOTTED} streams with the most calls."]


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, as the caller knows it at the start."""

    format: Annotated[int, "The number of this format; it goes up with a change that breaks readers."] = FORMAT
    target: Annotated[str, "Always `target-kissmetrics`."] = "target-kissmetrics"
    run_id: Annotated[str, "The ID of the run; IDs sort by their time."]
    version: Annotated[str, "The target's version."]
    sdk: Annotated[str, "The Meltano SDK's version."]
    delivery: Annotated[
        Literal["api", "files", "dry run", "remember only"], "Where calls went; in the last two cases nowhere."
    ]
    client: Annotated[str | None, "What sent the requests, `curl` or `requests`; null where none were sent."]
    settings: Annotated[Mapping[str, str], "Each setting as text, without secrets."]


class Ending(NamedTuple):
    """How a run ended."""

    ended_as: Literal["complete", "failed", "stopped"]
    reason: str | None = None


class RunReport(About, frozen=True, kw_only=True):
    """A whole run."""

    ended_as: Annotated[Literal["complete", "failed", "stopped"], "How the run ended."]
    reason: Annotated[str | None, "Why it failed or stopped, in one line without personal data; else null."]
    python: Annotated[str, "Python's version, the system and its processor."]
    started: Annotated[str, "When the run started, in UTC, as `2025-03-01T08:00:00Z`."]
    seconds: Annotated[float, "How long it took."]
    retries: Annotated[int, "Attempts made again."]
    retries_by_cause: Annotated[Mapping[str, int], f"The same by cause; past {MAX_CAUSES} causes: `others`."]
    figures: Annotated[Mapping[str, int], "Sums over all streams, by the names of the metrics."]
    latency: Annotated[Latency, "Of all calls."]
    over_time: Annotated[Sequence[Moment], f"Of all streams: at most {MAX_MOMENTS}, of equal length but the last."]
    slowest_calls: Annotated[Sequence[SlowCall], f"The {MAX_SLOWEST} slowest, the slowest first."]
    streams: Annotated[Sequence[StreamReport], "In the order in which they came."]

    @property
    def calls(self) -> int:
        """Acknowledged calls."""
        return sum(self.figures.get(name, 0) for name in ("record_calls", "set_calls", "alias_calls"))


def as_json(report: RunReport) -> str:
    """Write a report for programs."""
    whole = each_text(msgspec.to_builtins(report), display.whole)
    whole["streams"] = [{"stream": one.pop("stream"), **one.pop("figures"), **one} for one in whole["streams"]]
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


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
        self.durations[math.ceil(math.log2(max(seconds, 1e-5)) * _STEPS_PER_DOUBLING)] += 1

    def percentile(self, part: float) -> float:
        """Give the duration in seconds that this part of the calls (0.5 is half) did not exceed."""
        steps = sorted(self.durations)
        counts = list(accumulate(self.durations[step] for step in steps))
        step = steps[bisect_left(counts, part * counts[-1])]
        return min(float(2.0 ** (step / _STEPS_PER_DOUBLING)), self.longest)

    def latency(self) -> Latency:
        """Give the latency of its calls."""
        if not self.durations:
            return Latency(None, None, None)
        return Latency(*(round(value, 6) for value in (self.percentile(0.5), self.percentile(0.95), self.longest)))


Series = defaultdict[int, Bucket]  # by their number since the start of the run; those in which nothing happened lack


def joined(numbered: Iterable[tuple[int, Bucket]]) -> Series:
    """Add up the buckets with the same number."""
    series = Series(Bucket)
    for number, bucket in numbered:
        series[number].add(bucket)
    return series


def over_time(series: Series, width: float, seconds: float) -> list[Moment]:
    """Give the course of a run of `seconds`, without gaps, from buckets of `width` seconds."""
    if not series:
        return []
    # A rest of less than half a bucket belongs to the one before it, or its rate would be that of an instant.
    last = max(1, round(seconds / width)) - 1
    whole = joined((min(number, last), bucket) for number, bucket in series.items())
    moments = []
    for number in range(last + 1):
        bucket, begin = whole[number], number * width
        length = width if number < last else max(seconds, 1e-3) - begin
        moments.append(Moment(begin, round(length, 6), bucket.rows, bucket.calls, bucket.latency()))
    return moments


@dataclass(slots=True)
class StreamDetails:
    """What is recorded of a stream besides its counts: its course, the first and the last time, names."""

    series: Series = field(default_factory=lambda: Series(Bucket))
    retries: int = 0
    first: int | None = None
    last: int | None = None
    properties: set[str] = field(default_factory=set)

    def note(self, call: Call) -> None:
        """Note the time and the names of an acknowledged call."""
        if isinstance(call, Alias):
            return
        self.first = call.time if self.first is None else min(self.first, call.time)
        self.last = call.time if self.last is None else max(self.last, call.time)
        if len(self.properties) <= MAX_NAMES:
            self.properties.update(call.properties)


class Recorder:
    """Records a run. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._lock = threading.Lock()
        self._causes: Counter[str] = Counter()
        self._slowest: list[SlowCall] = []
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
            if len(self._slowest) < MAX_SLOWEST or seconds > self._slowest[-1].seconds:
                stream, call = outgoing.source.stream, outgoing.call
                kind, event = type(call).__name__.lower(), getattr(call, "event", None)
                slow = SlowCall(round(seconds, 6), round(moment, 6), attempts, stream, kind, event)
                insort(self._slowest, slow, key=lambda slow: -slow.seconds)
                del self._slowest[MAX_SLOWEST:]

    def retried(self, why: str) -> None:
        """Record why a call is tried again."""
        with self._lock:
            is_counted = why in self._causes or len(self._causes) < MAX_CAUSES
            self._causes[why if is_counted else "others"] += 1

    def batch_acknowledged(self, calls: Iterable[Outgoing]) -> None:
        """Record times and names of the calls of an acknowledged batch, and their number where that is all there is."""
        with self._lock:
            moment = self._seconds()
            for outgoing in calls:
                details = self._details(outgoing.source.stream)
                details.note(outgoing.call)
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
        self, streams: Sequence[StreamCounts], about: About, ending: Ending, *, names: bool, now: datetime
    ) -> RunReport:
        """Give the report of the run, which has ended; `names` lists the names of events and properties."""
        self.tick(streams, at_end=True)
        seconds = self._seconds()
        whole = joined(item for one in (*self._streams.values(), self._spare) for item in one.series.items())
        figures = [counts.figures() for counts in streams]
        busiest = sorted(streams, key=lambda counts: (counts.calls, counts.rows), reverse=True)[:MAX_PLOTTED]
        return RunReport(
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
            slowest_calls=[slow if names else msgspec.structs.replace(slow, event=None) for slow in self._slowest],
            streams=[self._stream(counts, seconds, names, is_plotted=counts in busiest) for counts in streams],
        )

    def _stream(self, counts: StreamCounts, seconds: float, names: bool, *, is_plotted: bool) -> StreamReport:
        is_recorded = counts.stream in self._streams
        details = self._streams.get(counts.stream, StreamDetails())
        return StreamReport(
            stream=counts.stream,
            figures=counts.figures(),
            rejected_by_reason=dict(counts.rejected.most_common()),
            set_aside_by_reason=dict(counts.set_aside.most_common()),
            retries=details.retries if is_recorded else None,
            first_time=None if details.first is None else _utc(details.first),
            last_time=None if details.last is None else _utc(details.last),
            event_names=_names(counts.events, listed=names) if is_recorded else None,
            property_names=_names(details.properties, listed=names) if is_recorded else None,
            latency=_latency(details.series),
            over_time=over_time(details.series, self._width, seconds) if is_plotted else [],
        )

    def _seconds(self) -> float:
        """Give the time since the start; buckets get wider where a run has become too long for them."""
        seconds = self._clock() - self._start
        while seconds / self._width >= MAX_MOMENTS:
            self._width *= 2
            for details in (*self._streams.values(), self._spare):
                details.series = joined((number // 2, bucket) for number, bucket in details.series.items())
        return seconds

    def _details(self, stream: str) -> StreamDetails:
        if stream not in self._streams and len(self._streams) >= MAX_STREAMS:
            return self._spare
        return self._streams.setdefault(stream, StreamDetails())

    def _bucket(self, details: StreamDetails, moment: float) -> Bucket:
        return details.series[int(moment / self._width)]


def _latency(series: Series) -> Latency:
    return joined((0, bucket) for bucket in series.values())[0].latency()


def _names(names: Collection[str], *, listed: bool) -> Names:
    as_written = {folded(name): name for name in names}
    distinct, more = min(len(as_written), MAX_NAMES), len(names) > MAX_NAMES
    return Names(distinct, more, sorted(as_written.values())[:MAX_LISTED] if listed else None)


def _utc(seconds: float) -> str:
    """Write a time; an event's may be one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(seconds)
