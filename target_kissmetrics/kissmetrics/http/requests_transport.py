"""The `requests` client: a pool of worker threads with one kept connection each.

`requests` decides how the host is reached (proxy, certificates), once. A request then goes straight to urllib3's pool:
`Session.get` would follow redirects, and spend three times the CPU on headers and cookies. The transport holds the
deadline of each attempt: urllib3 limits each read alone, and a host may send a byte now and then.
"""

from __future__ import annotations

import os
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Hashable, Sequence
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Timeout
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as Urllib3TimeoutError

from target_kissmetrics.kissmetrics.http import transport
from target_kissmetrics.kissmetrics.http.transport import Host, Outcome
from target_kissmetrics.kissmetrics.wire import Request

DEADLINE_CHECK_SECONDS = 0.25
"""How often attempts are checked for their deadline."""

_TLS_REASONS = {
    **dict.fromkeys(
        ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"), transport.NOT_TLS
    ),
    "NO_CERTIFICATE_OR_CRL_FOUND": transport.NO_CERTIFICATES,
}
"""OpenSSL's reasons for what no retry changes: an answer that is not TLS, a file without certificates."""

_PROXY_ANSWER = re.compile(r"Tunnel connection failed: (\d{3})")
"""From `http.client`, when a proxy opened no tunnel."""


class RequestsTransport:
    """A `Transport` of worker threads, which are started as they are needed."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._requests: queue.SimpleQueue[tuple[Request, Hashable] | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[Hashable, Outcome] | None] = queue.SimpleQueue()
        self._workers = 0
        self._running: dict[_Connection, tuple[Hashable, float]] = {}
        self._in_flight = 0
        self._next_check = 0.0

    def start(self, request: Request, mark: Hashable) -> None:
        """Hand an attempt to a worker."""
        self._in_flight += 1
        if self._workers < min(self._in_flight, self._host.connections):
            self._workers += 1
            threading.Thread(target=self._work, name="kissmetrics", daemon=True).start()
        self._requests.put((request, mark))

    def wait(self, seconds: float) -> Sequence[tuple[Hashable, Outcome]]:
        """Return the outcomes since the last call; without any, wait for the first one."""
        outcomes: list[tuple[Hashable, Outcome]] = []
        with suppress(queue.Empty):
            item = self._outcomes.get(timeout=min(seconds, DEADLINE_CHECK_SECONDS) if self._in_flight else seconds)
            while True:
                if item is not None:
                    outcomes.append(item)
                item = self._outcomes.get_nowait()
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + DEADLINE_CHECK_SECONDS
            outcomes += [(mark, transport.TIMED_OUT) for mark in self._abandon(now - self._host.timeout)]
        self._in_flight -= len(outcomes)
        return outcomes

    def wake(self) -> None:
        """Make `wait` return at once. Callable from any thread."""
        self._outcomes.put(None)

    def close(self) -> None:
        """End the workers, which close their connections."""
        self._abandon(time.monotonic())
        for _ in range(self._workers):
            self._requests.put(None)

    def _abandon(self, latest: float) -> list[Hashable]:
        """End the workers whose attempts began by that time, and return these attempts' marks."""
        late = [connection for connection, (_, began) in list(self._running.items()) if began <= latest]
        marks = []
        for connection in late:
            if abandoned := self._running.pop(connection, None):  # atomic: its worker may take it at this moment
                marks.append(abandoned[0])
                self._workers -= 1
                connection.interrupt()
        return marks

    def _work(self) -> None:
        """Make attempts, in a thread of its own, until one is abandoned."""
        with closing(_Connection(self._host)) as connection:
            while (item := self._requests.get()) is not None:
                request, mark = item
                self._running[connection] = mark, time.monotonic()
                outcome = connection.attempt(request)
                if self._running.pop(connection, None) is None:
                    return
                self._outcomes.put((mark, outcome))


class _FinalResponse(HTTPResponse):
    """An answer; `http.client` takes an interim one, but for 100, for the answer (RFC 9110, section 15.2)."""

    def begin(self) -> None:
        """Read the status and the headers of the first answer that is not an interim one."""
        super().begin()
        while HTTPStatus.CONTINUE <= self.status < HTTPStatus.OK and self.status != HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()


