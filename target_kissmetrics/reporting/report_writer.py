"""Writes the report of a run when it ends, however it ends."""

from __future__ import annotations

import logging
import signal
from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from typing import Any, Literal

from target_kissmetrics.config.settings import SCHEMA, Settings
from target_kissmetrics.errors import redact_key
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.report_file import report_paths, write_whole
from target_kissmetrics.reporting.report_page import as_page
from target_kissmetrics.reporting.run_recorder import RunRecorder
from target_kissmetrics.reporting.run_report import About, Ending, as_json, make_report
from target_kissmetrics.reporting.told_settings import told_settings
from target_kissmetrics.runtime import takes_curl

_OWN = ("target_kissmetrics.",)


class ReportWriter:
    """Holds what is collected for the report, and writes it.

    Args:
        settings: Of the run; `report_path` is set.
        config: As it came.
        version: This target's.
        sdk_version: The Meltano SDK's.
        tell: The log.

    Attributes:
        recorder: What collects.
    """

    def __init__(
        self, *, settings: Settings, config: Mapping[str, Any], version: str, sdk_version: str, tell: logging.Logger
    ) -> None:
        assert settings.report_path is not None  # noqa: S101 - what this class is for
        self.recorder = RunRecorder()
        self._page, self._data = report_paths(settings.report_path)
        self._names = settings.report_names
        self._key = settings.api_key
        self._tell = tell
        self._about = About(
            version=version,
            sdk=sdk_version,
            delivery=_delivery(settings),
            client=_client(settings),
            settings=told_settings(config, SCHEMA["properties"]),
        )

    def write(
        self, streams: Collection[StreamCounts], retries: int, error: BaseException | None, stopped_by: int | None
    ) -> None:
        """Write the report. What cannot be written is told: it is no reason for a run to fail that did its work.

        Args:
            streams: The counts of all streams.
            retries: Attempts that were made again.
            error: What ends the run, if it is an error.
            stopped_by: The signal that ends the run, if one does.
        """
        report = make_report(
            recorder=self.recorder,
            streams=streams,
            about=self._about,
            ending=self._ending(error, stopped_by),
            retries=retries,
            names=self._names,
            now=datetime.now(tz=timezone.utc),
        )
        try:
            write_whole(self._data, as_json(report))
            if self._page is not None:
                write_whole(self._page, as_page(report))
        except OSError as problem:
            why = problem.strerror or type(problem).__name__
            self._tell.warning("report_path: the report cannot be written: %s; all else is as it would be", why)
            return
        self._tell.info("the report of this run is %s", self._page or self._data)

    def _ending(self, error: BaseException | None, stopped_by: int | None) -> Ending:
        if isinstance(error, Exception):
            return Ending("failed", redact_key(_reason(error), self._key))
        if stopped_by is not None:
            return Ending("stopped", f"stopped by {signal.Signals(stopped_by).name}")
        return Ending("stopped", "stopped before its end") if error is not None else Ending("complete")


def _reason(error: Exception) -> str:
    """Write why a run failed; what others than this target say of it may hold anything."""
    if not type(error).__module__.startswith(_OWN):
        return f"{type(error).__name__}; the log says more"
    return " ".join(str(getattr(error, "without_data", error)).split())


def _delivery(settings: Settings) -> Literal["api", "files", "dry run"]:
    return "dry run" if settings.dry_run else settings.delivery


def _client(settings: Settings) -> str | None:
    if settings.dry_run or settings.delivery == "files":
        return None
    return "curl" if takes_curl(settings) else "requests"
