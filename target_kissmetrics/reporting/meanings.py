"""What a run's figures and the fields of its report mean, for the documentation: each name has its line."""

from __future__ import annotations

from collections.abc import Mapping

from target_kissmetrics.reporting.run_recorder import MAX_CAUSES, MAX_NAMES, MAX_SLOWEST, MAX_STREAMS
from target_kissmetrics.reporting.run_report import MAX_LISTED, MAX_PLOTTED
from target_kissmetrics.reporting.series import MAX_POINTS

FIGURES: Mapping[str, str] = {
    "rows": "Rows read, sent or not.",
    "record_calls": "Events that were taken.",
    "set_calls": "Calls that set properties and were taken.",
    "alias_calls": "Aliases that were taken.",
    "unchanged": "Attributes, aliases and events recorded once that were not sent, since they were before.",
    "rejected": "Rows, and events of batches, that were not sent; they are in the rejects file.",
    "set_aside": "Properties and aliases that were left out of rows that were sent; they are in the rejects file.",
    "left_out": "Events of batches of a type that becomes no call.",
    "deleted": "Rows that were deleted at the source (`_sdc_deleted_at`), which Kissmetrics cannot do.",
    "deleted_attributes": "Attributes that were deleted at the source, which Kissmetrics keeps.",
    "moved": "Events that moved to a second of their own (`spread_duplicates`).",
    "collisions": "Events that Kissmetrics takes for another row's: same person, name and second.",
    "amount_collisions": "Amounts lost: another event of the person has one in the same second.",
    "item_collisions": "Line items that lose a value to another event's in their second, or to their own event.",
}
"""Of a stream: each name of `StreamCounts.figures`."""

RUN_FIGURES: Mapping[str, str] = {
    "calls_per_second": "Calls that were taken a second, since the gauge before.",
    "calls_under_way": "Calls that are made and not taken yet.",
    "retries": "Attempts that were made again, so far.",
}
"""Of a run that is under way: each name of `RunMetric`."""

REPORT: Mapping[str, Mapping[str, str]] = {
    "run": {
        "format": "The number of this format; it goes up when the JSON changes in a way that breaks who reads it.",
        "target": "Always `target-kissmetrics`.",
        "version": "This target's.",
        "sdk": "The Meltano SDK's version.",
        "delivery": "Where calls went; in a dry run nowhere.",
        "client": "What sent the requests, `curl` or `requests`; null where none were sent.",
        "settings": "Each setting as text, as far as it may be told.",
        "ended_as": "How the run ended.",
        "reason": "Why it failed or was stopped, in one line without personal data; null when it is complete.",
        "python": "Python's version, the system and its processor.",
        "started": "When the run started, in UTC, as `2025-03-01T08:00:00Z`.",
        "seconds": "How long it took.",
        "retries": "Attempts that were made again.",
        "retries_by_cause": f"Likewise, by what had happened; past {MAX_CAUSES} causes: `others`.",
        "figures": "Sums over all streams, by the names of the metrics.",
        "latency": "Of all calls.",
        "over_time": f"The course of all streams together: {MAX_POINTS} moments at most, equally long but the last.",
        "slowest_calls": f"The {MAX_SLOWEST} slowest, the slowest first.",
        "streams": "In the order in which they came.",
    },
    "stream": {
        "stream": "Its name.",
        "rejected_by_reason": "Rows that were not sent, by the code of the reason.",
        "set_aside_by_reason": "Parts of rows that were not sent, likewise.",
        "retries": f"Attempts made again for its calls; null past the first {MAX_STREAMS} streams.",
        "first_time": "The earliest time of an event or attribute that was sent, in UTC.",
        "last_time": "The latest.",
        "event_names": f"Of events that were sent; null past the first {MAX_STREAMS} streams.",
        "property_names": f"Of properties that were sent; null past the first {MAX_STREAMS} streams.",
        "latency": "Of all its calls.",
        "over_time": f"Its course; empty but for the {MAX_PLOTTED} streams with the most calls.",
    },
    "names": {
        "distinct": "How many there are; names that differ by case only are one, as for Kissmetrics.",
        "more": f"There are more than that: past {MAX_NAMES:,} they are not told apart.",
        "listed": f"The first {MAX_LISTED} in alphabetical order; null unless `report_names` asks for them.",
    },
    "latency": {
        "median": "Half of the calls took no longer, in seconds, retries among it.",
        "p95": "95 of 100 calls took no longer.",
        "longest": "The longest.",
    },
    "moment": {
        "at": "When it began, in seconds since the start of the run.",
        "seconds": "How long it is.",
        "rows": "Rows read in it.",
        "calls": "Calls taken in it.",
        "latency": "Of the calls that were answered in it.",
    },
    "call": {
        "seconds": "From the start of its first attempt to the answer of its last one.",
        "moment": "When it was answered, in seconds since the start of the run.",
        "attempts": "Made in all.",
        "stream": "Its stream.",
        "type": "`record`, `set` or `alias`.",
        "event": "The name of a recorded event; null unless `report_names` asks for it.",
    },
}
"""Of a report's JSON, by the kind of object; a stream has its figures, too."""
