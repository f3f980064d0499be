"""Times, from what taps write to seconds since the Unix epoch.

Accepted: ISO 8601 text, dates, epoch seconds, milliseconds, microseconds or nanoseconds as number or text, `datetime`
and `date` objects. Without a zone they are in the one that is given: when summer time ends, the earlier of two moments
is meant; when it begins, a skipped time is moved on. The result is in whole seconds; fractions are cut off.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)

_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,12})?", re.ASCII)
_BASIC_DATE = re.compile(r"(19|20)\d{6}", re.ASCII)
_ISO = re.compile(r"\d{4}-?\d{2}-?\d{2}([T ].*)?", re.ASCII | re.IGNORECASE | re.DOTALL)
_WITH_ZONE = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|[+-]\d{2}:?\d{2})\Z", re.ASCII)
_CANONICAL = re.compile(r"\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):\d{2}:\d{2}Z", re.ASCII)
"""As `to_iso` writes it."""
_FULL_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?", re.ASCII | re.IGNORECASE | re.DOTALL)
_ZONE_NAME = re.compile(r"\s*(?:UTC|GMT)$", re.IGNORECASE)
_FRACTION = re.compile(r"([.,]\d{6})\d+")
_SPACE_BEFORE_ZONE = re.compile(r"(?<=\d)\s+(?=[+-]\d{2}:?(?:\d{2})?$|Z$)", re.IGNORECASE)

_SCALES = ((10**11, 1), (10**14, 10**3), (10**17, 10**6), (10**20, 10**9))
"""(limit, units per second): an epoch number below the limit is in these units. 1e11 seconds are in the year 5138, 1e11
milliseconds in 1973."""


def to_seconds(value: object, zone: tzinfo = UTC) -> int:
    """Return a time as whole seconds since the Unix epoch, or raise ValueError, whose text says what is expected."""
    if isinstance(value, str):
        return _text_to_seconds(value, zone)
    if isinstance(value, datetime):
        return _datetime_to_seconds(value, zone)
    if isinstance(value, date):
        return _datetime_to_seconds(datetime(value.year, value.month, value.day), zone)  # noqa: DTZ001 - it gets the zone
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return _number_to_seconds(Decimal(value))
    raise _not_a_time(value)


def usual_seconds(value: object) -> int | None:
    """Return a time with its zone, as nearly every tap writes it, in whole seconds since the Unix epoch; else None."""
    if type(value) is not str or not _WITH_ZONE.match(value):
        return None
    try:
        since = datetime.fromisoformat(value) - _EPOCH
    except (ValueError, OverflowError):
        return None
    return since.days * 86_400 + since.seconds  # of a time before the epoch, `days` is rounded down


def is_full_iso(text: str) -> bool:
    """Return whether a text looks like an ISO 8601 date or date-time, written with hyphens, and nothing else."""
    return _FULL_ISO.fullmatch(text.strip()) is not None


def to_iso(value: object, zone: tzinfo = UTC) -> str:
    """Return a time as ISO 8601 in UTC: `2024-01-31T08:00:00Z`; a plain date stays one. ValueError: it is no time."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and _CANONICAL.fullmatch(value):
        datetime.fromisoformat(value)
        return value
    if isinstance(value, str) and len(value.strip()) == 10 and value.strip()[4] == "-":
        return date.fromisoformat(value.strip()).isoformat()
    if isinstance(value, str) and _ISO.fullmatch(value.strip()):
        value = _parse_iso(value.strip())
    moment = value if isinstance(value, datetime) else _EPOCH + to_seconds(value, zone) * _SECOND
    moment = (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _text_to_seconds(value: str, zone: tzinfo) -> int:
    text = value.strip()
    seconds = usual_seconds(text)
    if seconds is not None:
        return seconds
    if _NUMBER.fullmatch(text) and not _BASIC_DATE.fullmatch(text):
        return _number_to_seconds(Decimal(text))
    if not _ISO.fullmatch(text):
        raise _not_a_time(value)
    try:
        return _datetime_to_seconds(_parse_iso(text), zone)
    except (ValueError, OverflowError):
        raise _not_a_time(value) from None


def _parse_iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        # Databases and people also write a zone's name, a space before the zone, or more than six fractional digits.
        zoned = _SPACE_BEFORE_ZONE.sub("", _ZONE_NAME.sub("Z", text))
        return datetime.fromisoformat(_FRACTION.sub(r"\1", zoned.upper()))


def _datetime_to_seconds(moment: datetime, zone: tzinfo) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return (moment - _EPOCH) // _SECOND


def _number_to_seconds(number: Decimal) -> int:
    if not number.is_finite():
        raise _not_a_time(number)
    for limit, per_second in _SCALES:
        # Not abs(): it raises for a number beyond the context's limits.
        if number.copy_abs() < limit:
            return int(number.to_integral_value(rounding="ROUND_FLOOR")) // per_second
    raise _not_a_time(number)


def _not_a_time(value: object) -> ValueError:
    return ValueError(
        f"must be a time, not {str(value)[:60]!r}: ISO 8601 (2024-01-31T08:00:00Z), a date (2024-01-31), or epoch "
        "seconds, milliseconds, microseconds or nanoseconds"
    )
