"""A run: its parts are built from the settings here, in one place, and ended here.

What takes its time to load (HTTP libraries, SQLAlchemy) is imported when a part is built: `--version` starts fast.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from target_kissmetrics.config.paths import new_run_id
from target_kissmetrics.config.settings import Settings
from target_kissmetrics.config.stream_entries import entry_for
from target_kissmetrics.config.stream_names import NameWatch, of_entries
from target_kissmetrics.errors import ConfigError, TargetError
from target_kissmetrics.kissmetrics.http import transport
from target_kissmetrics.mapping.settings import StreamSettings
from target_kissmetrics.mapping.stream import Stream
from target_kissmetrics.reporting.counts import StreamCounts, by_code
from target_kissmetrics.reporting.dry_run import DryRunDelivery, LoggedRejects
from target_kissmetrics.reporting.monitor import Monitor, log_summary, make_monitor
from target_kissmetrics.reporting.reject_policy import RejectPolicy, RejectSink
from target_kissmetrics.reporting.rejects import STORE, Rejects
from target_kissmetrics.singer.state import write_state
from target_kissmetrics.singer.termination import SECOND_SIGNAL_SECONDS, Termination
from target_kissmetrics.store import add_rejects
from target_kissmetrics.store.update import StoredRun
from target_kissmetrics.sync.batch import BatchRow
from target_kissmetrics.sync.call_limit import CallLimit
from target_kissmetrics.sync.intake import StreamIntake
from target_kissmetrics.sync.run_record import ended

if TYPE_CHECKING:
    from target_kissmetrics.kissmetrics.calls import Delivery
    from target_kissmetrics.reporting.reject_policy import Parts
    from target_kissmetrics.reporting.report_writer import ReportWriter
    from target_kissmetrics.store.sql import SqlStore
    from target_kissmetrics.sync.files_delivery import FilesDelivery
    from target_kissmetrics.sync.pipeline import Pipeline


class Runtime:
    """The parts of a run: they are built here, in one place, and started with the first row or STATE.

    Args:
        settings: Of the run.
        logger: The log.
        version: This target's.
        run_id: The ID of the run; None for a new one.
        emit: Writes a STATE message's value for the tap's next run.
        interrupt: Called, from any thread, when the run cannot go on: the reading thread may wait for input.
        batch_rows: Rows that are planned together; None for the default.
        report: Writes the report of the run; None without one.
        replay: Takes the rejects of a replay, whose rows are everybody's and may be rejected as often as they like;
            None for a run.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        settings: Settings,
        *,
        logger: logging.Logger,
        version: str,
        run_id: str | None = None,
        emit: Callable[[Any], None] = write_state,
        interrupt: Callable[[], None] = lambda: None,
        batch_rows: int | None = None,
        report: ReportWriter | None = None,
        replay: RejectSink | None = None,
    ) -> None:
        self.settings = settings
        self.report = report
        self._logger = logger
        self._version = version
        self._emit = emit
        self._interrupt = interrupt
        self._batch_rows = batch_rows
        self._is_replay = replay is not None
        self._counts: dict[str, StreamCounts] = {}
        self._on_probation_warned: set[str] = set()
        self.entry_names = NameWatch(of_entries(settings.streams))
        # A run that sends nothing has no limit.
        self.limit = CallLimit(None if settings.remember_only else settings.max_calls)
        self._run = StoredRun(run_id or new_run_id(), int(time.time()))
        self._started = time.monotonic()
        self._pipeline: Pipeline | None = None
        self._store: SqlStore | None = None
        self._monitor: Monitor | None = None
        store = partial(add_rejects, settings.attribute_store_url, settings.api_key)
        self.rejects = RejectPolicy(
            sink=replay
            or (LoggedRejects(logger) if settings.dry_run else Rejects(settings.rejects_path, self._run.run_id, store)),
            fail=settings.on_invalid_record == "fail",
            max_rejects=None if self._is_replay else settings.max_rejects,
            max_ratio=None if self._is_replay else settings.max_reject_ratio,
            probation=not self._is_replay,
        )

    # Streams and messages

    def intake(self, stream: str, schema: Mapping[str, Any], key_properties: Sequence[str]) -> StreamIntake:
        """Make what takes the rows of one stream; its name, schema and key are those after stream maps.

        Raises:
            ConfigError: The stream's kind is not certain, or its entry of `streams` does not fit it.
        """
        described = Stream(
            name=stream,
            schema=schema,
            key_properties=tuple(key_properties),
            entry=self.entry_of(stream),
            settings=self.settings,
            warn=lambda text: self._warn_of(stream, text),
        )
        return StreamIntake(
            described,
            counts=self._counts.setdefault(stream, StreamCounts(stream)),
            shard=None if self._is_replay else self.settings.shard,
            rejects=self.rejects,
            add=self._add,
            logger=self._logger,
        )

    def entry_of(self, stream: str) -> StreamSettings:
        """Give the first entry of `streams` that matches; warn where one was likely meant to."""
        for warning in self.entry_names.saw(stream):
            self._logger.warning(warning)
        return entry_for(self.settings.streams, stream) or StreamSettings(stream=stream)

    def schema(self, stream: str, message: str) -> None:
        """Keep the tap's SCHEMA message of a stream (after stream maps), as JSON: it is written beside its rejects."""
        self.rejects.schemas[stream] = message

    def state(self, value: Any) -> None:
        """Take a STATE message's value: it is emitted once every row before it was delivered.

        Raises:
            Exception: Whatever ended the run meanwhile.
        """
        on_probation = tuple(counts for counts in self._counts.values() if counts.on_probation)
        for counts in on_probation:
            if counts.stream not in self._on_probation_warned:
                self._on_probation_warned.add(counts.stream)
                rejected = f"every row so far was rejected: {by_code(counts.rejected)}"
                waits = "STATE waits until one is accepted or the input ends; they are in rejects_path"
                self._warn_of(counts.stream, f"{rejected}; {waits}")
        self._running().state(value, on_probation)

    # The end

    def end(self, termination: Termination) -> None:
        """Deliver every row, emit the last STATE, and log the summary.

        Args:
            termination: Says whether a signal ended the run before its input did.

        Raises:
            TargetError: Something could not be delivered or stored.
            SystemExit: A signal ended the run.
        """
        stopped_by, name = termination.stopped_by, termination.signal_name
        try:
            if self._pipeline is not None:
                if stopped_by is not None:
                    calls = f"{self._pipeline.calls_in_flight} calls are in flight"
                    again = f"another signal, {SECOND_SIGNAL_SECONDS:g} seconds later, ends the run at once"
                    self._logger.warning("%s: delivering the rows that were read, %s; %s", name, calls, again)
                self._pipeline.finish(complete=stopped_by is None)
        finally:
            self.close("max_calls" if stopped_by is None and self.limit.is_reached else name)
        if self.limit.is_reached:
            self._logger.warning(self.limit.ending)
        if stopped_by is not None:
            self._logger.warning("stopped by %s; pending rows were delivered; the next run resumes here", name)
            raise SystemExit(128 + stopped_by)

    def abandon(self) -> None:
        """End after an error while reading: rows before it are delivered, their STATE is emitted. Does not raise."""
        if self._pipeline is not None:
            self._pipeline.abandon()

    def close(self, stopped_by: str | None = None) -> None:
        """Close what is open, log the summary of each stream, write the report. The second time does nothing.

        Args:
            stopped_by: The signal, or the setting, that ends the run; an exception that ends it is found by itself.

        Raises:
            StoreError: The rejects cannot be written.
        """
        if self._monitor is not None:
            self._monitor.close()
        try:
            self._store_end(stopped_by)
            self._pipeline = None
            if self._store is not None:
                self._store.close()
                self._store = None
            self.rejects.sink.close()
        finally:
            self._summarize(stopped_by)

    def _store_end(self, stopped_by: str | None) -> None:
        """Store how the run ends, unless it is a dry run, or a second signal ends it while rows are delivered."""
        error, streams, store = sys.exc_info()[1], list(self._counts.values()), self._store
        is_broken = str(error).startswith("attribute_store_url") or not (error is None or isinstance(error, Exception))
        if self.settings.dry_run or is_broken or (store is None and not any(one.rows for one in streams)):
            return
        try:
            self._store = store or open_store(self.settings)  # rows that are rejected before the first STATE need none
            self._store.put_run(ended(self._run, error, stopped_by, streams, self.settings.max_event_names))
        except TargetError as problem:
            self._logger.warning("how the run ends is not in the table of runs: %s", problem)

    def _summarize(self, stopped_by: str | None) -> None:
        streams, self._counts = list(self._counts.values()), {}
        retries = self._monitor.retries if self._monitor is not None else 0
        seconds, dry_run = time.monotonic() - self._started, self.settings.dry_run
        rejects_path = None if self._is_replay or dry_run else self.settings.rejects_path
        log_summary(streams, self._logger, seconds, retries, is_dry_run=dry_run, rejects_path=rejects_path)
        if self.report is not None:
            self.report.write(streams, sys.exc_info()[1], stopped_by)
            self.report = None

    # Parts

    def _add(self, row: BatchRow) -> None:
        (self._pipeline or self._running()).add(row)

    def _running(self) -> Pipeline:
        if self._pipeline is None:
            self._pipeline = self._start()
        return self._pipeline

    def _start(self) -> Pipeline:
        from target_kissmetrics.sync.name_limits import NameLimits  # noqa: PLC0415 - --version starts fast
        from target_kissmetrics.sync.pipeline import BATCH_ROWS, Pipeline  # noqa: PLC0415
        from target_kissmetrics.sync.planner import Planner  # noqa: PLC0415

        settings = self.settings
        if settings.remember_only:
            self._logger.warning("remember_only: nothing is sent; remove the setting for the runs that send")
        store = self._store = open_store(settings)
        store.put_run(self._run)
        monitor = self._monitor = make_monitor(
            lambda: list(self._counts.values()),
            self._logger.info,
            is_dry_run=settings.dry_run,
            recorder=self.report.recorder if self.report is not None else None,
        )
        files = self._make_files(store)
        planner = Planner(
            store=store,
            include_all=settings.include_all_user_attributes,
            max_aliases=settings.max_aliases_per_identity,
            remember_only=settings.remember_only,
            names=NameLimits(store, settings, self._reject),
            reject=self._reject,
            warn=self._warn_of,
        )
        return Pipeline(
            planner=planner,
            store=store,
            delivery=lambda failed: files or self._make_delivery(monitor, failed),
            emit=self._write_state if files is None else files.emit,
            rejects=self.rejects.sink,
            monitor=monitor,
            interrupt=self._interrupt,
            limit=self.limit,
            batch_rows=self._batch_rows or BATCH_ROWS,
        )

    def _make_files(self, store: SqlStore) -> FilesDelivery | None:
        from target_kissmetrics.store.overlay import OverlayStore  # noqa: PLC0415
        from target_kissmetrics.sync.files_delivery import FilesDelivery  # noqa: PLC0415

        settings = self.settings
        if settings.dry_run or not isinstance(store, OverlayStore):
            return None
        return FilesDelivery(
            store=store,
            url=settings.files_url,
            base=settings.files_base_name,
            max_rows=settings.files_max_rows,
            emit=self._write_state,
        )

    def _make_delivery(self, monitor: Monitor, failed: Callable[[BaseException], None]) -> Delivery:
        from target_kissmetrics.kissmetrics.http.dispatcher import Dispatcher  # noqa: PLC0415
        from target_kissmetrics.kissmetrics.http.pacing import Pacing  # noqa: PLC0415
        from target_kissmetrics.kissmetrics.http.retry import RetryPolicy  # noqa: PLC0415
        from target_kissmetrics.kissmetrics.wire import Encoder  # noqa: PLC0415

        settings, host = self.settings, tracking_host(self.settings, self._version)
        if settings.dry_run:
            return DryRunDelivery(self._logger.info)
        return Dispatcher(
            encoder=Encoder(settings.api_key, settings.http_method, urlsplit(settings.tracking_url).path),
            transport=lambda: transport.build_transport(http_library(settings), host),
            policy=RetryPolicy(settings.retry_timeout_seconds),
            pacing=Pacing(settings.max_requests_per_second),
            connections=transport.affordable(settings.max_connections, self._logger.warning),
            host=settings.tracking_url,
            failed=failed,
            warn=self._logger.warning,
            acknowledged=monitor.acknowledged,
            retried=monitor.retried,
        )

    def _warn_of(self, stream: str, text: str) -> None:
        self._logger.warning("stream '%s': %s", stream, text)

    def _reject(self, row: BatchRow, parts: Parts) -> None:
        self.rejects.parts(row.counts, parts, row.record, late=True, time=row.refused_at)

    def _write_state(self, value: Any) -> None:
        if not self.settings.dry_run:
            self._emit(value)


