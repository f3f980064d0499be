"""TargetKissmetrics: adapts the seams of the SDK, and hands messages on to the runtime. No rule of its own."""

from __future__ import annotations

import copy
import functools
import gc
import os
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, ClassVar, cast

import click
from singer_sdk import Target
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities, TargetCapabilities
from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.config import about
from target_kissmetrics.config import settings as own_settings
from target_kissmetrics.config.environment import read_environment
from target_kissmetrics.config.files import FROM_ENVIRONMENT, read_config_files
from target_kissmetrics.config.paths import check_distinct, new_run_id, path_of
from target_kissmetrics.config.stream_names import NameWatch, of_stream_maps
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.reporting.logs import ending_in_one_line, guard
from target_kissmetrics.reporting.rejects import STORE, check_rejects_path, rejects_files
from target_kissmetrics.reporting.report import About
from target_kissmetrics.reporting.report_writer import ReportWriter, check_report_path, report_paths
from target_kissmetrics.runtime import Runtime, check, http_library, stored_files
from target_kissmetrics.singer.batch_files import Storage, batch_rows, read_storage
from target_kissmetrics.singer.reader import MessageReader
from target_kissmetrics.singer.state import check_output, write_state
from target_kissmetrics.singer.stream_maps import StreamMapper, named_in
from target_kissmetrics.singer.termination import Termination, keep_input_open
from target_kissmetrics.sinks import KissmetricsSink
from target_kissmetrics.sync.intake import check_sources

if TYPE_CHECKING:
    from singer_sdk.sinks import Sink

CHECK_STREAM = "meltano_test_stream"
"""What `meltano config test` sends."""

GC_THRESHOLD = 50_000
"""Objects made before Python looks for cycles among them; its own default is 700."""


