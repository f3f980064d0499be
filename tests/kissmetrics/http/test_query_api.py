"""Reading the Query API, from a server on this machine; the clock is the test's."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from target_kissmetrics.errors import ConfigError, Refused, TargetError, Unreachable
from target_kissmetrics.kissmetrics.http.query_api import PAGE, REQUESTS_A_MINUTE, QueryApi

PASSWORD = "öpen"


class Server:
    """Answers with `statuses`, one after the other, then with pages of events."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.count = 3
        self.statuses: list[int] = []
        self.body: bytes | None = None
        self.knows_offset = True
        self.asked: list[tuple[str, str | None]] = []

    def answer(self, target: str, authorization: str | None) -> tuple[int, bytes]:
        self.asked.append((target, authorization))
        if self.statuses:
            return self.statuses.pop(0), b'{"status": 0, "messages": ["No."]}'
        query = parse_qs(urlsplit(target).query)
        offset, limit = (int(query[name][0]) for name in ("offset", "limit"))
        start = offset if self.knows_offset else 0
        events = [{"id": n, "name": f"event {n}", "total": n or None} for n in range(self.count)]
        return 200, self.body or json.dumps({"events": events[start : start + limit]}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = made.answer(self.path, self.headers.get("Authorization"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own name
            """Say nothing."""

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Server(f"http://127.0.0.1:{served.server_address[1]}/v3")
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    served.shutdown()
    thread.join()
    served.server_close()


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setenv("NO_PROXY", "*")
    return Clock()


def api(server: Server, clock: Clock) -> QueryApi:
    return QueryApi(server.url, "ada@example.com", PASSWORD, clock.sleep)


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (3, 1), (PAGE - 1, 1), (PAGE, 2), (2 * PAGE + 1, 3)])
def test_all_pages_are_read_with_basic_authentication(server: Server, clock: Clock, count: int, requests: int) -> None:
    server.count = count
    assert api(server, clock).event_totals("7/8") == {f"event {n}": n for n in range(count)}
    assert len(server.asked) == requests
    target, authorization = server.asked[0]
    assert target == f"/v3/products/7%2F8/events?offset=0&limit={PAGE}"
    assert authorization == "Basic " + base64.b64encode(f"ada@example.com:{PASSWORD}".encode()).decode()
    assert clock.slept == []


def test_no_more_than_fifteen_requests_are_made_in_a_minute(server: Server, clock: Clock) -> None:
    server.count = 2 * REQUESTS_A_MINUTE * PAGE
    api(server, clock).event_totals("7")
    assert len(server.asked) == 2 * REQUESTS_A_MINUTE + 1
    assert [seconds for seconds in clock.slept if seconds] == [60.0, 60.0]


def test_a_server_that_knows_no_offset_is_read_once(server: Server, clock: Clock) -> None:
    server.count, server.knows_offset = PAGE, False
    assert len(api(server, clock).event_totals("7")) == PAGE


def test_too_many_requests_wait_a_minute(server: Server, clock: Clock) -> None:
    server.statuses = [429, 429]
    assert len(api(server, clock).event_totals("7")) == 3
    assert clock.slept == [60.0, 60.0]


@pytest.mark.parametrize(
    ("statuses", "kind", "told"),
    [
        ([401], ConfigError, "query_api_user: .* answers 401"),
        ([403], ConfigError, "query_api_user: .* answers 403"),
        ([404], ConfigError, "product_id: .* answers 404"),
        ([429] * 3, Unreachable, "answers 429"),
        ([503], Unreachable, "answers 503; try again later"),
        ([302], Refused, "not with a list"),
        ([400], Refused, "not with a list"),
    ],
)
def test_an_answer_without_events_says_what_to_do(
    server: Server, clock: Clock, statuses: list[int], kind: type[TargetError], told: str
) -> None:
    server.statuses = statuses
    with pytest.raises(kind, match=told) as caught:
        api(server, clock).event_totals("7")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", b'{"events": {}}', b'{"events": [1]}', b'{"events": [{"id": 1, "name": "a"}]}',
             b'{"events": [{"id": 1, "name": "a", "total": "many"}]}', b"[" * 200_000]
)  # fmt: skip
def test_an_answer_of_another_form_is_refused(server: Server, clock: Clock, body: bytes) -> None:
    server.body = body
    with pytest.raises(Refused, match="does not answer with a list"):
        api(server, clock).event_totals("7")


def test_no_answer_names_the_cause(clock: Clock) -> None:
    with pytest.raises(Unreachable, match=r"query_url: http://127\.0\.0\.1:1/v3 cannot be reached: connection failed"):
        QueryApi("http://127.0.0.1:1/v3", "ada", PASSWORD, clock.sleep).products()