def open_store(settings: Settings) -> SqlStore:
    """Open the store that the settings ask for.

    Raises:
        ConfigError: Its URL cannot be used.
        StoreError: It cannot be opened.
    """
    from target_kissmetrics.store.overlay import OverlayStore  # noqa: PLC0415 - SQLAlchemy takes its time to load
    from target_kissmetrics.store.sql import SqlStore, open_read_only  # noqa: PLC0415

    url, key = settings.attribute_store_url, settings.api_key
    if settings.dry_run:
        return OverlayStore(open_read_only(url, key), dry_run=True)
    store = SqlStore(url, key)
    return OverlayStore(store, dry_run=False) if settings.delivery == "files" else store


def http_library(settings: Settings) -> transport.Library:
    """Return the HTTP library that sends the requests."""
    return transport.choose_library(settings.http_client)


def stored_files(settings: Settings) -> list[tuple[str, Path]]:
    """Give what the store and the import files write on this machine, each path with its setting."""
    from target_kissmetrics.kissmetrics.import_files import local_folder  # noqa: PLC0415
    from target_kissmetrics.store.layout import sqlite_files  # noqa: PLC0415

    folder = local_folder(settings.files_url) if settings.delivery == "files" else None
    files = [("attribute_store_url", file) for file in sqlite_files(settings.attribute_store_url)]
    return files if folder is None else [*files, ("files_url", folder)]


