"""One attempt at a time with the `requests` library, over one kept connection.

`requests` decides how the host is reached (proxy, certificates), once. A request then goes straight to urllib3's pool:
`Session.get` would follow redirects, and spend three times the CPU on headers and cookies that no call needs.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
from functools import cached_property
from http import HTTPStatus
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidHeader, InvalidProxyURL, InvalidSchema, InvalidURL, MissingSchema
from urllib3 import HTTPConnectionPool, Timeout
from urllib3.exceptions import LocationValueError
from urllib3.exceptions import TimeoutError as Urllib3TimeoutError
from urllib3.response import BaseHTTPResponse

from target_kissmetrics.kissmetrics.http.transport import (
    MAX_ANSWER_BYTES,
    NOT_TLS,
    TIMED_OUT,
    UNUSABLE_ADDRESS,
    Host,
    Outcome,
    proxy_answered,
    unexpected_body,
)
from target_kissmetrics.kissmetrics.wire import Request

_NOT_TLS_REASONS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"})
"""OpenSSL's reasons for an answer that is not TLS."""

_UNUSABLE = (InvalidURL, InvalidSchema, MissingSchema, InvalidProxyURL, InvalidHeader, LocationValueError)

_NO_CERTIFICATES = Outcome(
    cause="the certificates that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names do not exist", permanent=True
)

_PROXY_ANSWER = re.compile(r"Tunnel connection failed: (\d{3})")
"""From `http.client`, when a proxy opened no tunnel."""


class RequestsConnection:
    """Makes attempts over one kept connection. For one thread, except for `interrupt`.

    Proxies and the CA bundle come from the environment (`HTTPS_PROXY`, `NO_PROXY`, `REQUESTS_CA_BUNDLE`), read once.
    """

    def __init__(self, host: Host) -> None:
        self._base_url = host.url
        self._timeout = Timeout(connect=min(host.connect_timeout, host.timeout), read=host.timeout)
        self._headers = {"User-Agent": host.user_agent, "Accept": "image/gif, */*", "Connection": "keep-alive"}
        self._form_headers = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        self._latest: Any = None

    def attempt(self, request: Request) -> Outcome:
        """Send the request once. Never raises."""
        try:
            return self._attempt(request)
        except Exception as error:  # noqa: BLE001 - whatever a library raises becomes a value: its text holds the key
            return no_answer(error)

    def interrupt(self) -> None:
        """Shut the socket of an attempt that takes too long. From any thread.

        During a TLS handshake there is no socket to shut; the handshake itself ends after the connect timeout.
        """
        sock = getattr(self._latest, "sock", None)
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the kept connection."""
        if "_pool" in self.__dict__:
            self._pool[0].close()

    def _attempt(self, request: Request) -> Outcome:
        pool, prefix = self._pool
        with pool.urlopen(
            request.method,
            f"{prefix}{request.target}",
            request.body,
            self._headers if request.body is None else self._form_headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=self._timeout,
            preload_content=False,
            decode_content=False,
        ) as response:
            body = _body(response)
            has_length = "Content-Length" in response.headers or "Transfer-Encoding" in response.headers
            if not body and response.status == HTTPStatus.OK and not has_length:
                return Outcome(cause="the answer broke off")  # `http.client` accepts headers that broke off
            return Outcome(
                status=response.status,
                body=unexpected_body(response.headers.get("Content-Type", ""), body),
                retry_after=response.headers.get("Retry-After"),
            )

    @cached_property
    def _pool(self) -> tuple[HTTPConnectionPool, str]:
        """The pool of connections to the host, and the prefix of each target there: the whole URL for a proxy."""
        environment = requests.Session().merge_environment_settings(self._base_url, {}, None, None, None)
        verify = True if environment["verify"] is None else environment["verify"]
        proxies = dict(environment["proxies"])
        any_request = requests.Request("GET", f"{self._base_url}/").prepare()
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
        pool: Any = adapter.get_connection_with_tls_context(any_request, verify, proxies)
        adapter.cert_verify(pool, any_request.url, verify, None)  # type: ignore[no-untyped-call]
        make_connection = pool.ConnectionCls

        def make_and_remember(*arguments: Any, **named: Any) -> Any:
            self._latest = make_connection(*arguments, **named)
            return self._latest

        pool.ConnectionCls = make_and_remember
        return pool, adapter.request_url(any_request, proxies).removesuffix("/")


def _body(response: BaseHTTPResponse) -> bytes:
    """Read an answer's body, or as much of it as is needed. Raises whatever urllib3 raises if it broke off."""
    body = response.read(MAX_ANSWER_BYTES)
    if response.length_remaining != 0 and len(body) < MAX_ANSWER_BYTES:
        response.read(1)  # only a read at the end raises
    return body


def no_answer(error: Exception) -> Outcome:
    """Name the cause from types and error numbers: the texts of urllib3's errors hold the URL, and so the key."""
    if isinstance(error, _UNUSABLE):
        return UNUSABLE_ADDRESS
    if type(error) is OSError:  # from `cert_verify`
        return _NO_CERTIFICATES
    cause = f"connection failed ({type(error).__name__})"
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ssl.SSLCertVerificationError):
            return Outcome(cause=f"its certificate is not trusted ({link.verify_message})", permanent=True)
        if isinstance(link, ssl.SSLError) and link.reason in _NOT_TLS_REASONS:
            return NOT_TLS
        if proxy := _PROXY_ANSWER.search(str(link)):
            return proxy_answered(int(proxy[1]))
        cause = _cause(link) or cause
        link = link.__context__
    return Outcome(cause=cause)


def _cause(error: BaseException) -> str | None:
    if isinstance(error, (Urllib3TimeoutError, TimeoutError)):
        return TIMED_OUT.cause
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, ssl.SSLError):
        return f"the TLS connection failed ({error.reason or type(error).__name__})"
    if isinstance(error, OSError) and error.errno is not None:
        return f"connection failed ({os.strerror(error.errno)})"
    return None
