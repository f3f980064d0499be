"""The report of a run: what became of each stream's rows, how fast and when, and how the run ended.

It holds no personal data, so that it can be attached to a ticket: no identity, no value of a property, and no name of
an event or property, which may be made from data, unless `report_names` asks for them. Figures and reasons have the
names that the summary and the metrics give them.
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.reporting import display as shown
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.run_recorder import MAX_NAMES, RunRecorder, SlowCall, StreamDetails
from target_kissmetrics.reporting.series import Bucket, Series, together

FORMAT = 1
"""Goes up when the JSON changes in a way that breaks who reads it."""

MAX_LISTED = 100
"""Names that are listed for a stream."""

MAX_PLOTTED = 20
"""Streams whose course over time is told, those with the most calls and rows."""

EndedAs = Literal["complete", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended.

    Attributes:
        ended_as: What a word can say of it.
        reason: Why, in one line without personal data; None for a run that is complete.
    """

    ended_as: EndedAs
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What ran.

    Attributes:
        version: The target's.
        sdk: The Meltano SDK's version.
        delivery: `api`, `files`, or `dry run`.
        client: What sent the requests; None where none are sent.
        settings: As they may be told.
    """

    version: str
    sdk: str
    delivery: Literal["api", "files", "dry run"]
    client: str | None
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Latency:
    """How long calls took, retries among it, in seconds; None where nothing was measured."""

    median: float | None
    p95: float | None
    longest: float | None


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened in one stretch of a run.

    Attributes:
        at: When it began, in seconds since the start of the run.
        seconds: How long it is.
        rows: Read.
        calls: Taken.
        latency: Of the calls that were answered in it.
    """

    at: float
    seconds: float
    rows: int
    calls: int
    latency: Latency

    @property
    def rows_per_second(self) -> float:
        """Rows read a second."""
        return self.rows / self.seconds

    @property
    def calls_per_second(self) -> float:
        """Calls taken a second."""
        return self.calls / self.seconds


