"""Which rows of a stream are mapped (`when`), with the fields of which parts lifted to the top of the row (`unwrap`).

A part is an object, a list of `{key, value}` or `{name, value}` objects, or JSON text of either. In such a list a value
may be an object of which one member is set, as in GA4's and Firebase's export to BigQuery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.mapping.rules.fields import Row, getter, is_empty, parsed
from target_kissmetrics.mapping.stream import Stream

_TYPED = ("string_value", "int_value", "float_value", "double_value", "bool_value")


class When:
    """Chooses the rows of one stream by the values of their fields. Numbers are compared whatever their type."""

    def __init__(self, stream: Stream) -> None:
        conditions = stream.entry.when or ()
        self.names = [stream.checked("when", path) for path, _ in conditions]
        self._conditions = [(getter(path), frozenset(map(_comparable, values))) for path, values in conditions]

    def matches(self, row: Row) -> bool:
        """Return whether a row has one of the values in each of the fields."""
        return all(_comparable(get(row)) in values for get, values in self._conditions)


def _comparable(value: Any) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, (int, float, Decimal)):
        return "number", Decimal(repr(value)) if isinstance(value, float) else value
    return "other", value if value is None or isinstance(value, str) else repr(value)


class Unwrap:
    """Lifts fields in the rows of one stream, part by part; warns once of each that meets another one of its name."""

    def __init__(self, parts: Sequence[str], warn: Callable[[str], None]) -> None:
        self._parts = parts
        self._warn = warn
        self._warned: set[str] = set()

    def lift(self, row: Row, rejections: list[Rejection]) -> Row:
        """Return a row with the fields of its parts; `rejections` gets a part that has another shape."""
        lifted = dict(row)
        for part in self._parts:
            try:
                inner = dict(_inner(lifted.pop(part, None)))
            except ValueError as problem:
                rejections.append(Rejection.of(Rejected("bad-message", str(problem), part)))
                continue
            for name, value in inner.items():
                if lifted.get(name) is None:
                    lifted[name] = value
                elif value not in (None, lifted[name]) and name not in self._warned and len(self._warned) < 1000:
                    self._warned.add(name)
                    self._warn(f"field {name!r} in {part!r} is dropped: the row has a field of that name already")
        return lifted


def _inner(part: object) -> Iterator[tuple[str, Any]]:
    """Yield the fields in a part, or raise ValueError, whose text says what is expected."""
    expected = "must be an object, or a list of {key, value} objects"
    try:
        part = parsed(part)
    except ValueError:
        raise ValueError(f"{expected}, not text that does not parse") from None
    if is_empty(part):
        return
    if isinstance(part, Mapping):
        yield from part.items()
        return
    for item in part if isinstance(part, (list, tuple)) else (part,):
        name = (item.get("key") or item.get("name")) if isinstance(item, Mapping) else None
        if not isinstance(name, str) or "value" not in item:
            raise ValueError(expected)
        yield name, _value(item["value"])


def _value(value: object) -> Any:
    if not isinstance(value, Mapping) or not any(name in value for name in _TYPED):
        return value
    return next((value[name] for name in _TYPED if value.get(name) is not None), None)
