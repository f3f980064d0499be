"""What a stream's JSON Schema says of fields: which it lists, and which of them hold times."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from target_kissmetrics.mapping.rules.fields import MAX_DEPTH, spelled
from target_kissmetrics.mapping.rules.loaders import is_metadata

_TIMES = frozenset({"date", "date-time"})
_TIME_NAME = re.compile(r"([\s_-](?i:at|time|date|tstamp|timestamp|ts)|[a-z0-9](At|Time|Date|Tstamp|Timestamp|Ts))$")


def may_hold(schema: object, path: str) -> bool:
    """Return whether an object may have a field: its schema lists it, or allows others, or lists none at all."""
    fields = listed(schema)
    return not fields or holds(fields, path) or any(map(allows_others, _shapes(schema)))


def allows_others(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema of an object says that it has fields by other names than those it lists."""
    return bool(schema.get("additionalProperties") or schema.get("patternProperties"))


def holds(fields: Mapping[str, Any], path: str) -> bool:
    """Return whether listed fields have a path, or an object among them may have it."""
    head, dot, rest = path.partition(".")
    return path in fields or (bool(dot) and head in fields and may_hold(fields[head], rest))


def meant(fields: Mapping[str, Any], candidate: str, warn: Callable[[str], None] | None = None) -> str | None:
    """Return the path that a candidate means among listed fields, by `spelled`; None if there is none."""
    head, dot, rest = candidate.partition(".")
    found = spelled((candidate,), fields, warn) or (dot and spelled((head,), fields, warn))
    if not found or candidate in found:
        return found[candidate] if found else None
    name = found[head]
    below = listed(fields[name])
    spelled_rest = meant(below, rest, warn) or (rest if may_hold(fields[name], rest) else None)
    return f"{name}.{spelled_rest}" if spelled_rest else None


def paths(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield listed fields, and those below objects whose fields are listed."""
    return (path for path, _, _ in _walk({"properties": fields}))


def times_in(schema: object) -> Iterator[str]:
    """Yield the fields that look like times, by their format or their name; not those of loaders or in lists."""
    for path, shapes, is_in_list in _walk(schema):
        is_loaders = is_metadata(path) or is_metadata(path.partition(".")[0])
        if not is_in_list and not is_loaders and (_is_dated(shapes) or _TIME_NAME.search(path)):
            yield path


def listed(schema: object) -> dict[str, Any]:
    """Return the fields that an object's schema lists, in all its alternatives."""
    fields: dict[str, Any] = {}
    for shape in _shapes(schema):
        properties = shape.get("properties")
        fields |= properties if isinstance(properties, Mapping) else {}
    return fields


def moments(schema: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield the paths of fields that a JSON Schema calls dates or date-times, and whether all their texts are.

    Some taps write `anyOf` a date-time and any text, since their source may hold other texts, too.
    """
    for path, shapes, _ in _walk(schema):
        if _is_dated(shapes):
            others = [shape for shape in shapes if shape.get("format") not in _TIMES]
            yield path, not any("string" in _list(shape.get("type")) for shape in others)


def _walk(
    schema: object, prefix: str = "", depth: int = 0, *, in_list: bool = False
) -> Iterator[tuple[str, list[Mapping[str, Any]], bool]]:
    """Yield the path of each listed field, its schema with the parts of that, and whether it is a list or in one."""
    for name, field in listed(schema).items() if depth <= MAX_DEPTH else ():
        shapes = list(_shapes(field))
        is_list = in_list or any("array" in _list(shape.get("type")) or "items" in shape for shape in shapes)
        yield f"{prefix}{name}", shapes, is_list
        yield from _walk(field, f"{prefix}{name}.", depth + 1, in_list=is_list)


def _is_dated(shapes: list[Mapping[str, Any]]) -> bool:
    return any(shape.get("format") in _TIMES for shape in shapes)


def _shapes(field: object, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield a field's schema and those it is composed of: alternatives, and the items of a list."""
    if not isinstance(field, Mapping) or depth > MAX_DEPTH:
        return
    yield field
    parts = [field.get("items"), *(_list(field.get(key)) for key in ("anyOf", "oneOf", "allOf"))]
    for part in parts:
        for shape in _list(part):
            yield from _shapes(shape, depth + 1)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
