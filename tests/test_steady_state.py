"""On a steady stream each STATE comes out within 5 seconds of the last answer of its rows, and never before; by the
clock on the wall, over a real process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from forked import command as command_of

PROMISED_SECONDS = 5.0
START_SECONDS = 60.0
T0 = 1_704_067_200


class _Host(ThreadingHTTPServer):
    """Answers after a while, and notes when it answered which row.

    Attributes:
        latency: So many seconds after a request came.
        answered: Row -> when the last of its calls was.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.answered: dict[int, float] = {}
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: _Host

    def do_GET(self) -> None:
        time.sleep(self.server.latency)
        row = int(parse_qs(urlsplit(self.path).query)["_t"][0]) - T0
        self.server.answered[row] = time.monotonic()
        self.send_response(200)
        self.send_header("Content-Type", "image/gif")
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"GIF")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@dataclass
class Feed:
    """How rows come.

    Attributes:
        rows: How many.
        a_second: At this rate.
        state_each: A STATE after so many rows.
        latency: Seconds that the host takes.
        settings: Of the run.
    """

    rows: int
    a_second: float
    state_each: int
    latency: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)


FEEDS = {
    "rows come fast": Feed(1600, 400, 100),
    "rows come slowly, so that no chunk fills": Feed(24, 4, 3),
    "delivery is slower than the rows": Feed(900, 300, 100, 0.5, {"max_connections": 64}),
    "delivery is slow, by requests": Feed(300, 100, 50, 0.4, {"max_connections": 16, "http_client": "requests"}),
    "calls are throttled": Feed(300, 200, 50, 0.0, {"max_requests_per_second": 60}),
    "chunks are small": Feed(300, 100, 20, 0.05, {"batch_size_rows": 7}),
}


def messages(feed: Feed) -> Iterator[list[dict[str, Any]]]:
    """Give what is written at once, at each turn."""
    fields: dict[str, Any] = {name: {} for name in ("id", "user_id", "event", "plan", "timestamp", "updated_at")}
    yield [
        {"type": "SCHEMA", "stream": stream, "key_properties": ["id"], "schema": {"properties": fields}}
        for stream in ("events", "users")
    ] + [{"type": "STATE", "value": 0}]
    for row in range(feed.rows):
        record: dict[str, Any] = {"id": f"p{row % 20}", "user_id": f"p{row % 20}"}
        if row % 2:
            message = {"stream": "users", "record": {**record, "plan": f"plan {row}", "updated_at": T0 + row}}
        else:
            message = {"stream": "events", "record": {**record, "event": "E", "timestamp": T0 + row}}
        turn: list[dict[str, Any]] = [{"type": "RECORD", **message}]
        if (row + 1) % feed.state_each == 0:
            turn.append({"type": "STATE", "value": row + 1})
        yield turn


def write(feed: Feed, process: subprocess.Popen[bytes], is_ready: threading.Event) -> None:
    assert process.stdin is not None
    began = 0.0
    with process.stdin as pipe:
        for number, turn in enumerate(messages(feed)):
            if number == 1:
                assert is_ready.wait(START_SECONDS)
                began = time.monotonic()
            time.sleep(max(0.0, began + number / feed.a_second - time.monotonic()))
            pipe.write(b"".join(json.dumps(message).encode() + b"\n" for message in turn))
            pipe.flush()


@pytest.mark.parametrize("name", FEEDS)
def test_each_state_comes_out_soon_after_the_last_answer_of_its_rows_and_never_before(
    tmp_path: Path, name: str
) -> None:
    feed = FEEDS[name]
    seen: dict[int, float] = {}
    is_ready = threading.Event()
    with _Host(feed.latency) as host:
        server = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        server.start()
        config = {
            "api_key": "k",
            "tracking_url": f"http://127.0.0.1:{host.server_address[1]}",
            "http_method": "get",
            "streams": [
                {"stream": "events", "kind": "event", "customer_id": "user_id"},
                {"stream": "users", "kind": "user_attributes", "customer_id": "user_id"},
            ],
            **feed.settings,
        }
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        command = [*command_of(), "--config", "config.json"]
        log = (tmp_path / "log").open("wb")
        with (
            log,
            subprocess.Popen(
                command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            ) as process,
        ):
            feeder = threading.Thread(target=write, args=(feed, process, is_ready))
            feeder.start()
            assert process.stdout is not None
            for line in process.stdout:
                seen[json.loads(line)] = time.monotonic()
                is_ready.set()
            feeder.join()
            assert process.wait() == 0, (tmp_path / "log").read_text(encoding="utf-8")[-2000:]
        del seen[0]
        answered = [host.answered[row] for row in range(feed.rows)]
        host.shutdown()
        server.join()
    # A STATE may be passed over for a later one that comes out with it: a tap goes on from the last.
    late: dict[int, float] = {}
    for state in range(feed.state_each, feed.rows + 1, feed.state_each):
        out = min(moment for value, moment in seen.items() if value >= state)
        late[state] = out - max(answered[:state])
    latest = max(late.values())
    sys.stdout.write(f"{name}: {len(seen)} STATE messages, the latest {latest:.2f} s after its last answer\n")
    assert max(seen) == feed.rows
    assert latest <= PROMISED_SECONDS, late
    for value, moment in seen.items():
        assert moment >= max(answered[:value]), f"STATE {value} came out before its rows were answered"
    # They come while the input is still open, not all of them at its end.
    assert len(seen) >= 3
