"""A disk that takes no more: the run ends in one line that names the setting, and the next one makes up for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faulty_host import FaultyHost, faulty_host
from forked import command as command_of
from held_in_files import HeldInFiles

resource = pytest.importorskip("resource")

ROWS = 1200
LIMIT_BYTES = {"rejects": 96 * 1024, "store": 48 * 1024, "files": 3 << 20}
NOTES = [f"note_{number}" for number in range(8)]
FIELDS: dict[str, dict[str, Any]] = {
    name: {} for name in ("id", "user_id", "event", "plan", "timestamp", "updated_at", "note", *NOTES)
}
T0 = 1_704_067_200


def messages(*, rejected: bool, notes: int) -> bytes:
    schema = {"properties": FIELDS}
    lines: list[dict[str, Any]] = [
        {"type": "SCHEMA", "stream": stream, "key_properties": ["id"], "schema": schema}
        for stream in ("events", "users")
    ]
    for row in range(ROWS):
        event = {"id": row, "user_id": f"p{row}", "event": "E", "timestamp": T0 + row}
        event.update(dict.fromkeys(NOTES[:notes], "x" * 500))
        user = {"id": row, "user_id": "guest" if rejected and row else f"p{row}", "plan": f"plan {row}"}
        lines.append({"type": "RECORD", "stream": "events", "record": event})
        lines.append(
            {"type": "RECORD", "stream": "users", "record": {**user, "updated_at": T0 + row, "note": "x" * 200}}
        )
        if row % 50 == 49:
            lines.append({"type": "STATE", "value": row + 1})
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def run(folder: Path, config: dict[str, Any], data: bytes, *, limit: int | None) -> tuple[int, list[int], str]:
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    # A fork's limits would be those of the process that it is forked from.
    command = command_of() if limit is None else [sys.executable, "-m", "target_kissmetrics"]
    done = subprocess.run(
        [*command, "--config", "config.json"],
        input=data,
        capture_output=True,
        check=False,
        cwd=folder,
        timeout=300,
        preexec_fn=limited,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


CASES = {
    "rejects": ({"rejects_path": "full.jsonl"}, "rejects_path: cannot write full.jsonl: File too large"),
    "store": ({}, "attribute_store_url: the store cannot be used: "),
    "files": ({"delivery": "files", "files_url": "out"}, "files_url: cannot write to out: File too large"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_full_disk_ends_the_run_in_one_line_and_the_next_one_makes_up_for_it(tmp_path: Path, case: str) -> None:
    settings, told = CASES[case]
    streams = [
        {"stream": "events", "kind": "event", "customer_id": "user_id"},
        {"stream": "users", "kind": "user_attributes", "customer_id": "user_id"},
    ]
    config = {"api_key": "k", "use_customer_id": True, "streams": streams, "batch_size_rows": 100, **settings}
    # Python does not die of SIGXFSZ: it is told that the file is too large, as it is told that a disk is full.
    limit = LIMIT_BYTES[case]
    data = messages(rejected=case == "rejects", notes=8 if case == "files" else 0)
    with faulty_host() as host:
        held: FaultyHost | HeldInFiles = HeldInFiles(tmp_path / "out", "kissmetrics") if case == "files" else host
        code, states, log = run(tmp_path, {**config, "tracking_url": host.url}, data, limit=limit)
        errors = [line for line in log.splitlines() if "| ERROR" in line]
        assert code == 1
        assert len(errors) == 1
        assert told in errors[0]
        assert "Traceback" not in log
        last = states[-1] if states else 0
        for row in range(last):
            assert held.person(f"p{row}") is not None, f"STATE {last} came out, row {row} is not there"
        code, states, log = run(tmp_path, {**config, "tracking_url": host.url}, data, limit=None)
        assert (code, states[-1]) == (0, ROWS), log[-2000:]
        assert held.summary()["events"] == ROWS
        assert held.summary()["people"] == ROWS
    if case == "rejects":
        kept = [
            json.loads(line)["record"]["id"]
            for line in (tmp_path / "full.jsonl").read_bytes().splitlines()
            if line.endswith(b"}")
        ]
        assert set(kept) >= set(range(1, ROWS))


@pytest.mark.parametrize("limit", [4096, 48 * 1024])
def test_a_full_temporary_folder_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    users = {"stream": "users", "kind": "user_attributes", "customer_id": "user_id"}
    streams = [{"stream": "events", "kind": "ignore"}, users]
    config = {"api_key": "k", "use_customer_id": True, "streams": streams, "batch_size_rows": 100, "dry_run": True}
    code, states, log = run(tmp_path, config, messages(rejected=False, notes=0), limit=limit)
    (error,) = [line for line in log.splitlines() if "| ERROR" in line]
    assert (code, states) == (1, [])
    assert f"the temporary folder {temporary} cannot be used: " in error
    assert error.endswith("; free some space, or set TMPDIR")
    assert "Traceback" not in log
    assert list(temporary.iterdir()) == []
