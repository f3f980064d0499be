"""The `requests` client: one session and one kept connection for each transport.

The session says how the host is reached (proxy, certificates), once; a request then goes straight to the pool of
urllib3's connections that its adapter keeps for the host. `Session.get` would spend three times the CPU on merging
headers, cookies and redirects that no call needs, and would follow redirects.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from functools import cached_property
from http import HTTPStatus
from typing import Any, cast

import requests
from requests.exceptions import InvalidHeader, InvalidProxyURL, InvalidSchema, InvalidURL, MissingSchema
from urllib3 import HTTPConnectionPool, Timeout
from urllib3.exceptions import LocationValueError
from urllib3.exceptions import TimeoutError as LateError
from urllib3.response import BaseHTTPResponse

from target_kissmetrics.kissmetrics.http.requests_deadline import Deadline, WatchedAdapter
from target_kissmetrics.kissmetrics.http.transport import CONNECT_TIMEOUT_SECONDS, Outcome, is_html, proxy_refuses
from target_kissmetrics.kissmetrics.wire import Request

FORM = "application/x-www-form-urlencoded"
MAX_ANSWER_BYTES = 65536
"""More than this of an answer is not read: Kissmetrics' GIF has 43."""

TOO_LATE = "no answer in time"

_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"})
"""What OpenSSL calls an answer that is none of TLS."""

_UNUSABLE = (InvalidURL, InvalidSchema, MissingSchema, InvalidProxyURL, InvalidHeader, LocationValueError)

_PROXY_ANSWER = re.compile(r"Tunnel connection failed: (\d{3})")
"""How `http.client` tells that a proxy opened no tunnel."""


class _NoCertificatesError(Exception):
    """What `REQUESTS_CA_BUNDLE` or `CURL_CA_BUNDLE` names is not there."""


class RequestsTransport:
    """Attempts requests through one kept connection. For one thread.

    Proxies and the CA bundle are taken from the environment (`HTTPS_PROXY`, `NO_PROXY`, `REQUESTS_CA_BUNDLE`) once,
    here, and not for each request.

    Args:
        base_url: Scheme and host of the tracking API: `https://trk.kissmetrics.io`.
        timeout: Seconds for one request, with connecting and reading.
        user_agent: The `User-Agent` header.
        connect_timeout: Seconds for connecting, within `timeout`.
    """

    def __init__(
        self, base_url: str, timeout: float, user_agent: str, *, connect_timeout: float = CONNECT_TIMEOUT_SECONDS
    ) -> None:
        self._base_url = base_url
        self._timeout = Timeout(connect=min(connect_timeout, timeout), read=timeout)
        self._deadline = Deadline(timeout)
        self.session = requests.Session()
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, WatchedAdapter(pool_connections=1, pool_maxsize=1, max_retries=0))
        self._headers = {"User-Agent": user_agent, "Accept": "image/gif, */*", "Connection": "keep-alive"}
        self._environment = self.session.merge_environment_settings(base_url, {}, None, None, None)

    def attempt(self, request: Request) -> Outcome:
        """Send the request once and tell what came of it. Never raises."""
        try:
            with self._deadline:
                outcome = self._attempt(request)
        except Exception as error:  # noqa: BLE001 - whatever a library raises becomes a value: its text holds the key
            outcome = _no_answer(error)
        return Outcome(cause=TOO_LATE) if outcome.status is None and self._deadline.passed else outcome

    def _attempt(self, request: Request) -> Outcome:
        pool, prefix = self._way
        with pool.urlopen(
            request.method,
            f"{prefix}{request.target}",
            request.body,
            self._headers if request.body is None else {**self._headers, "Content-Type": FORM},
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=self._timeout,
            preload_content=False,
            decode_content=False,
        ) as response:
            start = _body(response)
            if not start and _may_be_cut(response):
                return Outcome(cause="the answer broke off")
            return Outcome(
                status=response.status,
                html=is_html(response.headers.get("Content-Type", ""), start),
                retry_after=response.headers.get("Retry-After"),
            )

    @cached_property
    def _way(self) -> tuple[HTTPConnectionPool, str]:
        """The pool that leads to the host, and what stands before each target there: all of the URL for a proxy.

        Raises:
            requests.RequestException: The URL, or the proxy's, cannot be used.
            _NoCertificatesError: The file of certificates is not there.
        """
        verify = True if self._environment["verify"] is None else self._environment["verify"]
        proxies = dict(self._environment["proxies"])
        anything = requests.Request("GET", f"{self._base_url}/").prepare()
        adapter = cast("WatchedAdapter", self.session.get_adapter(self._base_url))
        pool = adapter.get_connection_with_tls_context(anything, verify, proxies)
        try:
            adapter.cert_verify(pool, anything.url, verify, None)  # type: ignore[no-untyped-call]
        except OSError:
            raise _NoCertificatesError from None
        return cast("HTTPConnectionPool", pool), adapter.request_url(anything, proxies).removesuffix("/")

    def close(self) -> None:
        """Close the kept connection."""
        if "_way" in self.__dict__:
            self._way[0].close()
        self.session.close()


def _body(response: BaseHTTPResponse) -> bytes:
    """Read an answer's body to its end, or as much of it as anybody needs.

    Raises:
        Exception: It broke off before its end: only a read at the end tells.
    """
    body = b""
    while len(body) < MAX_ANSWER_BYTES:
        more = response.read(MAX_ANSWER_BYTES - len(body))
        body += more
        if not more or response.length_remaining == 0:
            break
    return body


def _may_be_cut(response: BaseHTTPResponse) -> bool:
    """Tell an answer without a body whose headers do not say so: `http.client` takes cut headers for whole ones."""
    says = "Content-Length" in response.headers or "Transfer-Encoding" in response.headers
    return response.status == HTTPStatus.OK and not says


def _no_answer(error: Exception) -> Outcome:
    """Name the cause from types and error numbers: the texts of urllib3's errors hold the URL, and so the key."""
    if isinstance(error, _UNUSABLE):
        return Outcome(cause="the address or the proxy's address cannot be used", hopeless=True)
    if isinstance(error, _NoCertificatesError):
        cause = "the certificates that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names are not there"
        return Outcome(cause=cause, hopeless=True)
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            return Outcome(cause=f"its certificate is not trusted ({link.verify_message})", hopeless=True)
        if isinstance(link, ssl.SSLError) and link.reason in _NOT_TLS:
            return Outcome(cause="it does not speak TLS; is its address one of http://?", hopeless=True)
        proxy = _PROXY_ANSWER.search(str(link))
        if proxy:
            return Outcome(cause=f"the proxy answered {proxy[1]}", hopeless=proxy_refuses(int(proxy[1])))
    return Outcome(cause=_cause(chain))


def _cause(chain: list[BaseException]) -> str:
    for link in reversed(chain):
        if isinstance(link, (LateError, TimeoutError)):
            return TOO_LATE
        if isinstance(link, socket.gaierror):
            return "its name cannot be resolved"
        if isinstance(link, ssl.SSLError):
            return f"the TLS connection failed ({link.reason or type(link).__name__})"
        if isinstance(link, OSError) and link.errno is not None:
            return f"connection failed ({os.strerror(link.errno)})"
    return f"connection failed ({type(chain[-1]).__name__})"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give an error and what it was raised from, through the `args` and `reason` that urllib3 packs causes into."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        link = waiting.pop(0)
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
