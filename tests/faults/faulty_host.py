"""A tracking host that breaks in every way that hosts and what lies before them break, with a sandbox behind it.

It keeps what it took in a sandbox of its own, so that what Kissmetrics holds can be looked at between two calls.
"""

from __future__ import annotations

import base64
import contextlib
import random
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from target_kissmetrics.sandbox import answers, rules
from target_kissmetrics.sandbox.model import Duplicates
from target_kissmetrics.sandbox.rules import Call
from target_kissmetrics.sandbox.service import Sandbox

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: %d\r\n\r\n" % len(GIF)
LONGEST_STALL_SECONDS = 20.0
"""No stall outlives its test by more than this."""


class Exchange:
    """One request, and the ways to answer it.

    Attributes:
        is_open: Whether the connection takes another request.
    """

    def __init__(self, host: FaultyHost, sock: socket.socket, target: str, body: bytes) -> None:
        self._host = host
        self._sock = sock
        self._target = target
        self._body = body
        self.is_open = True

    def take(self) -> None:
        """Keep the call, as Kissmetrics would before it answers."""
        self._host.take(self._target, self._body)

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self._sock.sendall(data)

    def answer(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        """Send a whole answer."""
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.send("\r\n".join([*lines, "", ""]).encode() + body)

    def hang_up(self) -> None:
        """Close the connection in an orderly way."""
        self.is_open = False

    def reset(self) -> None:
        """Close it with a TCP reset."""
        self.is_open = False
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def wait(self, seconds: float) -> None:
        """Do nothing for a while, or until the client or the test gives up."""
        deadline = time.monotonic() + min(seconds, LONGEST_STALL_SECONDS)
        self._sock.settimeout(0.02)
        while time.monotonic() < deadline and not self._host.is_over:
            try:
                if not self._sock.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
        self._sock.settimeout(None)


Serve = Callable[[Exchange], None]


def fine(exchange: Exchange) -> None:
    """Take the call and say so."""
    exchange.take()
    exchange.send(OK + GIF)


def _reset(exchange: Exchange) -> None:
    exchange.reset()


def _reset_after_taking(exchange: Exchange) -> None:
    exchange.take()
    exchange.reset()


def _hang_up(exchange: Exchange) -> None:
    exchange.hang_up()


def _hang_up_after_taking(exchange: Exchange) -> None:
    exchange.take()
    exchange.hang_up()


def _cut(length: int, *, taken: bool) -> Serve:
    """Send so many bytes of a good answer, then hang up."""

    def serve(exchange: Exchange) -> None:
        if taken:
            exchange.take()
        exchange.send((OK + GIF)[:length])
        exchange.hang_up()

    return serve


def _stall(length: int) -> Serve:
    """Take the call, send so many bytes of the answer, then nothing."""

    def serve(exchange: Exchange) -> None:
        exchange.take()
        exchange.send((OK + GIF)[:length])
        exchange.wait(LONGEST_STALL_SECONDS)
        exchange.hang_up()

    return serve


def _say_nothing(exchange: Exchange) -> None:
    exchange.wait(LONGEST_STALL_SECONDS)
    exchange.hang_up()


def _slow(exchange: Exchange) -> None:
    """Take the call and answer in small pieces, yet in time."""
    exchange.take()
    data = OK + GIF
    for start in range(0, len(data), 40):
        exchange.send(data[start : start + 40])
        time.sleep(0.02)


def _endless(exchange: Exchange) -> None:
    """Send a header that never ends, a few bytes at a time: no read of it takes long."""
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    deadline = time.monotonic() + LONGEST_STALL_SECONDS
    try:
        while time.monotonic() < deadline:
            exchange.send(b"x")
            exchange.wait(0.05)
    finally:
        exchange.hang_up()


def _status(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Serve:
    def serve(exchange: Exchange) -> None:
        exchange.answer(status, headers, body)

    return serve


def _retry_at_a_date(exchange: Exchange) -> None:
    moment = datetime.now(tz=UTC) + timedelta(seconds=1)
    exchange.answer(429, {"Retry-After": format_datetime(moment, usegmt=True)})


def _close_a_kept_connection(exchange: Exchange) -> None:
    """Answer well, and close the connection although the client may think that it is kept."""
    fine(exchange)
    exchange.hang_up()


def _reset_a_kept_connection(exchange: Exchange) -> None:
    fine(exchange)
    time.sleep(0.01)
    exchange.reset()


def _connection_close(exchange: Exchange) -> None:
    exchange.take()
    exchange.answer(200, {"Connection": "close", "Content-Type": "image/gif"}, GIF)
    exchange.hang_up()


def _more_than_announced(exchange: Exchange) -> None:
    """Take the call, and send an answer that goes on after its end."""
    exchange.take()
    exchange.send(OK + GIF + b"and more that nobody asked for")


def _raw(data: bytes, *, taken: bool = False) -> Serve:
    def serve(exchange: Exchange) -> None:
        if taken:
            exchange.take()
        exchange.send(data)
        exchange.hang_up()

    return serve


_PAGE = {"Content-Type": "text/html; charset=utf-8"}
_HTML = b"<!doctype html><title>Please log in</title>"
_CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nTransfer-Encoding: chunked\r\n\r\n"

RETRIED: dict[str, Serve] = {
    "reset": _reset,
    "reset-after-taking": _reset_after_taking,
    "hang-up": _hang_up,
    "hang-up-after-taking": _hang_up_after_taking,
    "half-a-status-line": _cut(7, taken=True),
    "half-the-headers": _cut(40, taken=True),
    "half-the-body": _cut(len(OK) + 9, taken=True),
    "stall": _stall(0),
    "stall-in-the-headers": _stall(40),
    "stall-in-the-body": _stall(len(OK) + 9),
    "no-answer": _say_nothing,
    "endless-header": _endless,
    "garbage": _raw(b"\x00\x01\x02 this is no HTTP\r\n\r\n"),
    "tls-bytes": _raw(b"\x15\x03\x01\x00\x02\x02\x28"),
    "broken-chunk": _raw(_CHUNKED + b"zz\r\nGIF", taken=True),
    "endless-status-line": _raw(b"HTTP/1.1 200 " + b"O" * 70000),
    "too-many-headers": _raw(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 200 + b"\r\n"),
    "wrong-content-length": _raw(OK.replace(b"Length: ", b"Length: 9") + GIF, taken=True),
    "408": _status(408),
    "425": _status(425),
    "429": _status(429),
    "429-retry-after-seconds": _status(429, {"Retry-After": "1"}),
    "429-retry-after-date": _retry_at_a_date,
    "500": _status(500, _PAGE, _HTML),
    "502": _status(502, _PAGE, _HTML),
    "503-retry-after": _status(503, {"Retry-After": "1"}),
    "503-retry-after-nonsense": _status(503, {"Retry-After": "soon"}),
    "504": _status(504),
    "599": _status(599),
}
"""Faults after which a call is tried again."""

HARMLESS: dict[str, Serve] = {
    "slow": _slow,
    "closes-a-kept-connection": _close_a_kept_connection,
    "resets-a-kept-connection": _reset_a_kept_connection,
    "connection-close": _connection_close,
    "more-than-announced": _more_than_announced,
}
"""The call was taken, and the client knows it."""

FATAL: dict[str, tuple[Serve, str]] = {
    "301": (_status(301, {"Location": "https://elsewhere.example/?_k=x"}), "answered 301, a redirect"),
    "302": (_status(302, {"Location": "http://127.0.0.1:9/"}), "answered 302, a redirect"),
    "307": (_status(307, {"Location": "/login"}), "answered 307, a redirect"),
    "html-page": (_status(200, _PAGE, _HTML), "an HTML page"),
    "html-page-without-type": (_status(200, None, b"\n <html>"), "an HTML page"),
    "json-error": (_status(200, {"Content-Type": "application/json"}, b'{"error": "no"}'), "with JSON"),
    "access-denied": (_status(200, {"Content-Type": "text/plain"}, b"Access denied"), "with text"),
    "204": (_status(204), "answered 204"),
    "400": (_status(400), "answered 400"),
    "401": (_status(401, {"WWW-Authenticate": "Basic"}), "answered 401"),
    "403": (_status(403, _PAGE, _HTML), "answered 403"),
    "404": (_status(404), "answered 404"),
    "407": (_status(407, {"Proxy-Authenticate": "Basic"}), "answered 407"),
    "410": (_status(410), "answered 410"),
}
"""Faults that end a run at once, with what the last line says."""


class FaultyHost(socketserver.ThreadingTCPServer):
    """Serves on a free port of loopback until its context ends.

    Attributes:
        served: Faults by name, and how often each was served.
        on_request: Called with the number of each request (from 1), before it is served; a test may kill its sender.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, tls: ssl.SSLContext | None = None, duplicates: Duplicates = "current") -> None:
        self._sandbox = Sandbox(duplicates=duplicates)
        self._lock = threading.Lock()
        self._tls = tls
        self._next: list[tuple[str, Serve]] = []
        self._usual: tuple[str, Serve] = ("", fine)
        self._chance: tuple[random.Random, float, list[tuple[str, Serve]]] | None = None
        self._silent_until = 0.0
        self.requests = 0
        self.served: Counter[str] = Counter()
        self.on_request: Callable[[int], None] = lambda _: None
        self.is_over = False
        super().__init__(("127.0.0.1", 0), _Connection)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.server_address[1]}"

    def script(self, *faults: tuple[str, Serve], then: tuple[str, Serve] = ("", fine)) -> None:
        """Serve these in turn, then the last one again and again."""
        with self._lock:
            self._next, self._usual, self._chance = list(faults), then, None

    def at_random(self, chance: random.Random, part: float, faults: Mapping[str, Serve]) -> None:
        """Serve a fault to that part of all requests."""
        with self._lock:
            self._next, self._usual, self._chance = [], ("", fine), (chance, part, sorted(faults.items()))

    def fall_silent(self, seconds: float) -> None:
        """Accept connections and requests, and answer none of them, for a while."""
        self._silent_until = time.monotonic() + seconds

    def choose(self) -> Serve:
        with self._lock:
            if time.monotonic() < self._silent_until:
                return _say_nothing
            self.requests += 1
            number = self.requests
            name, serve = self._next.pop(0) if self._next else self._usual
            if self._chance and self._chance[0].random() < self._chance[1]:
                name, serve = self._chance[0].choice(self._chance[2])
            if name:
                self.served[name] += 1
        self.on_request(number)
        return serve

    def take(self, target: str, body: bytes) -> None:
        parts = urlsplit(target)
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
        parameters.update(parse_qsl(body.decode(), keep_blank_values=True))
        path: Any = parts.path
        call = Call(rules.product_of(parameters.pop("_k", "")), path, parameters, int(time.time()))
        with self._lock:
            self._sandbox.take(call)

    # What the sandbox holds

    def summary(self) -> answers.Json:
        with self._lock:
            return answers.summary(self._sandbox.model)

    def person(self, identity: str) -> answers.Json | None:
        with self._lock:
            return answers.person(self._sandbox.model, identity)

    def not_kept(self) -> Counter[str]:
        with self._lock:
            return Counter(entry["reason"] for entry in answers.not_kept(self._sandbox.model, limit=10_000))

    # Connections

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self._tls is not None:
            request.settimeout(5)
            request = self._tls.wrap_socket(request, server_side=True)
            request.settimeout(None)
        with request:
            super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone, or that was killed, is what this host is for."""


class _Connection(socketserver.BaseRequestHandler):
    server: FaultyHost

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.request.makefile("rb") as stream:
            while (request := _read(stream)) is not None:
                exchange = Exchange(self.server, self.request, *request)
                if request[0] == "/not-http":
                    exchange.answer(400)
                    return
                self.server.choose()(exchange)
                if not exchange.is_open:
                    return


def _read(stream: Any) -> tuple[str, bytes] | None:
    """Read a request: its target and body; None when the client hung up."""
    if stream.peek(1)[:1] == b"\x16":  # a TLS handshake: a web server answers 400 to it
        return "/not-http", b""
    line = stream.readline(1 << 20)
    length = 0
    while True:
        header = stream.readline(1 << 20)
        if not header:
            return None
        if not header.strip():
            break
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = stream.read(length)
    return (line.split()[1].decode(), body) if len(body) == length else None


@contextmanager
def faulty_host(tls: ssl.SSLContext | None = None, duplicates: Duplicates = "current") -> Iterator[FaultyHost]:
    """Run a host, whose sandbox keeps this rule, for the length of a context."""
    with FaultyHost(tls, duplicates) as host:
        thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield host
        finally:
            host.is_over = True
            host.shutdown()
            thread.join()


@contextmanager
def dribbling_host(*answers: bytes) -> Iterator[int]:
    """Answer what the client says, then send a byte more now and then: no read takes long. Give the port.

    Args:
        answers: Each comes after the client has said something.
    """
    is_over = threading.Event()

    class Dribble(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                for answer in answers:
                    self.request.recv(65536)
                    self.request.sendall(answer)
                deadline = time.monotonic() + LONGEST_STALL_SECONDS
                while time.monotonic() < deadline and not is_over.wait(0.05):
                    self.request.sendall(b"x")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Dribble) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            is_over.set()
            server.shutdown()
            thread.join()


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Give what a TLS server needs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
