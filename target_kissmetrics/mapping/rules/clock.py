"""When a row happened: the fields that hold its time, and what stands in for them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Final

from target_kissmetrics.kissmetrics.limits import EARLIEST_TIME, LATEST_TIME
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules import times
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, are_empty

EVENT_TIME_CANDIDATES = (
    "timestamp", "event_timestamp", "event_time", "occurred_at", "time", "derived_tstamp", "collector_tstamp",
    "created_at", "created", "date", "km_time",
)  # fmt: skip
ATTRIBUTE_TIME_CANDIDATES = ("updated_at", "modified_at", "last_modified", "timestamp", "km_time")
"""Not `created_at`: attributes may be set later than their row is created."""

NO_GUESS: Final = object()
"""Given in the place of a message's `time_extracted`: reject a row that holds no time, do not guess one."""


class RowClock:
    """Reads the time of rows.

    Args:
        fields: Fields of the time, in the order they are tried.
        required: Reject a row in which they are empty; False, or without fields: use `time_extracted`, else now.
        now: Returns seconds since the Unix epoch.
        max_future: Seconds that a time may be ahead of the clock.
        zone: That of times without one.
    """

    def __init__(
        self, fields: FirstOf, *, required: bool, now: Callable[[], float], max_future: float, zone: tzinfo = UTC
    ) -> None:
        self.paths = fields.paths
        self._fields = fields
        self._first, self._read_first = fields.first
        self._required = required and bool(self.paths)
        self._now = now
        self._max_future = max_future
        self._zone = zone

    def describe(self) -> str:
        """Return where times come from, in the order they are tried."""
        return ", else ".join(self.paths if self._required else (*self.paths, "time_extracted", "now"))

    def holds_time(self, row: Row) -> bool:
        """Return whether one of the fields, if there are any, is not empty in a row."""
        return not self.paths or self._fields.find(row) is not None

    def read(self, row: Row, extracted: object) -> tuple[int, str | None]:
        """Return a row's time in whole seconds since the Unix epoch, and the field it came from; None: it is guessed.

        Raises Rejected: there is no time, it cannot be read, or Kissmetrics does not keep it.
        """
        seconds = times.usual_seconds(self._read_first(row))
        if seconds is not None and EARLIEST_TIME <= seconds <= self._now():
            return seconds, self._first
        found = self._fields.find(row)
        if found is not None:
            return self.seconds_of(found[1], found[0]), found[0]
        if extracted is NO_GUESS:
            raise Rejected("no-timestamp", "no time: the row was sent before with a guessed one")
        if self._required:
            raise Rejected("no-timestamp", f"no time: {are_empty(self.paths)}", self.paths[0])
        if extracted:
            with contextlib.suppress(ValueError, OverflowError):
                return self._kept(times.to_seconds(extracted), "time_extracted"), None
        return int(self._now()), None

    def seconds_of(self, value: object, field: str) -> int:
        """Return a field's time in whole seconds since the Unix epoch, or raise Rejected; see `read`."""
        try:
            seconds = times.to_seconds(value, self._zone)
        except (ValueError, OverflowError) as problem:
            raise Rejected("bad-timestamp", str(problem), field) from None
        return self._kept(seconds, field)

    def _kept(self, seconds: int, field: str) -> int:
        if seconds < EARLIEST_TIME:
            raise Rejected("too-old", "the time is before 2009-01-01, and Kissmetrics keeps no older data", field)
        if seconds >= LATEST_TIME:
            raise Rejected("bad-timestamp", "the time is after 2100-01-01, so its unit is probably wrong", field)
        if seconds > self._now() + self._max_future:
            problem = f"the time is more than {self._max_future:g} seconds ahead of the clock (max_future_seconds)"
            raise Rejected("future-timestamp", problem, field)
        return seconds
