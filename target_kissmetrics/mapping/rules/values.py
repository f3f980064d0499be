"""Values of properties as Kissmetrics takes them: text or number, up to 8 KB of UTF-8.

true and false are words, numbers are written plainly with all their digits, moments as the settings say, lists of
scalars joined with `,`. Source: support.kissmetrics.io, "API Specifications"; Segment's integration for lists and
booleans.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from target_kissmetrics.kissmetrics.limits import MAX_VALUE_BYTES
from target_kissmetrics.mapping.reject_codes import Problem
from target_kissmetrics.mapping.rules import times
from target_kissmetrics.mapping.rules.names import is_utf8

MAX_NUMBER_DIGITS = 400
"""A number with more digits than any measure needs is not written out: an exponent could ask for gigabytes."""


_SHORT = MAX_VALUE_BYTES // 4
_PLAIN_CHARACTERS = 40
_SMALL = 10**18


class ValueProblem(Problem):
    """A value that cannot be sent."""


class Values:
    """Writes values.

    Args:
        datetime_format: `unix`: whole seconds since the epoch; `iso8601`: `2024-01-31T08:00:00Z`.
    """

    __slots__ = ("_unix",)

    def __init__(self, datetime_format: Literal["unix", "iso8601"]) -> None:
        self._unix = datetime_format == "unix"

    def writer(self, *, moment: bool = False, strict: bool = True) -> Callable[[Any], str]:
        """Give `write` for a field, decided once."""
        return partial(self.write, moment=True, strict=strict) if moment else self._write_plain

    def _write_plain(self, value: Any) -> str:
        """Do what `write` does, with a glance first at what nearly all values are."""
        kind = type(value)
        if kind is str and value.isascii() and len(value) <= _SHORT and not value.isspace():
            return str(value)
        if kind is int and -_SMALL < value < _SMALL:
            return str(value)
        return self.write(value)

    def write(  # noqa: PLR0911 - one for each type
        self, value: Any, *, moment: bool = False, strict: bool = True
    ) -> str:
        """Write a value; an empty text when there is nothing to send.

        Args:
            value: A scalar, or a list of scalars.
            moment: Its texts are dates or date-times.
            strict: All of them are; False: those that are full ISO 8601, while others are texts like any.

        Raises:
            ValueProblem: It cannot be sent.
        """
        if isinstance(value, str):
            if moment:
                return self._moment_or_text(value, strict=strict)
            # What nearly every text is: nothing to look for in it.
            return value if value.isascii() and len(value) <= _SHORT and value.strip() else _text(value)
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
            raise ValueProblem("bad-datetime", f"the schema says date-time, but {str(value)[:60]!r} is none") from None

    def _moment_or_text(self, text: str, *, strict: bool) -> str:
        if not text.strip():
            return ""
        if strict:
            return self._moment(text)
        try:
            return self._moment(text) if times.is_full_iso(text) else _text(text)
        except ValueProblem:
            return _text(text)


def is_scalar(value: object) -> bool:
    """Tell scalars from lists and objects."""
    return value is None or isinstance(value, (str, int, float, Decimal, datetime, date))


def _text(value: str) -> str:
    if not value or value.isspace():
        return ""
    if not value.isascii() and not is_utf8(value):
        raise ValueProblem("bad-text", "the text holds half of a character (a lone surrogate)")
    if len(value) * 4 > MAX_VALUE_BYTES and len(value.encode()) > MAX_VALUE_BYTES:
        raise ValueProblem(
            "value-too-long",
            f"the value has {len(value.encode())} bytes, Kissmetrics takes {MAX_VALUE_BYTES}",
        )
    return value


def plain_number(value: float | Decimal) -> str:
    """Write a number plainly: no exponent, no digit added or lost.

    Raises:
        ValueProblem: It is none, or has more digits than anybody counts with.
    """
    if isinstance(value, int):
        # Three bits and a third make a digit; beyond some thousand digits Python itself refuses to write them.
        if value.bit_length() > MAX_NUMBER_DIGITS * 3:
            raise ValueProblem("bad-number", "the number has too many digits")
        return str(value)
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    text = str(number)
    if len(text) <= _PLAIN_CHARACTERS and text[0] in "123456789" and "E" not in text:
        return text
    if not number.is_finite():
        raise ValueProblem("bad-number", f"{number} is no number that Kissmetrics could take")
    _, digits, exponent = number.as_tuple()
    # `copy_abs` and `adjusted` keep out of the context, whose limits would round or raise.
    if len(digits) > MAX_NUMBER_DIGITS or abs(number.adjusted()) > MAX_NUMBER_DIGITS:
        raise ValueProblem("bad-number", "the number has too many digits")
    if number:
        return f"{number:f}"
    return "0" if int(exponent) > 0 else f"{number.copy_abs():f}"
