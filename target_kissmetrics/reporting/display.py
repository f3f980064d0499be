"""Text from data, sanitized for display: one line, cut, without characters that control a terminal or reorder text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

SHOWN_CHARACTERS = 120


def line(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """Write a text in one line of at most `limit` characters; unprintable characters become their codes."""
    cut = text[:limit]
    written = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return f"{written}…" if len(text) > limit else written


def value(given: object, limit: int = SHOWN_CHARACTERS) -> str:
    """Write a field's value: texts and numbers as they are, anything else as JSON."""
    if given is not None and not isinstance(given, (bool, dict, list, tuple)):
        return line(str(given), limit)
    try:
        return line(json.dumps(given, default=_plain, ensure_ascii=False), limit)
    except (RecursionError, ValueError):
        return "(nested too deep to be shown)"


def moment(seconds: int) -> str:
    """Write seconds since the Unix epoch as `2024-01-31 08:00:00Z`."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def count(number: int) -> str:
    """Write `12,345`."""
    return f"{number:,}"


def plural(number: int, noun: str, nouns: str = "") -> str:
    """Write `1 row`, `2 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {nouns or f'{noun}s'}"


def _plain(given: object) -> object:
    """Give JSON's form of what it has no type for: decimals as numbers, the rest as text."""
    return float(given) if isinstance(given, Decimal) else str(given)
