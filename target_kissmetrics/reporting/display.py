"""Text from data, sanitized for display: one line, cut, without secrets or what steers a terminal or reorders text."""

import json
from datetime import UTC, datetime
from decimal import Decimal

from target_kissmetrics.errors import one_line
from target_kissmetrics.reporting.redaction import redact

SHOWN_CHARACTERS = 120


def line(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """Write a text in one line of at most `limit` characters; unprintable characters become their codes."""
    text = redact(text)  # before it is cut, which could leave a part of a secret
    return f"{one_line(text[:limit])}…" if len(text) > limit else one_line(text)


def whole(text: str) -> str:
    """Write a text in one line, however long it is."""
    return one_line(redact(text))


def value(given: object) -> str:
    """Write a field's value: texts and numbers as they are, anything else as JSON."""
    if given is not None and not isinstance(given, (bool, dict, list, tuple)):
        return line(str(given))
    try:
        text = json.dumps(
            given, default=lambda one: float(one) if isinstance(one, Decimal) else str(one), ensure_ascii=False
        )
        return line(text)
    except (RecursionError, ValueError):
        return "(nested too deep to be shown)"


def moment(seconds: int) -> str:
    """Write seconds since the Unix epoch as `2024-01-31 08:00:00Z`."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def plural(number: int, noun: str) -> str:
    """Write `1 row`, `2 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
