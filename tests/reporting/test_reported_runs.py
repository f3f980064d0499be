"""`report_path` and progress, as a command against a sandbox: however a run ends, and wherever it is seen."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from forked import command as command_of

from target_kissmetrics.sandbox.running import RunningSandbox, running

KEY = "k3y-that_must-not-show"
COMMAND = [sys.executable, "-m", "target_kissmetrics"]
PERSONAL = (KEY, "ada", "device-7", "guest", "Secret Event", "Secret Field", "secret value", "19.99", "Gold")

EVENTS = {
    "type": "SCHEMA",
    "stream": "events",
    "key_properties": ["id"],
    "schema": {"properties": {name: {} for name in ("id", "user_id", "device_id", "event", "timestamp", "revenue")}},
}
USERS = {
    "type": "SCHEMA",
    "stream": "users",
    "key_properties": ["id"],
    "schema": {"properties": {name: {} for name in ("id", "Secret Field", "plan", "updated_at")}},
}

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX alone has modes, signals and terminals of this kind")


def event(number: int, **fields: Any) -> dict[str, Any]:
    record = {"id": number, "user_id": f"ada{number}@example.com", "device_id": "device-7", "event": "Secret Event"}
    record |= {"timestamp": 1_704_067_200 + number, "revenue": 19.99, **fields}
    return {"type": "RECORD", "stream": "events", "record": record}


def user(number: int) -> dict[str, Any]:
    record = {"id": f"ada{number}", "plan": "Gold", "Secret Field": "secret value", "updated_at": 1_704_067_200}
    return {"type": "RECORD", "stream": "users", "record": record}


def rows(count: int = 20) -> list[dict[str, Any]]:
    given = [EVENTS, USERS, *(event(number) for number in range(count)), *(user(number) for number in range(count))]
    given += [event(count, user_id="guest", device_id=None), event(count + 1, revenue="secret value")]
    return [*given, {"type": "STATE", "value": {"at": count}}]


def written(messages: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def config_in(folder: Path, **settings: Any) -> Path:
    path = folder / "config.json"
    given = {"api_key": KEY, "use_customer_id": True, "retry_timeout_seconds": 0, "report_path": "report.html"}
    path.write_text(json.dumps({**given, **settings}), encoding="utf-8")
    return path


def run(folder: Path, messages: list[dict[str, Any]], **settings: Any) -> subprocess.CompletedProcess[bytes]:
    command = [*command_of(), "--config", str(config_in(folder, **settings))]
    return subprocess.run(command, input=written(messages), capture_output=True, cwd=folder, check=False, timeout=120)


def report_in(folder: Path) -> dict[str, Any]:
    """Give the report as JSON, after a look through both of its files for what must not be there."""
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in ("report.html", "report.json")}
    assert [f"{one} is in {name}" for name, text in texts.items() for one in PERSONAL if one in text] == []
    assert [path.name for path in folder.iterdir() if path.name.endswith(".part")] == []
    report: dict[str, Any] = json.loads(texts["report.json"])
    return report


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.mark.parametrize("client", ["curl", "requests"])
def test_a_run_leaves_a_report_with_the_figures_of_its_summary(
    tmp_path: Path, sandbox: RunningSandbox, client: str
) -> None:
    done = run(tmp_path, rows(), tracking_url=sandbox.url, http_client=client)
    assert done.returncode == 0, done.stderr
    report = report_in(tmp_path)
    assert (report["ended_as"], report["reason"], report["client"]) == ("complete", None, client)
    events, users = report["streams"]
    log = done.stderr.decode()
    assert "stream 'events': 22 rows read; calls sent: 21 record, 0 set, 0 alias; 0 unchanged not sent" in log
    assert (events["rows"], events["record_calls"], events["unchanged"]) == (22, 21, 0)
    assert events["rejected_by_reason"] == {"blocked-identity": 1}
    assert events["set_aside_by_reason"] == {"bad-amount": 1}
    assert (users["rows"], users["set_calls"]) == (20, 20)
    assert (events["first_time"], events["last_time"]) == ("2024-01-01T00:00:00Z", "2024-01-01T00:00:21Z")
    assert (events["event_names"]["distinct"], users["property_names"]["distinct"]) == (1, 2)
    assert sum(moment["calls"] for moment in report["over_time"]) == 41
    assert 0 < events["latency"]["median"] <= events["latency"]["longest"]
    assert len(report["slowest_calls"]) == 20
    assert "report of this run is report.html" in log


def test_a_second_run_says_what_was_unchanged_in_place_of_the_first_report(
    tmp_path: Path, sandbox: RunningSandbox
) -> None:
    run(tmp_path, [USERS, user(1)], tracking_url=sandbox.url)
    run(tmp_path, [USERS, user(1)], tracking_url=sandbox.url)
    (users,) = report_in(tmp_path)["streams"]
    assert (users["set_calls"], users["unchanged"]) == (0, 2)


def test_names_are_in_it_when_they_are_asked_for(tmp_path: Path, sandbox: RunningSandbox) -> None:
    run(tmp_path, rows(), tracking_url=sandbox.url, report_names=True)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Secret Event" in page
    assert "Secret Field" in page
    assert not [one for one in (KEY, "ada", "secret value", "19.99") if one in page]


def test_an_input_without_a_row_leaves_a_report_too(tmp_path: Path, sandbox: RunningSandbox) -> None:
    assert run(tmp_path, [], tracking_url=sandbox.url).returncode == 0
    assert (report_in(tmp_path)["streams"], report_in(tmp_path)["ended_as"]) == ([], "complete")
    assert run(tmp_path, [EVENTS], tracking_url=sandbox.url).returncode == 0
    assert report_in(tmp_path)["streams"][0]["rows"] == 0


def test_json_alone_when_that_is_asked_for(tmp_path: Path, sandbox: RunningSandbox) -> None:
    (tmp_path / "out").mkdir()
    run(tmp_path, [EVENTS, event(1)], tracking_url=sandbox.url, report_path="out/run.json")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run.json"]
    assert json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["figures"]["record_calls"] == 1


@posix
def test_it_is_its_owners_alone(tmp_path: Path, sandbox: RunningSandbox) -> None:
    run(tmp_path, [EVENTS, event(1)], tracking_url=sandbox.url)
    for name in ("report.html", "report.json"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_dry_run_and_files_leave_one_that_says_so(tmp_path: Path) -> None:
    assert run(tmp_path, rows(), dry_run=True).returncode == 0
    report = report_in(tmp_path)
    assert (report["delivery"], report["client"], report["figures"]["record_calls"]) == ("dry run", None, 21)
    assert "This was a dry run" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert run(tmp_path, rows(), delivery="files").returncode == 0
    report = report_in(tmp_path)
    assert (report["delivery"], report["figures"]["set_calls"]) == ("files", 20)
    assert sum(moment["calls"] for moment in report["over_time"]) == 41


def test_a_run_that_fails_leaves_one_with_the_reason(tmp_path: Path, sandbox: RunningSandbox) -> None:
    assert run(tmp_path, rows(), tracking_url="http://127.0.0.1:9").returncode == 1
    report = report_in(tmp_path)
    assert report["ended_as"] == "failed"
    assert report["reason"].startswith("http://127.0.0.1:9: ")
    assert "Failed:" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert run(tmp_path, [EVENTS, {"type": "Secret Event"}], tracking_url=sandbox.url).returncode == 1
    assert report_in(tmp_path)["reason"] == "line 2 of the input has an unknown type; fix the tap"
    guests = [event(number, user_id="guest", device_id=None) for number in range(101)]
    assert run(tmp_path, [EVENTS, *guests], tracking_url=sandbox.url).returncode == 1
    assert "the first 100 rows were all rejected, most often as blocked-identity" in report_in(tmp_path)["reason"]


@posix
def test_a_run_that_is_stopped_leaves_one_that_says_by_what(tmp_path: Path, sandbox: RunningSandbox) -> None:
    command = [*COMMAND, "--config", str(config_in(tmp_path, tracking_url=sandbox.url))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as process:  # type: ignore[call-overload]
        process.stdin.write(written(rows()))
        process.stdin.flush()
        assert process.stdout.readline() == b'{"at":20}\n'
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    report = report_in(tmp_path)
    assert (report["ended_as"], report["reason"]) == ("stopped", "stopped by SIGTERM")
    assert report["figures"]["record_calls"] == 21


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("missing/report.html", "No such file or directory; make it writable, or name another folder"),
        ("report.pdf", "report_path: must be a path that ends in .html or .json, not 'report.pdf'"),
    ],
)
def test_a_place_where_it_cannot_go_is_found_before_anything_is_read(
    tmp_path: Path, sandbox: RunningSandbox, path: str, told: str
) -> None:
    done = run(tmp_path, rows(), tracking_url=sandbox.url, report_path=path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().splitlines()[-1].endswith(told)
    assert sandbox.summary()["calls"] == 0


def test_a_place_that_goes_away_meanwhile_is_told_and_fails_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()

    class Removing(_Gif):
        def do_GET(self) -> None:
            if out.exists():
                out.rmdir()
            super().do_GET()

    with serving(Removing) as url:
        done = run(tmp_path, [EVENTS, event(1)], tracking_url=url, report_path="out/report.html")
    assert done.returncode == 0
    assert b"report_path: cannot write the report: No such file or directory" in done.stderr


def test_the_check_of_meltano_leaves_none(tmp_path: Path, sandbox: RunningSandbox) -> None:
    schema = {**USERS, "stream": "meltano_test_stream"}
    assert (
        run(tmp_path, [schema, {**user(1), "stream": "meltano_test_stream"}], tracking_url=sandbox.url).returncode == 0
    )
    assert not list(tmp_path.glob("report*"))


class _Gif(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "image/gif")
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"GIF")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def on_a_terminal(folder: Path, messages: list[dict[str, Any]], config: Path, **environment: str) -> tuple[bytes, str]:
    """Run with standard error on a terminal of 100 by 30 characters; give standard output and what was shown."""
    import fcntl  # noqa: PLC0415 - not on Windows
    import pty  # noqa: PLC0415
    import struct  # noqa: PLC0415
    import termios  # noqa: PLC0415

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    given = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM"}}
    (folder / "rows.jsonl").write_bytes(written(messages))
    shown = b""
    with (
        (folder / "rows.jsonl").open("rb") as lines,
        subprocess.Popen(
            [*COMMAND, "--config", str(config)],
            stdin=lines,
            stdout=subprocess.PIPE,
            stderr=theirs,
            cwd=folder,
            env={**given, "TERM": "xterm-256color", **environment},
        ) as process,
    ):
        os.close(theirs)
        while True:
            try:
                read = os.read(ours, 1 << 16)
            except OSError:  # Linux: the other side was closed
                break
            if not read:
                break
            shown += read
        assert process.stdout is not None
        out = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0, shown
    return out, shown.decode()


SLOWLY = {"max_requests_per_second": 20, "report_path": None}
"""Forty calls take two seconds."""

CURSOR = re.compile(r"\x1b\[\d*A")
COLOUR = re.compile(r"\x1b\[(?!0m)[0-9;]*3[0-9]m")


@posix
def test_on_a_terminal_a_display_stands_beneath_the_log_and_is_gone_at_the_end(
    tmp_path: Path, sandbox: RunningSandbox
) -> None:
    config = config_in(tmp_path, tracking_url=sandbox.url, **SLOWLY)
    out, shown = on_a_terminal(tmp_path, rows(), config)
    assert out == b'{"at":20}\n'
    assert CURSOR.search(shown)
    assert COLOUR.search(shown)
    assert re.search(r"calls a second\S*, \d+ acknowledged, \d+ in flight, 0 retries, 0:00:0\d so far", shown)
    assert re.search(r"events +22 +\d+ +0 ", shown)
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
    after = shown[shown.rindex("\x1b[?25h") :]
    assert "stream 'events': 22 rows read; calls sent: 21 record" in after
    assert "in flight" not in after


@posix
def test_without_colour_on_a_terminal_when_no_color_is_set(tmp_path: Path, sandbox: RunningSandbox) -> None:
    config = config_in(tmp_path, tracking_url=sandbox.url, **SLOWLY)
    _, shown = on_a_terminal(tmp_path, rows(), config, NO_COLOR="1")
    assert "calls a second" in shown
    assert not COLOUR.search(shown)


@posix
@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"MELTANO_PROJECT_ROOT": "/project"}])
def test_no_display_on_a_dumb_terminal_nor_under_meltano(
    tmp_path: Path, sandbox: RunningSandbox, environment: dict[str, str]
) -> None:
    config = config_in(tmp_path, tracking_url=sandbox.url, **SLOWLY)
    out, shown = on_a_terminal(tmp_path, rows(), config, **environment)
    assert out == b'{"at":20}\n'
    assert "\x1b" not in shown


@pytest.mark.parametrize("is_collected", [True, False])
def test_elsewhere_a_line_comes_every_ten_seconds_and_metrics_where_they_are_collected(
    tmp_path: Path, sandbox: RunningSandbox, is_collected: bool
) -> None:
    # As Meltano 4.4 sets its plugins up.
    console = {"class": "logging.StreamHandler", "formatter": "f", "stream": "ext://sys.stderr"}
    logs = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"f": {"()": "singer_sdk.logging.StructuredFormatter"}},
        "handlers": {"console": console},
        "root": {"handlers": ["console"], "level": "INFO"},
    }
    (tmp_path / "logs.json").write_text(json.dumps(logs), encoding="utf-8")
    environment = {"SINGER_SDK_LOG_CONFIG": str(tmp_path / "logs.json")} if is_collected else {}
    done = subprocess.run(
        [*COMMAND, "--config", str(config_in(tmp_path, tracking_url=sandbox.url, max_requests_per_second=3))],
        input=written(rows()),
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, **environment},
        check=False,
        timeout=120,
    )
    assert done.stdout == b'{"at":20}\n'
    lines = [line for line in done.stderr.decode().splitlines() if "in flight" in line]
    assert len(lines) == 1
    told = re.search(
        r"42 rows read, (\d+) calls sent \((\d+) a second\), (\d+) in flight, 1 rows rejected, 0 retries", lines[0]
    )
    assert told is not None
    sent, rate, in_flight = map(int, told.groups())
    assert sent + in_flight == 41
    assert sent >= 5
    assert rate > 0
    if not is_collected:
        assert '"gauge"' not in done.stderr.decode()
        return
    points = [json.loads(line)["metric_info"] for line in done.stderr.decode().splitlines() if '"metric_info"' in line]
    gauges = {
        (point["tags"].get("stream"), point["metric"]): point["value"] for point in points if point["type"] == "gauge"
    }
    assert gauges["events", "rows"] == 22
    assert gauges["users", "rows"] == 20
    assert gauges[None, "calls_under_way"] == in_flight
    totals = {
        (point["tags"]["stream"], point["metric"]): point["value"] for point in points if point["type"] == "counter"
    }
    assert (totals["events", "record_calls"], totals["users", "set_calls"]) == (21, 20)
