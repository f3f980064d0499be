"""Streams for tests of the preview."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from target_kissmetrics.config.stream_entries import read_entry
from target_kissmetrics.mapping.settings import MappingSettings, StreamSettings
from target_kissmetrics.mapping.stream import Stream
from target_kissmetrics.preview.preview import Preview
from target_kissmetrics.preview.stream import Plan
from target_kissmetrics.preview.suggest.entry import Suggestion, suggest
from target_kissmetrics.preview.suggest.roles import columns_of
from target_kissmetrics.preview.text import print_preview

NOW = 1_750_000_000
BLOCKED = frozenset({"anonymous", "null"})


def schema_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"properties": {name: {} for row in rows for name in row}}


def plan(*entries: Mapping[str, Any], rows_shown: int = 3, **settings: Any) -> Plan:
    mapping = MappingSettings(blocked_identities=BLOCKED, **settings)
    read = tuple(read_entry(entry, index) for index, entry in enumerate(entries))
    return Plan(mapping, read, entries, rows_shown=rows_shown, now=NOW)


def previewed(
    name: str, rows: Sequence[Mapping[str, Any]], *entries: Mapping[str, Any], key: Sequence[str] = (), **settings: Any
) -> Preview:
    made = Preview(plan(*entries, **settings))
    made.stream(name).schema(schema_of(rows), key)
    for row in rows:
        made.stream(name).row(row, None)
    made.finish()
    return made


def written(preview: Preview) -> str:
    file = StringIO()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("COLUMNS", "400")
        print_preview(preview, file)
    return file.getvalue()


def suggested(
    name: str, rows: Sequence[Mapping[str, Any]], given: Mapping[str, Any] | None = None, key: Sequence[str] = ()
) -> Suggestion:
    schema = schema_of(rows)
    settings = MappingSettings(blocked_identities=BLOCKED)
    stream = Stream(name, schema, key, StreamSettings(stream=name), settings, now=lambda: NOW)
    return suggest(stream, columns_of(schema, rows), given or {})


def messages(name: str, rows: Sequence[Mapping[str, Any]], key: Sequence[str] = ()) -> list[dict[str, Any]]:
    head = {"type": "SCHEMA", "stream": name, "key_properties": list(key), "schema": schema_of(rows)}
    return [head, *({"type": "RECORD", "stream": name, "record": row} for row in rows)]


def write(path: Path, *lines: Mapping[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path
