from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

import target_kissmetrics

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(target_kissmetrics.__file__).parents[1]
COMMAND = [sys.executable, "-m", "target_kissmetrics.sandbox"]
LONGEST_WAIT = 20
LINE = {"_p": "ada", "_t": 1_600_000_000, "_n": "Paid", "Billing Amount": 19.90}


def environment(*paths: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT))), "PYTHONWARNINGS": "error"}


@contextmanager
def started(*arguments: str | Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start the command, and yield its first line once it is there; kill it at the end if it still runs."""
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().rstrip("\n"), process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], by: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(by)
    out, err = process.communicate(timeout=LONGEST_WAIT)
    return process.returncode, out, err


def failed(*arguments: str | Path, paths: tuple[Path, ...] = ()) -> str:
    """Run the command, which has to end by itself with one line and exit code 1; return the line."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LONGEST_WAIT,
        env=environment(*paths),
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = [line for line in done.stderr.splitlines() if " INFO " not in line]
    return line


def summary(url: str) -> Any:
    return requests.get(url + "/api/summary", timeout=10).json()


def test_the_first_line_is_the_url_and_it_answers_at_once() -> None:
    with started() as (url, process):
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+", url)
        with requests.Session() as session:
            assert session.get(url + "/e", params={"_p": "ada", "_n": "Paid"}, timeout=10).status_code == 200
            assert session.get(url + "/api/summary", timeout=10).json()["events"] == 1
            code, out, err = ended(process, signal.SIGTERM)
    assert (code, out) == (0, "")
    assert "Traceback" not in err
    assert "/e" not in err


def test_ctrl_c_ends_it_well() -> None:
    with started() as (url, process):
        assert summary(url)["calls"] == 0  # before it serves, nothing takes the signal yet
        code, out, err = ended(process, signal.SIGINT)
    assert (code, out) == (0, "")
    assert "Traceback" not in err


def test_a_store_survives_a_restart_and_a_kill(tmp_path: Path) -> None:
    store = tmp_path / "sandbox.db"
    with started("--store", store) as (url, process):
        requests.get(url + "/e", params={"_k": "key", "_p": "ada", "_n": "Paid"}, timeout=10)
        assert ended(process, signal.SIGTERM)[0] == 0
    with started("--store", store) as (url, process):
        assert summary(url)["events"] == 1
        requests.get(url + "/e", params={"_k": "key", "_p": "bob", "_n": "Paid"}, timeout=10)
        ended(process, signal.SIGKILL)
    with started("--store", store) as (url, _):
        assert summary(url)["events"] == 2


def test_files_are_imported_first(tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"{number}.json" for number in range(3))
    first.write_text(json.dumps(LINE) + "\n")
    second.write_text(json.dumps({**LINE, "_p": "bob"}) + "\n" + json.dumps(LINE))
    third.write_text(json.dumps({**LINE, "_p": "eve", "Paid": 3}))
    with started("--import", first, second, "--import", third, "--revenue-property", "Paid") as (url, _):
        counted = summary(url)
    assert {name: counted[name] for name in ("people", "events", "calls", "not_kept", "revenue")} == {
        "people": 3,
        "events": 3,
        "calls": 4,
        "not_kept": 1,
        "revenue": "3",
    }


@pytest.mark.parametrize(
    ("arguments", "rule", "events"), [((), "current", 2), (("--duplicates", "legacy"), "legacy", 1)]
)
def test_the_rule_for_duplicates_is_an_argument(
    tmp_path: Path, arguments: tuple[str, ...], rule: str, events: int
) -> None:
    file = tmp_path / "1.json"
    file.write_text(json.dumps(LINE) + "\n" + json.dumps({**LINE, "Billing Amount": 5}))
    with started("--import", file, *arguments) as (url, _):
        counted = summary(url)
    assert (counted["duplicates"], counted["events"]) == (rule, events)


def test_a_broken_import_line_names_itself(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(LINE) + "\n{oops\n")
    said = failed("--port", "0", "--import", broken)
    assert said.startswith(f"kissmetrics-sandbox: {broken}, line 2: not a JSON object")


def test_an_import_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        assert failed("--port", "0", "--import", path).startswith(f"kissmetrics-sandbox: cannot read {path}: ")


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = failed("--port", str(port))
    assert said.startswith(f"kissmetrics-sandbox: cannot listen on 127.0.0.1:{port}: Address already in use")
    assert "name another" in said


def test_a_host_that_is_none() -> None:
    assert failed("--host", "no.such.host.invalid").startswith("kissmetrics-sandbox: cannot listen on no.such.host")


def test_a_store_that_is_something_else(tmp_path: Path) -> None:
    store = tmp_path / "notes.txt"
    store.write_text("notes " * 1000)
    assert "cannot use" in failed("--port", "0", "--store", store)


@pytest.mark.parametrize("missing", ["uvicorn", "starlette"])
def test_a_missing_extra(tmp_path: Path, missing: str) -> None:
    stub = f'raise ModuleNotFoundError("No module named {missing!r}", name={missing!r})\n'
    (tmp_path / f"{missing}.py").write_text(stub)
    said = failed("--port", "0", paths=(tmp_path,))
    assert said == (f"kissmetrics-sandbox: {missing} is not installed; run: pip install 'target-kissmetrics[sandbox]'")


@pytest.mark.parametrize("port", ["-1", "65536", "http", "٣"])
def test_a_port_that_is_none(port: str) -> None:
    done = subprocess.run(
        [*COMMAND, "--port", port], capture_output=True, text=True, timeout=LONGEST_WAIT, env=environment(), check=False
    )
    assert done.returncode == 2
    assert "is no port" in done.stderr or "expected one argument" in done.stderr
