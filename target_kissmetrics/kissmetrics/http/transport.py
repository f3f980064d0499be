"""One attempt of one request, and what came of it.

A transport makes exactly one attempt and never raises: what happened is a value. It does not retry, log or follow
redirects (they would carry the API key to another host), and its outcomes name causes without URLs, since an HTTP
library's own error texts hold the URL and so the key.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from target_kissmetrics.kissmetrics.wire import Request

CONNECT_TIMEOUT_SECONDS = 10.0
"""For setting up a connection, unless a transport is told otherwise."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt: an answer, or the cause why there was none.

    Attributes:
        status: The answer's HTTP status; None when no answer came.
        cause: Why no answer came, in words without a URL.
        html: The answer was an HTML page, where Kissmetrics answers with a GIF.
        retry_after: The answer's `Retry-After` header as it came.
        hopeless: No answer came and none will: the certificate is not trusted, say.
    """

    status: int | None = None
    cause: str | None = None
    html: bool = False
    retry_after: str | None = None
    hopeless: bool = False


class Transport(Protocol):
    """Makes attempts over connections of its own. Used by one thread at a time."""

    def attempt(self, request: Request) -> Outcome:
        """Send the request once and tell what came of it. Never raises."""

    def close(self) -> None:
        """Close the kept connections."""


class ManyAttempts(Protocol):
    """Makes many attempts at once, over connections of its own. Used by one thread, but for `wake`."""

    def start(self, request: Request, mark: Hashable) -> None:
        """Begin to send the request once. Never raises for what the network does.

        Args:
            request: What to send.
            mark: Comes back with its outcome; no two attempts under way have the same.
        """

    def wait(self, seconds: float) -> Sequence[tuple[Hashable, Outcome]]:
        """Give what came of attempts since the last time; wait for something, so many seconds at most, if nothing did.

        Other threads run meanwhile.
        """

    def wake(self) -> None:
        """Let a `wait` return at once. From any thread."""

    def close(self) -> None:
        """Close the kept connections; attempts under way are abandoned."""


def is_html(content_type: str, start: bytes) -> bool:
    """Tell an HTML page by its type or its first bytes."""
    if content_type.partition(";")[0].strip().lower() in {"text/html", "application/xhtml+xml"}:
        return True
    return start.lstrip()[:1] == b"<"


def proxy_refuses(status: int) -> bool:
    """Tell an answer of a proxy that no retry mends, `407 Proxy Authentication Required` say."""
    return 400 <= status < 500 and status not in {408, 429}
