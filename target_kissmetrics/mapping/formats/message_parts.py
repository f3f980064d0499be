"""Parts of messages: what is expected where, and how what is not so is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from target_kissmetrics.kissmetrics.limits import MAX_VALUE_BYTES
from target_kissmetrics.mapping.reject_codes import Code, RowRejected, advice
from target_kissmetrics.mapping.result import Aside
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import Row, is_empty
from target_kissmetrics.mapping.rules.names import NameProblem

BAD_MESSAGE: Code = "bad-message"

MEND = "mend it at the source, or put it right with a stream map"
"""What to do of a message's field: no entry of `streams` can name another one in its place."""

_NOTHING: Row = {}


def object_at(value: object, path: str) -> Row:
    """Give an object that may be absent.

    Raises:
        RowRejected: There is something else.
    """
    if isinstance(value, Mapping):
        return value
    if is_empty(value):
        return _NOTHING
    raise RowRejected(BAD_MESSAGE, f"{_shape(value)} stands where an object belongs", path, to_do=_advice(value))


def list_at(value: object, path: str) -> list[Any]:
    """Give a list that may be absent.

    Raises:
        RowRejected: There is something else.
    """
    if isinstance(value, list):
        return value
    if value is None:
        return []
    raise RowRejected(BAD_MESSAGE, f"{_shape(value)} stands where a list belongs", path, to_do=_advice(value))


def objects_in(items: list[Any], path: str, asides: list[Aside]) -> list[Row]:
    """Give the objects of a list; nulls are passed over, what else is in it is set aside."""
    found: list[Row] = []
    for index, item in enumerate(items):
        if isinstance(item, Mapping):
            found.append(item)
        elif item is not None:
            problem = f"{_shape(item)} stands where an object belongs"
            aside = Aside.because(BAD_MESSAGE, problem, f"{path}[{index}]", to_do=_advice(item))
            asides.append(aside._replace(rejected=True))
    return found


def as_aside(problem: RowRejected, path: str | None = None) -> Aside:
    """Reject a part of a row, where all of it would be rejected if it stood alone."""
    return Aside.of(problem, problem.field or path)._replace(rejected=True)


def event_name(value: object, path: str) -> str:
    """Make an event's name of a field.

    Raises:
        RowRejected: It holds none.
    """
    if not isinstance(value, str):
        raise RowRejected("no-event-name", f"{_shape(value)} stands where the event's name belongs", path, to_do=MEND)
    try:
        return names.event_name(value)
    except NameProblem as problem:
        raise RowRejected(problem.code, problem.problem, path, to_do=advice(problem.code, in_messages=True)) from None


def passable(value: object) -> str | None:
    """Give an address or a user agent as it may be passed on beside a call; None when it is none."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    fits = 0 < len(text) * 4 <= MAX_VALUE_BYTES and (text.isascii() or names.is_utf8(text))
    return text if fits else None


def _shape(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, Mapping):
        return "an object"
    return "true or false" if isinstance(value, bool) else "a number or a date"


def _advice(value: object) -> str | None:
    return "if it is JSON, let the tap, or a stream map, parse it, else mend it" if isinstance(value, str) else None
