"""Both clients over TLS, against a real host: nginx, with HTTP/2 and without, in front of a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from forked import command

from target_kissmetrics.sandbox.running import running

if os.name == "nt":
    pytest.skip("the tests start nginx on Unix alone", allow_module_level=True)

from nginx_server import Nginx, binary, running_nginx

if binary() is None and "CI" not in os.environ:
    pytest.skip("nginx is not installed (Debian: nginx-light)", allow_module_level=True)

FIRST_SECOND = 1_704_067_200
CONNECTION_REQUESTS = 100
IN_FLIGHT = 32
SCHEMA = {
    "type": "SCHEMA",
    "stream": "events",
    "key_properties": ["id"],
    "schema": {"properties": {name: {} for name in ("id", "user_id", "event", "timestamp", "revenue", "note")}},
}


def rows(count: int) -> bytes:
    """Write events of a second of their own; every 25th is too long for a GET."""
    lines: list[dict[str, Any]] = [SCHEMA]
    for number in range(count):
        row = {"id": number, "user_id": f"u{number % 50}", "event": "Bought", "timestamp": FIRST_SECOND + number}
        row |= {"revenue": 1, "note": f"{number} " + "é" * (450 if number % 25 == 0 else 1)}
        lines.append({"type": "RECORD", "stream": "events", "record": row})
    lines.append({"type": "STATE", "value": count})
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def send(
    folder: Path, host: Nginx, client: str, count: int, *, ca: Path | None, url: str | None = None
) -> subprocess.CompletedProcess[bytes]:
    config = folder / "config.json"
    settings = {"api_key": "k", "tracking_url": url or host.url, "http_client": client, "max_connections": IN_FLIGHT}
    config.write_text(json.dumps(settings), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_CA_BUNDLE")}
    environment |= {"NO_PROXY": "localhost,127.0.0.1", **({} if ca is None else {"REQUESTS_CA_BUNDLE": str(ca)})}
    return subprocess.run(
        [*command(), "--config", str(config)],
        input=rows(count),
        capture_output=True,
        cwd=folder,
        env=environment,
        timeout=180,
        check=False,
    )


@pytest.mark.parametrize(
    ("client", "http2", "protocol", "count"),
    [
        ("curl", True, "HTTP/2.0", 3000),
        ("curl", False, "HTTP/1.1", 1500),
        ("requests", True, "HTTP/1.1", 1500),
        ("requests", False, "HTTP/1.1", 1500),
    ],
)
def test_every_call_arrives_once_though_connections_are_closed_after_some_requests(
    tmp_path: Path, client: str, http2: bool, protocol: str, count: int
) -> None:
    if client == "curl":
        pytest.importorskip("pycurl")
    host_folder = tmp_path / "nginx"
    host_folder.mkdir()
    with (
        running() as sandbox,
        running_nginx(host_folder, urlsplit(sandbox.url).netloc, http2=http2, requests=CONNECTION_REQUESTS) as host,
    ):
        done = send(tmp_path, host, client, count, ca=host.ca)
        assert (done.returncode, done.stdout) == (0, f"{count}\n".encode()), done.stderr.decode()
        summary = sandbox.summary()
    seen = host.requests()
    assert {line.protocol for line in seen} == {protocol}
    assert {line.method for line in seen} == {"GET", "POST"}
    assert all(len(line.target) <= 2048 for line in seen)
    answered = [(line.target, line.body) for line in seen if line.status == "200"]
    assert len(set(answered)) == count
    assert (summary["events"], summary["revenue"]) == (count, str(count))
    # A call whose connection was closed before it was answered is sent again: with its own second, and few of them.
    assert len(seen) <= count * 1.05
    connections = {line.connection for line in seen}
    assert len(connections) >= count / CONNECTION_REQUESTS
    if protocol == "HTTP/2.0":
        # Calls share a connection, where HTTP/1.1 has one for each that is in flight.
        assert len(connections) <= 2 * count / CONNECTION_REQUESTS


@pytest.mark.parametrize("client", ["curl", "requests"])
def test_a_certificate_that_is_not_trusted_ends_the_run_at_once(tmp_path: Path, client: str) -> None:
    if client == "curl":
        pytest.importorskip("pycurl")
    with running_nginx(tmp_path, "127.0.0.1:9", http2=True, requests=100) as host:
        by_another_name = f"https://127.0.0.1:{host.port}"
        for ca, url in ((None, None), (host.ca, by_another_name)):
            done = send(tmp_path, host, client, 3, ca=ca, url=url)
            assert (done.returncode, done.stdout) == (1, b"")
            (error,) = [line for line in done.stderr.decode().splitlines() if "| ERROR" in line]
            assert "its certificate is not trusted" in error
            assert "retr" not in error
    assert host.requests() == []


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pycurl")
    with running_nginx(tmp_path, "127.0.0.1:9", http2=True, requests=100) as host:
        done = send(tmp_path, host, "curl", 3, ca=tmp_path / "none.pem")
    assert done.returncode == 1
    assert b"CURL_CA_BUNDLE or SSL_CERT_FILE names cannot be read" in done.stderr
