"""`max_calls`, as a command: a run ends softly before the row that would go beyond, and the next one resumes there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from forked import command as command_of

from target_kissmetrics.sandbox.running import RunningSandbox, running

KEY = "0123456789abcdef"
T0 = 1_704_067_200
EVENTS = {
    "type": "SCHEMA",
    "stream": "events",
    "key_properties": ["id"],
    "schema": {"properties": {name: {} for name in ("id", "user_id", "device_id", "event", "timestamp")}},
}
USERS = {
    "type": "SCHEMA",
    "stream": "users",
    "key_properties": ["id"],
    "schema": {"properties": {name: {} for name in ("id", "plan", "updated_at")}},
}


def event(number: int) -> dict[str, Any]:
    record = {"id": number, "user_id": f"u{number % 7}", "event": "E", "timestamp": T0 + number}
    return {"type": "RECORD", "stream": "events", "record": record}


def user(number: int) -> dict[str, Any]:
    record = {"id": f"u{number}", "plan": "Pro", "updated_at": T0 + number}
    return {"type": "RECORD", "stream": "users", "record": record}


def tap(make: Callable[[int], dict[str, Any]], rows: int, every: int, begin: int = 0) -> list[dict[str, Any]]:
    """Give what a tap writes from a position on, with a STATE behind every so many rows."""
    messages: list[dict[str, Any]] = [EVENTS, USERS]
    for number in range(begin, rows):
        messages.append(make(number))
        if (number + 1) % every == 0 or number + 1 == rows:
            messages.append({"type": "STATE", "value": number + 1})
    return messages


class Bench:
    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox

    def start(self, command: list[str], **config: Any) -> subprocess.Popen[bytes]:
        path = self.folder / "config.json"
        path.write_text(json.dumps({"api_key": KEY, "tracking_url": self.sandbox.url, **config}), encoding="utf-8")
        return subprocess.Popen(
            [*command, "--config", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
        )

    def run(self, messages: list[dict[str, Any]], **config: Any) -> tuple[int | None, str]:
        """Run; give the last STATE, if any, and the log."""
        with self.start(command_of(), **config) as process:
            out, log = process.communicate(as_lines(messages), timeout=60)
        assert process.returncode == 0, log.decode()
        states = [int(line) for line in out.split()]
        assert states == sorted(states)
        return (states[-1] if states else None), log.decode()

    @property
    def calls(self) -> int:
        return int(self.sandbox.summary()["calls"])


def as_lines(messages: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with running() as sandbox:
        yield Bench(tmp_path, sandbox)


@pytest.mark.parametrize("client", ["requests", "curl"])
@pytest.mark.parametrize("rows_at_once", [1, 7, 1000])
def test_runs_of_a_few_calls_deliver_everything_and_resume_from_their_state(
    bench: Bench, client: str, rows_at_once: int
) -> None:
    position, runs = 0, 0
    while position < 40:
        before = bench.calls
        config = {"max_calls": 12, "http_client": client, "batch_size_rows": rows_at_once}
        emitted, log = bench.run(tap(event, 40, 5, position), **config)
        assert bench.calls - before <= 12
        assert emitted is not None
        assert emitted > position
        is_last = emitted == 40
        assert is_last or bench.calls - before == 12
        assert ("max_calls: 12 calls were sent" in log) is not is_last
        assert bench.sandbox.summary()["events"] >= emitted
        position, runs = emitted, runs + 1
    assert bench.sandbox.summary()["events"] == 40
    assert runs == 4  # each covers two of the STATE messages


@pytest.mark.parametrize("rows_at_once", [1, 10, 1000])
def test_a_state_right_behind_the_last_call_is_emitted(bench: Bench, rows_at_once: int) -> None:
    for run in range(4):
        messages = tap(event, 40, 10, run * 10)
        assert bench.run(messages, max_calls=10, batch_size_rows=rows_at_once)[0] == run * 10 + 10
        assert bench.calls == run * 10 + 10


def test_attributes_without_a_state_before_the_end_are_stored_so_that_the_next_run_goes_on(bench: Bench) -> None:
    for run in range(3):
        emitted, log = bench.run(tap(user, 30, 30), max_calls=10)
        assert bench.calls == 10 * run + 10
        # Of the last run, every row was sent.
        assert (emitted, "no STATE was emitted; raise max_calls" in log) == ((None, True) if run < 2 else (30, False))
    assert bench.run(tap(user, 30, 30), max_calls=10)[0] == 30
    assert bench.calls == 30


def test_a_row_is_sent_whole_or_not_at_all(bench: Bench) -> None:
    def both(number: int) -> dict[str, Any]:
        message = event(number)
        return {**message, "record": {**message["record"], "user_id": f"u{number}", "device_id": f"d{number}"}}

    emitted, log = bench.run(tap(both, 10, 1), max_calls=5, alias_identities=True)
    assert (emitted, bench.calls) == (2, 4)
    assert "max_calls: 4 calls were sent, and the next row would go beyond 5; 8 rows" in log
    assert bench.run(tap(both, 10, 1, 2), max_calls=1, alias_identities=True)[0] is None
    assert bench.calls == 4


def test_import_files_hold_no_more_lines_and_their_state_is_emitted(bench: Bench) -> None:
    position = 0
    for lines in (12, 24, 36, 40 + 6):  # two rows of each run lie behind its last STATE
        emitted, _ = bench.run(tap(event, 40, 5, position), max_calls=12, delivery="files", files_max_rows=5)
        assert emitted is not None
        position = emitted
        files = sorted((bench.folder / "kissmetrics-import").iterdir())
        assert sum(len(file.read_bytes().splitlines()) for file in files) == lines
    assert position == 40
    assert bench.calls == 0


def test_a_dry_run_logs_no_more_calls(bench: Bench) -> None:
    emitted, log = bench.run(tap(event, 40, 5), max_calls=12, dry_run=True)
    assert emitted is None
    assert log.count('"_n"') == 12


def test_a_run_ends_while_its_tap_waits(bench: Bench) -> None:
    with bench.start([sys.executable, "-m", "target_kissmetrics"], max_calls=12) as process:
        assert process.stdin is not None
        process.stdin.write(as_lines(tap(event, 40, 5)))
        process.stdin.flush()
        assert process.wait(timeout=60) == 0
        assert process.stdout is not None
        assert int(process.stdout.read().split()[-1]) == 10
    assert bench.calls == 12


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_after_a_kill_limited_runs_deliver_the_rest(bench: Bench) -> None:
    with bench.start([sys.executable, "-m", "target_kissmetrics"], max_calls=12) as process:
        assert process.stdin is not None
        process.stdin.write(as_lines(tap(user, 8, 40)[:-1]))
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while bench.calls < 8:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.communicate()
    emitted = None
    while emitted is None:
        before = bench.calls
        emitted, _ = bench.run(tap(user, 40, 40), max_calls=12)
        assert 0 < bench.calls - before <= 12
    assert bench.sandbox.summary()["people"] == 40


def test_the_report_says_what_ended_the_run(bench: Bench) -> None:
    bench.run(tap(event, 40, 5), max_calls=12, report_path=str(bench.folder / "report.json"))
    report = json.loads((bench.folder / "report.json").read_text(encoding="utf-8"))
    assert (report["ended_as"], report["reason"]) == ("stopped", "stopped by max_calls")
    assert report["figures"]["record_calls"] == 12


def test_the_environment_sets_it(bench: Bench) -> None:
    settings = {"API_KEY": KEY, "TRACKING_URL": bench.sandbox.url, "MAX_CALLS": "12"}
    done = subprocess.run(
        [*command_of(), "--config=ENV"],
        input=as_lines(tap(event, 40, 5)),
        capture_output=True,
        cwd=bench.folder,
        env={**os.environ, **{f"TARGET_KISSMETRICS_{name}": value for name, value in settings.items()}},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split()[-1], bench.calls) == (0, b"10", 12)
