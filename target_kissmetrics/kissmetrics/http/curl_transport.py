"""The `curl` client: libcurl's multi interface, many requests at once from one thread.

libcurl is told to do all that can be done (`perform`) whenever one of its sockets has something to read, and this
module waits for that itself: the one call without Python's lock serves all connections, where libcurl's own
notifications would call back into Python several times a request. What has no socket yet to wait for (a name that is
being resolved, a connection that is being made) is looked after every `STEP_SECONDS`.

Proxies and the CA bundle come from the environment, as the `requests` client has it: `HTTPS_PROXY`, `HTTP_PROXY`,
`ALL_PROXY`, `NO_PROXY`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`. HTTP/2 is used where an https host offers it. Redirects
are not followed: they would carry the API key away. libcurl's error texts are never shown: the URL may be in them.
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

from target_kissmetrics.kissmetrics.http.transport import CONNECT_TIMEOUT_SECONDS, Outcome, is_html, proxy_refuses
from target_kissmetrics.kissmetrics.wire import Request

STEP_SECONDS = 0.01
"""While requests are under way libcurl is asked to go on at least this often."""

START_BYTES = 512
"""Of an answer that are looked at."""

MAX_ANSWER_BYTES = 65536
"""More than this of an answer is not read: Kissmetrics' GIF has 43."""

MANY = 1024
"""Answers taken from libcurl at a time."""

_CAUSES = {
    pycurl.E_OPERATION_TIMEDOUT: "no answer in time",
    pycurl.E_COULDNT_RESOLVE_HOST: "its name cannot be resolved",
    pycurl.E_COULDNT_RESOLVE_PROXY: "the proxy's name cannot be resolved",
    pycurl.E_GOT_NOTHING: "connection closed without an answer",
    pycurl.E_PARTIAL_FILE: "connection closed in the middle of the answer",
    pycurl.E_SSL_CONNECT_ERROR: "no TLS connection can be made",
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "its answer is no HTTP",
}
_HOPELESS = {
    pycurl.E_PEER_FAILED_VERIFICATION: "its certificate is not trusted",
    pycurl.E_SSL_CACERT_BADFILE: "the CA bundle (REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE) cannot be read",
    pycurl.E_URL_MALFORMAT: "the address or the proxy's address cannot be used",
    pycurl.E_UNSUPPORTED_PROTOCOL: "the address or the proxy's address cannot be used",
}


_NOT_TLS = ("wrong version number", "http request", "packet length too long", "unknown protocol")
"""How the TLS libraries tell, in a text that holds no URL, of a host that does not speak TLS at all."""

_NO_BODY_STATUSES = frozenset({204, 304})


class _Handle:
    """One of libcurl's handles, with the answer that it receives, and what came of it."""

    def __init__(self) -> None:
        self.curl = pycurl.Curl()
        self.mark: Hashable = None
        self.start = b""
        self.received = 0

    def write(self, data: bytes) -> int:
        """Take a part of the answer; less than all of it makes libcurl stop."""
        if not self.received:
            self.start = data[:START_BYTES]
        self.received += len(data)
        return len(data) if self.received <= MAX_ANSWER_BYTES else 0


