"""When a row happened: the fields that hold its time, and what stands in for them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from target_kissmetrics.kissmetrics.limits import EARLIEST_TIME, LATEST_TIME
from target_kissmetrics.mapping.reject_codes import RowRejected, advice
from target_kissmetrics.mapping.rules import times
from target_kissmetrics.mapping.rules.fields import FirstOf, Row

EVENT_TIME_CANDIDATES = ("timestamp", "event_timestamp", "event_time", "occurred_at", "time", "created_at")
ATTRIBUTE_TIME_CANDIDATES = ("updated_at", "modified_at", "last_modified", "timestamp")
"""Never `created_at`: an attribute was not set when its row was made."""


NO_GUESS: Final = object()
"""Given in the place of a message's `time_extracted`: reject a row that holds no time, do not guess one."""


class RowClock:
    """Tells when a row happened.

    Args:
        paths: Fields of the time, in the order they are tried.
        required: A row whose field is null is rejected, where its time would be guessed otherwise.
        now: Seconds since the Unix epoch.
        in_messages: The fields are a message format's own, and no entry of `streams` can name others.
    """

    def __init__(
        self, paths: Sequence[str], *, required: bool, now: Callable[[], float], in_messages: bool = False
    ) -> None:
        self._fields = FirstOf(paths)
        self._required = required
        self._now = now
        self._in_messages = in_messages

    def describe(self) -> str:
        """Say where times come from, for the line a stream starts with."""
        named = list(self._fields.paths)
        return ", else ".join(named if self._required else [*named, "time_extracted", "now"])

    @property
    def guesses(self) -> bool:
        """Whether no field holds the time, so that a later run would give the same row another one."""
        return not self._fields.paths

    def read(self, row: Row, extracted: object) -> tuple[int, str | None]:
        """Give a row's time in whole seconds since the Unix epoch, and the field it came from.

        Args:
            row: The row.
            extracted: The message's `time_extracted`, or None.

        Raises:
            RowRejected: No time, none that can be read, or one that Kissmetrics does not keep.
        """
        found = self._fields.find(row)
        if found is None:
            return self._guess(extracted), None
        field, value = found
        try:
            seconds = times.to_seconds(value)
        except (ValueError, OverflowError) as problem:
            to_do = advice("bad-timestamp", in_messages=self._in_messages)
            raise RowRejected("bad-timestamp", str(problem), field, to_do=to_do) from None
        check(seconds, field, in_messages=self._in_messages)
        return seconds, field

    def _guess(self, extracted: object) -> int:
        if extracted is NO_GUESS:
            raise RowRejected("no-timestamp", "the row was sent before with a guessed time, and holds no time itself")
        if self._required:
            field = self._fields.paths[0]
            raise RowRejected("no-timestamp", f"{field!r} holds no time, and the stream's entry names it", field)
        seconds = None
        if extracted:
            with contextlib.suppress(ValueError, OverflowError):
                seconds = times.to_seconds(extracted)
        if seconds is None:
            return int(self._now())
        check(seconds, "time_extracted", in_messages=self._in_messages)
        return seconds


def check(seconds: int, field: str | None, *, in_messages: bool = False) -> None:
    """Make sure that Kissmetrics keeps what happened then.

    Args:
        seconds: Since the Unix epoch.
        field: Where the time came from.
        in_messages: The field is a message format's own.

    Raises:
        RowRejected: Before 2009, or so late that it must have been misread.
    """
    if seconds < EARLIEST_TIME:
        told = "the time lies before 2009-01-01, and Kissmetrics keeps nothing from before"
        raise RowRejected("too-old", told, field, to_do=advice("too-old", in_messages=in_messages))
    if seconds >= LATEST_TIME:
        told = "the time lies after 2100-01-01 (is it in another unit?)"
        raise RowRejected("bad-timestamp", told, field, to_do=advice("bad-timestamp", in_messages=in_messages))


def present(candidates: Sequence[str], schema_fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the candidates that a schema has."""
    return tuple(name for name in candidates if name in schema_fields)