@dataclass(frozen=True, slots=True)
class Names:
    """Names that Kissmetrics tells apart, which it does without regard to case.

    Attributes:
        distinct: How many; at least so many where there are more.
        more: There are more than are counted.
        listed: The names, where they are asked for.
    """

    distinct: int
    more: bool
    listed: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What became of a stream.

    Attributes:
        stream: Its name.
        figures: As the metrics have them.
        rejected_by_reason: Rows, by the reason's code.
        set_aside_by_reason: Parts of rows, likewise.
        retries: Attempts made again for its calls; None past the streams of which so much is kept.
        first_time: Of its events and attributes, the earliest.
        last_time: The latest.
        event_names: Of events that were sent.
        property_names: Of properties that were sent.
        latency: Of all its calls.
        over_time: Its course; empty where that is not told.
    """

    stream: str
    figures: Mapping[str, int]
    rejected_by_reason: Mapping[str, int]
    set_aside_by_reason: Mapping[str, int]
    retries: int | None
    first_time: str | None
    last_time: str | None
    event_names: Names | None
    property_names: Names | None
    latency: Latency
    over_time: Sequence[Moment]

    @property
    def calls(self) -> int:
        """Calls that were taken."""
        return self.figures["record_calls"] + self.figures["set_calls"] + self.figures["alias_calls"]


@dataclass(frozen=True, slots=True)
class RunReport:
    """A whole run.

    Attributes:
        about: What ran.
        python: Python's version and the system's name.
        started: When, in UTC.
        seconds: How long it took.
        ending: How it ended.
        retries: Attempts that were made again.
        retries_by_cause: Likewise, by what had happened.
        figures: Sums over all streams, as the metrics name them.
        latency: Of all calls.
        over_time: The course of all streams together.
        slowest_calls: The slowest ones, the slowest first.
        streams: In the order in which they came.
    """

    about: About
    python: str
    started: str
    seconds: float
    ending: Ending
    retries: int
    retries_by_cause: Mapping[str, int]
    figures: Mapping[str, int]
    latency: Latency
    over_time: Sequence[Moment]
    slowest_calls: Sequence[SlowCall]
    streams: Sequence[StreamReport]

    @property
    def calls(self) -> int:
        """Calls that were taken."""
        return sum(stream.calls for stream in self.streams)


def make_report(  # noqa: PLR0913 - all by name
    *,
    recorder: RunRecorder,
    streams: Collection[StreamCounts],
    about: About,
    ending: Ending,
    retries: int,
    names: bool,
    now: datetime,
) -> RunReport:
    """Put together what is known at the end of a run.

    Args:
        recorder: What watched it.
        streams: The counts of all streams.
        about: What ran.
        ending: How it ended.
        retries: Attempts that were made again.
        names: Whether names of events and properties are told.
        now: The time, in UTC.
    """
    recorder.tick(streams, at_end=True)
    seconds = recorder.seconds
    total = together(recorder.all_series)
    figures: Counter[str] = Counter()
    for counts in streams:
        figures.update(counts.figures())
    busiest = sorted(streams, key=lambda counts: (counts.calls, counts.rows), reverse=True)[:MAX_PLOTTED]
    plotted = {counts.stream for counts in busiest}
    return RunReport(
        about=about,
        python=f"Python {platform.python_version()} on {platform.system()} {platform.machine()}",
        started=_written((now - timedelta(seconds=seconds)).timestamp()),
        seconds=round(seconds, 3),
        ending=ending,
        retries=retries,
        retries_by_cause=dict(recorder.causes.most_common()),
        figures=dict(figures),
        latency=_latency(total.total()),
        over_time=_over_time(total, seconds),
        slowest_calls=[call if names else replace(call, event=None) for call in recorder.slowest],
        streams=[
            _stream(counts, recorder, seconds, names=names, is_plotted=counts.stream in plotted) for counts in streams
        ],
    )


def as_json(report: RunReport) -> str:
    """Write a report for programs."""
    written = asdict(report)
    streams = []
    for stream, given in zip(written.pop("streams"), report.streams, strict=True):
        figures = stream.pop("figures")
        del stream["stream"]
        streams.append({"stream": given.stream, **figures, **stream})
    about, ending = written.pop("about"), written.pop("ending")
    whole = {"format": FORMAT, "target": "target-kissmetrics", **about, **ending, **written, "streams": streams}
    return json.dumps(_rounded(whole), indent=1, ensure_ascii=False) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(inner) for inner in value]
    return value


def _stream(
    counts: StreamCounts, recorder: RunRecorder, seconds: float, *, names: bool, is_plotted: bool
) -> StreamReport:
    kept = recorder.has_details(counts.stream)
    details = recorder.details(counts.stream) if kept else StreamDetails()
    return StreamReport(
        stream=counts.stream,
        figures=counts.figures(),
        rejected_by_reason=dict(counts.all_rejected.most_common()),
        set_aside_by_reason=dict(counts.all_dropped.most_common()),
        retries=details.retries if kept else None,
        first_time=None if details.first is None else _written(details.first),
        last_time=None if details.last is None else _written(details.last),
        event_names=_names(details.events, more=bool(details.other_events), listed=names) if kept else None,
        property_names=_names(details.properties, more=len(details.properties) > MAX_NAMES, listed=names)
        if kept
        else None,
        latency=_latency(details.series.total()),
        over_time=_over_time(details.series, seconds) if is_plotted else [],
    )


def _names(names: Iterable[str], *, more: bool, listed: bool) -> Names:
    as_first_written = {folded(name): name for name in names}
    listing = sorted(as_first_written.values())[:MAX_LISTED] if listed else None
    return Names(len(as_first_written), more, listing)


def _latency(bucket: Bucket) -> Latency:
    if not bucket.answered:
        return Latency(None, None, None)
    return Latency(bucket.percentile(0.5), bucket.percentile(0.95), bucket.longest)


def _over_time(series: Series, seconds: float) -> list[Moment]:
    points = series.points(seconds)
    # When a call was answered is known to the moment; when it was counted, many at a time, is all that files have.
    is_timed = any(point.bucket.answered for point in points)
    return [
        Moment(
            at=point.begin,
            seconds=point.seconds,
            rows=point.bucket.rows,
            calls=point.bucket.answered if is_timed else point.bucket.calls,
            latency=_latency(point.bucket),
        )
        for point in points
    ]


def _written(seconds: float) -> str:
    """Write a moment; of an event's time there is no telling whether the calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return shown.line(str(seconds))
