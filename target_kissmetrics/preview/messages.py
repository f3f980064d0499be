"""Reads Singer messages into a preview, through the SDK's stream maps and flattening, as the target does."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from copy import deepcopy
from typing import IO, Any

from singer_sdk.mapper import PluginMapper

from target_kissmetrics.config.stream_names import NameWatch, of_stream_maps
from target_kissmetrics.errors import InputError
from target_kissmetrics.preview.preview import Preview
from target_kissmetrics.preview.stream import Validate, accept_any
from target_kissmetrics.singer.batch_files import batch_rows, read_storage
from target_kissmetrics.singer.reader import MessageReader
from target_kissmetrics.singer.stream_maps import reading_schema, transformed
from target_kissmetrics.singer.validation import validates, validation

_LOG = logging.getLogger("target-kissmetrics-preview")


def read(lines: IO[str], preview: Preview, config: Mapping[str, Any]) -> None:
    """Read an input to its end.

    Args:
        lines: Singer messages, as lines of text or bytes.
        preview: Gets their streams and rows.
        config: The config; its `stream_maps`, `flattening_*`, `validate_records` and `batch_config` count.

    Raises:
        InputError: A line is no Singer message, a row comes before its schema, or a BATCH file cannot be read.
    """
    messages = _Messages(preview, config)
    handlers = {"SCHEMA": messages.schema, "RECORD": messages.record, "BATCH": messages.batch}
    unused = dict.fromkeys(("STATE", "ACTIVATE_VERSION"), lambda _: None)
    MessageReader().process_lines(lines, {**handlers, **unused})


class _Messages:
    """Handles messages."""

    def __init__(self, preview: Preview, config: Mapping[str, Any]) -> None:
        self._preview = preview
        self._validates = validates(config)
        # The mapper removes `__else__` from the config that it gets.
        preview.map_names = NameWatch(of_stream_maps(config.get("stream_maps")))
        self._mapper = PluginMapper(deepcopy(dict(config)), _LOG)
        self._storage = read_storage(config)

    def schema(self, message: dict[str, Any]) -> None:
        """Handle a SCHEMA message."""
        name, schema = _needed(message, "stream", str), _needed(message, "schema", dict)
        if "properties" not in schema:
            raise InputError(f"stream {name!r}: its SCHEMA message has no properties; fix the tap")
        self._preview.map_names.saw(name)
        known = self._mapper.stream_maps.get(name)
        key = message.get("key_properties")
        if known and known[0].raw_schema == schema and known[0].raw_key_properties == key:
            return
        with reading_schema(name):
            self._mapper.register_raw_stream_schema(name, schema, key)
        for stream_map in self._mapper.stream_maps[name]:
            alias, made = stream_map.stream_alias, stream_map.transformed_schema
            keys = tuple(stream_map.transformed_key_properties or ())
            self._preview.stream(alias).schema(made, keys, self._validator(alias, made))

    def record(self, message: dict[str, Any]) -> None:
        """Handle a RECORD message."""
        name, record = _needed(message, "stream", str), _needed(message, "record", dict)
        if name not in self._mapper.stream_maps:
            raise InputError(f"stream {name!r}: RECORD before SCHEMA; fix the tap")
        for stream_map in self._mapper.stream_maps[name]:
            row = transformed(stream_map, dict(record))
            if row is not None:
                self._preview.stream(stream_map.stream_alias).row(row, message.get("time_extracted"))

    def batch(self, message: dict[str, Any]) -> None:
        """Handle the rows in a BATCH message's files."""
        name = _needed(message, "stream", str)
        _needed(message, "encoding", dict)
        _needed(message, "manifest", list)
        if name not in self._mapper.stream_maps:
            raise InputError(f"stream {name!r}: BATCH before SCHEMA; fix the tap")
        for row in batch_rows(message, self._storage):
            self.record({"type": "RECORD", "stream": name, "record": row})

    def _validator(self, name: str, schema: dict[str, Any]) -> Validate:
        if not self._validates:
            return accept_any
        try:
            return validation(schema, name)
        except InputError as problem:
            self._preview.warnings.append(f"{problem}; a run stops; its rows are not validated here")
            return accept_any


def _needed(message: Mapping[str, Any], key: str, kind: type) -> Any:
    value = message.get(key)
    if not isinstance(value, kind):
        raise InputError(f"a {message['type']} message has no valid {key!r}; fix the tap")
    return value
