"""The rows that every subject of the benchmarks reads: Singer lines, the same each time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FIRST_SECOND = 1_700_000_000

EVENTS: dict[str, Any] = {
    "type": "SCHEMA",
    "stream": "events",
    "key_properties": ["id"],
    "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "user_id": {"type": ["string", "null"]},
            "event": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "page": {"type": ["string", "null"]},
            "plan": {"type": ["string", "null"]},
            "country": {"type": ["string", "null"]},
            "amount": {"type": ["number", "null"]},
            "seats": {"type": ["integer", "null"]},
            "is_trial": {"type": ["boolean", "null"]},
        },
    },
}
USERS: dict[str, Any] = {
    "type": "SCHEMA",
    "stream": "users",
    "key_properties": ["id"],
    "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "email": {"type": ["string", "null"]},
            "plan": {"type": ["string", "null"]},
            "country": {"type": ["string", "null"]},
            "city": {"type": ["string", "null"]},
            "mrr": {"type": ["number", "null"]},
            "seats": {"type": ["integer", "null"]},
            "is_trial": {"type": ["boolean", "null"]},
            "updated_at": {"type": "string", "format": "date-time"},
        },
    },
}

_PLANS = ("Free", "Pro", "Gold", "Enterprise")
_COUNTRIES = ("Norway", "Brazil", "Japan", "Côte d'Ivoire")
_EVENTS = ("Signed Up", "Viewed Page", "Purchased", "Invited Friend")
STATE_EVERY = 10_000
"""Rows between two STATE messages, as taps send them."""


def events(count: int) -> Iterator[dict[str, Any]]:
    """Give rows of an events table."""
    chance = random.Random(7)  # noqa: S311 - the same rows each time
    for number in range(count):
        yield {
            "id": number,
            "user_id": f"user-{chance.randrange(count)}@example.com",
            "event": chance.choice(_EVENTS),
            "timestamp": _moment(number),
            "page": f"/articles/{chance.randrange(500)}?from=newsletter&week={number % 52}",
            "plan": chance.choice(_PLANS),
            "country": chance.choice(_COUNTRIES),
            "amount": round(chance.random() * 200, 2),
            "seats": chance.randrange(50),
            "is_trial": number % 3 == 0,
        }


def users(count: int, *, values: int | None = None) -> Iterator[dict[str, Any]]:
    """Give rows of a users table, one a person.

    Args:
        count: People.
        values: Distinct cities; as many as people when None.
    """
    chance = random.Random(11)  # noqa: S311 - the same rows each time
    for number in range(count):
        yield {
            "id": number,
            "email": f"user-{number}@example.com",
            "plan": chance.choice(_PLANS),
            "country": chance.choice(_COUNTRIES),
            "city": f"City {chance.randrange(values or count)}",
            "mrr": round(chance.random() * 500, 2),
            "seats": chance.randrange(50),
            "is_trial": number % 3 == 0,
            "updated_at": _moment(number),
        }


def write(path: Path, schema: dict[str, Any], rows: Iterator[dict[str, Any]]) -> Path:
    """Write a SCHEMA message, the rows, and STATE messages between them."""
    head = f'{{"type":"RECORD","stream":"{schema["stream"]}","record":'
    with path.open("w", encoding="utf-8") as lines:
        lines.write(json.dumps(schema) + "\n")
        number = 0
        for number, row in enumerate(rows, start=1):
            lines.write(f"{head}{json.dumps(row, ensure_ascii=False)}}}\n")
            if number % STATE_EVERY == 0:
                lines.write(f'{{"type":"STATE","value":{{"bookmarks":{{"{schema["stream"]}":{number}}}}}}}\n')
        lines.write(f'{{"type":"STATE","value":{{"bookmarks":{{"{schema["stream"]}":{number}}}}}}}\n')
    return path


def _moment(number: int) -> str:
    days, seconds = divmod(number * 7, 86_400)
    days %= 365
    date = f"2024-{1 + days // 31:02d}-{1 + days % 28:02d}"
    return f"{date}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}Z"
