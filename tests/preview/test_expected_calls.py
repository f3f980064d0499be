"""`--calls` and `--expect`: the calls of a preview as a file, and as a test of a mapping."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from forked import command as command_of
from preview_streams import messages, write

AT = 1704067200
ROWS = [
    {"id": 1, "user_id": "ada", "device_id": "d1", "paid_at": "2024-01-01T00:00:00Z", "total": 2.5, "Café": "ü"},
    {"id": 2, "user_id": "ben", "paid_at": "2024-01-02T00:00:00Z", "total": 5},
    {"id": 3, "user_id": "ben", "paid_at": "2024-01-02T00:00:00Z", "total": 5},
]
ENTRY = {
    "stream": "orders",
    "kind": "event",
    "event_name": "Bought",
    "timestamp": "paid_at",
    "revenue": "total",
    "exclude": ["id", "total", "device_id"],
}
ADA = {"_n": "Bought", "_p": "ada", "_t": AT, "Billing Amount": "2.5", "Café": "ü"}
ALIAS = {"_p": "ada", "_p2": "d1", "_t": AT}
BEN = {"_n": "Bought", "_p": "ben", "_t": AT + 86400, "Billing Amount": "5"}
CALLS = [ADA, ALIAS, BEN, BEN]


def run(
    folder: Path, *arguments: object, rows: Sequence[Mapping[str, Any]] = ROWS, tail: str = "", **entry: Any
) -> subprocess.CompletedProcess[str]:
    config = write(
        folder / "config.json", {"streams": [{**ENTRY, **entry}], "alias_identities": True, "use_customer_id": True}
    )
    given = write(folder / "in.jsonl", *messages("orders", rows))
    given.write_text(given.read_text(encoding="utf-8") + tail, encoding="utf-8")
    command = [*command_of("target_kissmetrics.preview.cli"), str(given), "--config", str(config)]
    environment = {**os.environ, "PYTHONUTF8": "1"}
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, check=False, text=True, env=environment, timeout=120
    )


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def by_text(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(json.dumps(line, sort_keys=True) for line in lines)


def test_calls_are_lines_of_the_import_format_that_only_their_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    done = run(tmp_path, "--calls", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "record Bought" in done.stdout
    assert by_text(read(path)) == by_text(CALLS)
    assert "Café" in path.read_text(encoding="utf-8")
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_written_is_expected_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    assert run(tmp_path, "--calls", path).returncode == 0
    path.write_text("\n".join(reversed(path.read_text(encoding="utf-8").splitlines())), encoding="utf-8")
    again = run(tmp_path, "--expect", path, "--calls", path)
    assert (again.returncode, again.stderr) == (0, "")
    assert by_text(read(path)) == by_text(CALLS)


@pytest.mark.parametrize(
    "written",
    [
        '{"Billing Amount": 2.5, "_t": "1704067200", "Caf\\u00e9": "ü", "_n": "Bought", "_p": "ada"}\r\n',
        '\ufeff\n{"_p": "ada", "_n": "Bought", "_t": 1704067200, "Café": "ü", "Billing Amount": "2.5"}',
    ],
)
def test_a_line_may_be_written_otherwise(tmp_path: Path, written: str) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text(written, encoding="utf-8", newline="")
    done = run(tmp_path, "--expect", path, rows=[{**ROWS[0], "device_id": None}])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ([ADA, ALIAS, BEN], ["1 call not expected:", f"+ {json.dumps(BEN)}"]),
        ([*CALLS, BEN], ["1 call missing:", f"- {json.dumps(BEN)}"]),
        (
            [{**ADA, "Billing Amount": "3"}, ALIAS, BEN, BEN],
            [
                "1 call missing:",
                f"- {json.dumps({**ADA, 'Billing Amount': '3'}, ensure_ascii=False)}",
                "1 call not expected:",
                f"+ {json.dumps(ADA, ensure_ascii=False)}",
            ],
        ),
        ([ADA, BEN, BEN], ["1 call not expected:", f"+ {json.dumps(ALIAS)}"]),
    ],
)
def test_a_difference_is_listed_and_fails(
    tmp_path: Path, expected: Sequence[Mapping[str, Any]], told: Sequence[str]
) -> None:
    path, calls = write(tmp_path / "expected.jsonl", *expected), tmp_path / "calls.jsonl"
    done = run(tmp_path, "--expect", path, "--calls", calls)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == told
    assert str(path) in done.stderr.splitlines()[0]
    assert by_text(read(calls)) == by_text(CALLS), "both may be given"


def test_of_many_differences_twenty_of_each_kind_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "expected.jsonl", *({**BEN, "_p": f"p{n}"} for n in range(1021)))
    done = run(tmp_path, "--expect", path, rows=[{**ROWS[1], "user_id": f"u{n}"} for n in range(23)])
    lines = done.stderr.splitlines()[1:]
    assert lines[0] == "1,021 calls missing:"
    assert lines[21:23] == ["... and 1,001 more", "23 calls not expected:"]
    assert (len(lines), lines[-1]) == (44, "... and 3 more")


def test_a_stream_at_which_a_run_stops_is_not_as_expected(tmp_path: Path) -> None:
    calls = tmp_path / "calls.jsonl"
    assert run(tmp_path, "--calls", calls, timestamp="payed_at").returncode == 0
    done = run(tmp_path, "--expect", calls, timestamp="payed_at")
    assert done.returncode == 1
    assert "stream 'orders': a run would stop: " in done.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"_p": "a", "_t": 1}\n[]', "line 2: is not a JSON object with _p and _t"),
        (b'{"_p": "a"}', "line 1: is not"),
        (b'{"_p": "a", "_t": "soon"}', "line 1: is not"),
        (b'\n\n{"_p": "\xff"}', "line 3: is not"),
        (b"[" * 200_000, "line 1: is not"),
    ],
    ids=["a list", "no time", "a time in words", "no UTF-8", "too deep"],
)
def test_a_file_that_is_not_of_calls_is_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "expected.jsonl"
    path.write_bytes(content)
    done = run(tmp_path, "--expect", path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert told in done.stderr


def test_an_input_that_breaks_off_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "calls.jsonl", BEN)
    done = run(tmp_path, "--calls", path, "--expect", path, tail='{"type": "RECO')
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "not valid JSON" in done.stderr
    assert read(path) == [BEN]


def test_a_suggestion_and_a_difference_do_not_mix(tmp_path: Path) -> None:
    path = write(tmp_path / "expected.jsonl", *CALLS, BEN)
    done = run(tmp_path, "--suggest", "--expect", path)
    assert done.returncode == 1
    assert done.stdout.startswith("streams:")
    assert "1 call missing:" in done.stderr


@pytest.mark.parametrize("arguments", [("--calls", "{}/in.jsonl"), ("--calls", "{}/config.json"),
                                       ("--expect", "{}/a.html", "--html", "{}/a.html"),
                                       ("--calls", "{}/a.html", "--html", "{}/a.html")])  # fmt: skip
def test_no_file_that_is_read_or_written_besides_is_replaced(tmp_path: Path, arguments: Sequence[str]) -> None:
    write(tmp_path / "a.html", BEN)
    done = run(tmp_path, *(argument.format(tmp_path) for argument in arguments))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "are the same file; name another file" in done.stderr
    assert read(tmp_path / "a.html") == [BEN]
