"""Rejected rows go out again once the mapping is mended, and no line is ever lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from target_kissmetrics.replay import ReplayTarget, replay
from target_kissmetrics.sandbox.running import RunningSandbox, running

KEY = "0123456789abcdef"
ORDERS = {
    "type": "SCHEMA",
    "stream": "orders",
    "key_properties": ["id"],
    "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "user_id": {"type": ["string", "null"]},
            "buyer": {"type": ["string", "null"]},
            "day": {"type": ["string", "null"], "format": "date"},
            "shipped": {"type": ["string", "null"], "format": "date-time"},
            "total": {"type": ["number", "string", "null"]},
        },
    },
}
ENTRY = {
    "stream": "orders",
    "kind": "event",
    "customer_id": "user_id",
    "event_name": "Purchased",
    "timestamp": "day",
    "revenue": "total",
    "spread_duplicates": True,
}


def order(number: int, **fields: Any) -> dict[str, Any]:
    record = {"id": number, "user_id": None, "buyer": "ada", "day": "2024-01-02", "total": 5, **fields}
    return {"type": "RECORD", "stream": "orders", "record": record}


class Bench:
    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.path = folder / "rejects.jsonl"

    def config(self, **settings: Any) -> dict[str, Any]:
        return {
            "api_key": KEY,
            "tracking_url": self.sandbox.url,
            "retry_timeout_seconds": 0,
            "rejects_path": str(self.path),
            "attribute_store_url": f"sqlite:///{(self.folder / 'store.db').as_posix()}",
            "streams": [ENTRY],
            **settings,
        }

    def run(self, *messages: Any, **settings: Any) -> tuple[int, str]:
        return self._command("target_kissmetrics", b"".join(json.dumps(m).encode() + b"\n" for m in messages), settings)

    def replay(self, *arguments: str, **settings: Any) -> tuple[int, str]:
        return self._command("target_kissmetrics.replay", b"", settings, *(arguments or (str(self.path),)))

    def _command(self, module: str, given: bytes, settings: dict[str, Any], *arguments: str) -> tuple[int, str]:
        path = self.folder / "config.json"
        path.write_text(json.dumps(self.config(**settings)), encoding="utf-8")
        command = [sys.executable, "-m", module, *arguments, "--config", str(path)]
        done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)
        return done.returncode, done.stderr.decode()

    def in_process(self, **settings: Any) -> int:
        return replay(self.path, ReplayTarget(config=self.config(**settings), parse_env_config=False))

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]

    def write(self, *entries: dict[str, Any]) -> None:
        usual = {"time": "2024-05-01T00:00:00Z", "stream": "orders", "code": "x", "reason": "x", "field": None}
        self.path.write_text("".join(json.dumps({**usual, **entry}) + "\n" for entry in entries), encoding="utf-8")


MENDED = {"streams": [{**ENTRY, "customer_id": "buyer"}]}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with running() as sandbox:
        yield Bench(tmp_path, sandbox)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_rows_are_sent_again_and_what_is_rejected_again_stays(bench: Bench) -> None:
    rows = [order(1), order(2, shipped="2024-01-05T00:00:00Z"), order(3, buyer="guest"), order(4, user_id="bob")]
    code, _ = bench.run(ORDERS, *rows)
    assert (code, len(bench.lines())) == (0, 3)
    code, log = bench.replay(**MENDED)
    assert code == 0, log
    (left,) = bench.lines()
    assert (left["record"]["id"], left["code"]) == (3, "blocked-identity")
    assert "1 lines are left" in log
    ada = bench.sandbox.person("ada")
    assert ada is not None
    assert {entry["value"] for entry in ada["properties"]["id"]} == {1, 2}
    # Typed by the tap's schema, which was noted beside the rejects.
    assert [entry["value"] for entry in ada["properties"]["shipped"]] == [1704412800]
    # The same rows of a later full refresh have the same seconds: the key was noted as well.
    events = bench.sandbox.summary()["events"]
    assert bench.run(ORDERS, *rows[:2], **MENDED)[0] == 0
    assert bench.sandbox.summary()["events"] == events
    if os.name == "posix":
        assert bench.path.stat().st_mode & 0o777 == 0o600
        assert Path(f"{bench.path}.schemas").stat().st_mode & 0o777 == 0o600


def test_a_second_replay_finds_nothing_to_do(bench: Bench) -> None:
    bench.run(ORDERS, order(1))
    assert bench.in_process(**MENDED) == 0
    calls = bench.sandbox.summary()["calls"]
    assert bench.path.read_bytes() == b""
    assert bench.in_process(**MENDED) == 0
    assert bench.sandbox.summary()["calls"] == calls


def test_a_property_that_was_set_aside_is_added_to_the_event_that_was_sent(bench: Bench) -> None:
    bench.run(ORDERS, order(1, user_id="ada", total="12 pcs"), order(2, user_id="ada", day=None))
    assert [line["field"] for line in bench.lines()] == ["total", None]
    exclude = {"streams": [{**ENTRY, "revenue": False}]}
    assert bench.in_process(**exclude) == 1
    assert bench.sandbox.summary()["events"] == 1
    assert [line["code"] for line in bench.lines()] == ["no-timestamp"]


def test_where_the_time_was_guessed_such_a_line_stays(bench: Bench) -> None:
    entry = {"stream": "orders", "kind": "event", "customer_id": "user_id", "event_name": "E", "exclude": ["day"]}
    bench.run(ORDERS, order(1, user_id="ada", day=None, _k="x"), streams=[entry])
    (line,) = bench.lines()
    assert line["field"] == "_k"
    before = bench.path.read_bytes()
    assert bench.in_process(streams=[{**entry, "exclude": ["day", "_k"]}]) == 1
    assert bench.path.read_bytes() == before
    assert bench.sandbox.summary()["events"] == 1


def test_a_whole_row_without_a_time_takes_that_of_its_line_however_often_it_is_repeated(bench: Bench) -> None:
    entry = {"stream": "orders", "kind": "event", "customer_id": "buyer", "event_name": "E"}
    row = {"id": 1, "buyer": "ada"}
    for _ in range(2):
        bench.write({"record": row}, {"record": row})
        assert bench.in_process(streams=[entry]) == 0
    ada = bench.sandbox.person("ada")
    assert ada is not None
    assert [event["timestamp"] for event in ada["events"]] == [1714521600]


def test_stream_maps_are_applied_again(bench: Bench) -> None:
    maps: dict[str, Any] = {"stream_maps": {"orders": {"__alias__": "sales", "color": "'red'"}}}
    bench.run(ORDERS, order(1), **maps, streams=[{**ENTRY, "stream": "sales"}])
    (line,) = bench.lines()
    assert (line["stream"], "color" in line["record"]) == ("sales", False)
    assert bench.in_process(**maps, streams=[{**ENTRY, "stream": "sales", "customer_id": "buyer"}]) == 0
    ada = bench.sandbox.person("ada")
    assert ada is not None
    assert ada["properties"]["color"][0]["value"] == "red"


def test_lines_that_cannot_be_judged_stay(bench: Bench) -> None:
    bench.write({"record": {"id": 1, "buyer": "ada", "day": "2024-01-02"}})
    odd = b'{"half a li\n[]\n{"record": 1}\n'
    bench.path.write_bytes(bench.path.read_bytes() + odd)
    # Without a schema, nothing is known of the key that tells duplicates apart.
    assert bench.in_process(**MENDED) == 4
    assert bench.path.read_bytes().endswith(odd)
    assert bench.sandbox.summary()["events"] == 0


def test_a_host_that_fails_leaves_the_file_as_it_was(bench: Bench) -> None:
    bench.run(ORDERS, order(1))
    before = bench.path.read_bytes()
    code, log = bench.replay(**MENDED, tracking_url="http://127.0.0.1:9")
    assert code == 1
    assert "Traceback" not in log
    assert len([line for line in log.splitlines() if "| ERROR" in line]) == 1
    assert bench.path.read_bytes() == before


def test_what_a_run_appends_meanwhile_is_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run(ORDERS, order(1))
    end = ReplayTarget.process_endofpipe

    def meanwhile(target: ReplayTarget) -> None:
        bench.run(ORDERS, order(2))
        end(target)

    monkeypatch.setattr(ReplayTarget, "process_endofpipe", meanwhile)
    bench.in_process(**MENDED)
    assert [line["record"]["id"] for line in bench.lines()] == [2]


def test_killed_before_the_end_it_loses_no_line(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run(ORDERS, order(1), order(2))
    before = bench.path.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        bench.in_process(**MENDED)
    assert bench.path.read_bytes() == before
    monkeypatch.undo()
    assert bench.in_process(**MENDED) == 0
    assert bench.sandbox.summary()["events"] == 2
    assert sorted(path.name for path in bench.folder.iterdir() if "rejects" in path.name) == [
        "rejects.jsonl",
        "rejects.jsonl.schemas",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_symbolic_link_is_refused(bench: Bench) -> None:
    bench.run(ORDERS, order(1))
    link = bench.folder / "link.jsonl"
    link.symlink_to(bench.path)
    code, log = bench.replay(str(link), **MENDED)
    assert code == 1
    assert "symbolic link" in log


def test_a_file_that_is_not_there_is_named(bench: Bench) -> None:
    code, log = bench.replay(str(bench.folder / "nothing.jsonl"), **MENDED)
    assert code == 1
    assert "there is no file" in log.splitlines()[-1]


def test_a_dry_run_sends_nothing_and_leaves_the_file(bench: Bench) -> None:
    bench.run(ORDERS, order(1))
    before = bench.path.read_bytes()
    code, log = bench.replay(**MENDED, dry_run=True)
    assert code == 0
    assert '"_n": "Purchased"' in log
    assert bench.path.read_bytes() == before
    assert bench.sandbox.summary()["calls"] == 0
