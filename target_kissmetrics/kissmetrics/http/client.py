"""Which HTTP client sends the requests, over how many connections, and whether a host can be the tracking API."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import suppress
from typing import Literal
from urllib.parse import urlsplit

from target_kissmetrics.kissmetrics.http.transport import HTML_PAGE, Host, Outcome, Transport
from target_kissmetrics.kissmetrics.wire import Request

Library = Literal["requests", "curl"]

OTHER_FILES = 32
"""Files that a run has open beside its connections, each of which may need a second one while it is set up."""

PROBE_PATH = "/target-kissmetrics-check"
"""No call's path."""

_OWN_DOMAINS = (".kissmetrics.io", ".kissmetrics.com")


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


def probe(transport: Transport, url: str) -> str | None:
    """Return what is wrong with a tracking URL (without a slash at its end), and what to do about it; else None.

    Asks for a path that is no call, so nothing is recorded. What Kissmetrics answers to it is not documented, so its
    own hosts, identified by name and certificate, may answer anything. Elsewhere (a proxy of one's own, the sandbox) an
    answer that would end a run is a problem.
    """
    parts = urlsplit(url)
    transport.start(Request("GET", f"{parts.path}{PROBE_PATH}", None), "probe")
    while not (outcomes := transport.wait(1.0)):
        continue
    ((_, outcome),) = outcomes
    is_own = parts.scheme == "https" and f".{parts.hostname}".endswith(_OWN_DOMAINS)
    if outcome.status is None:
        return f"cannot be reached: {outcome.cause or 'no answer'}; {_what_to_check(outcome, parts.scheme)}"
    return None if is_own else _problem(outcome.status, outcome.body, parts.scheme)


def _what_to_check(outcome: Outcome, scheme: str) -> str:
    if outcome.permanent:
        return "check its address, the certificate and any proxy in between (HTTPS_PROXY, REQUESTS_CA_BUNDLE)"
    tls = ", and whether it wants https://" if scheme == "http" else ""
    return f"check its address{tls}, the network, and any proxy in between (HTTPS_PROXY, NO_PROXY)"


def _problem(status: int, body: str | None, scheme: str) -> str | None:
    if status in {502, 503, 504}:
        return f"answers {status}: its backend does not answer; check what it forwards requests to, or try again later"
    if status in {401, 407, 511}:
        return f"answers {status}: it, or a proxy in between, wants a login; log in there, or check its address"
    if 300 <= status < 400 and status != 304:
        return f"answers {status}, a redirect, which is not followed; check its address, and any proxy in between"
    if status < 300 and body == HTML_PAGE:
        return f"answers {status} with an HTML page, so it is a web site or a login page; check its address, or a proxy"
    if status == 400 and scheme == "http":
        return "answers 400 to a plain request; write its address with https:// if it wants TLS"
    return None
