"""Both clients against a real server on loopback: every answer becomes the same outcome."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from target_kissmetrics.kissmetrics.http.requests_transport import RequestsTransport
from target_kissmetrics.kissmetrics.http.transport import HTML_PAGE, Host, Outcome, Transport
from target_kissmetrics.kissmetrics.wire import Request

Client = Callable[[Host], Transport]

SECONDS = 20.0
KEY = "k3y"


@pytest.fixture(params=["requests", "curl"])
def client(request: pytest.FixtureRequest) -> Client:
    """Give each client: all that is said here holds for both."""
    if request.param == "requests":
        return RequestsTransport
    return curl()


def curl() -> Client:
    return cast("Client", pytest.importorskip("target_kissmetrics.kissmetrics.http.curl_transport").CurlTransport)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bytes, str]] = []
        self.connections: set[Any] = set()
        self.held = threading.Event()
        self.closed: list[Any] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.closed.append(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hang up."""

    def wait_until_closed(self) -> None:
        """Wait until every connection that answered `/bye` is closed."""
        deadline = time.monotonic() + SECONDS
        while len(self.closed) < len([entry for entry in self.seen if entry[1] == "/bye"]):
            assert time.monotonic() < deadline
            time.sleep(0.001)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/gif": (200, {"Content-Type": "image/gif"}, b"GIF89a"),
    "/not-modified": (304, {}, b""),
    "/login": (200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>"),
    "/disguised": (200, {"Content-Type": "image/gif"}, b"  <!doctype html>"),
    "/denied": (200, {"Content-Type": "text/plain"}, b"Access denied"),
    "/error": (200, {"Content-Type": "application/json"}, b'{"status": 500}'),
    "/empty": (200, {"Content-Type": "text/html"}, b""),
    "/elsewhere": (302, {"Location": "/gif"}, b""),
    "/busy": (429, {"Retry-After": "7"}, b""),
    "/broken": (503, {}, b""),
    "/missing": (404, {}, b""),
    "/endless": (200, {"Content-Type": "image/gif"}, b"GIF" + b"x" * 300_000),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, body, self.headers["User-Agent"]))
        self.server.connections.add(self.client_address)
        if self.path.startswith("/held"):
            self.server.held.wait(SECONDS)
        status, headers, answer = ANSWERS.get(self.path, ANSWERS["/gif"])
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        if self.path.startswith("/bye"):
            self.close_connection = True  # without a word to the client

    do_POST = do_GET  # noqa: N815 - what the server calls

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.held.set()
        server.shutdown()
        thread.join()


def outcomes_of(transport: Transport, count: int) -> dict[Any, Outcome]:
    outcomes: dict[Any, Outcome] = {}
    deadline = time.monotonic() + SECONDS
    while len(outcomes) < count:
        outcomes.update(transport.wait(SECONDS))
        assert time.monotonic() < deadline
    return outcomes


def attempt(
    client: Client, url: str, *requests: Request, timeout: float = SECONDS, connections: int = 4
) -> list[Outcome]:
    with closing(client(Host(url, timeout, timeout, "target-kissmetrics/test", connections))) as transport:
        for number, request in enumerate(requests):
            transport.start(request, number)
        outcomes = outcomes_of(transport, len(requests))
    return [outcomes[number] for number in range(len(requests))]


def get(path: str) -> Request:
    return Request("GET", path, None)


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/gif", Outcome(200)),
        ("/not-modified", Outcome(304)),
        ("/login", Outcome(200, body=HTML_PAGE)),
        ("/disguised", Outcome(200, body=HTML_PAGE)),
        ("/denied", Outcome(200, body="text")),
        ("/error", Outcome(200, body="JSON")),
        ("/empty", Outcome(200)),
        ("/elsewhere", Outcome(302)),
        ("/busy", Outcome(429, retry_after="7")),
        ("/broken", Outcome(503)),
        ("/missing", Outcome(404)),
        ("/endless", Outcome(200)),
    ],
)
def test_an_answer_is_the_same_outcome_with_both_clients(
    server: _Server, client: Client, path: str, outcome: Outcome
) -> None:
    assert attempt(client, server.url, get(path)) == [outcome]
    assert [entry[1] for entry in server.seen] == [path]  # a redirect was not followed


def test_a_post_carries_its_form_and_a_get_after_it_none(server: _Server, client: Client) -> None:
    with closing(client(Host(server.url, SECONDS, SECONDS, "agent/1", 1))) as transport:
        for number, request in enumerate((Request("POST", "/e", b"_k=k&a=b"), get("/e?_k=k"))):
            transport.start(request, number)
            outcomes_of(transport, 1)
    assert server.seen == [("POST", "/e", b"_k=k&a=b", "agent/1"), ("GET", "/e?_k=k", b"", "agent/1")]
    assert len(server.connections) == 1


