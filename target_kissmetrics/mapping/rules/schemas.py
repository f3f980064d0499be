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


def paths(fields: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[str]:
    """Yield listed fields, and those below objects whose fields are listed."""
    for name, field in fields.items():
        yield f"{prefix}{name}"
        if depth < MAX_DEPTH:
            yield from paths(listed(field), f"{prefix}{name}.", depth + 1)


def times_in(schema: object, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the fields that look like times, by their format or their name; not those that loaders add."""
    for name, field in listed(schema).items() if depth <= MAX_DEPTH else ():
        shapes = list(_shapes(field))
        if is_metadata(name) or any("array" in _list(shape.get("type")) or "items" in shape for shape in shapes):
            continue
        if any(shape.get("format") in _TIMES for shape in shapes) or _TIME_NAME.search(name):
            yield f"{prefix}{name}"
        yield from times_in(field, f"{prefix}{name}.", depth + 1)


def listed(schema: object) -> dict[str, Any]:
    """Return the fields that an object's schema lists, in all its alternatives."""
    fields: dict[str, Any] = {}
    for shape in _shapes(schema):
        properties = shape.get("properties")
        fields |= properties if isinstance(properties, Mapping) else {}
    return fields


def moments(schema: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, bool]]:
    """Yield the paths of fields that a JSON Schema calls dates or date-times, and whether all their texts are.

    Some taps write `anyOf` a date-time and any text, since their source may hold other texts, too.
    """
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or depth > MAX_DEPTH:
        return
    for name, field in properties.items():
        shapes = list(_shapes(field, depth))
        dated = [shape for shape in shapes if shape.get("format") in _TIMES]
        if dated:
            others = [shape for shape in shapes if shape not in dated and "string" in _list(shape.get("type"))]
            yield f"{prefix}{name}", not others
        for shape in shapes:
            yield from moments(shape, f"{prefix}{name}.", depth + 1)


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
