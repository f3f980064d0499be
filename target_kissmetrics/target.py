"""TargetKissmetrics: the one place where the parts are put together."""

from __future__ import annotations

import copy
import gc
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cached_property
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Target
from singer_sdk.exceptions import RecordsWithoutSchemaException
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities, TargetCapabilities
from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.config import about
from target_kissmetrics.config import settings as own_settings
from target_kissmetrics.config.environment import NESTED, put_together
from target_kissmetrics.config.files import FROM_ENVIRONMENT, read_config_file
from target_kissmetrics.config.sdk_settings import check_sdk_settings
from target_kissmetrics.config.stream_entries import entry_for
from target_kissmetrics.config.stream_names import NameWatch, named, of_entries, of_stream_maps
from target_kissmetrics.errors import ConfigError, InputError, StoreError
from target_kissmetrics.mapping.reject_codes import REASONS, Code, RowRejected, advice
from target_kissmetrics.mapping.settings import StreamSettings
from target_kissmetrics.reporting.counts import StreamCounts, by_code
from target_kissmetrics.reporting.metrics import tell_totals
from target_kissmetrics.reporting.monitor import Monitor
from target_kissmetrics.reporting.progress import progress
from target_kissmetrics.reporting.reject_limits import RejectLimits
from target_kissmetrics.reporting.rejects import Rejects, check_rejects_path
from target_kissmetrics.reporting.report_file import check_report_path
from target_kissmetrics.singer.batch_files import BatchFiles, Storage, read_storage
from target_kissmetrics.singer.reader import MessageReader, Stopped
from target_kissmetrics.singer.stream_maps import reading_stream_maps, transformed
from target_kissmetrics.sinks import CheckSink, KissmetricsSink
from target_kissmetrics.store import digests

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_sdk.sinks import Sink

    from target_kissmetrics.kissmetrics.delivery import Delivery
    from target_kissmetrics.mapping.result import Aside
    from target_kissmetrics.reporting.report_writer import ReportWriter
    from target_kissmetrics.store.protocol import Store
    from target_kissmetrics.sync.batch import BatchRow
    from target_kissmetrics.sync.import_run import FilesRun
    from target_kissmetrics.sync.pipeline import Pipeline

CHECK_STREAM = "meltano_test_stream"
"""What `meltano config test` sends."""

SECOND_SIGNAL_SECONDS = 5.0
"""Ctrl-C reaches a target twice, from the terminal and from Meltano. A signal that comes later than this means it."""

MAX_ERROR_CHARACTERS = 3000

GC_THRESHOLD = 50_000
"""Objects made before Python looks for cycles among them; its own default is 700."""