def test_many_requests_share_the_connections_that_may_be_open(server: _Server, client: Client) -> None:
    outcomes = attempt(client, server.url, *[get(f"/gif?{number}") for number in range(60)], connections=3)
    assert {outcome.status for outcome in outcomes} == {200}
    assert len(server.connections) <= 3


def test_connections_are_opened_as_they_are_needed(server: _Server, client: Client) -> None:
    with closing(client(Host(server.url, SECONDS, SECONDS, "x", 8))) as transport:
        for number in range(20):
            transport.start(get("/gif"), number)
            assert outcomes_of(transport, 1) == {number: Outcome(200)}
    assert len(server.connections) == 1


def test_a_host_that_does_not_answer_in_time_is_no_answer(server: _Server, client: Client) -> None:
    requests = [get("/held"), get("/held"), get("/gif"), get("/gif")]
    outcomes = attempt(client, server.url, *requests, timeout=0.3, connections=2)
    assert outcomes[:2] == [Outcome(cause="no answer in time")] * 2
    assert {outcome.status for outcome in outcomes[2:]} <= {200, None}


def test_a_late_answer_is_discarded(server: _Server, client: Client) -> None:
    with closing(client(Host(server.url, 0.3, 0.3, "x", 1))) as transport:
        transport.start(get("/held"), 1)
        assert outcomes_of(transport, 1) == {1: Outcome(cause="no answer in time")}
        server.held.set()
        transport.start(get("/missing"), 1)
        assert outcomes_of(transport, 1) == {1: Outcome(404)}
        assert transport.wait(0.05) == []


def test_nobody_listening_is_named_without_the_address(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    (outcome,) = attempt(client, f"http://127.0.0.1:{port}", get(f"/e?_k={KEY}"))
    assert outcome == Outcome(cause="connection failed (Connection refused)")


def test_an_unknown_name_is_named_as_such(client: Client) -> None:
    (outcome,) = attempt(client, "http://nowhere.invalid", get(f"/e?_k={KEY}"))
    assert outcome.cause == "its name cannot be resolved"


def test_a_proxy_of_the_environment_is_used_unless_no_proxy_says_otherwise(
    server: _Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    assert attempt(client, "http://trk.example", get("/gif"))[0].status == 200
    assert server.seen[0][1] == "http://trk.example/gif"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert attempt(client, server.url, get("/gif"))[0].status == 200
    assert server.seen[1][1] == "/gif"


def test_closing_closes_the_kept_connections(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        transport = client(Host(f"http://127.0.0.1:{listener.getsockname()[1]}", SECONDS, SECONDS, "test", 1))
        transport.start(get("/"), 1)
        transport.wait(0.01)
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(SECONDS)
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: 1\r\n\r\nG")
            assert outcomes_of(transport, 1) == {1: Outcome(200)}
            transport.close()
            assert connection.recv(1) == b"", "it is closed"


def test_requests_names_certificates_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    (outcome,) = attempt(RequestsTransport, "https://127.0.0.1:9", get("/"))
    assert outcome.permanent
    assert outcome.cause == "the certificates that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names cannot be read"


@pytest.mark.parametrize("in_flight", [0, 1])
def test_a_wait_is_ended_by_a_wake_from_another_thread(server: _Server, client: Client, in_flight: int) -> None:
    with closing(client(Host(server.url, SECONDS, SECONDS, "x", 1))) as transport:
        for number in range(in_flight):
            transport.start(get("/held"), number)
        timer = threading.Timer(0.05, transport.wake)
        timer.start()
        assert transport.wait(SECONDS) == []
        timer.join()


def test_an_abandoned_worker_ends_with_its_connection(server: _Server) -> None:
    before = threading.active_count()
    with closing(RequestsTransport(Host(server.url, 0.2, 0.2, "x", 2))) as transport:
        for number in range(4):
            transport.start(get("/held"), number)
            outcomes_of(transport, 1)
    deadline = time.monotonic() + SECONDS
    while [thread for thread in threading.enumerate() if thread.name == "kissmetrics"]:
        assert time.monotonic() < deadline, threading.active_count() - before
        time.sleep(0.01)


def test_kept_connections_that_the_host_closed_leave_no_open_file(server: _Server) -> None:
    """They end while the handles that opened them are idle."""
    open_files = Path("/proc/self/fd")
    most = 0
    with closing(curl()(Host(server.url, SECONDS, SECONDS, "x", 8))) as transport:
        for turn in range(6):
            for number, path in enumerate([*(["/bye"] * 8), "/gif"]):
                transport.start(get(path), number)
            outcomes_of(transport, 9)
            server.wait_until_closed()
            if open_files.exists():
                count = len(list(open_files.iterdir()))
                most = most or count
                assert count < most + 16, f"turn {turn}"
