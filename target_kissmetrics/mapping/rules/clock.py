"""When a row happened: the fields that hold its time, and what stands in for them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

from target_kissmetrics.kissmetrics.limits import EARLIEST_TIME, LATEST_TIME
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules import times
from target_kissmetrics.mapping.rules.fields import FirstOf, Row

EVENT_TIME_CANDIDATES = (
    "timestamp", "event_timestamp", "event_time", "occurred_at", "time", "derived_tstamp", "collector_tstamp",
    "created_at", "created", "date",
)  # fmt: skip
ATTRIBUTE_TIME_CANDIDATES = ("updated_at", "modified_at", "last_modified", "timestamp")
"""Not `created_at`: attributes may be set later than their row is created."""


NO_GUESS: Final = object()
"""Given in the place of a message's `time_extracted`: reject a row that holds no time, do not guess one."""


class RowClock:
    """Reads the time of rows.

    Args:
        fields: Fields of the time, in the order they are tried.
        required: Reject a row without a time; False: use `time_extracted`, else now.
        now: Returns seconds since the Unix epoch.
        in_messages: The fields are those of a message format, which no entry of `streams` can change.

    Attributes:
        paths: Their paths.
    """

    def __init__(self, fields: FirstOf, *, required: bool, now: Callable[[], float], in_messages: bool = False) -> None:
        self.paths = fields.paths
        self._fields = fields
        self._required = required
        self._now = now
        self._in_messages = in_messages

    def describe(self) -> str:
        """Return where times come from, in the order they are tried."""
        return ", else ".join(self.paths if self._required else (*self.paths, "time_extracted", "now"))

    def read(self, row: Row, extracted: object) -> tuple[int, str | None]:
        """Return a row's time in whole seconds since the Unix epoch, and the field it came from.

        Raises:
            Rejected: There is no time, it cannot be read, or Kissmetrics does not keep it.
        """
        found = self._fields.find(row)
        if found is not None:
            return seconds_of(found[1], found[0], in_messages=self._in_messages), found[0]
        if extracted is NO_GUESS:
            raise Rejected("no-timestamp", "no time: the row was sent before with a guessed one")
        if self._required:
            path = self.paths[0]
            raise Rejected("no-timestamp", f"no time: {path}, which the stream's entry names, is empty", path)
        if extracted:
            with contextlib.suppress(ValueError, OverflowError):
                return _kept(times.to_seconds(extracted), "time_extracted", in_messages=self._in_messages), None
        return int(self._now()), None


def seconds_of(value: object, field: str, *, in_messages: bool = False) -> int:
    """Return a field's time in whole seconds since the Unix epoch.

    Raises:
        Rejected: It cannot be read, or Kissmetrics does not keep it.
    """
    try:
        seconds = times.to_seconds(value)
    except (ValueError, OverflowError) as problem:
        raise Rejected("bad-timestamp", str(problem), field, in_messages=in_messages) from None
    return _kept(seconds, field, in_messages=in_messages)


def _kept(seconds: int, field: str, *, in_messages: bool) -> int:
    if seconds < EARLIEST_TIME:
        problem = "the time is before 2009-01-01, and Kissmetrics keeps no older data"
        raise Rejected("too-old", problem, field, in_messages=in_messages)
    if seconds >= LATEST_TIME:
        problem = "the time is after 2100-01-01, so its unit is probably wrong"
        raise Rejected("bad-timestamp", problem, field, in_messages=in_messages)
    return seconds
