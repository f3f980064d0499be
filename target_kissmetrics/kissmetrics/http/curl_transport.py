"""The `curl` client: libcurl's multi interface, many requests at once from one thread.

libcurl does all that can be done (`perform`) whenever one of its sockets is ready. What has no socket yet (a name that
is being resolved) is served every `STEP_SECONDS`, and so are sockets past the limit of `select`. HTTP/2 is used where
an https host offers it. Messages never hold libcurl's error texts: the URL may be in them.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

import certifi
import pycurl

from target_kissmetrics.kissmetrics.http import transport
from target_kissmetrics.kissmetrics.http.transport import MAX_ANSWER_BYTES, Host, Outcome
from target_kissmetrics.kissmetrics.wire import Request

STEP_SECONDS = 0.01
"""While requests are in flight, libcurl runs at least this often."""

_OUTCOMES = {
    pycurl.E_OPERATION_TIMEDOUT: transport.TIMED_OUT,
    pycurl.E_COULDNT_RESOLVE_HOST: Outcome(cause="its name cannot be resolved"),
    pycurl.E_COULDNT_RESOLVE_PROXY: Outcome(cause="the proxy's name cannot be resolved"),
    pycurl.E_GOT_NOTHING: Outcome(cause="connection closed without an answer"),
    pycurl.E_PARTIAL_FILE: Outcome(cause="connection closed in the middle of the answer"),
    pycurl.E_SSL_CONNECT_ERROR: Outcome(cause="no TLS connection can be made"),
    pycurl.E_FTP_WEIRD_SERVER_REPLY: Outcome(cause="its answer is not HTTP"),
    pycurl.E_PEER_FAILED_VERIFICATION: Outcome(cause="its certificate is not trusted", permanent=True),
    pycurl.E_SSL_CACERT_BADFILE: transport.NO_CERTIFICATES,
    pycurl.E_URL_MALFORMAT: transport.UNUSABLE_ADDRESS,
    pycurl.E_UNSUPPORTED_PROTOCOL: transport.UNUSABLE_ADDRESS,
}
_NOT_TLS_TEXTS = ("wrong version number", "http request", "packet length too long", "unknown protocol")
"""TLS libraries say so, in texts without a URL, of a host that does not speak TLS at all."""


class _Handle:
    """A handle of libcurl, with the mark of its attempt and the start of the answer."""

    def __init__(self) -> None:
        self.curl = pycurl.Curl()
        self.mark: Hashable = None
        self.start = b""
        self.received = 0

    def write(self, data: bytes) -> int:
        """Receive a part of the answer; libcurl stops when the result is less than its length."""
        if not self.received:
            self.start = data[:512]
        self.received += len(data)
        return len(data) if self.received <= MAX_ANSWER_BYTES else 0


class CurlTransport:
    """A `Transport` over libcurl."""

    def __init__(self, host: Host) -> None:
        self._base_url = host.url
        self._options = _options(host)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, host.connections)
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, host.connections)
        self._idle: list[_Handle] = []
        self._busy: dict[pycurl.Curl, _Handle] = {}
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)

    def start(self, request: Request, mark: Hashable) -> None:
        """Start one attempt."""
        handle = self._idle.pop() if self._idle else self._make_handle()
        handle.mark, handle.start, handle.received = mark, b"", 0
        curl = handle.curl
        curl.setopt(pycurl.URL, f"{self._base_url}{request.target}")
        if request.body is None:
            curl.setopt(pycurl.HTTPGET, 1)
        else:
            curl.setopt(pycurl.POSTFIELDS, request.body)
        self._busy[curl] = handle
        self._multi.add_handle(curl)

    def wait(self, seconds: float) -> Sequence[tuple[Hashable, Outcome]]:
        """Return the outcomes since the last call; without any, wait for the first one."""
        self._multi.perform()
        outcomes = self._outcomes()
        if outcomes:
            return outcomes
        readable, writable, failed = self._multi.fdset()
        select.select([*readable, self._woken], writable, failed, min(seconds, STEP_SECONDS) if self._busy else seconds)
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(4096):
                continue
        if self._busy:
            self._multi.perform()
        return self._outcomes()

    def wake(self) -> None:
        """Make `wait` return at once. Callable from any thread."""
        with contextlib.suppress(OSError):  # full: awake anyway; closed: nobody waits
            self._waker.send(b"!")

    def close(self) -> None:
        """Close all connections; attempts in flight are abandoned."""
        for curl in self._busy:
            self._multi.remove_handle(curl)
        # A connection reports its end through the handle that opened it: handles go last.
        self._multi.close()
        for handle in [*self._busy.values(), *self._idle]:
            handle.curl.close()
        self._woken.close()
        self._waker.close()

    def _outcomes(self) -> list[tuple[Hashable, Outcome]]:
        if not self._busy:
            return []
        _, answered, failed = self._multi.info_read()
        return [self._finish(curl) for curl in answered] + [self._finish(*failure) for failure in failed]

    def _finish(self, curl: pycurl.Curl, error: int = pycurl.E_OK, text: str = "") -> tuple[Hashable, Outcome]:
        """Return an attempt's outcome, and make its handle ready for the next one."""
        handle = self._busy.pop(curl)
        is_long = error == pycurl.E_WRITE_ERROR and handle.received > MAX_ANSWER_BYTES
        outcome = _answer(handle) if error == pycurl.E_OK or is_long else _no_answer(curl, error, text)
        self._multi.remove_handle(curl)
        self._idle.append(handle)
        return handle.mark, outcome

    def _make_handle(self) -> _Handle:
        handle = _Handle()
        for option, value in self._options:
            handle.curl.setopt(option, value)
        handle.curl.setopt(pycurl.WRITEFUNCTION, handle.write)
        return handle


