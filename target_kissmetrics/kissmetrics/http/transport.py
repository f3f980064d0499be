"""The two HTTP clients: their protocol, which of them is used, and whether a host can be the tracking API.

A transport makes one attempt for each `start` and never raises for what the network does.
It does not follow redirects, which would carry the API key to another host. Outcomes name causes without URLs, because
the error texts of HTTP libraries hold the URL and so the key.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import urlsplit

import certifi

from target_kissmetrics.kissmetrics.wire import Request

Library = Literal["requests", "curl"]

OTHER_FILES = 32
"""Files that a run has open beside its connections, each of which may need a second one while it is set up."""

PROBE_PATH = "/target-kissmetrics-check"
"""No call's path."""

_OWN_DOMAINS = (".kissmetrics.io", ".kissmetrics.com")

MAX_ANSWER_BYTES = 65536
"""No more of an answer is read; Kissmetrics' GIF has 43 bytes."""


@dataclass(frozen=True, slots=True)
class Host:
    """How a transport reaches the tracking API at `url` (scheme and host); `timeout` is that of one whole attempt."""

    url: str
    timeout: float
    connect_timeout: float
    user_agent: str
    connections: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt.

    Attributes:
        status: The answer's HTTP status; None without an answer.
        cause: Why no answer came, in words without a URL.
        body: What the answer's body is, such as `an HTML page`; None for an image or an empty body.
        retry_after: The answer's `Retry-After` header as received.
        permanent: No answer came and no retry will get one: the certificate is not trusted, say.
    """

    status: int | None = None
    cause: str | None = None
    body: str | None = None
    retry_after: str | None = None
    permanent: bool = False


HTML_PAGE = "an HTML page"

TIMED_OUT = Outcome(cause="no answer in time")
NOT_TLS = Outcome(cause="it does not speak TLS; is its address one of http://?", permanent=True)
UNUSABLE_ADDRESS = Outcome(cause="the address or the proxy's address cannot be used", permanent=True)
NO_CERTIFICATES = Outcome(
    cause="the certificates that REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE names cannot be read",
    permanent=True,
)


def certificates() -> str:
    """Return the file or folder of the certificates to trust: the first that the environment names, or certifi's."""
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    return next(filter(None, map(os.environ.get, names)), certifi.where())


_IMAGES = (b"GIF8", b"\x89PNG", b"\xff\xd8\xff")


class Transport(Protocol):
    """Makes many attempts at once, over connections of its own. For one thread, except for `wake`."""

    def start(self, request: Request, mark: Hashable) -> None:
        """Start one attempt; the mark identifies it in `wait` and is unique among the attempts in flight."""

    def wait(self, seconds: float) -> Sequence[tuple[Hashable, Outcome]]:
        """Return the outcomes since the last call; without any, wait up to `seconds` for the first one.

        Each attempt has one outcome, no later than the request timeout.
        """

    def wake(self) -> None:
        """Make `wait` return at once. Callable from any thread."""

    def close(self) -> None:
        """Close all connections; attempts in flight are abandoned."""


def proxy_answered(status: int) -> Outcome:
    """Return the outcome of a proxy that opens no tunnel; no retry fixes `407 Proxy Authentication Required`, say."""
    return Outcome(cause=f"the proxy answered {status}", permanent=400 <= status < 500 and status not in {408, 429})


def unexpected_body(content_type: str, start: bytes) -> str | None:
    """Return what the body of an answer is, by its first bytes and its type; None for an image or an empty body."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    media_type = content_type.partition(";")[0].strip().lower()
    if not text or start.startswith(_IMAGES):
        return None
    if text.startswith(b"<") or "html" in media_type:
        return HTML_PAGE
    if text.startswith((b"{", b"[")) or media_type.endswith("json"):
        return "JSON"
    return None if media_type.startswith("image/") else "text"


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
