"""Checks whether a host can be the tracking API, by a request for a path that is no call: nothing is recorded.

What Kissmetrics answers to such a path is not documented, so its own hosts, identified by name and certificate, may
answer anything. Elsewhere (a proxy of one's own, the sandbox) an answer that would end a run is a problem.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from target_kissmetrics.kissmetrics.http.transport import HTML_PAGE, Outcome, Transport
from target_kissmetrics.kissmetrics.wire import Request

PATH = "/target-kissmetrics-check"
"""No call's path."""

_OWN_DOMAINS = ("kissmetrics.io", "kissmetrics.com")
_GATEWAY = frozenset({502, 503, 504})
_LOGIN = frozenset({401, 407, 511})


def probe(transport: Transport, url: str) -> str | None:
    """Return what is wrong with a tracking URL (without a slash at its end), and what to do about it; else None."""
    parts = urlsplit(url)
    transport.start(Request("GET", f"{parts.path}{PATH}", None), "probe")
    while not (outcomes := transport.wait(1.0)):
        continue
    ((_, outcome),) = outcomes
    if outcome.status is None:
        return f"cannot be reached: {outcome.cause or 'no answer'}; {_what_to_check(outcome, parts.scheme)}"
    is_own = any(f".{parts.hostname}".endswith(f".{domain}") for domain in _OWN_DOMAINS)
    return None if is_own and parts.scheme == "https" else _problem(outcome, outcome.status, parts.scheme)


def _what_to_check(outcome: Outcome, scheme: str) -> str:
    if outcome.permanent:
        return "check its address, the certificate and any proxy in between (HTTPS_PROXY, REQUESTS_CA_BUNDLE)"
    tls = ", and whether it wants https://" if scheme == "http" else ""
    return f"check its address{tls}, the network, and any proxy in between (HTTPS_PROXY, NO_PROXY)"


def _problem(outcome: Outcome, status: int, scheme: str) -> str | None:
    if status in _GATEWAY:
        return f"answers {status}: its backend does not answer; check what it forwards requests to, or try again later"
    if status in _LOGIN:
        return f"answers {status}: it, or a proxy in between, wants a login; log in there, or check its address"
    if 300 <= status < 400 and status != 304:
        return f"answers {status}, a redirect, which is not followed; check its address, and any proxy in between"
    if outcome.body == HTML_PAGE and status < 300:
        return (
            f"answers {status} with an HTML page, so it is a web site or a login page, not a tracking API; "
            "check its address, and any proxy in between"
        )
    if status == 400 and scheme == "http":
        return "answers 400 to a plain request; write its address with https:// if it wants TLS"
    return None
