"""What the SDK sees of a sink: one for a stream, whose metric `record_count` is right."""

from __future__ import annotations

import gc
import io
import json
import logging
import signal
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import SIGNALS, _Target

from target_kissmetrics.sinks import METRIC_ROWS


@pytest.fixture
def target(tmp_path: Path) -> Iterator[_Target]:
    config = {"api_key": "k", "attribute_store_url": "sqlite://", "rejects_path": str(tmp_path / "rejects.jsonl")}
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield _Target(config=config)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def schema(number: int) -> dict[str, Any]:
    fields: dict[str, Any] = {name: {} for name in ("user_id", "event", "timestamp", f"extra {number}")}
    return {"type": "SCHEMA", "stream": "events", "key_properties": [], "schema": {"properties": fields}}


def row(number: int) -> dict[str, Any]:
    record = {"user_id": "ann", "event": "Opened", "timestamp": 1_704_067_200 + number}
    return {"type": "RECORD", "stream": "events", "record": record}


def read(target: _Target, *messages: dict[str, Any]) -> None:
    data = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    target.listen(io.BytesIO(data))  # type: ignore[arg-type]


def test_a_changed_schema_leaves_no_sink_behind(target: _Target) -> None:
    sinks: list[weakref.ref[Any]] = []
    add = target._process_record_message

    def taking(message: dict[str, Any]) -> None:
        add(message)
        sinks.append(weakref.ref(target.get_sink("events")))

    target._process_record_message = taking  # type: ignore[method-assign, assignment]
    read(target, *(message for number in range(20) for message in (schema(number), row(number))))
    gc.collect()
    assert len(sinks) == 20
    assert sum(sink() is not None for sink in sinks) == 1


def test_the_sdk_counts_every_record(target: _Target, caplog: pytest.LogCaptureFixture) -> None:
    rows = METRIC_ROWS + 7
    with caplog.at_level(logging.INFO, logger="singer_sdk.metrics"):
        read(target, schema(0), *(row(number) for number in range(rows)), schema(1), row(rows))
    points = [
        json.loads(entry.getMessage().removeprefix("METRIC: "))
        for entry in caplog.records
        if "METRIC" in entry.getMessage()
    ]
    assert sum(point["value"] for point in points if point["metric"] == "record_count") == rows + 1
