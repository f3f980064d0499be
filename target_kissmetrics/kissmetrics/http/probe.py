"""Asks a host for a path that is no call, and tells whether it can be the tracking API: nothing is sent or kept.

What Kissmetrics answers to a path of no call is not documented, so its own hosts, known by their name and their
certificate, may answer anything. Elsewhere (a proxy of one's own, the sandbox) an answer that would end a run is told:
a web site's or a login's page, a redirect, a gateway without anything behind it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from target_kissmetrics.kissmetrics.http.transport import Outcome, Transport
from target_kissmetrics.kissmetrics.wire import Request

PATH = "/target-kissmetrics-check"
"""No call's path."""

_OWN_DOMAINS = ("kissmetrics.io", "kissmetrics.com")
_GATEWAY = frozenset({502, 503, 504})
_LOGIN = frozenset({401, 407, 511})


def probe(transport: Transport, url: str) -> str | None:
    """Tell what is wrong with a tracking URL and what to do about it; None when nothing is.

    Args:
        transport: Sends to the URL's host.
        url: The tracking URL, without a slash at its end.
    """
    parts = urlsplit(url)
    outcome = transport.attempt(Request("GET", f"{parts.path}{PATH}", None))
    if outcome.status is None:
        return f"cannot be reached: {outcome.cause or 'no answer'}; {_way_out(outcome, parts.scheme)}"
    if parts.scheme == "https" and _is_own(parts.hostname or ""):
        return None
    return _judged(outcome, outcome.status, parts.scheme)


def _is_own(host: str) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in _OWN_DOMAINS)


def _way_out(outcome: Outcome, scheme: str) -> str:
    if outcome.hopeless:
        return "check its address, the certificate and any proxy in between (HTTPS_PROXY, REQUESTS_CA_BUNDLE)"
    other = ", and whether it wants https://" if scheme == "http" else ""
    return f"check its address{other}, the network, and any proxy in between (HTTPS_PROXY, NO_PROXY)"


def _judged(outcome: Outcome, status: int, scheme: str) -> str | None:
    if status in _GATEWAY:
        return f"answers {status}: nothing stands behind it now; check what it passes requests to, or try again later"
    if status in _LOGIN:
        return f"answers {status}: it, or a proxy in between, wants a login; log in there, or check its address"
    if 300 <= status < 400 and status != 304:
        return f"answers {status}, a redirect, which is not followed; check its address, and any proxy in between"
    if outcome.html and status < 300:
        return (
            f"answers {status} with an HTML page, so it is a web site, or a login in between, and no tracking API; "
            "check its address, and any proxy in between"
        )
    if status == 400 and scheme == "http":
        return "answers 400 to a plain request; write its address with https:// if it wants TLS"
    return None
