"""Standard input, output and error that are closed, or that break while the target runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest

from target_kissmetrics.sandbox.running import RunningSandbox, running

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="descriptors of POSIX")

COMMAND = [sys.executable, "-m", "target_kissmetrics", "--config", "config.json"]
SCHEMA = {
    "type": "SCHEMA",
    "stream": "events",
    "key_properties": ["id"],
    "schema": {"properties": {name: {} for name in ("id", "user_id", "event", "timestamp")}},
}


def row(number: int) -> dict[str, Any]:
    record = {"id": number, "user_id": "ada", "event": "Seen", "timestamp": 1704067200 + number}
    return {"type": "RECORD", "stream": "events", "record": record}


def lines(*messages: Any) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


ALL = lines(SCHEMA, row(1), {"type": "STATE", "value": 1})


@pytest.fixture
def sandbox(tmp_path: Path) -> Any:
    with running() as server:
        (tmp_path / "config.json").write_text(json.dumps({"api_key": "k" * 40, "tracking_url": server.url}))
        yield server


def run(folder: Path, redirected: str, **options: Any) -> tuple[int, str, str]:
    words = ["sh", "-c", f"{shlex.join(COMMAND)} {redirected}"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False, **options)
    return done.returncode, done.stdout, done.stderr


def assert_one_line(log: str, pattern: str) -> None:
    (error,) = [line for line in log.splitlines() if "| ERROR" in line]
    assert re.search(pattern, error)
    assert not re.search("Traceback|Exception ignored|please report", log)


@pytest.mark.parametrize("redirected", [">&-", ">&- 0</dev/null"])
def test_without_a_standard_output_nothing_is_sent(tmp_path: Path, sandbox: RunningSandbox, redirected: str) -> None:
    code, _, log = run(tmp_path, redirected, input=ALL.decode())
    assert (code, sandbox.summary()["calls"]) == (1, 0)
    assert_one_line(log, "standard output is closed")


def test_a_pipe_that_nobody_reads_from_the_start_sends_nothing(tmp_path: Path, sandbox: RunningSandbox) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        COMMAND, cwd=tmp_path, input=ALL, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(writing)
    assert (done.returncode, sandbox.summary()["calls"]) == (1, 0)
    assert_one_line(done.stderr.decode(), "standard output is closed")


@pytest.mark.parametrize(
    ("redirected", "problem"),
    [("<&-", "standard input is closed"), ("0>nothing.txt", "line 1 of the input cannot be read: Bad file descriptor")],
)
def test_without_a_standard_input_the_run_ends_in_one_line(
    tmp_path: Path, sandbox: RunningSandbox, redirected: str, problem: str
) -> None:
    code, out, log = run(tmp_path, redirected)
    assert (code, out, sandbox.summary()["calls"]) == (1, "", 0)
    assert_one_line(log, problem)


@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full"])
def test_without_a_standard_error_nothing_is_different(
    tmp_path: Path, sandbox: RunningSandbox, redirected: str
) -> None:
    code, out, _ = run(tmp_path, redirected, input=ALL.decode())
    assert (code, out, sandbox.summary()["calls"]) == (0, "1\n", 1)
    code, out, _ = run(tmp_path, redirected, input="{no json}\n")
    assert (code, out) == (1, "")


def test_a_log_that_nobody_reads_any_more_changes_nothing(tmp_path: Path, sandbox: RunningSandbox) -> None:
    with started(tmp_path) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(lines(SCHEMA, row(1), {"type": "STATE", "value": 1}))
        process.stdin.flush()
        assert output(process).readline() == b"1\n"
        process.stderr.close()
        process.stdin.write(lines(row(2), {"type": "STATE", "value": 2}))
        process.stdin.close()
        assert output(process).read() == b"2\n"
    assert (process.returncode, sandbox.summary()["calls"]) == (0, 2)


def test_a_reader_of_the_output_that_ends_first_ends_the_run_in_one_line(
    tmp_path: Path, sandbox: RunningSandbox
) -> None:
    with started(tmp_path) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(lines(SCHEMA, row(1), {"type": "STATE", "value": 1}))
        process.stdin.flush()
        assert output(process).readline() == b"1\n"
        output(process).close()
        process.stdin.write(lines(row(2), {"type": "STATE", "value": 2}))
        process.stdin.flush()
        log = process.stderr.read().decode()
        process.stdin.close()
    assert process.returncode == 1
    assert_one_line(log, "STATE cannot be written to standard output: Broken pipe")
    assert f"calls sent: {sandbox.summary()['calls']} record" in log


def started(folder: Path) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(COMMAND, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe)


def output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout
