"""Which HTTP client sends the requests."""

from __future__ import annotations

import importlib.util
from typing import Literal

from target_kissmetrics.kissmetrics.http.transport import Host, Transport

Library = Literal["requests", "curl"]


def choose_library(setting: Literal["auto", "requests", "curl"]) -> Library:
    """Return the library of `http_client`; `auto` is curl if it is installed."""
    if setting == "auto":
        return "requests" if importlib.util.find_spec("pycurl") is None else "curl"
    return setting


def build_transport(library: Library, host: Host) -> Transport:
    """Build the transport of a library. HTTP libraries are imported here, because they are slow to load."""
    if library == "curl":
        from target_kissmetrics.kissmetrics.http.curl_transport import CurlTransport  # noqa: PLC0415

        return CurlTransport(host)
    from target_kissmetrics.kissmetrics.http.requests_transport import RequestsTransport  # noqa: PLC0415

    return RequestsTransport(host)
