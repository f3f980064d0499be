"""Singer messages as rows of streams, after the SDK's stream maps and flattening, as the target's own way has them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from fnmatch import fnmatch
from typing import IO, Any

from singer_sdk.mapper import PluginMapper

from target_kissmetrics.config.stream_names import NameWatch, of_stream_maps
from target_kissmetrics.errors import InputError
from target_kissmetrics.preview.collecting import Preview, Validate
from target_kissmetrics.singer.batch_files import batch_rows, read_storage
from target_kissmetrics.singer.reader import MessageReader
from target_kissmetrics.singer.stream_maps import reading_schema, transformed
from target_kissmetrics.singer.validation import validation

_LOG = logging.getLogger("target-kissmetrics-preview")

_ALL_FITS: Validate = lambda _: None  # noqa: E731 - a default, not a function to call by name


def read(lines: IO[str], preview: Preview, config: Mapping[str, Any], reader: MessageReader | None = None) -> None:
    """Read an input to its end.

    Args:
        lines: Singer lines, as text or bytes.
        preview: Takes what they hold.
        config: The config; its `stream_maps`, `flattening_*` and `validate_records` count.
        reader: What reads them.

    Raises:
        InputError: A line is no Singer message, a row comes before its schema, or a BATCH file cannot be read.
    """
    messages = _Messages(preview, config)
    takers: dict[str, Callable[[dict[str, Any]], None]] = {
        "SCHEMA": messages.schema,
        "RECORD": messages.record,
        "STATE": _pass_over,
        "ACTIVATE_VERSION": _pass_over,
        "BATCH": messages.batch,
    }
    (reader or MessageReader()).process_lines(lines, takers)


def _pass_over(_: dict[str, Any]) -> None:
    """A preview passes no STATE on."""


class _Messages:
    """Takes messages."""

    def __init__(self, preview: Preview, config: Mapping[str, Any]) -> None:
        self._preview = preview
        self._validates = config.get("validate_records", True) is not False
        # The mapper takes `__else__` out of the config that it is given.
        preview.map_names = NameWatch(of_stream_maps(config.get("stream_maps")))
        maps = config.get("stream_maps")
        self._maps: Mapping[str, object] = dict(maps) if isinstance(maps, Mapping) else {}
        self._mapper = PluginMapper(deepcopy(dict(config)), _LOG)
        self._keys: dict[str, Sequence[str]] = {}
        self._storage = read_storage(config)

    def schema(self, message: dict[str, Any]) -> None:
        """Take a SCHEMA message."""
        name, schema = _needed(message, "stream", str), _needed(message, "schema", dict)
        if "properties" not in schema:
            raise InputError(f"the SCHEMA message of stream {name!r} has no properties: mend the tap")
        self._preview.map_names.saw(name)
        known = self._mapper.stream_maps.get(name)
        key = message.get("key_properties")
        if known and known[0].raw_schema == schema and known[0].raw_key_properties == key:
            return
        with reading_schema(name):
            self._mapper.register_raw_stream_schema(name, schema, key)
        for stream_map in self._mapper.stream_maps[name]:
            alias, made = stream_map.stream_alias, stream_map.transformed_schema
            self._keys[alias] = tuple(stream_map.transformed_key_properties or ())
            self._preview.schema(alias, made, self._keys[alias], self._validator(alias, made), self._mapped(name))

    def record(self, message: dict[str, Any]) -> None:
        """Take a RECORD message."""
        name, record = _needed(message, "stream", str), _needed(message, "record", dict)
        stream_maps = self._mapper.stream_maps.get(name)
        if stream_maps is None:
            raise InputError(f"a row of stream {name!r} came before its SCHEMA message: mend the tap")
        for stream_map in stream_maps:
            row = transformed(stream_map, dict(record))
            if row is None:
                continue
            alias = stream_map.stream_alias
            lacking = [key for key in self._keys.get(alias, ()) if key not in row]
            if lacking:
                stream = self._preview.stream(alias)
                stream.problem = stream.problem or (
                    f"a row lacks {lacking[0]!r}, a part of the stream's key, where a run stops: mend the tap"
                )
            self._preview.row(alias, row, message.get("time_extracted"))

    def batch(self, message: dict[str, Any]) -> None:
        """Take the rows of a BATCH message's files."""
        name = _needed(message, "stream", str)
        _needed(message, "encoding", dict)
        _needed(message, "manifest", list)
        if name not in self._mapper.stream_maps:
            raise InputError(f"a BATCH of stream {name!r} came before its SCHEMA message: mend the tap")
        for row in batch_rows(message, self._storage):
            self.record({"type": "RECORD", "stream": name, "record": row})

    def _mapped(self, name: str) -> dict[str, object]:
        """Give what the stream maps of the tap's stream have."""
        mapped: dict[str, object] = {}
        for wanted, given in self._maps.items():
            if isinstance(given, Mapping) and fnmatch(name, str(given.get("__source__", wanted))):
                mapped.update(given)
        return mapped

    def _validator(self, name: str, schema: dict[str, Any]) -> Validate:
        if not self._validates:
            return _ALL_FITS
        try:
            return validation(schema, name)
        except InputError as problem:
            self._preview.skipped.append(f"{problem}; its rows are not validated here, a run stops")
            return _ALL_FITS


def _needed(message: Mapping[str, Any], key: str, kind: type) -> Any:
    value = message.get(key)
    if not isinstance(value, kind):
        raise InputError(f"a {message['type']} message has no {key!r} that can be used: mend the tap")
    return value
