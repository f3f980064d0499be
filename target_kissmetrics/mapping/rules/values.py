"""Values of properties: text of at most `max_value_length` characters.

Booleans are `true` and `false`, equal numbers are written alike and with all their digits, times as `datetime_format`
says, lists of scalars joined with `,`. Source: support.kissmetrics.io, "API Specifications"; Segment's Kissmetrics
integration for lists and booleans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import partial
from types import NoneType
from typing import TYPE_CHECKING, Any

from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules import times
from target_kissmetrics.mapping.rules.names import is_utf8

if TYPE_CHECKING:
    from target_kissmetrics.mapping.settings import MappingSettings

MAX_NUMBER_DIGITS = 400
"""A longer number is rejected, not written out: an exponent could ask for gigabytes."""

_BOOLEANS = {True: "true", False: "false"}
_SHORT_NUMBER = 40
_DIGITS = "0123456789"


class ObjectFoundError(ValueError):
    """A value is an object."""


def find_object(_: object) -> str:
    """Raise ObjectFoundError: this is no value to write."""
    raise ObjectFoundError


class Writers(dict[type, Callable[[Any], str]]):
    """What writes a field's values, by their type; `others` writes those of any other type."""

    def __init__(self, others: Callable[[Any], str], known: Mapping[type, Callable[[Any], str]] = {}) -> None:
        super().__init__(known)
        self._others = others

    def __missing__(self, kind: type) -> Callable[[Any], str]:
        """Give what writes the values of another type."""
        return self._others


class Values:
    """Writes values as `datetime_format` and `max_value_length` say; `zone` is that of times without one."""

    def __init__(self, settings: MappingSettings, zone: tzinfo = UTC) -> None:
        self._zone = zone
        self._unix = settings.datetime_format == "unix"
        self._limit = settings.max_value_length

    def writers(self, moment: bool = False, strict: bool = True) -> tuple[Writers, Writers]:
        """Return `write` by types, for texts that may be moments: all are if `strict`, else those in full ISO 8601.

        The second one leaves it to the caller whether a text is blank, too long or not UTF-8, or an integer too long;
        it raises ObjectFoundError for an object, and another ValueError for a list that holds anything but scalars.
        """
        of_text = (self._moment if strict else self._moment_or_text) if moment else self._text
        others = partial(self.write, of_text=of_text)
        checked = {str: of_text, bool: _BOOLEANS.__getitem__, int: _whole, Decimal: _decimal}
        unchecked: dict[type, Callable[[Any], str]] = {
            NoneType: {None: ""}.__getitem__,
            int: str,
            str: of_text if moment else str,
            dict: find_object,
        }
        of_list = partial(_write_scalars, others)
        return Writers(others, checked), Writers(others, {**checked, **unchecked, list: of_list, tuple: of_list})

    def write(self, value: Any, of_text: Callable[[str], str] | None = None) -> str:
        """Return a scalar, or a list of scalars, as text, empty if there is nothing to send, or raise Rejected."""
        if isinstance(value, str):
            return (of_text or self._text)(value)
        if isinstance(value, bool):
            return _BOOLEANS[value]
        if isinstance(value, (int, Decimal, float)):
            return plain_number(value)
        if isinstance(value, date):
            return self._moment(value)
        if isinstance(value, (list, tuple)):
            return self._text(",".join(filter(None, [self.write(item, of_text) for item in value])))
        return "" if value is None else self._text(str(value))

    def _moment(self, value: str | date) -> str:
        seconds = times.usual_seconds(value) if self._unix else None
        if seconds is not None:
            return str(seconds)
        if isinstance(value, str) and not value.strip():
            return ""
        try:
            return str(times.to_seconds(value, self._zone)) if self._unix else times.to_iso(value, self._zone)
        except (ValueError, OverflowError):
            problem = f"must be a date or date-time, as the schema says, not {str(value)[:60]!r}"
            raise Rejected("bad-datetime", problem) from None

    def _moment_or_text(self, text: str) -> str:
        try:
            return self._moment(text) if times.is_full_iso(text) else self._text(text)
        except Rejected:
            return self._text(text)

    def _text(self, value: str) -> str:
        if value.isascii() and len(value) <= self._limit and not value.isspace():
            return value  # as most texts are
        if not value or value.isspace():
            return ""
        if len(value) > self._limit:
            problem = f"the value has {len(value)} characters, over the limit of {self._limit} (max_value_length)"
            raise Rejected("value-too-long", problem)
        if not value.isascii() and not is_utf8(value):
            raise Rejected("bad-text", "unpaired UTF-16 surrogate")
        return value


def is_scalar(value: object) -> bool:
    """Return whether a value is neither a list nor an object."""
    return value is None or isinstance(value, (str, int, float, Decimal, datetime, date))


def plain_number(value: float | Decimal) -> str:
    """Return a number without exponent, with all its digits; equal numbers are the same text (10, 10.0, 1e1).

    Raises Rejected: it is not finite, or has too many digits.
    """
    if isinstance(value, int):
        return _whole(value)
    return _decimal(value if isinstance(value, Decimal) else Decimal(repr(value)))


def _write_scalars(write: Callable[[Any], str], value: Sequence[Any]) -> str:
    if not all(map(is_scalar, value)):
        raise ValueError
    return write(value)


def _whole(value: int) -> str:
    # A digit takes 3.3 bits; Python refuses to write numbers of some thousand digits.
    if value.bit_length() > MAX_NUMBER_DIGITS * 3:
        raise Rejected("bad-number", "the number has too many digits")
    return str(value)


def _decimal(number: Decimal) -> str:
    text = str(number)
    if len(text) <= _SHORT_NUMBER and text[0] in _DIGITS and "E" not in text:
        return text.rstrip("0").rstrip(".") if "." in text else text
    if not number.is_finite():
        raise Rejected("bad-number", f"must be a finite number, not {number}")
    _, digits, _ = number.as_tuple()
    # `copy_abs` and `adjusted` ignore the context, whose limits would round or raise.
    if len(digits) > MAX_NUMBER_DIGITS or abs(number.adjusted()) > MAX_NUMBER_DIGITS:
        raise Rejected("bad-number", "the number has too many digits")
    if not number:
        return "0"
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