def _options(host: Host) -> list[tuple[int, Any]]:
    """Return the options of each handle. libcurl itself reads only some of the environment's variables for proxies."""
    proxies = getproxies_environment()
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    options = [
        (pycurl.NOSIGNAL, 1),
        (pycurl.HTTPHEADER, ["Accept: image/gif, */*", "Expect:", f"User-Agent: {host.user_agent}"]),
        (pycurl.CONNECTTIMEOUT_MS, max(1, int(min(host.timeout, host.connect_timeout) * 1000))),
        (pycurl.TIMEOUT_MS, max(1, int(host.timeout * 1000))),
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.PATH_AS_IS, 1),
        (pycurl.PROXY, proxies.get(urlsplit(host.url).scheme) or proxies.get("all") or ""),
        (pycurl.NOPROXY, proxies.get("no", "")),
    ]
    if host.url.startswith("https:"):
        options += [
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
            (pycurl.PIPEWAIT, 1),
            (pycurl.CAPATH if Path(bundle).is_dir() else pycurl.CAINFO, bundle),
        ]
    return options


def _answer(handle: _Handle) -> Outcome:
    curl = handle.curl
    status = curl.getinfo(pycurl.RESPONSE_CODE)
    is_http_1 = curl.getinfo(pycurl.INFO_HTTP_VERSION) <= pycurl.CURL_HTTP_VERSION_1_1
    has_length = curl.getinfo(pycurl.CONTENT_LENGTH_DOWNLOAD_T) >= 0 or status in {204, 304}
    if is_http_1 and not handle.received and not has_length:  # libcurl accepts headers that broke off
        return _OUTCOMES[pycurl.E_PARTIAL_FILE]
    after = 0 if status < 300 else curl.getinfo(pycurl.RETRY_AFTER)
    body = transport.unexpected_body(curl.getinfo(pycurl.CONTENT_TYPE) or "", handle.start)
    return Outcome(status, body=body, retry_after=str(after) if after else None)


def _no_answer(curl: pycurl.Curl, error: int, text: str) -> Outcome:
    """Name the cause; libcurl's own text is read for TLS alone, and never shown."""
    if error == pycurl.E_SSL_CONNECT_ERROR and any(words in text.lower() for words in _NOT_TLS_TEXTS):
        return transport.NOT_TLS
    if error == pycurl.E_UNSUPPORTED_PROTOCOL and curl.getinfo(pycurl.PRIMARY_IP):
        return _OUTCOMES[pycurl.E_FTP_WEIRD_SERVER_REPLY]
    if error in _OUTCOMES:
        return _OUTCOMES[error]
    proxy_status = curl.getinfo(pycurl.HTTP_CONNECTCODE)
    if proxy_status >= 300:
        return transport.proxy_answered(proxy_status)
    system = curl.getinfo(pycurl.OS_ERRNO)
    return Outcome(cause=f"connection failed ({os.strerror(system) if system else f'curl error {error}'})")