class _Connection:
    """Makes one attempt at a time. For one thread, except for `interrupt`.

    Proxies and certificates come from the environment (`HTTPS_PROXY`, `NO_PROXY`, `REQUESTS_CA_BUNDLE`), read once.
    """

    def __init__(self, host: Host) -> None:
        self._base_url = host.url
        self._timeout = Timeout(connect=min(host.connect_timeout, host.timeout), read=host.timeout)
        self._headers = {"User-Agent": host.user_agent, "Accept": "image/gif, */*", "Connection": "keep-alive"}
        self._form_headers = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        self._pool: Any = None
        self._prefix = ""
        self._latest: Any = None

    def attempt(self, request: Request) -> Outcome:
        """Send the request once. Never raises."""
        try:
            if self._pool is None:
                self._open_pool()
            return self._attempt(request)
        except Exception as error:  # noqa: BLE001 - whatever a library raises becomes a value: its text holds the key
            return no_answer(error)

    def interrupt(self) -> None:
        """Shut the socket of an attempt that takes too long, if it is connected; connecting ends by itself in time."""
        with suppress(OSError, AttributeError, TypeError):  # no connection, or none that has a socket
            socket.socket.shutdown(self._latest.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the kept connection."""
        if self._pool is not None:
            self._pool.close()

    def _attempt(self, request: Request) -> Outcome:
        with self._pool.urlopen(
            request.method,
            f"{self._prefix}{request.target}",
            request.body,
            self._headers if request.body is None else self._form_headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=self._timeout,
            preload_content=False,
            decode_content=False,
        ) as response:
            body = response.read(transport.MAX_ANSWER_BYTES)
            if response.length_remaining != 0 and len(body) < transport.MAX_ANSWER_BYTES:
                response.read(1)  # only a read at the end raises if the body broke off
            has_length = "Content-Length" in response.headers or "Transfer-Encoding" in response.headers
            if not body and response.status == HTTPStatus.OK and not has_length:
                return Outcome(cause="the answer broke off")  # `http.client` accepts headers that broke off
            return Outcome(
                status=response.status,
                body=transport.unexpected_body(response.headers.get("Content-Type", ""), body),
                retry_after=response.headers.get("Retry-After"),
            )

    def _open_pool(self) -> None:
        """Make the pool of connections to the host, and the prefix of each target there: the whole URL for a proxy."""
        environment = requests.Session().merge_environment_settings(self._base_url, {}, None, None, None)
        verify = transport.certificates()
        proxies = dict(environment["proxies"])
        any_request = requests.Request("GET", f"{self._base_url}/").prepare()
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
        pool: Any = adapter.get_connection_with_tls_context(any_request, verify, proxies)
        adapter.cert_verify(pool, any_request.url, verify, None)  # type: ignore[no-untyped-call]
        make_connection = pool.ConnectionCls

        def make_and_remember(*arguments: Any, **named: Any) -> Any:
            self._latest = make_connection(*arguments, **named)
            self._latest.response_class = _FinalResponse
            return self._latest

        pool.ConnectionCls = make_and_remember
        self._prefix = adapter.request_url(any_request, proxies).removesuffix("/")
        self._pool = pool


def no_answer(error: Exception) -> Outcome:
    """Name the cause from types and error numbers: the texts of urllib3's errors hold the URL, and so the key."""
    # Of both libraries: a URL, a proxy or a header that cannot be used.
    if isinstance(error, ValueError) and isinstance(error, (requests.RequestException, HTTPError)):
        return transport.UNUSABLE_ADDRESS
    if type(error) is OSError:  # from `cert_verify`
        return transport.NO_CERTIFICATES
    cause = f"connection failed ({type(error).__name__})"
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ssl.SSLCertVerificationError):
            return Outcome(cause=f"its certificate is not trusted ({link.verify_message})", permanent=True)
        if isinstance(link, ssl.SSLError) and link.reason in _TLS_REASONS:
            return _TLS_REASONS[link.reason]
        if proxy := _PROXY_ANSWER.search(str(link)):
            return transport.proxy_answered(int(proxy[1]))
        cause = _cause(link) or cause
        link = link.__context__
    return Outcome(cause=cause)


def _cause(error: BaseException) -> str | None:
    if isinstance(error, (Urllib3TimeoutError, TimeoutError)):
        return transport.TIMED_OUT.cause
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, ssl.SSLError):
        return f"the TLS connection failed ({error.reason or type(error).__name__})"
    if isinstance(error, OSError) and error.errno is not None:
        return f"connection failed ({os.strerror(error.errno)})"
    return None
