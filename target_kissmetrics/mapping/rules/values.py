"""Values of properties: text, up to 8 KB of UTF-8.

Booleans are `true` and `false`, numbers are written with all their digits, times as `datetime_format` says, lists of
scalars joined with `,`. Source: support.kissmetrics.io, "API Specifications"; Segment's Kissmetrics integration for
lists and booleans.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from target_kissmetrics.kissmetrics.limits import MAX_VALUE_BYTES
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules import times
from target_kissmetrics.mapping.rules.names import is_utf8

MAX_NUMBER_DIGITS = 400
"""A longer number is rejected, not written out: an exponent could ask for gigabytes."""

_SHORT = MAX_VALUE_BYTES // 4
"""Characters that fit into a value, whatever they are."""

_SHORT_NUMBER = 40


class Values:
    """Writes values.

    Args:
        datetime_format: `unix`: whole seconds since the epoch; `iso8601`: `2024-01-31T08:00:00Z`.
    """

    __slots__ = ("_unix",)

    def __init__(self, datetime_format: Literal["unix", "iso8601"]) -> None:
        self._unix = datetime_format == "unix"

    def writer(self, *, moment: bool = False, strict: bool = True) -> Callable[[Any], str]:
        """Return `write` for one field."""
        return partial(self.write, moment=True, strict=strict) if moment else self.write

    def write(self, value: Any, *, moment: bool = False, strict: bool = True) -> str:
        """Return a scalar, or a list of scalars, as text; empty if there is nothing to send.

        Args:
            value: The value.
            moment: Its texts are dates or date-times.
            strict: All of them are; False: only those that are full ISO 8601, the others are plain text.

        Raises:
            Rejected: It cannot be sent.
        """
        if isinstance(value, str):
            return self._moment_or_text(value, strict=strict) if moment else _text(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, Decimal, float)):
            return plain_number(value)
        if isinstance(value, date):
            return self._moment(value)
        if isinstance(value, (list, tuple)):
            texts = [self.write(item, moment=moment, strict=strict) for item in value]
            return _text(",".join([text for text in texts if text]))
        return "" if value is None else _text(str(value))

    def _moment(self, value: str | date) -> str:
        try:
            return str(times.to_seconds(value)) if self._unix else times.to_iso(value)
        except (ValueError, OverflowError):
            problem = f"must be a date or date-time, as the schema says, not {str(value)[:60]!r}"
            raise Rejected("bad-datetime", problem) from None

    def _moment_or_text(self, text: str, *, strict: bool) -> str:
        if not text.strip():
            return ""
        if strict:
            return self._moment(text)
        try:
            return self._moment(text) if times.is_full_iso(text) else _text(text)
        except Rejected:
            return _text(text)


def is_scalar(value: object) -> bool:
    """Return whether a value is neither a list nor an object."""
    return value is None or isinstance(value, (str, int, float, Decimal, datetime, date))


def _text(value: str) -> str:
    if not value or value.isspace():
        return ""
    if len(value) <= _SHORT and value.isascii():
        return value
    if not is_utf8(value):
        raise Rejected("bad-text", "unpaired UTF-16 surrogate")
    size = len(value.encode())
    if size > MAX_VALUE_BYTES:
        raise Rejected("value-too-long", f"the value has {size} bytes, over the limit of {MAX_VALUE_BYTES}")
    return value


def plain_number(value: float | Decimal) -> str:
    """Return a number without exponent, with exactly the digits it has.

    Raises:
        Rejected: It is not finite, or has too many digits.
    """
    if isinstance(value, int):
        # A digit takes 3.3 bits; Python refuses to write numbers of some thousand digits.
        if value.bit_length() > MAX_NUMBER_DIGITS * 3:
            raise Rejected("bad-number", "the number has too many digits")
        return str(value)
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    text = str(number)
    if len(text) <= _SHORT_NUMBER and text[0] in "123456789" and "E" not in text:
        return text
    if not number.is_finite():
        raise Rejected("bad-number", f"must be a finite number, not {number}")
    _, digits, exponent = number.as_tuple()
    # `copy_abs` and `adjusted` ignore the context, whose limits would round or raise.
    if len(digits) > MAX_NUMBER_DIGITS or abs(number.adjusted()) > MAX_NUMBER_DIGITS:
        raise Rejected("bad-number", "the number has too many digits")
    if number:
        return f"{number:f}"
    return "0" if int(exponent) > 0 else f"{number.copy_abs():f}"
