"""Which way calls take to Kissmetrics: what the settings ask for, put together."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from target_kissmetrics.kissmetrics.delivery import ApiDelivery
from target_kissmetrics.kissmetrics.loop_delivery import LoopDelivery
from target_kissmetrics.kissmetrics.pacing import Pacing
from target_kissmetrics.kissmetrics.requests_transport import RequestsTransport
from target_kissmetrics.kissmetrics.retry import RetryPolicy
from target_kissmetrics.kissmetrics.wire import Encoder
from target_kissmetrics.settings import Settings

if TYPE_CHECKING:
    from target_kissmetrics.kissmetrics.curl_transport import CurlTransport

Told = Callable[[str], None]
Failed = Callable[[BaseException], None]


def api_delivery(settings: Settings, version: str, failed: Failed, told: Told) -> ApiDelivery | LoopDelivery:
    """Make the delivery through the tracking API.

    Args:
        settings: Of the run.
        version: This target's, for the `User-Agent` header.
        failed: Called with why the delivery stopped.
        told: Takes a line for a person.
    """
    encoder = Encoder(settings.api_key, settings.http_method, urlsplit(settings.tracking_url).path)
    policy = RetryPolicy(settings.retry_timeout_seconds)
    pacing = Pacing(settings.max_requests_per_second)
    if takes_curl(settings):
        return LoopDelivery(
            encoder=encoder,
            transport=lambda: curl_transport(settings, version),
            policy=policy,
            pacing=pacing,
            connections=settings.max_connections,
            host=settings.tracking_url,
            failed=failed,
            told=told,
        )
    return ApiDelivery(
        encoder=encoder,
        transport=lambda: requests_transport(settings, version),
        policy=policy,
        pacing=pacing,
        connections=settings.max_connections,
        host=settings.tracking_url,
        failed=failed,
        told=told,
    )


def takes_curl(settings: Settings) -> bool:
    """Tell whether libcurl sends the requests: as asked for, or because it is there."""
    if settings.http_client == "auto":
        return importlib.util.find_spec("pycurl") is not None
    return settings.http_client == "curl"


def requests_transport(settings: Settings, version: str) -> RequestsTransport:
    """Make what sends one request at a time."""
    return RequestsTransport(
        _base_url(settings),
        settings.request_timeout_seconds,
        _user_agent(version),
        connect_timeout=settings.connect_timeout_seconds,
    )


def curl_transport(settings: Settings, version: str) -> CurlTransport:
    """Make what sends many requests at once."""
    from target_kissmetrics.kissmetrics.curl_transport import CurlTransport  # noqa: PLC0415 - an extra

    return CurlTransport(
        _base_url(settings),
        settings.request_timeout_seconds,
        _user_agent(version),
        settings.max_connections,
        connect_timeout=settings.connect_timeout_seconds,
    )


def _base_url(settings: Settings) -> str:
    parts = urlsplit(settings.tracking_url)
    return f"{parts.scheme}://{parts.netloc}"


def _user_agent(version: str) -> str:
    return f"target-kissmetrics/{version}"
