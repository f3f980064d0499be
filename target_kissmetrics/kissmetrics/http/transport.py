"""The protocol of the two HTTP clients: one attempt of one request, and what came of it.

A transport makes one attempt for each `start` and never raises for what the network does.
It does not follow redirects, which would carry the API key to another host. Outcomes name causes without URLs, because
the error texts of HTTP libraries hold the URL and so the key.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from target_kissmetrics.kissmetrics.wire import Request

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
    cause="the certificates that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names cannot be read", permanent=True
)

_IMAGES = (b"GIF8", b"\x89PNG", b"\xff\xd8\xff")


class Transport(Protocol):
    """Makes many attempts at once, over connections of its own. For one thread, except for `wake`."""

    def start(self, request: Request, mark: Hashable) -> None:
        """Start one attempt; the mark identifies it in `wait` and is unique among the attempts in flight."""

    def wait(self, seconds: float) -> Sequence[tuple[Hashable, Outcome]]:
        """Return the outcomes since the last call; without any, wait up to so many seconds for the first one.

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
