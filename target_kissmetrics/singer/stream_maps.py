"""The SDK's stream maps, with one line for what is wrong with an expression: its stream, its field, what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from singer_sdk.exceptions import MapExpressionError
from singer_sdk.mapper import SameRecordTransform, StreamMap

from target_kissmetrics.errors import ExpressionError

_MAX_CHARACTERS = 200
_HELP = "https://sdk.meltano.com/en/latest/stream_maps.html has what there is"
_GUARD = "guard it against rows without a value, as float(record['x'] or 0) does"


def transformed(stream_map: StreamMap, row: dict[str, Any]) -> dict[str, Any] | None:
    """Send a row through a stream map.

    Raises:
        ExpressionError: An expression fails. The text shows the expression, and nothing of the row.
    """
    if type(stream_map) is SameRecordTransform and stream_map.flattening_options is None:
        return row  # what nearly every stream has: nothing is done to it
    try:
        return stream_map.transform(row)
    except Exception as error:
        problem = _problem(stream_map.stream_alias, error)
        if problem is None:
            raise
        raise problem from None


@contextmanager
def reading_stream_maps(stream: str) -> Iterator[None]:
    """Turn what the SDK says of an expression that it cannot read into one line.

    Raises:
        ExpressionError: One cannot be read.
    """
    try:
        yield
    except (MapExpressionError, ValueError, IndexError) as error:
        problem = _problem(stream, error)
        if problem is None and isinstance(error, MapExpressionError):
            problem = ExpressionError(
                "stream_maps",
                f"stream '{stream}': what its map says of the stream itself (__alias__, __source__ and the like) "
                f"cannot be used; mend it: {_HELP}",
            )
        if problem is None:
            raise
        raise problem from None


def _problem(stream: str, error: Exception) -> ExpressionError | None:
    """Say what is wrong; None for what is no expression's fault.

    The SDK's error does not say where the expression stands, but the frame that it comes from knows.
    """
    for frame in _frames(error):
        known = _expression(frame.f_code.co_name, frame.f_locals)
        if known is not None:
            field, expression = known
            where = f"stream '{_source(frame.f_locals, stream)}', {field}"
            shown = " ".join(expression.split())[:_MAX_CHARACTERS] or "(empty)"
            return ExpressionError("stream_maps", f"{where}: the expression {shown} {_told(error)}")
    return None


def _frames(error: Exception) -> Iterator[FrameType]:
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == StreamMap.__module__:
            yield trace.tb_frame
        trace = trace.tb_next


def _expression(function: str, known: Mapping[str, Any]) -> tuple[str, str] | None:
    """Give the field and the expression that a function of the SDK's mapper was about."""
    if function == "_eval":
        field, text = known.get("property_name"), known.get("expr")
    elif function == "_init_functions_and_schema":
        field = known.get("prop_key")
        text = known.get("prop_def" if field else "filter_rule")
    else:
        return None
    return (field or "__filter__", text) if isinstance(text, str) else None


def _source(known: Mapping[str, Any], stream: str) -> str:
    """Give the stream as the tap names it."""
    name = getattr(known.get("self"), "stream_name", None)
    return name if isinstance(name, str) else stream


def _told(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, MapExpressionError) else error
    name = type(cause).__name__
    if name == "FunctionNotDefined":
        return f"calls {getattr(cause, 'func_name', 'it')}(), which is no function; mend it: {_HELP}"
    if name == "NameNotDefined":
        field = getattr(cause, "name", "x")
        return f"names {field}, which a row lacks; mend the name, or write record.get('{field}')"
    if isinstance(cause, (SyntaxError, IndexError)):
        return f"cannot be read; mend it: {_HELP}"
    if isinstance(cause, KeyError):
        return "names a field that a row lacks; mend the name, or write record.get('x')"
    if isinstance(error, MapExpressionError):
        return f"cannot be worked out ({name}); mend it: {_HELP}"
    return f"fails for a row ({name}); mend it, or {_GUARD}"