class TargetKissmetrics(Target):
    """Singer target for Kissmetrics: events, user attributes, aliases and A/B tests from any tap."""

    name = "target-kissmetrics"
    config_jsonschema: ClassVar[dict[str, Any]] = copy.deepcopy(own_settings.SCHEMA)
    default_sink_class = KissmetricsSink
    message_reader_class = MessageReader
    runtime_class = Runtime
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.BATCH,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.STRUCTURED_LOGGING,
        TargetCapabilities.VALIDATE_RECORDS,
    ]

    settings: own_settings.Settings
    batch_storage: Storage
    message_reader: MessageReader

    def __init__(self, *, run_id: str | None = None, **arguments: Any) -> None:
        self.run_id = run_id or new_run_id()
        self.termination = Termination()
        super().__init__(**arguments, setup_mapper=False)
        self.termination.reader = self.message_reader
        self.termination.install(self._handle_termination)
        self.max_parallelism = 1  # the SDK's sinks are always empty, there is nothing to drain side by side
        self.message_reader.on_failure = self._abandon
        self.runtime = self.runtime_class(
            self.settings,
            logger=self.logger,
            version=self.get_plugin_version(),
            run_id=self.run_id,
            emit=write_state,
            interrupt=self.termination.interrupt,
            batch_rows=self.config.get("batch_size_rows"),
            report=self._make_report(),
        )
        self._mapper = self.stream_mapper = StreamMapper(
            self.config, self.logger, lambda stream: self.runtime.entry_of(stream).kind == "ignore"
        )

    def _make_report(self) -> ReportWriter | None:
        settings = self.settings
        if settings.report_path is None:
            return None
        delivery = "dry run" if settings.dry_run else "remember only" if settings.remember_only else settings.delivery
        about_run = About(
            run_id=self.run_id,
            version=self.get_plugin_version(),
            sdk=self.get_sdk_version(),
            delivery=delivery,
            client=http_library(settings) if delivery == "api" else None,
            settings=about.redacted_settings(self.config, own_settings.SCHEMA["properties"]),
        )
        return ReportWriter(path=settings.report_path, about=about_run, names=settings.report_names, log=self.logger)

    # Config

    @property
    def _env_var_config(self) -> dict[str, Any]:
        """The settings in the environment. The SDK's own reading loads `.env`, but does not name a wrong value."""
        with suppress(ValueError, RecursionError):
            super()._env_var_config  # noqa: B018
        self.append_builtin_config(self.config_jsonschema)
        return read_environment(os.environ, self.config_jsonschema["properties"])

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:  # noqa: ARG002
        """Read the settings. The SDK's own check shows values, also of the key, and accepts unknown settings."""
        guard(self._config, self.run_id)
        self.append_builtin_config(self.config_jsonschema)
        own = own_settings.SCHEMA["properties"]
        sdk = {name: schema for name, schema in self.config_jsonschema["properties"].items() if name not in own}
        settings = own_settings.read_settings(self._config, sdk)
        report = settings.report_path and path_of(settings.report_path, self.run_id)
        self.settings = replace(settings, rejects_path=path_of(settings.rejects_path, self.run_id), report_path=report)
        if self.settings.sends_in_clear:
            self.logger.warning("tracking_url: the API key and all data travel in clear over http://; use https://")
        check_rejects_path(self.settings.rejects_path)
        self.batch_storage = read_storage(self._config)
        self._map_names = NameWatch(of_stream_maps(self._config.get("stream_maps")))
        if report is not None:
            check_report_path(report)
        self.check_files()
        return []

    def check_files(self, *, replayed: str | None = None) -> None:
        """Check that a run writes no file twice (else a ConfigError); a replay replaces the replayed one."""
        settings = self.settings
        name, path = ("rejects_path", settings.rejects_path) if replayed is None else ("the file to replay", replayed)
        written: list[tuple[str, str | Path]] = [*stored_files(settings)]
        if path == STORE and settings.attribute_store_url.startswith("sqlite") and not written[:1]:
            problem = "is store, but attribute_store_url keeps nothing after the run; name a file in one of them"
            raise ConfigError("rejects_path", problem)
        written += [(name, file) for file in rejects_files(path)]
        if settings.report_path is not None:
            written += [("report_path", file) for file in report_paths(settings.report_path) if file is not None]
        check_distinct(getattr(self._config, "files", ()), written)

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the SDK's settings; validation is off by default, since the mapping checks each value that it uses."""
        super().append_builtin_config(config_jsonschema)
        settings = config_jsonschema["properties"]
        settings["batch_config"] = {**settings["batch_config"], "secret": True}  # its params are credentials
        settings["load_method"] = {**settings["load_method"], "default": "append-only"}  # the SDK has an enum there
        meaning = "Reject rows that do not match the schema of their stream, as the tap sent them."
        settings["validate_records"] = {**settings["validate_records"], "default": False, "description": meaning}

    # Messages

    @property
    def _is_check(self) -> bool:
        """Whether this is `meltano config test`, which stores nothing: no store is made for its STATE."""
        return list(self.stream_mapper.stream_maps) == [CHECK_STREAM]

    def get_sink_class(self, stream_name: str) -> type[Sink]:  # noqa: ARG002
        """Give what makes a stream's sink: its class, with what it needs of the run in the place of this target."""
        make = functools.partial(KissmetricsSink, intake=self.runtime.intake)
        return cast("type[Sink]", make)

    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        """Register a stream's schema. Of a stream that is not read, nothing but the name is looked at."""
        stream = named_in(message_dict)
        if stream == CHECK_STREAM:
            self.runtime.report = None
            self.check()
            self.stream_mapper.stream_maps[stream] = []  # its rows are not read
            return
        for warning in self._map_names.saw(stream):
            self.logger.warning(warning)
        if not self.stream_mapper.register(message_dict):
            return
        message = serialize_json(
            {name: message_dict.get(name) for name in ("type", "stream", "schema", "key_properties")}
        )
        for stream_map in self.stream_mapper.stream_maps[stream]:
            alias, schema = stream_map.stream_alias, stream_map.transformed_schema
            sink = self.get_sink(alias, schema=schema, key_properties=stream_map.transformed_key_properties)
            sources = self.stream_mapper.sources(alias)
            check_sources(alias, self.runtime.entry_of(alias), cast("KissmetricsSink", sink).intake.mapping, sources)
            self.runtime.schema(alias, message)
        for replaced in self._sinks_to_clear:  # the SDK would keep them until the end of the input
            replaced.clean_up()
        self._sinks_to_clear.clear()

    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        """Process the rows of a BATCH message's files, as if each had come in a RECORD message.

        A stop ends it between two rows; the STATE behind it is not read any more, so the next run reads them again.
        """
        if not self.stream_mapper.maps(message_dict):
            return
        with closing(batch_rows(message_dict, self.batch_storage)) as rows:
            for row in rows:
                if self.message_reader.stop_requested:
                    return
                self._process_record_message({**message_dict, "type": "RECORD", "record": row})

    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        """Process a row. The SDK's own way copies, parses and logs each row at more cost than mapping it."""
        extracted = message_dict.get("time_extracted")
        for stream, row, record, problem in self.stream_mapper.rows(message_dict):
            self.get_sink(stream).take(row, extracted, record, problem)  # type: ignore[attr-defined]

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        """Hand a STATE message on; it is emitted once every row before it is delivered."""
        self._assert_line_requires(message_dict, requires={"value"})
        if self._is_check:
            write_state(message_dict["value"])
        else:
            self.runtime.state(message_dict["value"])

    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Log that Kissmetrics deletes nothing."""
        if self.stream_mapper.stream_maps.get(named_in(message_dict)):
            self._assert_line_requires(message_dict, requires={"version"})
            super()._process_activate_version_message(message_dict)

    # The end

    def process_endofpipe(self) -> None:
        """Deliver every row, emit the last STATE, and log the summary; raises as `Runtime.end`."""
        super().process_endofpipe()
        self.runtime.end(self.termination)
        if self.message_reader.stop_requested:
            keep_input_open()
        unseen = [*self.runtime.entry_names.unseen, *self._map_names.unseen]
        if unseen and self.stream_mapper.stream_maps and not self._is_check:
            names = ", ".join(f"'{one.name}' ({one.key})" for one in unseen)
            self.logger.info("no stream of this run has the name %s", names)

    def _abandon(self) -> None:
        """End after an error while reading: rows before it are delivered, their STATE is emitted."""
        self.runtime.abandon()
        self.runtime.close(self.termination.signal_name)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Ask the reader to stop before its next message."""
        self.termination.handle(signum, frame)

    # Commands

    def check(self) -> None:
        """Check whether a run could begin (else a TargetError); send no call, store nothing."""
        self.logger.info(check(self.settings, self.get_plugin_version()))

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
        # Tens of thousands of rows are in flight, none of them a cycle: looking for cycles takes a tenth of a run.
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 20)
        gc.enable()
        with ending_in_one_line(cls.logger):
            if about:
                with suppress(BrokenPipeError):  # its reader (a pager) has seen enough
                    super().invoke(about=True, about_format=about_format)
                return
            check_output()
            if config is not None and file_input is not None:
                config.config.files.append(("--input", file_input.name))
            run_id = new_run_id()
            cls.logger.info(
                "run %s of %s v%s, Meltano SDK v%s", run_id, cls.name, cls.get_plugin_version(), cls.get_sdk_version()
            )
            cls(config=config.config, parse_env_config=config.parse_env, run_id=run_id).listen(file_input)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the command."""
        command = super().get_singer_command()
        about.set_options(command)
        return command

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the files that `--config` names."""
        given = super().cb_config(ctx, param, tuple(name for name in value if name == FROM_ENVIRONMENT))
        with ending_in_one_line(cls.logger):
            given.config = read_config_files(value)
        return given


def main() -> None:
    """Run the command `target-kissmetrics`."""
    TargetKissmetrics.cli()
