"""Which HTTP client sends the requests, and how it reaches the tracking host."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from target_kissmetrics.kissmetrics.http.transport import Transport

SWITCH_SECONDS = 0.001
"""How long a thread that computes keeps libcurl's loop waiting whenever that has an answer in hand; Python's own 0.005
would nearly double a round trip of 50 ms while rows are read."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client for one tracking host.

    Attributes:
        url: The tracking URL, without a slash at its end.
        library: `requests` or `curl`; `auto` is curl if it is installed.
        timeout: Seconds for one request.
        connect_timeout: Seconds for setting up a connection, within `timeout`.
        user_agent: For the header `User-Agent`.
        connections: The most requests in flight at once.
    """

    url: str
    library: Literal["auto", "requests", "curl"]
    timeout: float
    connect_timeout: float
    user_agent: str
    connections: int

    @property
    def uses_curl(self) -> bool:
        """Whether libcurl sends the requests."""
        if self.library == "auto":
            return importlib.util.find_spec("pycurl") is not None
        return self.library == "curl"

    @property
    def path(self) -> str:
        """The path of the tracking URL."""
        return urlsplit(self.url).path

    def transport(self) -> Transport:
        """Build the transport, in the thread that uses it."""
        if not self.uses_curl:
            return self.requests_transport()
        from target_kissmetrics.kissmetrics.http.curl_transport import CurlTransport  # noqa: PLC0415 - an extra

        sys.setswitchinterval(SWITCH_SECONDS)
        return CurlTransport(*self._arguments())

    def requests_transport(self) -> Transport:
        """Build the transport of `requests`, whatever the library is."""
        from target_kissmetrics.kissmetrics.http.requests_transport import (  # noqa: PLC0415 - slow to load
            RequestsTransport,
        )

        return RequestsTransport(*self._arguments())

    def _arguments(self) -> tuple[str, float, float, str, int]:
        parts = urlsplit(self.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        return origin, self.timeout, self.connect_timeout, self.user_agent, self.connections