class TargetKissmetrics(Target):
    """Singer target for Kissmetrics: events, user attributes, aliases and A/B tests from any tap."""

    name = "target-kissmetrics"
    config_jsonschema: ClassVar[dict[str, Any]] = copy.deepcopy(own_settings.SCHEMA)
    default_sink_class = KissmetricsSink
    message_reader_class = MessageReader
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.BATCH,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
        TargetCapabilities.VALIDATE_RECORDS,
    ]

    settings: own_settings.Settings
    batch_storage: Storage
    message_reader: MessageReader
    reject_limits: RejectLimits

    def __init__(self, **arguments: Any) -> None:
        self._counts: dict[str, StreamCounts] = {}
        self._schemas: dict[str, dict[str, Any]] = {}
        self._started = time.monotonic()
        self._stopped_by: int | None = None
        self._stopped_at = 0.0
        self._failing = False
        self._told_of: set[str] = set()
        self._files: FilesRun | None = None
        self._monitor: Monitor | None = None
        self._report: ReportWriter | None = None
        self._reads_environment = bool(arguments.get("parse_env_config"))
        try:
            super().__init__(**arguments)
        except ValueError as error:
            raise _unreadable_environment(self, error) from None
        _heed_hang_up(self._handle_termination)
        self.max_parallelism = 1  # the SDK's sinks are always empty, there is nothing to drain side by side
        self.message_reader.on_failure = self._abandon
        self._report = self._make_report()
        _keep_urls_out_of_logs()

    # Config

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Read the settings: the SDK's own check shows values, the key's too, and does not see unknown settings.

        Raises:
            ConfigError: The first mistake.
        """
        self.append_builtin_config(self.config_jsonschema)
        own = own_settings.SCHEMA["properties"]
        others = {name: schema for name, schema in self.config_jsonschema["properties"].items() if name not in own}
        try:
            if self._reads_environment:
                _check_flags_in_environment(self._env_var_prefix, self.config_jsonschema["properties"])
                for name in NESTED:
                    if f"{self._env_var_prefix}{name.upper()}" in os.environ:
                        self._config[name] = put_together(name, self._config[name])
            self.settings = own_settings.read_settings(self._config, others)
            check_sdk_settings(others, self._config)
            check_rejects_path(self.settings.rejects_path)
            self.batch_storage = read_storage(self._config)
            self._entry_names = NameWatch(of_entries(self.settings.streams))
            self._map_names = NameWatch(of_stream_maps(self._config.get("stream_maps")))
            self._rejects = Rejects(self.settings.rejects_path)
            self.reject_limits = RejectLimits(self.settings.max_rejects, self.settings.max_reject_ratio)
            if self.settings.report_path is not None:
                check_report_path(self.settings.report_path)
        except ConfigError as problem:
            if raise_errors:
                raise
            return [str(problem)]
        return []

    def entry_of(self, stream: str) -> StreamSettings:
        """Give the first entry of `streams` that matches; warn where one was likely meant to."""
        for told in self._entry_names.saw(stream):
            self.logger.warning(told)
        return entry_for(self.settings.streams, stream) or StreamSettings(stream=stream)

    def counts_of(self, stream: str) -> StreamCounts:
        """Give a stream's counts: one for a stream, however often its schema changes."""
        return self._counts.setdefault(stream, StreamCounts(stream))

    @property
    def _is_check(self) -> bool:
        """Whether this is `meltano config test`, which stores nothing: no store is made for its STATE."""
        return list(self.mapper.stream_maps) == [CHECK_STREAM]

    def get_sink_class(self, stream_name: str) -> type[Sink]:
        """Give the class of a stream's sink."""
        return CheckSink if stream_name == CHECK_STREAM else KissmetricsSink

    # Messages

    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        """Take a stream's schema."""
        for told in self._map_names.saw(str(message_dict.get("stream", ""))):
            self.logger.warning(told)
        with reading_stream_maps(str(message_dict.get("stream", ""))):
            super()._process_schema_message(message_dict)
        message = {name: message_dict.get(name) for name in ("type", "stream", "schema", "key_properties")}
        for stream_map in self.mapper.stream_maps[message_dict["stream"]]:
            if self._schemas.get(stream_map.stream_alias) != message:
                self._schemas[stream_map.stream_alias] = message

    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        """Take the rows of a BATCH message's files, as if each had come in a RECORD message.

        A stop that is asked for ends it between two rows; the STATE behind it is not read any more, and so the next
        run reads the files again.
        """
        self._assert_line_requires(message_dict, requires={"stream", "encoding", "manifest"})
        stream = message_dict["stream"]
        if stream not in self.mapper.stream_maps:
            raise RecordsWithoutSchemaException(
                f"a BATCH of stream '{stream}' came before its SCHEMA message: mend the tap"
            )
        with closing(BatchFiles(message_dict, self.batch_storage).rows()) as rows:
            for row in rows:
                if self.message_reader.stop_requested:
                    return
                self._process_record_message({"stream": stream, "record": row})

    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        """Take a row. The SDK's own way copies, parses and logs each row at more cost than mapping it."""
        stream, record = message_dict.get("stream", ""), message_dict.get("record")
        if not stream or record is None:
            self._assert_line_requires(message_dict, requires={"stream", "record"})
        if not isinstance(stream, str):
            raise InputError("a RECORD message's stream is no text: mend the tap")
        stream_maps = self.mapper.stream_maps.get(stream)
        if stream_maps is None:
            raise RecordsWithoutSchemaException(
                f"a row of stream '{stream}' came before its SCHEMA message: mend the tap"
            )
        if not isinstance(record, dict):
            raise InputError(f"a RECORD message of stream '{stream}' holds no object: mend the tap")
        for stream_map in stream_maps:
            row = transformed(stream_map, dict(record))
            if row is not None:
                sink = self.get_sink(stream_map.stream_alias, record=row)
                sink.take(row, message_dict.get("time_extracted"), record)  # type: ignore[attr-defined]

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        """Take a STATE message; it is passed on once all that came before it was delivered."""
        self._assert_line_requires(message_dict, requires={"value"})
        if self._is_check:
            self._pass_on(message_dict["value"])
            return
        on_probation = tuple(counts for counts in self._counts.values() if counts.on_probation)
        for counts in on_probation:
            if counts.stream not in self._told_of:
                self._told_of.add(counts.stream)
                self.logger.warning(
                    "stream '%s': every row so far was rejected: %s; STATE waits until one is accepted or the input "
                    "ends; they are in rejects_path",
                    counts.stream,
                    by_code(counts.all_rejected),
                )
        self.pipeline.state(message_dict["value"], on_probation)

    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Take note: Kissmetrics deletes nothing."""
        self._assert_line_requires(message_dict, requires={"stream", "version"})
        if message_dict["stream"] in self.mapper.stream_maps:
            super()._process_activate_version_message(message_dict)

    def process_endofpipe(self) -> None:
        """Deliver all that was taken, pass on the last STATE, and tell what was done.

        Raises:
            TargetError: Something could not be delivered or remembered.
            SystemExit: A signal ended the run before its input did.
        """
        try:
            if "pipeline" in self.__dict__:
                if self._stopped_by is not None:
                    self.logger.warning(
                        "%s: what was read is being delivered, %d calls are under way; another signal, %d seconds "
                        "later, ends the run at once",
                        signal.Signals(self._stopped_by).name,
                        self.pipeline.calls_in_flight,
                        SECOND_SIGNAL_SECONDS,
                    )
                self.pipeline.finish(complete=self._stopped_by is None)
            super().process_endofpipe()
        finally:
            self._close()
        if self._stopped_by is None:
            self._tell_of_names()
        if self._stopped_by is not None:
            self.logger.warning(
                "stopped by %s: what was read is delivered, the rest comes with the next run",
                signal.Signals(self._stopped_by).name,
            )
            raise SystemExit(128 + self._stopped_by)

    def _tell_of_names(self) -> None:
        """Name what of the config was for streams that did not come."""
        unseen = [*self._entry_names.unseen, *self._map_names.unseen]
        if unseen and self.mapper.stream_maps and not self._is_check:
            self.logger.info("no stream of this run has the name %s", named(unseen))

    def _abandon(self) -> None:
        """End after an error while reading: what was taken before is delivered, its STATE passed on."""
        if "pipeline" in self.__dict__:
            self.pipeline.abandon()
        self._close()

    def _close(self) -> None:
        """Let go of what is open and tell what was done; the report, too, of whatever ends the run just now."""
        if self._monitor is not None:
            self._monitor.close()
        try:
            if "pipeline" in self.__dict__:
                self._store.close()
                del self.__dict__["pipeline"]
            self._rejects.close()
        finally:
            self._tell_what_was_done()

    def _tell_what_was_done(self) -> None:
        seconds = max(time.monotonic() - self._started, 0.001)
        for counts in self._counts.values():
            self.logger.info(
                "stream '%s': %s; %.0f calls a second; %d retries in the run",
                counts.stream,
                counts.summary(),
                counts.calls / seconds,
                self._retries(),
            )
            for line in counts.what_to_do():
                self.logger.warning("stream '%s': %s", counts.stream, line)
            tell_totals(counts)
        self._tell_of_rejects()
        if self._report is not None:
            self._report.write(list(self._counts.values()), self._retries(), sys.exc_info()[1], self._stopped_by)
            self._report = None
        self._counts = {}

    def _tell_of_rejects(self) -> None:
        """Say where what was set aside is, and how to send it again."""
        if any(counts.all_rejected or counts.all_set_aside for counts in self._counts.values()):
            path = self.settings.rejects_path
            self.logger.info(
                "what was rejected or set aside is in %s, each with its reason; once the mapping is mended: "
                "target-kissmetrics-replay %s --config ...",
                path,
                path,
            )

    # Signals

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Ask the reader to stop before its next message.

        The SDK's own handler drains from inside an interrupted drain, and so emits a STATE whose rows were never sent.
        """
        now = time.monotonic()
        if not self._failing:
            if self._stopped_by is not None and now - self._stopped_at > SECOND_SIGNAL_SECONDS:
                raise SystemExit(128 + signum)
            if self._stopped_by is None:
                self._stopped_by, self._stopped_at = signum, now
        self._stop_reading()

    def _stop_reading(self) -> None:
        reader = getattr(self, "message_reader", None)
        if reader is None:
            raise SystemExit(1)
        reader.stop_requested = True
        if reader.waiting:
            reader.waiting = False
            raise Stopped

    def _interrupt(self) -> None:
        """End the wait for input: the pipeline has failed. From the pipeline's thread."""
        self._failing = True
        self.message_reader.stop_requested = True
        main = threading.main_thread()
        ours = signal.getsignal(signal.SIGTERM) == self._handle_termination
        if self.message_reader.waiting and ours and hasattr(signal, "pthread_kill") and main.ident is not None:
            signal.pthread_kill(main.ident, signal.SIGTERM)

    # Parts

    @cached_property
    def pipeline(self) -> Pipeline:
        """The pipeline, made with the first message that needs it."""
        from target_kissmetrics.sync.pipeline import BATCH_ROWS, Pipeline  # noqa: PLC0415 - --version and --about start fast
        from target_kissmetrics.sync.planner import Planner  # noqa: PLC0415

        settings = self.settings
        product = digests.product(settings.api_key)
        self._store = self._open_store(product)
        planner = Planner(
            store=self._store,
            digests=digests.Digests(product),
            include_all=settings.include_all_user_attributes,
            max_aliases=settings.max_aliases_per_identity,
            reject=self._set_alias_aside,
            warn=lambda stream, text: self.logger.warning("stream '%s': %s", stream, text),
        )
        recorder = self._report.recorder if self._report is not None else None
        displays = progress(self._all_counts, self.logger.info, is_dry_run=settings.dry_run)
        self._monitor = Monitor(self._all_counts, displays, recorder)
        return Pipeline(
            planner=planner,
            store=self._store,
            delivery=self._make_delivery,
            emit=self._earned,
            rejects=self._rejects,
            monitor=self._monitor,
            failed=self._interrupt,
            batch_rows=self.config.get("batch_size_rows") or BATCH_ROWS,
        )

    def _open_store(self, product: bytes) -> Store:
        from target_kissmetrics.store.overlay import OverlayStore  # noqa: PLC0415 - SQLAlchemy takes its time to load
        from target_kissmetrics.store.sql import SqlStore, open_read_only  # noqa: PLC0415

        url = self.settings.attribute_store_url
        if self.settings.dry_run:
            return OverlayStore(open_read_only(url, product), product, dry_run=True)
        store = SqlStore(url, product)
        if self.settings.delivery == "files":
            return OverlayStore(store, product, dry_run=False)
        return store

    def _make_delivery(self, failed: Callable[[BaseException], None]) -> Delivery:
        from target_kissmetrics import runtime as deliveries  # noqa: PLC0415 - HTTP libraries take their time to load
        from target_kissmetrics.reporting.dry_run import DryRunDelivery  # noqa: PLC0415
        from target_kissmetrics.store.overlay import OverlayStore  # noqa: PLC0415

        settings = self.settings
        if settings.dry_run:
            self._delivery: Delivery = DryRunDelivery(self.logger.info)
        elif isinstance(self._store, OverlayStore):
            self._files = self._delivery = deliveries.files_run(settings, self._store, self._pass_on)
        else:
            self._delivery = deliveries.api_delivery(
                settings, self.get_plugin_version(), failed, self.logger.warning, self._monitor
            )
        return self._delivery

    def _earned(self, state: Any) -> None:
        """Take a STATE whose calls were taken; in files, it waits until they are whole."""
        if self._files is None:
            self._pass_on(state)
        else:
            self._files.emit(state)

    def _all_counts(self) -> list[StreamCounts]:
        return list(self._counts.values())

    def _make_report(self) -> ReportWriter | None:
        if not hasattr(self, "settings") or self.settings.report_path is None:
            return None
        from target_kissmetrics.reporting.report_writer import ReportWriter  # noqa: PLC0415 - few runs need it

        return ReportWriter(
            settings=self.settings,
            config=self.config,
            version=self.get_plugin_version(),
            sdk_version=self.get_sdk_version(),
            tell=self.logger,
        )

    def _retries(self) -> int:
        return self._monitor.retries if self._monitor is not None else 0

    # What the parts call

    def reject(self, counts: StreamCounts, problem: RowRejected, row: Mapping[str, Any]) -> None:
        """Set a row aside.

        Raises:
            InputError: `on_invalid_record` is `fail`.
            TooManyRejects: It is one too many.
        """
        self._refuse_if_told_to(counts, problem)
        counts.rejected[problem.code] += 1
        counts.parts += 1
        self._write_rejected(counts, problem, row)

    def _refuse_if_told_to(self, counts: StreamCounts, problem: RowRejected) -> None:
        if self.settings.on_invalid_record == "fail":
            raise _stopped_at(counts, problem.field, problem.code)

    def _write_rejected(self, counts: StreamCounts, problem: RowRejected, row: Mapping[str, Any]) -> None:
        self._note_schema(counts.stream)
        # A whole row is set aside: no field of it is, whichever was at fault.
        self._rejects.write(
            stream=counts.stream, code=problem.code, reason=_with_field(problem), field=None, record=row
        )
        self.reject_limits.count(counts)

    def set_aside(self, counts: StreamCounts, aside: Aside, row: Mapping[str, Any]) -> None:
        """Set a batch of a row aside.

        Raises:
            InputError: The batch is what a row is in other formats, and `on_invalid_record` is `fail`.
            TooManyRejects: Likewise, and it is one too many.
        """
        if aside.rejected and self.settings.on_invalid_record == "fail":
            raise _stopped_at(counts, aside.field, aside.code)
        counted = counts.rejected if aside.rejected else counts.set_aside
        counted[aside.code] += 1
        self._note_schema(counts.stream)
        self._rejects.write(stream=counts.stream, code=aside.code, reason=aside.reason, field=aside.field, record=row)
        if aside.rejected:
            counts.parts += 1
            self.reject_limits.count(counts)

    def _set_alias_aside(self, row: BatchRow, code: Code, told: str) -> None:
        """From the pipeline's thread, which counts in fields of its own."""
        problem = RowRejected(code, told)
        if len(row.mapped.calls) == 1:
            self._refuse_if_told_to(row.counts, problem)
            row.counts.late[code] += 1
            self._write_rejected(row.counts, problem, row.record)
        else:
            row.counts.late_aside[code] += 1
            self._note_schema(row.counts.stream)
            self._rejects.write(
                stream=row.counts.stream,
                code=code,
                reason=problem.reason,
                field=row.mapped.alias_field,
                record=row.record,
            )

    def _note_schema(self, stream: str) -> None:
        """Note, beside the rejects, what a replay has to know of their stream."""
        message = self._schemas.get(stream)
        if message is not None:
            self._rejects.note_schema(stream, message)

    def _pass_on(self, state: Any) -> None:
        """Write a STATE message's value for the tap's next run."""
        if self.settings.dry_run:
            return
        try:
            sys.stdout.write(f"{serialize_json(state)}\n")
            sys.stdout.flush()
        except OSError as error:
            raise StoreError(
                f"STATE cannot be passed on: {error.strerror}; nobody reads this target's output: let Meltano run "
                "it, or write the output to a file (> state.json)"
            ) from None

    def check(self) -> None:
        """Check the store, and the tracking host or the folder of import files; send no call, store nothing.

        The file of rejects was checked with the settings.

        Raises:
            TargetError: One of them cannot be used.
        """
        from target_kissmetrics.kissmetrics.http.probe import probe  # noqa: PLC0415
        from target_kissmetrics.runtime import check_folder, requests_transport  # noqa: PLC0415
        from target_kissmetrics.store.sql import check_store  # noqa: PLC0415

        self._report = None
        check_store(self.settings.attribute_store_url, digests.product(self.settings.api_key))
        if self.settings.delivery == "files":
            check_folder(self.settings)
            self.logger.info("settings, store and %s are in order; nothing was written", self.settings.files_url)
            return
        transport = requests_transport(self.settings, self.get_plugin_version())
        problem = probe(transport, self.settings.tracking_url)
        transport.close()
        if problem:
            raise ConfigError("tracking_url", f"{self.settings.tracking_url} {problem}")
        self.logger.info(
            "settings, store and %s are in order; no call was sent, nothing was stored", self.settings.tracking_url
        )

    # The command

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: Any = None,
        file_input: IO[str] | None = None,
    ) -> None:
        """Run the target. Whatever ends the run is one line on standard error, and exit code 1."""
        # Rows by the ten thousand are under way and none of them is a cycle: looking for cycles among them, over and
        # over, takes a tenth of a run.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 20)
        with ending_in_one_line(cls.logger):
            super().invoke(about=about, about_format=about_format, config=config, file_input=file_input)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Give the command; the format that `--about` has by itself may be named, too."""
        command = super().get_singer_command()
        for param in command.params:
            if param.name == "about_format":
                param.type = click.Choice(about.FORMATS)
            if param.name == "config" and isinstance(param, click.Option):
                param.help = (
                    "A file in JSON or YAML (*.yml), or ENV for variables TARGET_KISSMETRICS_...; may be repeated."
                )
        return command

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the files that `--config` names; what cannot be read is one line, too."""
        given = super().cb_config(ctx, param, tuple(name for name in value if name == FROM_ENVIRONMENT))
        try:
            for name in value:
                if name != FROM_ENVIRONMENT:
                    given.config.update(read_config_file(name))
        except ConfigError as problem:
            cls.logger.error(str(problem))  # noqa: TRY400
            raise SystemExit(1) from None
        return given


