"""Reads Singer messages into a preview, through the SDK's stream maps, as the target does."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import IO, Any

from singer_sdk.mapper import SameRecordTransform

from target_kissmetrics.config.stream_names import NameWatch, of_stream_maps
from target_kissmetrics.errors import InputError
from target_kissmetrics.preview.preview import Preview
from target_kissmetrics.singer.batch_files import batch_rows, read_storage
from target_kissmetrics.singer.reader import MessageReader
from target_kissmetrics.singer.stream_maps import StreamMapper, named_in

_LOG = logging.getLogger("target-kissmetrics-preview")


def read(lines: IO[str], preview: Preview, config: Mapping[str, Any]) -> None:
    """Read an input to its end; of the config, `stream_maps`, `validate_records` and `batch_config` count.

    Raises:
        InputError: A line is no Singer message, a row comes before its schema, or a BATCH file cannot be read.
    """
    messages = _Messages(preview, config)
    handlers = {"SCHEMA": messages.schema, "RECORD": messages.record, "BATCH": messages.batch}
    unused = dict.fromkeys(("STATE", "ACTIVATE_VERSION"), lambda _: None)
    MessageReader().process_lines(lines, {**handlers, **unused})


class _Messages:
    def __init__(self, preview: Preview, config: Mapping[str, Any]) -> None:
        self._preview = preview
        preview.map_names = NameWatch(of_stream_maps(config.get("stream_maps")))
        self._mapper = StreamMapper(
            config, _LOG, preview.ignores, lambda name, text: preview.warnings.append(f"stream '{name}': {text}")
        )
        self._storage = read_storage(config)

    def schema(self, message: dict[str, Any]) -> None:
        name = named_in(message)
        self._preview.map_names.saw(name)
        try:
            if not self._mapper.register(message):
                return
        except InputError as problem:
            if name not in self._mapper.stream_maps:
                raise
            self._preview.warnings.append(f"{problem}; a run stops; its rows are not validated here")
        for stream_map in self._mapper.stream_maps[name]:
            alias, keys = stream_map.stream_alias, tuple(stream_map.transformed_key_properties or ())
            is_mapped = alias != name or not isinstance(stream_map, SameRecordTransform)
            sources = self._mapper.sources(alias)
            self._preview.stream(alias).schema(stream_map.transformed_schema, keys, sources, is_mapped=is_mapped)

    def record(self, message: dict[str, Any]) -> None:
        for stream, row, _, problem in self._mapper.rows(message):
            self._preview.stream(stream).row(row, message.get("time_extracted"), problem)

    def batch(self, message: dict[str, Any]) -> None:
        if self._mapper.maps(message):
            for row in batch_rows(message, self._storage):
                self.record({**message, "type": "RECORD", "record": row})
