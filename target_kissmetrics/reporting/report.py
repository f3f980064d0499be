"""The report of a run: the counts of each stream's rows, how fast and when, and how the run ended.

It holds no personal data, so that it can be attached to a ticket: no identity, no value of a property, and no name of
an event or property, which may come from the data, unless `report_names` asks for them.

The structs are the JSON, field by field. The text beside a field is its line in the reference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec

from target_kissmetrics.reporting import display
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

    @property
    def has_names(self) -> bool:
        """Whether names of events and properties are listed."""
        return any(stream.event_names is not None and stream.event_names.listed is not None for stream in self.streams)


def as_json(report: RunReport) -> str:
    """Write a report for programs."""
    whole = each_text(msgspec.to_builtins(report), display.whole)
    whole["streams"] = [{"stream": one.pop("stream"), **one.pop("figures"), **one} for one in whole["streams"]]
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