class CurlTransport:
    """Makes attempts over kept connections. For one thread, but for `wake`.

    Args:
        base_url: Scheme and host of the tracking API: `https://trk.kissmetrics.io`.
        timeout: Seconds for one request, with connecting and reading.
        user_agent: The `User-Agent` header.
        connections: The most connections that are kept.
        connect_timeout: Seconds for connecting, within `timeout`.
    """

    def __init__(
        self,
        base_url: str,
        timeout: float,
        user_agent: str,
        connections: int,
        *,
        connect_timeout: float = CONNECT_TIMEOUT_SECONDS,
    ) -> None:
        self._base_url = base_url
        self._is_tls = base_url.startswith("https:")
        self._timeout_ms = max(1, int(timeout * 1000))
        self._connect_timeout_ms = max(1, min(self._timeout_ms, int(connect_timeout * 1000)))
        self._headers = ["Accept: image/gif, */*", "Expect:", f"User-Agent: {user_agent}"]
        self._proxy = _proxy(base_url)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, connections)
        self._idle: list[_Handle] = []
        self._busy: dict[pycurl.Curl, _Handle] = {}
        self._selector = selectors.DefaultSelector()
        self._alarm, self._bell = socket.socketpair()
        for end in (self._alarm, self._bell):
            end.setblocking(False)
        self._selector.register(self._alarm, selectors.EVENT_READ)

    def start(self, request: Request, mark: Hashable) -> None:
        """Begin to send the request once."""
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
        """Give what came of attempts; wait for something, so many seconds at most, if nothing did yet."""
        self._multi.perform()
        answers = self._answers()
        if answers:
            return answers
        events = self._select(min(seconds, STEP_SECONDS) if self._busy else seconds)
        if any(key.fileobj is self._alarm for key, _ in events):
            self._hear()
        if self._busy:
            self._multi.perform()
        return self._answers()

    def wake(self) -> None:
        """Let a `wait` return at once. From any thread."""
        # It may ring already, or nobody be there any more to hear it.
        with contextlib.suppress(OSError):
            self._bell.send(b"!")

    def close(self) -> None:
        """Close the kept connections."""
        for handle in self._busy.values():
            self._multi.remove_handle(handle.curl)
        # A connection tells of its end through the handle that opened it: handles go last.
        self._multi.close()
        for handle in [*self._busy.values(), *self._idle]:
            handle.curl.close()
        self._busy, self._idle = {}, []
        self._selector.close()
        self._alarm.close()
        self._bell.close()

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._alarm.recv(4096):
                continue

    def _answers(self) -> list[tuple[Hashable, Outcome]]:
        answers: list[tuple[Hashable, Outcome]] = []
        more = bool(self._busy)
        while more:
            left, fine, broken = self._multi.info_read(MANY)
            answers.extend([self._taken(curl) for curl in fine])
            answers.extend([self._taken(curl, number, text) for curl, number, text in broken])
            more = left > 0
        return answers

    def _taken(self, curl: pycurl.Curl, error: int | None = None, text: str = "") -> tuple[Hashable, Outcome]:
        """Make an attempt's outcome, and its handle ready for the next one."""
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
        # The socket that had this number before was closed without a word. pycurl would call back for handles that are
        # at work alone, and for others warn and leave the socket open: a kept connection may end while the one that
        # opened it is idle. The system takes a closed socket off what it watches by itself.
        with contextlib.suppress(KeyError):
            self._selector.unregister(descriptor)
        self._selector.register(descriptor, selectors.EVENT_READ)
        return int(pycurl.SOCKOPT_OK)

    def _select(self, seconds: float) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for a socket; where the system does not forget closed ones (Windows), do so here."""
        try:
            return self._selector.select(seconds)
        except (OSError, ValueError):
            for key in list(self._selector.get_map().values()):
                if key.fileobj is not self._alarm and not _is_open(key.fd):
                    self._selector.unregister(key.fileobj)
            return []


def _is_open(descriptor: int) -> bool:
    try:
        select.select([descriptor], [], [], 0)
    except (OSError, ValueError):
        return False
    return True


def _proxy(base_url: str) -> list[tuple[int, str]]:
    """Give libcurl's options for the proxy that the environment names; libcurl itself reads some of the names alone."""
    proxies = getproxies_environment()
    proxy = proxies.get(urlsplit(base_url).scheme) or proxies.get("all") or ""
    return [(pycurl.PROXY, proxy), (pycurl.NOPROXY, proxies.get("no", ""))]


def _broke_off(curl: pycurl.Curl, status: int) -> bool:
    """Tell an answer without a body that does not say it has none: libcurl takes headers that break off for that.

    HTTP/2 has frames, in which nothing breaks off unnoticed.
    """
    is_framed = curl.getinfo(pycurl.INFO_HTTP_VERSION) > pycurl.CURL_HTTP_VERSION_1_1
    return not is_framed and status not in _NO_BODY_STATUSES and curl.getinfo(pycurl.CONTENT_LENGTH_DOWNLOAD_T) < 0


def _no_answer(curl: pycurl.Curl, error: int, text: str) -> Outcome:
    """Name the cause; libcurl's own text is read, for TLS alone, and never shown."""
    if error == pycurl.E_SSL_CONNECT_ERROR and any(words in text.lower() for words in _NOT_TLS):
        return Outcome(cause="it does not speak TLS; is its address one of http://?", hopeless=True)
    if error == pycurl.E_UNSUPPORTED_PROTOCOL and curl.getinfo(pycurl.PRIMARY_IP):
        return Outcome(cause=_CAUSES[pycurl.E_FTP_WEIRD_SERVER_REPLY])
    if error in _HOPELESS:
        return Outcome(cause=_HOPELESS[error], hopeless=True)
    if error in _CAUSES:
        return Outcome(cause=_CAUSES[error])
    proxy_status = curl.getinfo(pycurl.HTTP_CONNECTCODE)
    if proxy_status >= 300:
        return Outcome(cause=f"the proxy answered {proxy_status}", hopeless=proxy_refuses(proxy_status))
    system = curl.getinfo(pycurl.OS_ERRNO)
    return Outcome(cause=f"connection failed ({os.strerror(system) if system else f'curl error {error}'})")
