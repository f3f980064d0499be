"""The rows that every subject of the benchmarks reads: Singer lines, the same each time.

They look like rows of real tables: ten fields, among them a nested object, a second date-time, two numbers with long
fractions, and one that is null in a third of the rows.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
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
            "page": {
                "type": ["object", "null"],
                "properties": {"path": {"type": ["string", "null"]}, "week": {"type": ["integer", "null"]}},
            },
            "plan": {"type": ["string", "null"]},
            "country": {"type": ["string", "null"]},
            "amount": {"type": ["number", "null"]},
            "share": {"type": ["number", "null"]},
            "trial_ends_at": {"type": ["string", "null"], "format": "date-time"},
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
            "address": {
                "type": ["object", "null"],
                "properties": {"city": {"type": ["string", "null"]}, "zip": {"type": ["integer", "null"]}},
            },
            "mrr": {"type": ["number", "null"]},
            "share": {"type": ["number", "null"]},
            "is_trial": {"type": ["boolean", "null"]},
            "trial_ends_at": {"type": ["string", "null"], "format": "date-time"},
            "updated_at": {"type": "string", "format": "date-time"},
        },
    },
}

# One property more, and a plan for everyone: ten that are sent.
PEOPLE: dict[str, Any] = {
    **USERS,
    "schema": {"type": "object", "properties": {**USERS["schema"]["properties"], "name": {"type": ["string", "null"]}}},
}
_TEXT, _MOMENT = {"type": ["string", "null"]}, {"type": ["string", "null"], "format": "date-time"}
_OBJECT = {"type": ["object", "null"]}
SEGMENT: dict[str, Any] = {
    "type": "SCHEMA",
    "stream": "messages",
    "key_properties": ["messageId"],
    "schema": {
        "type": "object",
        "properties": {
            **dict.fromkeys(("messageId", "type", "userId", "anonymousId", "event"), _TEXT),
            **dict.fromkeys(("timestamp", "receivedAt"), _MOMENT),
            **dict.fromkeys(("properties", "context"), _OBJECT),
        },
    },
}
MPARTICLE: dict[str, Any] = {
    "type": "SCHEMA",
    "stream": "batches",
    "key_properties": ["batch_id"],
    "schema": {
        "type": "object",
        "properties": {
            "batch_id": {"type": "integer"},
            **dict.fromkeys(("mpid", "mp_deviceid", "ip"), _TEXT),
            **dict.fromkeys(("user_identities", "user_attributes"), _OBJECT),
            "events": {"type": ["array", "null"], "items": {"type": "object"}},
        },
    },
}
BATCH_EVENTS = 5
"""Events in an mParticle batch."""

_CONTEXT = {
    "ip": "203.0.113.7",
    "userAgent": "Mozilla/5.0",
    "campaign": {"source": "news", "medium": "email"},
    "page": {"referrer": "https://r.example", "url": "https://www.example.com/pricing"},
    "locale": "en",
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
            "page": {"path": f"/articles/{chance.randrange(500)}?from=newsletter", "week": number % 52},
            "plan": None if number % 3 == 0 else chance.choice(_PLANS),
            "country": chance.choice(_COUNTRIES),
            "amount": number % 7 / 7,
            "share": number % 11 / 11,
            "trial_ends_at": _moment(number + 1_000_000),
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
            "id": number + 1,
            "email": f"user-{number}@example.com",
            "plan": None if number % 3 == 0 else chance.choice(_PLANS),
            "country": chance.choice(_COUNTRIES),
            "address": {"city": f"City {chance.randrange(values or count)}", "zip": number % 9999},
            "mrr": number % 7 / 7,
            "share": number % 11 / 11,
            "is_trial": number % 3 == 0,
            "trial_ends_at": _moment(number + 1_000_000),
            "updated_at": _moment(number),
        }


def people(count: int, *, changed_every: int = 0) -> Iterator[dict[str, Any]]:
    """Give people with ten properties; every so many of them moved to another country since (0: none)."""
    for row in users(count):
        own = {**row, "name": f"Person {row['id']}", "plan": row["plan"] or "Free"}
        if changed_every and row["id"] % changed_every == 0:
            own |= {"country": "Iceland", "updated_at": row["updated_at"].replace("2024", "2025")}
        yield own


def sample(count: int, *, most: int) -> Iterator[dict[str, Any]]:
    """Give at most so many of `count` users, spread over all of them."""
    yield from islice(users(count), 0, None, -(-count // most))


def segment(count: int) -> Iterator[dict[str, Any]]:
    """Give the rows of `events` as Segment's `track` messages."""
    for row in events(count):
        yield {
            "messageId": f"m{row['id']}",
            "type": "track",
            "userId": row["user_id"],
            "anonymousId": f"a-{row['user_id']}",
            "event": row["event"],
            "timestamp": row["timestamp"],
            "receivedAt": row["timestamp"],
            "properties": {name: value for name, value in row.items() if name not in _MESSAGE},
            "context": _CONTEXT,
        }