def tracking_host(settings: Settings, version: str) -> transport.Host:
    """Return how the tracking host is reached; `version` is this target's."""
    parts = urlsplit(settings.tracking_url)
    return transport.Host(
        url=f"{parts.scheme}://{parts.netloc}",
        timeout=settings.request_timeout_seconds,
        connect_timeout=settings.connect_timeout_seconds,
        user_agent=f"target-kissmetrics/{version}",
        connections=settings.max_connections,
    )


def check(settings: Settings, version: str) -> str:
    """Check the store, and the tracking host or the folder of import files. No call is sent, nothing is stored.

    Returns:
        What was checked, in one line.

    Raises:
        TargetError: One of them cannot be used.
    """
    from target_kissmetrics.kissmetrics.import_files import check_writable  # noqa: PLC0415
    from target_kissmetrics.store.sql import check_store  # noqa: PLC0415

    check_store(settings.attribute_store_url, stores_rejects=settings.rejects_path == STORE)
    if settings.delivery == "files":
        check_writable(settings.files_url)
        return f"settings, store and {settings.files_url} are fine; nothing was written"
    with closing(transport.build_transport("requests", tracking_host(settings, version))) as client:
        problem = transport.probe(client, settings.tracking_url)
    if problem:
        raise ConfigError("tracking_url", f"{settings.tracking_url} {problem}")
    return f"settings, store and {settings.tracking_url} are fine; no call was sent, nothing was stored"
