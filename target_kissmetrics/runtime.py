"""Which way calls take to Kissmetrics: what the settings ask for, put together."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from target_kissmetrics.config.settings import Settings
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.http.delivery import ApiDelivery
from target_kissmetrics.kissmetrics.http.loop_delivery import LoopDelivery
from target_kissmetrics.kissmetrics.http.observer import Observer
from target_kissmetrics.kissmetrics.http.pacing import Pacing
from target_kissmetrics.kissmetrics.http.requests_transport import RequestsTransport
from target_kissmetrics.kissmetrics.http.retry import RetryPolicy
from target_kissmetrics.kissmetrics.import_files import Folder, cannot_write, folder_of
from target_kissmetrics.kissmetrics.wire import Encoder
from target_kissmetrics.store.overlay import OverlayStore
from target_kissmetrics.sync.import_run import FilesRun

if TYPE_CHECKING:
    from target_kissmetrics.kissmetrics.http.curl_transport import CurlTransport

SWITCH_SECONDS = 0.001
"""How long a thread that computes keeps libcurl's loop waiting whenever that has an answer in hand; Python's own 0.005
would nearly double a round trip of 50 ms while rows are read."""

Told = Callable[[str], None]
Failed = Callable[[BaseException], None]


def api_delivery(
    settings: Settings, version: str, failed: Failed, told: Told, observer: Observer | None = None
) -> ApiDelivery | LoopDelivery:
    """Make the delivery through the tracking API.

    Args:
        settings: Of the run.
        version: This target's, for the `User-Agent` header.
        failed: Called with why the delivery stopped.
        told: Takes a line for a person.
        observer: Told of each call that was taken.
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
            observer=observer,
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
        observer=observer,
    )


def files_run(settings: Settings, store: OverlayStore, pass_on: Callable[[Any], None]) -> FilesRun:
    """Make the delivery into import files.

    Raises:
        ConfigError: Files cannot be written where `files_url` says.
    """
    return FilesRun(
        store=store,
        folder=_folder(settings),
        url=settings.files_url,
        base=settings.files_base_name,
        max_rows=settings.files_max_rows,
        emit=pass_on,
    )


def check_folder(settings: Settings) -> None:
    """Make sure that import files can be written.

    Raises:
        ConfigError: They cannot.
    """
    folder = _folder(settings)
    try:
        folder.check()
    except Exception as error:  # noqa: BLE001 - whatever the library behind an fsspec URL raises
        raise ConfigError(
            "files_url", str(cannot_write(settings.files_url, error)).removeprefix("files_url: ")
        ) from None


def _folder(settings: Settings) -> Folder:
    try:
        return folder_of(settings.files_url)
    except (ImportError, ValueError) as error:
        raise ConfigError(
            "files_url", f"{settings.files_url} cannot be used: {error}; install what it needs, or name another"
        ) from None


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
    """Make what sends many requests at once, in the thread that uses it."""
    sys.setswitchinterval(SWITCH_SECONDS)
    from target_kissmetrics.kissmetrics.http.curl_transport import CurlTransport  # noqa: PLC0415 - an extra

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
