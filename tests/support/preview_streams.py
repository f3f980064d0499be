"""Streams for tests of the preview."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from target_kissmetrics.config.stream_entries import read_entry
from target_kissmetrics.mapping.settings import MappingSettings, StreamSettings
from target_kissmetrics.mapping.stream import Stream
from target_kissmetrics.preview.collecting import Plan, Preview
from target_kissmetrics.preview.profile import Profile

NOW = 1_750_000_000
BLOCKED = frozenset({"anonymous", "null"})


def schema_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"properties": {name: {} for row in rows for name in row}}


def plan(*entries: Mapping[str, Any], rows_shown: int = 3, **settings: Any) -> Plan:
    mapping = MappingSettings(blocked_identities=BLOCKED, **settings)
    read = tuple(read_entry(entry, index) for index, entry in enumerate(entries))
    return Plan(mapping, read, entries, max_aliases=10, rows_shown=rows_shown, now=NOW)


def previewed(
    name: str, rows: Sequence[Mapping[str, Any]], *entries: Mapping[str, Any], key: Sequence[str] = (), **settings: Any
) -> Preview:
    made = Preview(plan(*entries, **settings))
    made.schema(name, schema_of(rows), key, lambda _: None)
    for row in rows:
        made.row(name, row, None)
    made.finish()
    return made


def stream_of(name: str, rows: Sequence[Mapping[str, Any]], key: Sequence[str] = ()) -> tuple[Stream, Profile]:
    schema = schema_of(rows)
    profile = Profile(schema)
    for row in rows:
        profile.add(row)
    settings = MappingSettings(blocked_identities=BLOCKED)
    return Stream(name, schema, key, StreamSettings(stream=name), settings, now=lambda: NOW), profile


def messages(name: str, rows: Sequence[Mapping[str, Any]], key: Sequence[str] = ()) -> list[dict[str, Any]]:
    head = {"type": "SCHEMA", "stream": name, "key_properties": list(key), "schema": schema_of(rows)}
    return [head, *({"type": "RECORD", "stream": name, "record": row} for row in rows)]


def write(path: Path, *lines: Mapping[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path
