"""Which HTTP client sends the requests."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from target_kissmetrics.kissmetrics.http.transport import Host, Transport

Library = Literal["requests", "curl"]

OTHER_FILES = 32
"""Files that a run has open beside its connections, each of which may need a second one while it is set up."""


def choose_library(setting: Literal["auto", "requests", "curl"]) -> Library:
    """Return the library of `http_client`; `auto` is curl if it is installed."""
    if setting == "auto":
        return "requests" if importlib.util.find_spec("pycurl") is None else "curl"
    return setting


def affordable(connections: int, warn: Callable[[str], None]) -> int:
    """Return how many connections the process's limit of open files allows; warn if they are fewer."""
    with suppress(ImportError):  # Windows
        import resource  # noqa: PLC0415

        limit, needed = resource.getrlimit(resource.RLIMIT_NOFILE)[0], OTHER_FILES + 2 * connections
        if 0 < limit < needed:
            fewer = max(1, (limit - OTHER_FILES) // 2)
            warn(f"max_connections: {fewer}, as {limit} files may be open; set ulimit -n {needed} for {connections}")
            return fewer
    return connections


def build_transport(library: Library, host: Host) -> Transport:
    """Build the transport of a library. HTTP libraries are imported here, because they are slow to load."""
    if library == "curl":
        from target_kissmetrics.kissmetrics.http.curl_transport import CurlTransport  # noqa: PLC0415

        return CurlTransport(host)
    from target_kissmetrics.kissmetrics.http.requests_transport import RequestsTransport  # noqa: PLC0415

    return RequestsTransport(host)
