"""Streams between the tap and the sinks: the SDK's stream maps, and validation of rows as the tap sent them.

An error in a SCHEMA message or an expression is one line with its stream, field and fix.
"""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from fnmatch import fnmatch
from types import NoneType
from typing import Any

from singer_sdk.exceptions import MapExpressionError, MappingError, RecordsWithoutSchemaException
from singer_sdk.mapper import NULL_STRING, CustomStreamMap, PluginMapper, SameRecordTransform, StreamMap

from target_kissmetrics.errors import ConfigError, ExpressionError, InputError
from target_kissmetrics.singer.schemas import MAX_UNFOLDED, unfolded
from target_kissmetrics.singer.validation import Validate, validation

_VALUES = (str, int, float, Decimal, NoneType, date, time, timedelta, dict, list, tuple)
_ANY = "dates that only it describes are sent as text; write them out in the tap's schema"
_COPY = re.compile(r"""(record|_)(\[|\.get\()(['"])(?P<field>[^'"\\]+)\3[\])]""")
_MAX_CHARACTERS = 200
_HELP = "https://sdk.meltano.com/en/latest/stream_maps.html"


class _Map(CustomStreamMap):
    def _eval(self, expr: str, expr_parsed: ast.Expr, record: dict[str, Any], property_name: str | None) -> Any:
        """Evaluate an expression of a field, or of `__filter__`.

        One that fails, or gives what is no value of a row, such as a function (`date`, `json`), is an ExpressionError,
        whose text shows nothing of the row.
        """
        where = f"stream '{self.stream_name}', {property_name or '__filter__'}"
        try:
            value: Any = super()._eval(expr, expr_parsed, record, property_name)
        except Exception as error:  # noqa: BLE001 - whatever an expression raises
            raise _failed(where, expr, error) from None
        if property_name is not None and not isinstance(value, _VALUES):
            problem = f"gives no text or number, but a {type(value).__name__}; see {_HELP}"
            raise ExpressionError("stream_maps", f"{where}: the expression {_shown(expr)} {problem}")
        return value


class _Same(SameRecordTransform):
    def transform(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return the row; the SDK takes three calls for that."""
        return record


class BeforeSchema(InputError, RecordsWithoutSchemaException):  # noqa: N818 - it reads as what happened
    """A stream's rows came before its SCHEMA message."""


RowOfStream = tuple[str, dict[str, Any] | None, dict[str, Any], str | None]
"""A row of a RECORD message in one of the streams that the tap's stream becomes: that stream's name; the row, None if a
stream map filters it; the row as the tap sent it; and what is wrong with that by its schema. A plain tuple: there is
one for every row."""


class StreamMapper(PluginMapper):
    """The SDK's stream maps, for streams that are read.

    A stream that is dropped by `stream_maps`, or ignored, has no maps: of its messages only its name is looked at.

    Args:
        config: The config, checked; a null is a setting that is missing.
        logger: The log.
        is_ignored: Returns whether a stream, by its name after stream maps, is ignored.
        warn: Called with a stream and a warning about its schema; None: it is logged.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        logger: logging.Logger,
        is_ignored: Callable[[str], bool],
        warn: Callable[[str, str], None] | None = None,
    ) -> None:
        given = {name: value for name, value in config.items() if value is not None}
        try:
            # The SDK removes `__else__` from the maps that it gets.
            super().__init__({**given, "stream_maps": dict(given.get("stream_maps", {}))}, logger)
        except MappingError as error:
            raise ConfigError("stream_maps", f"{error} See {_HELP}") from None
        self._drops_others = self.default_mapper_type is not SameRecordTransform
        self._is_ignored = is_ignored
        self._warn = warn or (lambda stream, text: logger.warning("stream '%s': %s", stream, text))
        self._validates = config.get("validate_records") is True
        self._validators: dict[str, Validate] = {}
        self._copied: dict[str, str] = {}  # streams whose rows stay as they are, with their names after stream maps
        self._messages: dict[str, int] = {}  # hashes; the objects of a message take 8 KB

    def maps(self, message: Mapping[str, Any]) -> list[StreamMap]:
        """Return the maps of the stream that a message names; none when it is not read, BeforeSchema when it is new."""
        stream = named_in(message)
        known = self.stream_maps.get(stream)
        if known is None:
            if any(self._maps_of(stream)):
                raise BeforeSchema(f"stream '{stream}': {message['type']} before SCHEMA; this is a bug in the tap")
            known = self.stream_maps[stream] = []
        return known

    def register(self, message: Mapping[str, Any]) -> bool:
        """Register the schema of a stream; return whether it is read and new, or has changed.

        Raises:
            ConfigError: The stream's map is invalid; ExpressionError: one of its expressions is.
            InputError: The message is invalid. If `validate_records` cannot use the schema, the maps are registered.
        """
        stream = named_in(message)
        if not any(self._maps_of(stream)):
            if stream not in self.stream_maps:
                self.logger.info("stream '%s' is not read: it is ignored, or stream_maps drops it", stream)
            self.stream_maps[stream] = []
            return False
        schema, keys = message.get("schema"), message.get("key_properties") or []
        if not isinstance(schema, dict):
            raise InputError(f"stream '{stream}': SCHEMA whose schema is not an object; fix the tap")
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise InputError(f"stream '{stream}': SCHEMA whose key_properties is not a list of fields; fix the tap")
        if self._messages.get(stream) == (hashed := hash(repr((schema, keys)))):
            return False
        self._messages[stream] = hashed
        fields = self._unfolded(stream, schema)
        self.stream_maps[stream] = [
            self._made(alias, definition, stream, fields, keys) for alias, definition in self._maps_of(stream)
        ]
        for made in self.stream_maps[stream]:
            made.raw_schema = made.transformed_schema  # not a copy
        self._validators.pop(stream, None)
        self._copied.pop(stream, None)
        if self._validates:
            self._validators[stream] = validation(schema, stream)
        self._copied.update(self._names_alone(stream))
        return True

    def _names_alone(self, stream: str) -> dict[str, str]:
        """Return a stream's name after stream maps, by its name before, if nothing else of its rows changes."""
        only, *others = self.stream_maps[stream]
        is_copied = isinstance(only, _Same) and not others and stream not in self._validators
        return {stream: only.stream_alias} if is_copied else {}

    def _unfolded(self, stream: str, schema: dict[str, Any]) -> dict[str, Any]:
        fields = unfolded(schema)
        for ref in fields.not_followed:
            self._warn(stream, f"the $ref {ref!r} leads to nothing in its schema, and no other is read; {_ANY}")
        if fields.is_cut:
            self._warn(stream, f"the references in its schema unfold to over {MAX_UNFOLDED:,} parts; {_ANY}")
        return fields.schema

    def rows(self, message: Mapping[str, Any]) -> list[RowOfStream]:
        """Return the row of a RECORD message, in each stream that the tap's becomes. Raises as `maps` and `_eval`."""
        stream, record = message.get("stream"), message.get("record")
        alias = self._copied.get(stream) if type(stream) is str else None
        if alias is not None and type(record) is dict:
            return [(alias, record, record, None)]  # the mapping does not change its rows
        stream_maps = self.maps(message)
        if not stream_maps:
            return []
        stream = message["stream"]
        if not isinstance(record, dict):
            raise InputError(f"stream '{stream}': RECORD whose record is not an object; fix the tap")
        problem = self.problem(stream, record)
        rows: list[RowOfStream] = []
        for stream_map in stream_maps:
            row = dict(record) if problem is not None else stream_map.transform(dict(record))
            rows.append((stream_map.stream_alias, row, record, problem))
        return rows

    def sources(self, alias: str) -> list[str]:
        """Return the streams of the tap that become the stream of a name."""
        return [name for name, maps in self.stream_maps.items() if any(one.stream_alias == alias for one in maps)]

    def problem(self, stream: str, record: Mapping[str, Any]) -> str | None:
        """Return what is wrong with a row as the tap sent it; None without `validate_records`, or if it fits."""
        return self._validators[stream](record) if stream in self._validators else None

    def _maps_of(self, stream: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the streams that a stream becomes and that are read: their names, and their maps.

        Of several maps of the stream itself the last one counts; a map with `__source__` makes one more stream.
        """
        own: tuple[str, dict[str, Any] | None] = (stream, None if self._drops_others else {})
        others: list[tuple[str, dict[str, Any]]] = []
        for key, given in self.stream_maps_dict.items():
            fields = dict(given) if isinstance(given, Mapping) else None
            source, alias = (fields.pop(name, None) if fields else None for name in ("__source__", "__alias__"))
            if stream != (source or key) and not fnmatch(stream, source or key):
                continue
            if source and fields is not None:
                others.append((key, fields))
            else:
                own = (self._alias(stream, alias) if alias is not None else stream, fields)
        for name, fields in (own, *others):
            if fields is not None and not self._is_ignored(name):
                yield name, fields

    def _alias(self, stream: str, expression: str) -> str:
        try:
            alias: object = self._eval_stream(expression, stream)
        except Exception as error:  # noqa: BLE001 - whatever an expression raises
            raise _failed(f"stream '{stream}', __alias__", expression, error) from None
        if not isinstance(alias, str) or not alias.strip():
            raise ConfigError("stream_maps", f"stream '{stream}', __alias__: must give a name, not {alias!r}")
        return alias

    def _made(
        self, name: str, fields: dict[str, Any], stream: str, schema: dict[str, Any], keys: list[str]
    ) -> StreamMap:
        if not fields:
            return _Same(name, schema, keys, None)
        is_open = not schema["properties"]
        if is_open:  # else the SDK would miss the key
            schema = {**schema, "properties": {key: {} for key in fields.get("__key_properties__", keys) or ()}}
        expressions = _expressions(stream, fields)
        try:
            made = _Map(
                stream_alias=name,
                map_config=self.map_config,
                faker_config=self.faker_config,
                raw_schema=schema,
                key_properties=keys,
                map_transform=fields,
                flattening_options=None,
                stream_name=stream,
            )
        except Exception as error:  # noqa: BLE001 - the SDK checks little of a schema
            why = f"{error}" if isinstance(error, MappingError) else f"it cannot be used ({type(error).__name__})."
            raise ConfigError("stream_maps", f"stream '{stream}': {why} See {_HELP}") from None
        known = made.transformed_schema["properties"]
        if is_open and "__else__" not in fields:
            known.clear()
        for field, expression in expressions.items():
            if field in known:
                # What an expression makes may be a date, or any other text, whatever the tap's schema says.
                copied = schema["properties"].get(_copied(expression))
                known[field] = copied or {"anyOf": [known[field], {"type": ["string", "null"]}]}
        return made


def _expressions(stream: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the expressions of a map; the SDK's own error would not name the field."""
    expressions = {field: text for field, text in fields.items() if isinstance(text, str) and text != NULL_STRING}
    for field, expression in expressions.items():
        try:
            ast.parse(expression, mode="eval")
        except Exception as error:  # noqa: BLE001 - also of the parser's stack
            raise _failed(f"stream '{stream}', {field}", expression, error) from None
    return expressions


def _copied(expression: str) -> str:
    """Return the field that an expression copies; the expression itself if it is no `record['x']`."""
    found = _COPY.fullmatch(expression.strip())
    return found["field"] if found else expression.strip()


def named_in(message: Mapping[str, Any]) -> str:
    """Return the stream that a message names; a message that names none is an InputError."""
    stream = message.get("stream")
    if not isinstance(stream, str) or not stream:
        raise InputError(f"{message['type']} whose stream is not a name; fix the tap")
    return stream


def _failed(where: str, expression: str, error: Exception) -> ExpressionError:
    name = type(error.__cause__ if isinstance(error, MapExpressionError) else error).__name__
    if name == "FunctionNotDefined":
        why = f"calls an unknown function; see {_HELP}"
    elif name in {"NameNotDefined", "KeyError"}:
        why = "uses a field that a row lacks; fix the name, or write record.get('x')"
    else:
        why = f"fails ({name}); see {_HELP}, and guard it against empty values, as in float(record['x'] or 0)"
    return ExpressionError("stream_maps", f"{where}: the expression {_shown(expression)} {why}")


def _shown(expression: str) -> str:
    return " ".join(expression.split())[:_MAX_CHARACTERS] or "(empty)"
