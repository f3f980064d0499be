"""Texts from data, fit to be shown: in one line, cut, without characters that steer a terminal or turn text around."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal

SHOWN_CHARACTERS = 120


def line(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """Write a text in one line of at most `limit` characters; what cannot be seen is written as its code."""
    cut = text[:limit]
    written = cut if cut.isprintable() else "".join(c if c.isprintable() else _code(c) for c in cut)
    return f"{written}…" if len(text) > limit else written


def value(given: object, limit: int = SHOWN_CHARACTERS) -> str:
    """Write a field's value: a text as it is, the rest as JSON."""
    if isinstance(given, str):
        return line(given, limit)
    if given is None:
        return "null"
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, (dict, list, tuple)):
        try:
            return line(json.dumps(given, default=_plain, ensure_ascii=False), limit)
        except (RecursionError, ValueError):
            return "(nested too deep to be shown)"
    return line(str(given), limit)


def moment(seconds: int) -> str:
    """Write seconds since the Unix epoch as `2024-01-31 08:00:00Z`."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")


def count(number: int) -> str:
    """Write `12,345`."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """Write `1 row`, `2 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _plain(given: object) -> object:
    """Give what JSON has no word for: decimals as numbers, the rest as text."""
    return float(given) if isinstance(given, Decimal) else str(given)


def _code(character: str) -> str:
    code = ord(character)
    known = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    if known:
        return known
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