def mparticle(count: int) -> Iterator[dict[str, Any]]:
    """Give mParticle batches, of five of the rows of `events` each."""
    source = events(count * BATCH_EVENTS)
    for number in range(count):
        found = list(islice(source, BATCH_EVENTS))
        yield {
            "batch_id": number + 1,
            "mpid": str(number + 1),
            "mp_deviceid": f"d{number}",
            "ip": "203.0.113.7",
            "user_identities": {"customer_id": found[0]["user_id"], "email": found[0]["user_id"]},
            "user_attributes": {"plan": found[0]["plan"], "country": found[0]["country"]},
            "events": [_of_batch(row) for row in found],
        }


def _of_batch(row: dict[str, Any]) -> dict[str, Any]:
    moment = datetime.fromisoformat(row["timestamp"])
    data = {
        "timestamp_unixtime_ms": int(moment.timestamp() * 1000),
        "event_name": row["event"],
        "event_id": row["id"],
        "custom_attributes": {name: value for name, value in row.items() if name not in _MESSAGE},
    }
    return {"event_type": "custom_event", "data": data}


_MESSAGE = {"id", "user_id", "event", "timestamp"}
"""Fields of an event that have a place of their own in a message."""

KINDS: dict[str, tuple[dict[str, Any], Callable[..., Iterator[dict[str, Any]]]]] = {
    "events": (EVENTS, events),
    "users": (USERS, users),
    "sample": (USERS, sample),
    "people": (PEOPLE, people),
    "segment": (SEGMENT, segment),
    "mparticle": (MPARTICLE, mparticle),
}


def source(folder: Path, kind: str, count: int, **about: int) -> Path:
    """Give a file of so many rows of a kind, written once."""
    schema, make = KINDS[kind]
    path = folder / f"{'-'.join(map(str, (kind, count, *about.values())))}.jsonl"
    return path if path.exists() else write(path, schema, make(count, **about))


def write(path: Path, schema: dict[str, Any], rows: Iterable[dict[str, Any]]) -> Path:
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


def batches(folder: Path, lines: Path) -> dict[str, Path]:
    """Write the rows of a file of messages as files of BATCH messages, and give the files of these messages, by name.

    Args:
        folder: For the files.
        lines: A SCHEMA message, RECORD messages, and STATE messages, of one stream.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra of the target's
    import pyarrow.parquet as pq  # noqa: PLC0415

    messages = [json.loads(line) for line in lines.read_bytes().splitlines()]
    found = [message["record"] for message in messages if message["type"] == "RECORD"]
    plain = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found).encode()
    (folder / "rows.jsonl").write_bytes(plain)
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress(plain))
    pq.write_table(pa.Table.from_pylist(found), folder / "rows.parquet")
    made = {}
    for name, compression in (("rows.jsonl", "none"), ("rows.jsonl.gz", "gzip"), ("rows.parquet", "none")):
        encoding = {"format": name.split(".")[1], "compression": compression}
        batch = {"type": "BATCH", "stream": messages[0]["stream"], "encoding": encoding}
        path = folder / f"{name}.message"
        given = (messages[0], {**batch, "manifest": [(folder / name).as_uri()]}, messages[-1])
        path.write_text("".join(json.dumps(message) + "\n" for message in given), encoding="utf-8")
        made[name.removeprefix("rows.")] = path
    return made


def streams(path: Path, count: int, each: int) -> Path:
    """Write many streams of people, each with its own schema, people and values."""
    with path.open("w", encoding="utf-8") as lines:
        for number in range(count):
            name = f"shop{number}-users"
            lines.write(json.dumps({**USERS, "stream": name}) + "\n")
            for row in users(each):
                own = {**row, "id": number * each + row["id"], "plan": f"Plan {number}"}
                lines.write(json.dumps({"type": "RECORD", "stream": name, "record": own}) + "\n")
        lines.write('{"type":"STATE","value":{}}\n')
    return path


def names(path: Path, count: int) -> Path:
    """Write events each of which has a name, a property and a value of its own, in a stream without a fixed schema."""
    schema = {**EVENTS, "schema": {"type": "object", "properties": {**EVENTS["schema"]["properties"], "data": {}}}}
    with path.open("w", encoding="utf-8") as lines:
        lines.write(json.dumps(schema) + "\n")
        for number, row in enumerate(events(count)):
            own = {**row, "event": f"Event {number}", "data": {f"property {number}": f"value {number}"}}
            lines.write(json.dumps({"type": "RECORD", "stream": "events", "record": own}) + "\n")
        lines.write('{"type":"STATE","value":{}}\n')
    return path


def _moment(number: int) -> str:
    days, seconds = divmod(number * 7, 86_400)
    days %= 365
    date = f"2024-{1 + days // 31:02d}-{1 + days % 28:02d}"
    return f"{date}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}Z"
