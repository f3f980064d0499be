"""The whole target, as a command, against a sandbox on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from forked import command as command_of

from target_kissmetrics.sandbox.running import RunningSandbox, running

KEY = "k3y-that/must not+show".replace(" ", "_")
COMMAND = [sys.executable, "-m", "target_kissmetrics"]

EVENTS = {
    "type": "SCHEMA",
    "stream": "events",
    "key_properties": ["id"],
    "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "user_id": {"type": ["string", "null"]},
            "device_id": {"type": ["string", "null"]},
            "event": {"type": ["string", "null"]},
            "timestamp": {"type": "string", "format": "date-time"},
            "revenue": {"type": ["number", "string", "null"]},
        },
    },
}
USERS = {
    "type": "SCHEMA",
    "stream": "users",
    "key_properties": ["id"],
    "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "plan": {"type": ["string", "null"]},
            "updated_at": {"type": "string", "format": "date-time"},
        },
    },
}


def event(number: int, **fields: Any) -> dict[str, Any]:
    record = {"id": number, "user_id": "u1", "device_id": "d1", "event": "Bought"}
    moment = f"2024-01-01T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"
    return {"type": "RECORD", "stream": "events", "record": {**record, "timestamp": moment, **fields}}


def user(identity: str, plan: str, moment: str) -> dict[str, Any]:
    return {"type": "RECORD", "stream": "users", "record": {"id": identity, "plan": plan, "updated_at": moment}}


def state(value: Any) -> dict[str, Any]:
    return {"type": "STATE", "value": value}


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


class Runner:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(
        self, config: dict[str, Any], command: Sequence[str] = COMMAND, **environment: str
    ) -> subprocess.Popen[bytes]:
        path = self.folder / "config.json"
        path.write_text(json.dumps({"api_key": KEY, "retry_timeout_seconds": 0, **config}), encoding="utf-8")
        return subprocess.Popen(
            [*command, "--config", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env={**os.environ, **environment},
        )

    def run(self, config: dict[str, Any], *messages: Any, raw: bytes = b"", **environment: str) -> tuple[int, str, str]:
        lines = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
        with self.start(config, command_of(), **environment) as process:
            out, err = process.communicate(lines + raw, timeout=60)
        return process.returncode, out.decode(), err.decode()

    def rejects(self) -> list[dict[str, Any]]:
        path = self.folder / "target-kissmetrics-rejects.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def target(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def at(url: str, **settings: Any) -> dict[str, Any]:
    return {"tracking_url": url, **settings}


def test_the_device_id_identifies_by_default(target: Runner, sandbox: RunningSandbox) -> None:
    code, out, _ = target.run(at(sandbox.url), EVENTS, event(1), state({"at": 1}))
    assert (code, out) == (0, '{"at":1}\n')
    assert sandbox.person("d1") is not None
    assert sandbox.person("u1") is None


def test_the_customer_id_does_with_use_customer_id(target: Runner, sandbox: RunningSandbox) -> None:
    target.run(at(sandbox.url, use_customer_id=True), EVENTS, event(1))
    assert sandbox.person("u1") is not None
    assert sandbox.person("d1") is None


def test_revenue_goes_under_revenue_key_to_the_last_digit(target: Runner, sandbox: RunningSandbox) -> None:
    target.run(at(sandbox.url), EVENTS, event(1, revenue="$1,234.50"), event(2, revenue=0.1), event(3, revenue=0.2))
    assert sandbox.summary()["revenue"] == "1234.80"
    target.run(at(sandbox.url, revenue_key="Money"), EVENTS, event(10, revenue=7))
    person = sandbox.person("d1")
    assert person is not None
    assert [entry["value"] for entry in person["properties"]["Money"]] == [7]


def test_only_changed_attributes_are_sent_also_by_the_next_process(target: Runner, sandbox: RunningSandbox) -> None:
    first = [user("7", "Free", "2024-01-01T10:00:00Z"), user("7", "Free", "2024-01-01T11:00:00Z")]
    target.run(at(sandbox.url), USERS, *first)
    assert sandbox.summary()["calls"] == 1
    second = [user("7", "Free", "2024-01-02T10:00:00Z"), user("7", "Gold", "2024-01-03T10:00:00Z")]
    _, _, log = target.run(at(sandbox.url), USERS, *second)
    assert sandbox.summary()["calls"] == 2
    assert "1 unchanged not sent" in log
    person = sandbox.person("7")
    assert person is not None
    assert [entry["value"] for entry in person["properties"]["plan"]] == ["Free", "Gold"]


def test_a_value_that_another_stream_changed_meanwhile_is_sent_again(target: Runner, sandbox: RunningSandbox) -> None:
    billing = {**USERS, "stream": "billing"}

    def run(stream: dict[str, Any], plan: str, day: int) -> None:
        row = {**user("7", plan, f"2024-01-0{day}T10:00:00Z"), "stream": stream["stream"]}
        entries = [{"stream": name, "kind": "user_attributes"} for name in ("users", "billing")]
        target.run(at(sandbox.url, streams=entries), stream, row)

    for day, (stream, plan) in enumerate(
        [(USERS, "Free"), (USERS, "Free"), (billing, "Gold"), (USERS, "Free"), (USERS, "Free"), (billing, "Free")], 1
    ):
        run(stream, plan, day)
    person = sandbox.person("7")
    assert person is not None
    assert [entry["value"] for entry in person["properties"]["plan"]] == ["Free", "Gold", "Free"]
    assert sandbox.summary()["calls"] == 3


def test_everything_is_sent_with_include_all_user_attributes(target: Runner, sandbox: RunningSandbox) -> None:
    rows = [user("7", "Free", "2024-01-01T10:00:00Z"), user("7", "Free", "2024-01-01T11:00:00Z")]
    target.run(at(sandbox.url, include_all_user_attributes=True), USERS, *rows)
    assert sandbox.summary()["calls"] == 2


def test_three_values_of_one_second_leave_the_last_one(target: Runner, sandbox: RunningSandbox) -> None:
    moment = "2024-01-01T10:00:00Z"
    rows = [user("7", "A", moment), user("7", "B", moment), user("7", "C", moment)]
    target.run(at(sandbox.url, batch_size_rows=1), USERS, *rows)
    person = sandbox.person("7")
    assert person is not None
    assert [entry["value"] for entry in person["properties"]["plan"]] == ["A", "B", "C"]


def test_a_dry_run_tells_and_neither_sends_nor_remembers(target: Runner, sandbox: RunningSandbox) -> None:
    code, out, log = target.run(at(sandbox.url, dry_run=True), EVENTS, event(1), state({"at": 1}))
    assert (code, out) == (0, "")
    assert sandbox.summary()["calls"] == 0
    told = [json.loads(line[line.index("{") :]) for line in log.splitlines() if '"_p"' in line]
    assert told == [{"_p": "d1", "_t": 1704067201, "_n": "Bought", "id": "1"}]
    assert not (target.folder / "target-kissmetrics.db").exists()


def test_the_check_of_meltano_sends_and_stores_nothing(target: Runner, sandbox: RunningSandbox) -> None:
    schema = {**USERS, "stream": "meltano_test_stream"}
    row = {**user("7", "Free", "2024-01-01T10:00:00Z"), "stream": "meltano_test_stream"}
    code, out, log = target.run(at(sandbox.url), schema, row, state({"at": 1}))
    assert (code, out) == (0, '{"at":1}\n')
    assert sandbox.summary()["calls"] == 0
    assert not (target.folder / "target-kissmetrics.db").exists()
    assert not [line for line in log.splitlines() if "error" in line.lower() or "exception" in line.lower()]


def test_a_dry_run_logs_its_rejects_and_says_that_calls_were_logged(target: Runner, sandbox: RunningSandbox) -> None:
    nobody = event(2, user_id=None, device_id=None)
    _, _, log = target.run(at(sandbox.url, dry_run=True), EVENTS, event(1), nobody)
    assert list(target.folder.glob("*rejects*")) == []
    assert "stream 'events': row rejected (no-identity)" in log
    assert "calls logged (dry run): 1 record" in log
    assert "calls sent" not in log


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("DRY_RUN", "y", "dry_run: must be true or false, but TARGET_KISSMETRICS_DRY_RUN is neither"),
        ("FLATTENING_ENABLED", "true", "flattening_enabled: is not offered: this target flattens"),
        ("SHARD", "garbage", "shard: must be a JSON object, but TARGET_KISSMETRICS_SHARD is not"),
        ("MAX_CONNECTIONS", "many", "max_connections: must be an integer"),
        ("STREAMS", "[" * 5000, "streams: must be a JSON list, but TARGET_KISSMETRICS_STREAMS is not"),
        ("STREAM_MAPS", "{bad", "stream_maps: must be a JSON object, but TARGET_KISSMETRICS_STREAM_MAPS is not"),
    ],
)
def test_a_slip_in_the_environment_stops_the_run_before_it_reads(
    tmp_path: Path, sandbox: RunningSandbox, name: str, text: str, told: str
) -> None:
    ours = {"API_KEY": KEY, "TRACKING_URL": sandbox.url, name: text}
    environment = {**os.environ, **{f"TARGET_KISSMETRICS_{key}": value for key, value in ours.items()}}
    lines = b"".join(json.dumps(message).encode() + b"\n" for message in (EVENTS, event(1), state(1)))
    command = [*command_of(), "--config", "ENV"]
    done = subprocess.run(command, input=lines, capture_output=True, cwd=tmp_path, env=environment, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert told in done.stderr.decode().splitlines()[-1]
    assert sandbox.summary()["calls"] == 0


def test_a_config_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    command = [*command_of(), "--config", "nowhere.json"]
    done = subprocess.run(command, input=b"", capture_output=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert "cannot read nowhere.json: No such file or directory" in done.stderr.decode().splitlines()[-1]


def test_the_check_of_meltano_fails_where_nobody_listens(target: Runner) -> None:
    code, _, log = target.run(at(f"http://127.0.0.1:{closed_port()}"), {**USERS, "stream": "meltano_test_stream"})
    assert code == 1
    assert "cannot be reached" in log.splitlines()[-1]


CONFIG_MISTAKES = [
    ({"api_key": None}, "api_key"),
    ({"api_key": 12345678}, "api_key"),
    ({"api_key": "two words"}, "api_key"),
    ({"revenu_key": "x"}, "did you mean 'revenue_key'"),
    ({"use_customer_id": "yes"}, "use_customer_id"),
    ({"max_connections": 0}, "max_connections"),
    ({"tracking_url": "trk.kissmetrics.io"}, "tracking_url"),
    ({"tracking_url": "https://a?b=c"}, "tracking_url"),
    ({"tracking_url": "https://ä.example"}, "tracking_url: must be ASCII"),
    ({"tracking_url": "https://trk.kissmetrics.io/\0"}, "tracking_url: contains a NUL"),
    ({"flattening_enabled": True}, "flattening_enabled: is not offered"),
    ({"stream_maps": {"events": {"__alias__": "1/0"}}}, "stream_maps: stream 'events', __alias__"),
    ({"datetime_format": "iso"}, "datetime_format"),
    ({"attribute_store_url": "mysql://x/y"}, "attribute_store_url"),
    ({"streams": [{"stream": "events", "kind": "evnt"}]}, "streams[0].kind"),
    ({"streams": [{"stream": "events", "costumer_id": "x"}]}, "did you mean 'customer_id'"),
    ({"streams": [{"stream": "events", "customer_id": "usr"}]}, "streams[0].customer_id"),
    ({"streams": {"stream": "events"}}, "streams"),
    ({"batch_size_rows": "many"}, "batch_size_rows"),
]


@pytest.mark.parametrize(("mistake", "named"), CONFIG_MISTAKES)
def test_a_mistake_in_the_config_is_one_line_before_the_first_call(
    target: Runner, sandbox: RunningSandbox, mistake: dict[str, Any], named: str
) -> None:
    code, out, log = target.run({"tracking_url": sandbox.url, **mistake}, EVENTS, event(1), state({"at": 1}))
    assert (code, out) == (1, "")
    assert sandbox.summary()["calls"] == 0
    assert "Traceback" not in log
    errors = [line for line in log.splitlines() if "| ERROR" in line]
    assert len(errors) == 1
    assert named in errors[0]
    for secret in (KEY, "12345678", "two words"):
        assert secret not in log


def test_a_stream_that_could_be_anything_stops_the_run(target: Runner, sandbox: RunningSandbox) -> None:
    schema = {**USERS, "stream": "orders", "key_properties": ["order_id"]}
    code, _, log = target.run(at(sandbox.url), schema)
    assert code == 1
    assert "kind: ignore" in log
    assert "updated_at" in log


INPUT_MISTAKES = [
    b"{no json}\n",
    b'{"type": "RECORD", "stream": "events", "rec',
    b'{"type": "RECORD", "stream": "never", "record": {}}\n',
    b'{"type": "WHAT"}\n',
    b'"a text"\n',
    b'{"type": "RECORD", "stream": "events", "record": {"id": 2, "event": "\xff"}}\n',
    b'{"type": "RECORD", "stream": "events", "record": [1]}\n',
]


@pytest.mark.parametrize("mistake", INPUT_MISTAKES)
def test_a_mistake_in_the_input_ends_the_run_in_one_line_and_what_came_before_is_delivered(
    target: Runner, sandbox: RunningSandbox, mistake: bytes
) -> None:
    code, out, log = target.run(at(sandbox.url), EVENTS, event(1), state({"at": 1}), raw=mistake)
    assert code == 1
    assert out == '{"at":1}\n'
    assert sandbox.summary()["events"] == 1
    assert "Traceback" not in log
    assert len([line for line in log.splitlines() if "| ERROR" in line]) == 1


def test_odd_values_are_set_aside_with_their_reason_and_the_rest_is_sent(
    target: Runner, sandbox: RunningSandbox
) -> None:
    row = b'{"type": "RECORD", "stream": "odd", "record": {"id": 1, "user_id": "u1", "event": "E", '
    row += b'"a": NaN, "b": "\\ud800", "c": 1e999999, "_k": "evil", "d": "fine", "timestamp": 1704067200}}\n'
    names = ("id", "user_id", "event", "a", "b", "c", "_k", "d", "timestamp")
    schema = {**EVENTS, "stream": "odd", "schema": {"type": "object", "properties": {name: {} for name in names}}}
    code, _, log = target.run(at(sandbox.url), schema, raw=row)
    assert code == 0, log
    person = sandbox.person("u1")
    assert person is not None
    assert set(person["properties"]) == {"id", "d"}
    assert {line["field"]: line["code"] for line in target.rejects()} == {
        "a": "bad-number",
        "b": "bad-text",
        "c": "bad-number",
        "_k": "reserved-name",
    }


def test_a_rejected_row_is_in_the_rejects_file_as_it_came(target: Runner, sandbox: RunningSandbox) -> None:
    rows = [event(1), event(2, device_id="anonymous", user_id="0", revenue=1.10)]
    code, out, log = target.run(at(sandbox.url), EVENTS, *rows, state({"at": 2}))
    assert (code, out) == (0, '{"at":2}\n')
    assert "target-kissmetrics-replay target-kissmetrics-rejects.jsonl" in log, "what to do with it is told"
    (line,) = target.rejects()
    assert list(line) == ["time", "run_id", "stream", "code", "reason", "field", "record"]
    assert (line["stream"], line["code"], line["field"]) == ("events", "blocked-identity", None)
    assert line["record"] == rows[1]["record"]
    mode = (target.folder / "target-kissmetrics-rejects.jsonl").stat().st_mode
    assert mode & 0o777 == 0o600


def test_on_invalid_record_fail_stops_at_the_first(target: Runner, sandbox: RunningSandbox) -> None:
    settings = at(sandbox.url, on_invalid_record="fail")
    code, out, log = target.run(settings, EVENTS, event(1), state({"at": 1}), event(2, event=None), event(3))
    assert (code, out) == (1, '{"at":1}\n')
    assert sandbox.summary()["events"] == 1
    assert "no-event-name" in log


def test_a_stream_of_nothing_but_rejects_stops_the_run_without_their_state(
    target: Runner, sandbox: RunningSandbox
) -> None:
    rows = [message for n in range(1, 120) for message in (event(n, device_id="null", user_id=None), state({"at": n}))]
    code, out, log = target.run(at(sandbox.url), EVENTS, *rows)
    assert (code, out) == (1, "")
    assert "blocked-identity" in log.splitlines()[-1]
    assert len(target.rejects()) == 100


def test_a_few_rejects_do_not(target: Runner, sandbox: RunningSandbox) -> None:
    rows = [message for n in range(1, 9) for message in (event(n, device_id="null", user_id=None), state({"at": n}))]
    code, out, log = target.run(at(sandbox.url), EVENTS, *rows)
    assert (code, out) == (0, '{"at":8}\n')
    waits = [line for line in log.splitlines() if "STATE waits until one is accepted" in line]
    assert len(waits) == 1
    assert "stream 'events': every row so far was rejected: 1 (1 blocked-identity)" in waits[0]


def test_max_rejects_and_max_reject_ratio_fail_a_run_that_mostly_rejects(
    target: Runner, sandbox: RunningSandbox
) -> None:
    rows = [event(1), state({"at": 1}), event(2, event=None), state({"at": 2}), event(3, event=None), state({"at": 3})]
    code, out, log = target.run(at(sandbox.url, max_rejects=1), EVENTS, *rows)
    assert (code, out.splitlines()[-1]) == (1, '{"at":2}')
    assert "max_rejects" in log.splitlines()[-1]
    assert len(target.rejects()) == 2
    half = [event(n, event=None if n % 2 else "E") for n in range(1100)]
    assert target.run(at(sandbox.url, max_reject_ratio=0.5), EVENTS, *half, state(1))[:2] == (0, "1\n")
    code, out, log = target.run(at(sandbox.url, max_reject_ratio=0.4), EVENTS, *half, state(1))
    assert (code, out) == (1, "")
    assert "500 of its first 1000 rows" in log.splitlines()[-1]


def test_schemas_may_repeat_and_change_and_versions_be_activated(target: Runner, sandbox: RunningSandbox) -> None:
    more = json.loads(json.dumps(EVENTS))
    more["schema"]["properties"]["color"] = {"type": "string"}
    version = {"type": "ACTIVATE_VERSION", "stream": "events", "version": 1}
    messages = [EVENTS, event(1), EVENTS, version, more, event(2, color="red"), version, state(1)]
    code, out, log = target.run(at(sandbox.url), *messages)
    assert (code, out) == (0, "1\n"), log
    assert sandbox.summary()["events"] == 2


def test_no_input_and_empty_streams_are_fine(target: Runner, sandbox: RunningSandbox) -> None:
    assert target.run(at(sandbox.url))[0] == 0
    assert target.run(at(sandbox.url), EVENTS, state({"at": 0}))[:2] == (0, '{"at":0}\n')


def test_batch_files_are_read_and_sent(target: Runner, sandbox: RunningSandbox) -> None:
    path = target.folder / "batch.jsonl"
    path.write_text("".join(json.dumps(event(n)["record"]) + "\n" for n in range(5)), encoding="utf-8")
    batch = {"type": "BATCH", "stream": "events", "encoding": {"format": "jsonl", "compression": "none"}}
    code, out, log = target.run(at(sandbox.url), EVENTS, {**batch, "manifest": [path.as_uri()]}, state(5))
    assert (code, out) == (0, "5\n"), log
    assert sandbox.summary()["events"] == 5


def test_stream_maps_come_first(target: Runner, sandbox: RunningSandbox) -> None:
    maps = {"events": {"color": "'red'", "__filter__": "id > 1"}}
    target.run(at(sandbox.url, stream_maps=maps), EVENTS, event(1), event(2))
    person = sandbox.person("d1")
    assert person is not None
    assert len(person["events"]) == 1
    assert person["properties"]["color"][0]["value"] == "red"


def test_draft_4_schemas_load(target: Runner, sandbox: RunningSandbox) -> None:
    schema = json.loads(json.dumps(EVENTS))
    money = {"type": ["null", "number"], "exclusiveMaximum": True, "maximum": 10**10, "multipleOf": 1e-38}
    schema["schema"]["properties"]["revenue"] = {**money, "exclusiveMinimum": True, "minimum": -(10**10)}
    code, _, log = target.run(at(sandbox.url), schema, event(1, revenue=19.99))
    assert code == 0, log
    assert sandbox.summary()["revenue"] == "19.99"


# Hosts that fail, and what the log says


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Host(ThreadingHTTPServer):
    daemon_threads = True
    status = 200
    headers: tuple[tuple[str, str], ...] = ()
    body = b"GIF89a"
    gate: threading.Event | None = None
    break_off = False

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Host

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.gate is not None:
            self.server.gate.wait(30)
        if self.server.break_off:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.send_response(self.server.status)
        for name, value in self.server.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def host() -> Iterator[_Host]:
    with _Host() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        if server.gate is not None:
            server.gate.set()
        server.shutdown()
        thread.join()


BREAKS: list[tuple[dict[str, Any], str]] = [
    ({"break_off": True}, "connection"),
    ({"status": 302, "headers": (("Location", "https://elsewhere.example/"),)}, "redirect"),
    ({"status": 401}, "401"),
    ({"status": 503}, "503"),
    ({"body": b"<html>log in</html>", "headers": (("Content-Type", "text/html"),)}, "HTML"),
]


@pytest.mark.parametrize("client", ["requests", "curl"])
@pytest.mark.parametrize(("how", "told"), BREAKS)
def test_a_host_that_breaks_ends_the_run_in_one_line_without_state_and_without_the_key(
    target: Runner, host: _Host, how: dict[str, Any], told: str, client: str
) -> None:
    for name, value in how.items():
        setattr(host, name, value)
    settings = at(host.url, max_connections=2, http_client=client)
    code, out, log = target.run(settings, EVENTS, event(1), state({"at": 1}), LOGLEVEL="DEBUG")
    assert (code, out) == (1, "")
    assert host.asked
    (line,) = [line for line in log.splitlines() if "| ERROR" in line]
    assert told in line
    left = [path for path in target.folder.iterdir() if path.name != "config.json"]
    for text in [log.encode(), *(path.read_bytes() for path in left)]:
        for secret in (KEY, KEY.replace("/", "%2F").replace("+", "%2B"), "_k="):
            assert secret.encode() not in text


@pytest.mark.parametrize("client", ["requests", "curl"])
def test_nobody_listening_ends_the_run_without_the_key(target: Runner, client: str) -> None:
    settings = at(f"http://127.0.0.1:{closed_port()}", http_client=client)
    code, out, log = target.run(settings, EVENTS, event(1), state(1), LOGLEVEL="DEBUG")
    assert (code, out) == (1, "")
    assert "refused" in log
    assert "_k=" not in log
    assert KEY not in log


def test_the_next_run_makes_up_for_one_that_failed(target: Runner, host: _Host, sandbox: RunningSandbox) -> None:
    host.status = 503
    messages = [EVENTS, event(1), state({"at": 1}), event(2), state({"at": 2})]
    assert target.run(at(host.url), *messages)[:2] == (1, "")
    code, out, _ = target.run(at(sandbox.url), *messages)
    # Whether the first STATE comes out on its own depends on when its answer comes.
    assert (code, out.splitlines()[-1]) == (0, '{"at":2}')
    assert sandbox.summary()["events"] == 2


# Signals


def _until(what: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.mark.parametrize("client", ["requests", "curl"])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_signal_while_calls_are_under_way_lets_them_arrive_and_state_is_never_ahead(
    target: Runner, host: _Host, number: signal.Signals, client: str
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("the tests themselves run under nohup")
    host.gate = threading.Event()
    with target.start(at(host.url, max_connections=2, http_client=client)) as process:
        assert process.stdin is not None
        for message in (EVENTS, event(1), event(2), event(3), state({"at": 3})):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        _until(lambda: host.asked)
        process.send_signal(number)
        host.gate.set()
        out, log = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert out == b'{"at":3}\n'
    assert len(host.asked) == 3
    assert b"Traceback" not in log


def test_state_comes_out_while_the_input_is_still_open(target: Runner, sandbox: RunningSandbox) -> None:
    with target.start(at(sandbox.url)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for message in (EVENTS, event(1), state({"at": 1})):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b'{"at":1}\n'
        assert sandbox.summary()["events"] == 1
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_host_that_fails_ends_a_run_that_waits_for_input(target: Runner) -> None:
    with target.start(at(f"http://127.0.0.1:{closed_port()}")) as process:
        assert process.stdin is not None
        for message in (EVENTS, event(1)):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        assert process.wait(timeout=30) == 1
