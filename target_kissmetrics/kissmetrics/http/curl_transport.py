"""The `curl` client: libcurl's multi interface, many requests at once from one thread.

libcurl does all that can be done (`perform`) whenever one of its sockets is readable, and this module waits for that
itself: one call without Python's lock serves all connections, where libcurl's own notifications would call back into
Python several times a request. Whatever has no readable socket yet (a name that is being resolved, a connection that is
being made) is served every `STEP_SECONDS`.

Proxies and the CA bundle come from the environment, as for the `requests` client: `HTTPS_PROXY`, `HTTP_PROXY`,
`ALL_PROXY`, `NO_PROXY`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`. HTTP/2 is used where an https host offers it. Messages
never hold libcurl's error texts: the URL may be in them.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import socket
from collections.abc import Hashable, Sequence
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

import certifi
import pycurl

from target_kissmetrics.kissmetrics.http.transport import (
    MAX_ANSWER_BYTES,
    NOT_TLS,
    TIMED_OUT,
    Host,
    Outcome,
    is_html,
    proxy_refuses,
)
from target_kissmetrics.kissmetrics.wire import Request

STEP_SECONDS = 0.01
"""While requests are in flight, libcurl runs at least this often."""

START_BYTES = 512
"""The start of an answer that is kept."""

_CAUSES = {
    pycurl.E_OPERATION_TIMEDOUT: TIMED_OUT,
    pycurl.E_COULDNT_RESOLVE_HOST: "its name cannot be resolved",
    pycurl.E_COULDNT_RESOLVE_PROXY: "the proxy's name cannot be resolved",
    pycurl.E_GOT_NOTHING: "connection closed without an answer",
    pycurl.E_PARTIAL_FILE: "connection closed in the middle of the answer",
    pycurl.E_SSL_CONNECT_ERROR: "no TLS connection can be made",
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "its answer is not HTTP",
}
_PERMANENT = {
    pycurl.E_PEER_FAILED_VERIFICATION: "its certificate is not trusted",
    pycurl.E_SSL_CACERT_BADFILE: "the CA bundle (REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE) cannot be read",
    pycurl.E_URL_MALFORMAT: "the address or the proxy's address cannot be used",
    pycurl.E_UNSUPPORTED_PROTOCOL: "the address or the proxy's address cannot be used",
}


_NOT_TLS_TEXTS = ("wrong version number", "http request", "packet length too long", "unknown protocol")
"""TLS libraries say so, in texts without a URL, of a host that does not speak TLS at all."""

_NO_BODY_STATUSES = frozenset({204, 304})


class _Handle:
    """One of libcurl's handles, with its attempt and the start of the answer."""

    def __init__(self) -> None:
        self.curl = pycurl.Curl()
        self.mark: Hashable = None
        self.start = b""
        self.received = 0

    def write(self, data: bytes) -> int:
        """Receive a part of the answer; libcurl stops when the result is less than its length."""
        if not self.received:
            self.start = data[:START_BYTES]
        self.received += len(data)
        return len(data) if self.received <= MAX_ANSWER_BYTES else 0


