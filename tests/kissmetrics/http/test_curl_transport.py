"""libcurl against a real server on loopback: every answer becomes the same outcome as with the other client."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pycurl")

from target_kissmetrics.kissmetrics.http.curl_transport import CurlTransport
from target_kissmetrics.kissmetrics.http.requests_transport import RequestsTransport
from target_kissmetrics.kissmetrics.http.transport import Outcome
from target_kissmetrics.kissmetrics.wire import Request

SECONDS = 20.0
KEY = "k3y"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bytes, str]] = []
        self.connections: set[Any] = set()
        self.held = threading.Event()
        self.ended = threading.Semaphore(0)
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/gif": (200, {"Content-Type": "image/gif"}, b"GIF89a"),
    "/not-modified": (304, {}, b""),
    "/login": (200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>"),
    "/disguised": (200, {"Content-Type": "image/gif"}, b"  <!doctype html>"),
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
            self.server.ended.release()

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


def attempt(url: str, *requests: Request, timeout: float = SECONDS, connections: int = 4) -> list[Outcome]:
    outcomes: dict[Any, Outcome] = {}
    with closing(CurlTransport(url, timeout, "target-kissmetrics/test", connections)) as transport:
        for number, request in enumerate(requests):
            transport.start(request, number)
        while len(outcomes) < len(requests):
            outcomes.update(transport.wait(SECONDS))
    return [outcomes[number] for number in range(len(requests))]


def get(path: str) -> Request:
    return Request("GET", path, None)


@pytest.mark.parametrize("path", [path for path in ANSWERS if path != "/endless"])
def test_an_answer_is_the_same_outcome_with_both_clients(server: _Server, path: str) -> None:
    (outcome,) = attempt(server.url, get(path))
    with closing(RequestsTransport(server.url, SECONDS, "x")) as other:
        assert outcome == other.attempt(get(path))
    assert outcome.status == ANSWERS[path][0]
    assert [entry[1] for entry in server.seen] == [path, path]  # a redirect was not followed


def test_an_answer_without_end_is_not_read_to_its_end(server: _Server) -> None:
    assert attempt(server.url, get("/endless")) == [Outcome(200)]


def test_a_post_carries_its_form_and_a_get_after_it_none(server: _Server) -> None:
    with closing(CurlTransport(server.url, SECONDS, "agent/1", 1)) as transport:
        for number, request in enumerate((Request("POST", "/e", b"_k=k&a=b"), get("/e?_k=k"))):
            transport.start(request, number)
            while not transport.wait(SECONDS):
                continue
    assert server.seen == [("POST", "/e", b"_k=k&a=b", "agent/1"), ("GET", "/e?_k=k", b"", "agent/1")]
    assert len(server.connections) == 1


def test_many_requests_share_the_connections_that_may_be_open(server: _Server) -> None:
    outcomes = attempt(server.url, *[get(f"/gif?{number}") for number in range(60)], connections=3)
    assert {outcome.status for outcome in outcomes} == {200}
    assert len(server.connections) <= 3


def test_a_host_that_does_not_answer_in_time_is_no_answer(server: _Server) -> None:
    assert attempt(server.url, get("/held"), timeout=0.2) == [Outcome(cause="no answer in time")]


def test_nobody_listening_is_named_without_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    (outcome,) = attempt(f"http://127.0.0.1:{port}", get(f"/e?_k={KEY}"))
    assert outcome == Outcome(cause="connection failed (Connection refused)")


def test_an_unknown_name_is_named_as_such() -> None:
    (outcome,) = attempt("http://nowhere.invalid", get(f"/e?_k={KEY}"))
    assert outcome.cause == "its name cannot be resolved"


def test_a_proxy_of_the_environment_is_used_unless_no_proxy_says_otherwise(
    server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    assert attempt("http://trk.example", get("/gif"))[0].status == 200
    assert server.seen[0][1] == "http://trk.example/gif"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert attempt(server.url, get("/gif"))[0].status == 200
    assert server.seen[1][1] == "/gif"


def test_requests_closes_its_kept_connection_and_names_certificates_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        url = f"127.0.0.1:{listener.getsockname()[1]}"
        transport = RequestsTransport(f"http://{url}", 5, "test")
        answers: list[Outcome] = []
        asking = threading.Thread(target=lambda: answers.append(transport.attempt(Request("GET", "/", None))))
        asking.start()
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(10)
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: 1\r\n\r\nG")
            asking.join(10)
            transport.close()
            assert connection.recv(1) == b"", "it is closed"
        assert [answer.status for answer in answers] == [200]
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
        outcome = RequestsTransport(f"https://{url}", 5, "test").attempt(Request("GET", "/", None))
    assert outcome.hopeless
    assert outcome.cause == "the certificates that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names are not there"


def test_a_wait_is_ended_by_a_wake_from_another_thread(server: _Server) -> None:
    with closing(CurlTransport(server.url, SECONDS, "x", 1)) as transport:
        timer = threading.Timer(0.05, transport.wake)
        timer.start()
        assert transport.wait(SECONDS) == []
        timer.join()


@pytest.mark.parametrize("kind", ["DefaultSelector", "SelectSelector"])
def test_kept_connections_that_the_host_closed_are_let_go_of_without_a_word(
    server: _Server, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """They end while the handles that opened them are idle, where pycurl cannot call back: it would warn."""
    monkeypatch.setattr(selectors, "DefaultSelector", getattr(selectors, kind))
    open_files = Path("/proc/self/fd")
    most = 0
    with closing(CurlTransport(server.url, SECONDS, "x", 8)) as transport:
        for turn in range(6):
            for path in [*(["/bye"] * 8), "/gif"]:
                transport.start(get(path), object())
            taken = 0
            while taken < 9:
                taken += len(transport.wait(SECONDS))
            for _ in range(8):
                assert server.ended.acquire(timeout=SECONDS)
            if open_files.exists():
                count = len(list(open_files.iterdir()))
                most = most or count
                assert count < most + 16, f"turn {turn}"
