"""Which way calls take to Kissmetrics: what the settings ask for, put together."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from target_kissmetrics.config.settings import Settings
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.http.dispatcher import CallMonitor, Dispatcher
from target_kissmetrics.kissmetrics.http.pacing import Pacing
from target_kissmetrics.kissmetrics.http.probe import probe
from target_kissmetrics.kissmetrics.http.retry import RetryPolicy
from target_kissmetrics.kissmetrics.import_files import check_writable, describe_write_error
from target_kissmetrics.kissmetrics.wire import Encoder
from target_kissmetrics.store.waiting import WaitingStore
from target_kissmetrics.sync.import_run import FilesRun

if TYPE_CHECKING:
    from target_kissmetrics.kissmetrics.http.transport import Transport

SWITCH_SECONDS = 0.001
"""How long a thread that computes keeps libcurl's loop waiting whenever that has an answer in hand; Python's own 0.005
would nearly double a round trip of 50 ms while rows are read."""


def build_dispatcher(
    settings: Settings,
    version: str,
    failed: Callable[[BaseException], None],
    warn: Callable[[str], None],
    monitor: CallMonitor,
) -> Dispatcher:
    """Build the delivery through the tracking API.

    Args:
        settings: Of the run.
        version: This target's, for the `User-Agent` header.
        failed: Called with the reason when the delivery stops.
        warn: Logs a line.
        monitor: Observes calls.
    """
    build_transport = build_curl_transport if uses_curl(settings) else build_requests_transport
    return Dispatcher(
        encoder=Encoder(settings.api_key, settings.http_method, urlsplit(settings.tracking_url).path),
        transport=lambda: build_transport(settings, version),
        policy=RetryPolicy(settings.retry_timeout_seconds),
        pacing=Pacing(settings.max_requests_per_second),
        connections=settings.max_connections,
        host=settings.tracking_url,
        failed=failed,
        warn=warn,
        monitor=monitor,
    )


def build_import_files(settings: Settings, store: WaitingStore, emit: Callable[[Any], None]) -> FilesRun:
    """Build the delivery into import files.

    Args:
        settings: Of the run.
        store: Keeps what the calls teach it until their file is complete.
        emit: Writes a STATE message's value.

    Raises:
        ConfigError: The library for this kind of `files_url` is not installed.
    """
    try:
        return FilesRun(
            store=store,
            url=settings.files_url,
            base=settings.files_base_name,
            max_rows=settings.files_max_rows,
            pass_on=emit,
        )
    except (ImportError, ValueError) as error:
        raise _unusable_folder(settings, error) from None


def check_import_folder(settings: Settings) -> None:
    """Check that import files can be written; write nothing.

    Raises:
        ConfigError: They cannot.
    """
    try:
        check_writable(settings.files_url)
    except (ImportError, ValueError) as error:
        raise _unusable_folder(settings, error) from None
    except Exception as error:  # noqa: BLE001 - whatever the library behind an fsspec URL raises
        raise ConfigError("files_url", describe_write_error(settings.files_url, error)) from None


def _unusable_folder(settings: Settings, error: Exception) -> ConfigError:
    return ConfigError(
        "files_url", f"{settings.files_url} cannot be used: {error}; install what it needs, or name another"
    )


def check_tracking_host(settings: Settings, version: str) -> None:
    """Check that the tracking host can be reached and can be the tracking API; send no call.

    Raises:
        ConfigError: It cannot.
    """
    with closing(build_requests_transport(settings, version)) as transport:
        problem = probe(transport, settings.tracking_url)
    if problem:
        raise ConfigError("tracking_url", f"{settings.tracking_url} {problem}")


def uses_curl(settings: Settings) -> bool:
    """Tell whether libcurl sends the requests: because the settings say so, or because it is installed."""
    if settings.http_client == "auto":
        return importlib.util.find_spec("pycurl") is not None
    return settings.http_client == "curl"


def build_requests_transport(settings: Settings, version: str) -> Transport:
    """Build the `requests` client."""
    from target_kissmetrics.kissmetrics.http.requests_transport import RequestsTransport  # noqa: PLC0415 - slow to load

    return RequestsTransport(*_transport_settings(settings, version))


def build_curl_transport(settings: Settings, version: str) -> Transport:
    """Build the `curl` client."""
    from target_kissmetrics.kissmetrics.http.curl_transport import CurlTransport  # noqa: PLC0415 - an extra

    sys.setswitchinterval(SWITCH_SECONDS)
    return CurlTransport(*_transport_settings(settings, version))


def _transport_settings(settings: Settings, version: str) -> tuple[str, float, float, str, int]:
    """The arguments of both transports."""
    parts = urlsplit(settings.tracking_url)
    return (
        f"{parts.scheme}://{parts.netloc}",
        settings.request_timeout_seconds,
        settings.connect_timeout_seconds,
        f"target-kissmetrics/{version}",
        settings.max_connections,
    )