def main() -> None:
    """Run the command `target-kissmetrics`."""
    TargetKissmetrics.cli()


_FLAGS = frozenset({"true", "1", "yes", "on", "false", "0", "no", "off", ""})


def _check_flags_in_environment(prefix: str, schemas: Mapping[str, Any]) -> None:
    """Make sure that each flag in the environment is one: to the SDK all that does not mean true is false.

    Raises:
        ConfigError: One is not; `TARGET_KISSMETRICS_DRY_RUN=y` must not send.
    """
    for name, schema in schemas.items():
        variable = f"{prefix}{name.upper()}"
        if "boolean" in schema["type"] and os.environ.get(variable, "").lower() not in _FLAGS:
            raise ConfigError(name, f"must be true or false, and {variable} is neither")


_IN_JSON = {"integer": "a whole number", "array": "a JSON list", "object": "a JSON object"}


def _unreadable_environment(target: TargetKissmetrics, error: ValueError) -> Exception:
    """Name the setting whose variable the SDK could not read."""
    for name, schema in target.config_jsonschema["properties"].items():
        variable = f"{target._env_var_prefix}{name.upper()}"  # noqa: SLF001
        text = os.environ.get(variable)
        what = next((_IN_JSON[kind] for kind in schema.get("type", ()) if kind in _IN_JSON), None)
        if text is None or what is None:
            continue
        try:
            json.loads(text)
        except ValueError:
            return ConfigError(name, f"must be {what}, and {variable} is none")
    return error


