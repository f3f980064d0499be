"""The key, passwords and tracking URLs with a query are in nothing that a run leaves behind, whatever breaks."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from faulty_host import FATAL, RETRIED, FaultyHost, faulty_host
from forked import command
from promises import leaks

KEY = "k3y/that+must=not&show"
PASSWORD = "pa55-w0rd"
SECRETS = [KEY, quote(KEY, safe=""), quote(KEY), json.dumps(KEY)[1:-1], PASSWORD, "_k=", "_p=ada"]
SECRETS += [base64.b64encode(f"proxy:{PASSWORD}".encode()).decode()]

PERSONAL = ["ada", "guest", "Secret Event", "secret value"]
"""Of people, in rows: it has to be in the rejects and must not be in a report."""

SCHEMA = {
    "type": "SCHEMA",
    "stream": "events",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {}, "user_id": {}, "event": {}, "timestamp": {}, "_k": {}, "note": {}}},
}
GUEST = {"id": 0, "user_id": "guest", "event": "Secret Event", "timestamp": 1704067200, "note": "secret value"}


def messages(rows: int) -> bytes:
    records = [
        GUEST,
        *({**GUEST, "id": n, "user_id": "ada", "timestamp": 1704067200 + n, "_k": 1} for n in range(rows)),
    ]
    lines = [SCHEMA, *({"type": "RECORD", "stream": "events", "record": record} for record in records)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in [*lines, {"type": "STATE", "value": 1}])


def run(
    folder: Path,
    url: str,
    *arguments: str,
    rows: int = 3,
    environment: dict[str, str] | None = None,
    **more: Any,
) -> int:
    """Run the target at level DEBUG; look through everything that it leaves; give its exit code."""
    config = {"api_key": KEY, "tracking_url": url, "retry_timeout_seconds": 0, "request_timeout_seconds": 0.5}
    config |= {"report_path": "report.html", **more}
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    levels = {"LOGLEVEL": "DEBUG", "LOG_LEVEL": "DEBUG", "TARGET_KISSMETRICS_LOGLEVEL": "DEBUG"}
    done = subprocess.run(
        [*command(), "--config", str(path), *arguments],
        input=messages(rows),
        capture_output=True,
        check=False,
        timeout=90,
        cwd=folder,
        env={**os.environ, **levels, **(environment or {})},
    )
    left = {"stdout": done.stdout, "stderr": done.stderr}
    left |= {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file() and file != path}
    assert leaks(left, SECRETS) == []
    assert leaks({name: data for name, data in left.items() if name.startswith("report.")}, PERSONAL) == []
    assert b"Traceback" not in done.stderr
    return done.returncode


@pytest.fixture
def host() -> Iterator[FaultyHost]:
    with faulty_host() as host:
        yield host


def test_not_where_every_kind_of_fault_is_met_and_overcome(tmp_path: Path, host: FaultyHost) -> None:
    host.script(*RETRIED.items())
    assert run(tmp_path, host.url, rows=30, retry_timeout_seconds=60, max_connections=8) == 0
    assert host.served.keys() == RETRIED.keys()
    names = {path.name for path in tmp_path.iterdir()}
    assert {"target-kissmetrics.db", "target-kissmetrics-rejects.jsonl", "report.html", "report.json"} <= names


@pytest.mark.parametrize("kind", ["302", "html-page"])
def test_not_where_a_host_refuses(tmp_path: Path, host: FaultyHost, kind: str) -> None:
    host.script(then=(kind, FATAL[kind][0]))
    assert run(tmp_path, host.url) == 1
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["ended_as"] == "failed"


def test_not_where_a_row_stops_the_run(tmp_path: Path, host: FaultyHost) -> None:
    assert run(tmp_path, host.url, on_invalid_record="fail") == 1
    reason = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["reason"]
    assert reason.startswith("stream 'events', row 1: ")
    assert "(blocked-identity)" in reason
    assert "guest" not in reason


@pytest.mark.parametrize("kind", ["reset", "half-the-headers", "too-many-headers"])
def test_not_where_a_connection_breaks_inside_of_requests(tmp_path: Path, host: FaultyHost, kind: str) -> None:
    host.script(then=(kind, RETRIED[kind]))
    assert run(tmp_path, host.url, http_method="get") == 1


def test_not_where_tls_fails(tmp_path: Path, host: FaultyHost) -> None:
    assert run(tmp_path, host.url.replace("http://", "https://"), http_method="post") == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_not_where_a_proxy_refuses(tmp_path: Path, host: FaultyHost, scheme: str) -> None:
    host.script(then=("407", FATAL["407"][0]))
    proxy = host.url.replace("http://", f"http://proxy:{PASSWORD}@")
    environment = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "http_proxy": proxy, "https_proxy": proxy}
    environment |= {"NO_PROXY": "", "no_proxy": ""}
    assert run(tmp_path, f"{scheme}://trk.example", environment=environment) == 1
    assert host.served["407"]


def test_not_where_the_store_cannot_be_reached(tmp_path: Path, host: FaultyHost) -> None:
    store = f"postgresql+psycopg://somebody:{PASSWORD}@127.0.0.1:9/etl?connect_timeout=2"
    assert run(tmp_path, host.url, attribute_store_url=store) == 1


def test_not_in_what_is_told_about_the_target(tmp_path: Path, host: FaultyHost) -> None:
    environment = {"TARGET_KISSMETRICS_API_KEY": KEY}
    for form in ("json", "markdown"):
        assert run(tmp_path, host.url, "--about", f"--format={form}", environment=environment) == 0


def test_not_where_the_key_stands_in_the_wrong_place(tmp_path: Path) -> None:
    assert run(tmp_path, f"http://127.0.0.1:9/?_k={KEY}") == 1
    assert run(tmp_path, "http://127.0.0.1:9", streams=KEY) == 1
    assert run(tmp_path, "http://127.0.0.1:9", max_connections=KEY) == 1
