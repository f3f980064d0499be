"""A run keeps neither rows nor STATE messages, and little of each stream.

Caches of digests and of seconds fill up to limits that longer runs reach: `python benchmarks/bench.py --only peak`.
"""

from __future__ import annotations

import gc
import io
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from promises import growth

from target_kissmetrics.target import TargetKissmetrics

MEASURED = """
import atexit, re
from pathlib import Path
from typing import Any
from target_kissmetrics.target import main
peak = lambda: re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
atexit.register(lambda: Path("peak").write_text(peak()))
main()
"""
"""A child's `ru_maxrss` starts at its parent's size; this does not."""

TIME = 1704067200
ROWS = (20_000, 60_000)
ALLOWED_BYTES = 400 * (ROWS[1] - ROWS[0])
"""Caches; a row that is kept takes more than 1,000."""


def peak_of(folder: Path, rows: int) -> int:
    config = {"api_key": "k", "delivery": "files", "files_url": "out", "use_customer_id": True}
    config["streams"] = [{"stream": "orders", "kind": "event"}, {"stream": "users", "kind": "user_attributes"}]
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    command = [sys.executable, "-c", MEASURED, "--config", "config.json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=folder) as process:
        assert process.stdin is not None
        for stream in ("orders", "users"):
            fields: dict[str, Any] = {
                name: {} for name in ("id", "user_id", "event", "timestamp", "total", "plan", "updated_at")
            }
            schema = {"type": "SCHEMA", "stream": stream, "key_properties": ["id"], "schema": {"properties": fields}}
            process.stdin.write(json.dumps(schema).encode() + b"\n")
        for row in range(rows // 2):
            order = {"id": row, "user_id": f"p{row % 999}", "event": f"Bought {row % 99}", "timestamp": TIME + row}
            user = {"id": row, "user_id": f"p{row % 999}", "plan": f"plan {row}", "updated_at": TIME + row}
            for stream, record in (("orders", order), ("users", user)):
                line = {"type": "RECORD", "stream": stream, "record": record}
                process.stdin.write(json.dumps(line).encode() + b"\n")
            if row % 100 == 0:
                process.stdin.write(json.dumps({"type": "STATE", "value": row}).encode() + b"\n")
        process.stdin.close()
        assert process.wait(timeout=300) == 0
    return int((folder / "peak").read_text(encoding="utf-8")) << 10


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_rows(tmp_path: Path) -> None:
    assert growth({rows: peak_of(tmp_path / str(rows), rows) for rows in ROWS}) < ALLOWED_BYTES


STREAMS = 200
ALLOWED_OF_A_STREAM = 44 * 1024
"""Of 17 fields with names of its own: 36 KiB, with what the Meltano SDK keeps; copies of the schemas take 20 more."""


def test_a_stream_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target = TargetKissmetrics(config={"api_key": "k", "dry_run": True, "use_customer_id": True})
    text = {"type": ["string", "null"]}

    monkeypatch.setattr(target.logger, "disabled", True)  # pytest keeps what is logged
    handlers: dict[str, Any] = {"SCHEMA": target._process_schema_message, "RECORD": target._process_record_message}

    def read(stream: str) -> None:
        fields = {"user_id": text, "updated_at": text, **{f"{stream} {number}": text for number in range(15)}}
        schema = {"type": "SCHEMA", "stream": stream, "schema": {"properties": fields}, "key_properties": ["user_id"]}
        row = {**dict.fromkeys(fields, "v"), "updated_at": TIME}
        messages = (schema, {"type": "RECORD", "stream": stream, "record": row})
        target.message_reader.process_lines(io.StringIO("\n".join(map(json.dumps, messages))), handlers)

    read("users")
    tracemalloc.start()
    for number in range(STREAMS):
        read(f"users{number}")
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / STREAMS < ALLOWED_OF_A_STREAM