class CurlTransport:
    """A `Transport` over libcurl."""

    def __init__(self, host: Host) -> None:
        self._base_url = host.url
        self._is_tls = host.url.startswith("https:")
        self._timeout_ms = max(1, int(host.timeout * 1000))
        self._connect_timeout_ms = max(1, min(self._timeout_ms, int(host.connect_timeout * 1000)))
        self._headers = ["Accept: image/gif, */*", "Expect:", f"User-Agent: {host.user_agent}"]
        self._proxy = _proxy(host.url)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, host.connections)
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, host.connections)
        self._idle: list[_Handle] = []
        self._busy: dict[pycurl.Curl, _Handle] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def start(self, request: Request, mark: Hashable) -> None:
        """Start one attempt."""
        handle = self._idle.pop() if self._idle else self._make()
        handle.mark = mark
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
        self._select(min(seconds, STEP_SECONDS) if self._busy else seconds)
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
        for handle in self._busy.values():
            self._multi.remove_handle(handle.curl)
        # A connection reports its end through the handle that opened it: handles go last.
        self._multi.close()
        for handle in [*self._busy.values(), *self._idle]:
            handle.curl.close()
        self._busy, self._idle = {}, []
        self._selector.close()
        self._woken.close()
        self._waker.close()

    def _outcomes(self) -> list[tuple[Hashable, Outcome]]:
        if not self._busy:
            return []
        _, answered, failed = self._multi.info_read()
        return [self._finish(curl) for curl in answered] + [self._finish(*failure) for failure in failed]

    def _finish(self, curl: pycurl.Curl, error: int | None = None, text: str = "") -> tuple[Hashable, Outcome]:
        """Return an attempt's outcome, and make its handle ready for the next one."""
        handle = self._busy.pop(curl)
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        if error is None or (error == pycurl.E_WRITE_ERROR and handle.received > MAX_ANSWER_BYTES):
            outcome = self._answer(handle, status)
        else:
            outcome = _no_answer(curl, error, text)
        mark = handle.mark
        handle.mark, handle.start, handle.received = None, b"", 0
        self._multi.remove_handle(curl)
        self._idle.append(handle)
        return mark, outcome

    @staticmethod
    def _answer(handle: _Handle, status: int) -> Outcome:
        if not handle.received and _broke_off(handle.curl, status):
            return Outcome(cause=_CAUSES[pycurl.E_PARTIAL_FILE])
        html = is_html(handle.curl.getinfo(pycurl.CONTENT_TYPE) or "", handle.start)
        if status < 300:
            return Outcome(status, html=html)
        after = handle.curl.getinfo(pycurl.RETRY_AFTER)
        return Outcome(status, html=html, retry_after=str(after) if after else None)

    def _make(self) -> _Handle:
        handle = _Handle()
        curl = handle.curl
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.WRITEFUNCTION, handle.write)
        curl.setopt(pycurl.HTTPHEADER, self._headers)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, self._connect_timeout_ms)
        curl.setopt(pycurl.TIMEOUT_MS, self._timeout_ms)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.PATH_AS_IS, 1)
        curl.setopt(pycurl.SOCKOPTFUNCTION, self._opened)
        for option, text in self._proxy:
            curl.setopt(option, text)
        if self._is_tls:
            curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
            curl.setopt(pycurl.PIPEWAIT, 1)
            bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
            curl.setopt(pycurl.CAPATH if os.path.isdir(bundle) else pycurl.CAINFO, bundle)  # noqa: PTH112
        return handle

    def _opened(self, descriptor: int, _: int) -> int:
        # The socket that had this number before was closed without notice. pycurl would call back only for handles that
        # are at work, and for others warn and leave the socket open: a kept connection may end while the handle that
        # opened it is idle. The system forgets a closed socket by itself.
        with contextlib.suppress(KeyError):
            self._selector.unregister(descriptor)
        self._selector.register(descriptor, selectors.EVENT_READ)
        return int(pycurl.SOCKOPT_OK)

    def _select(self, seconds: float) -> None:
        try:
            self._selector.select(seconds)
        except (OSError, ValueError):  # Windows does not forget closed sockets
            for descriptor in [key.fd for key in self._selector.get_map().values()]:
                if not _is_open(descriptor):
                    self._selector.unregister(descriptor)


def _is_open(descriptor: int) -> bool:
    try:
        select.select([descriptor], [], [], 0)
    except (OSError, ValueError):
        return False
    return True


def _proxy(base_url: str) -> list[tuple[int, str]]:
    """Return libcurl's options for the proxy of the environment; libcurl itself reads only some of the variables."""
    proxies = getproxies_environment()
    proxy = proxies.get(urlsplit(base_url).scheme) or proxies.get("all") or ""
    return [(pycurl.PROXY, proxy), (pycurl.NOPROXY, proxies.get("no", ""))]


def _broke_off(curl: pycurl.Curl, status: int) -> bool:
    """Tell whether an answer broke off in its headers: it has no body and does not say so.

    HTTP/2 has frames: nothing breaks off unnoticed.
    """
    is_framed = curl.getinfo(pycurl.INFO_HTTP_VERSION) > pycurl.CURL_HTTP_VERSION_1_1
    return not is_framed and status not in _NO_BODY_STATUSES and curl.getinfo(pycurl.CONTENT_LENGTH_DOWNLOAD_T) < 0


def _no_answer(curl: pycurl.Curl, error: int, text: str) -> Outcome:
    """Name the cause; libcurl's own text is read for TLS alone, and never shown."""
    if error == pycurl.E_SSL_CONNECT_ERROR and any(words in text.lower() for words in _NOT_TLS_TEXTS):
        return Outcome(cause=NOT_TLS, permanent=True)
    if error == pycurl.E_UNSUPPORTED_PROTOCOL and curl.getinfo(pycurl.PRIMARY_IP):
        return Outcome(cause=_CAUSES[pycurl.E_FTP_WEIRD_SERVER_REPLY])
    if error in _PERMANENT:
        return Outcome(cause=_PERMANENT[error], permanent=True)
    if error in _CAUSES:
        return Outcome(cause=_CAUSES[error])
    proxy_status = curl.getinfo(pycurl.HTTP_CONNECTCODE)
    if proxy_status >= 300:
        return Outcome(cause=f"the proxy answered {proxy_status}", permanent=proxy_refuses(proxy_status))
    system = curl.getinfo(pycurl.OS_ERRNO)
    return Outcome(cause=f"connection failed ({os.strerror(system) if system else f'curl error {error}'})")