def _heed_hang_up(handler: Callable[[int, FrameType | None], None]) -> None:
    """Let a terminal that is closed end a run as SIGTERM does; under `nohup` it goes on."""
    number = getattr(signal, "SIGHUP", None)  # Windows has none
    if number is None or threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, handler)


def _stopped_at(counts: StreamCounts, field: str | None, code: Code) -> InputError:
    """Give the error of a row that stops the run. Numbers name the row: what it holds is no log's business."""
    where = f", field '{field}'" if field else ""
    row = f"stream '{counts.stream}', row {counts.rows}"
    told = (
        f"{REASONS[code].meaning} ({code}); {advice(code, in_messages=counts.in_messages)}; or set on_invalid_record "
        "to reject, which sets such rows aside and goes on"
    )
    return InputError(f"{row}{where}: {told}", without_data=f"{row}: {told}")


def _with_field(problem: RowRejected) -> str:
    return f"{problem.field}: {problem.reason}" if problem.field else problem.reason


@contextmanager
def ending_in_one_line(logger: logging.Logger) -> Iterator[None]:
    """Turn whatever ends a command into one line on standard error, and exit code 1."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of --about (a pager) has seen enough; what is left in the buffer must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody, and its frames may tell too much
        logger.error(_in_one_line(error))  # noqa: TRY400
        logger.debug("where it happened:\n%s", "".join(traceback.format_tb(error.__traceback__)))
        raise SystemExit(1) from None


def _in_one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())[:MAX_ERROR_CHARACTERS]
    known = type(error).__module__.startswith(("target_kissmetrics.", "singer_sdk."))
    return text if known and text else f"a mistake in target-kissmetrics, please report it: {type(error).__name__}"


def _keep_urls_out_of_logs() -> None:
    """Keep urllib3 from logging each request's URL, which holds the API key, at level DEBUG."""
    for name in ("urllib3.connectionpool", "urllib3.util.retry", "requests"):
        logging.getLogger(name).addFilter(_above_debug)


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG
