"""The SDK's stream maps; an error in a SCHEMA message or an expression is one line with its stream, field and fix."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from singer_sdk.exceptions import MapExpressionError, MappingError
from singer_sdk.mapper import SameRecordTransform, StreamMap

from target_kissmetrics.errors import ConfigError, ExpressionError, InputError, TargetError

_MAX_CHARACTERS = 200
_HELP = "https://sdk.meltano.com/en/latest/stream_maps.html"


def transformed(stream_map: StreamMap, row: dict[str, Any]) -> dict[str, Any] | None:
    """Apply a stream map to a row; None when the map filters the row.

    Raises:
        ExpressionError: An expression fails. The text shows the expression, and nothing of the row.
    """
    if type(stream_map) is SameRecordTransform and stream_map.flattening_options is None:
        return row  # most streams have no map
    try:
        return stream_map.transform(row)
    except Exception as error:
        problem = _expression_error(stream_map.stream_alias, error)
        if problem is None:
            raise
        raise problem from None


@contextmanager
def reading_schema(stream: str) -> Iterator[None]:
    """Convert what the SDK raises for a SCHEMA message into an error that names the stream.

    Raises:
        ConfigError: The stream's map is invalid; ExpressionError: one of its expressions is.
        InputError: The schema is invalid.
    """
    try:
        yield
    except TargetError:
        raise
    except Exception as error:  # noqa: BLE001 - the SDK checks little of a schema
        problem: TargetError | None = _expression_error(stream, error)
        if problem is None and isinstance(error, MappingError):
            problem = ConfigError("stream_maps", f"stream '{stream}': {error} See {_HELP}")
        raise problem or InputError(
            f"stream '{stream}': invalid SCHEMA message ({type(error).__name__}); it must have properties; fix the tap"
        ) from None


def _expression_error(stream: str, error: Exception) -> ExpressionError | None:
    """Describe an expression that failed; None when the error comes from elsewhere.

    The SDK's error does not say where the expression stands, but the frame that raised it does.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        known, field, text = frame.f_locals, None, None
        if frame.f_code.co_name == "_eval":
            field, text = known.get("property_name"), known.get("expr")
        elif frame.f_code.co_name == "_init_functions_and_schema":
            field = known.get("prop_key")
            text = known.get("prop_def" if field else "filter_rule")
        if frame.f_globals.get("__name__") == StreamMap.__module__ and isinstance(text, str):
            where = f"stream '{getattr(known.get('self'), 'stream_name', stream)}', {field or '__filter__'}"
            shown = " ".join(text.split())[:_MAX_CHARACTERS] or "(empty)"
            return ExpressionError("stream_maps", f"{where}: the expression {shown} {_why(error)}")
    return None


def _why(error: Exception) -> str:
    name = type(error.__cause__ if isinstance(error, MapExpressionError) else error).__name__
    if name == "FunctionNotDefined":
        return f"calls an unknown function; see {_HELP}"
    if name in {"NameNotDefined", "KeyError"}:
        return "uses a field that a row lacks; fix the name, or write record.get('x')"
    return f"fails ({name}); see {_HELP}, and guard it against empty values, as in float(record['x'] or 0)"
