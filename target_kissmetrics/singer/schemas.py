"""A stream's schema as the mapping reads it: without references, and with `properties`.

A local reference (`#/definitions/...`) is replaced by what it leads to, once, when the SCHEMA message arrives. No other
reference is read or fetched.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

MAX_DEPTH = 60
"""Of subschemas in each other, and of references that lead to references: the mapping looks no deeper."""

MAX_UNFOLDED = 10_000
"""Subschemas behind references. They are unfolded level by level, so that the limit cuts the deepest."""

_OF_FIELDS = frozenset({"properties", "patternProperties"})
_OF_PARTS = frozenset({"items", "additionalProperties", "anyOf", "oneOf", "allOf"})
_CREDENTIALS = re.compile(r"(?<=//)[^/@]*@")
_MAX_CHARACTERS = 200


class Unfolded(NamedTuple):
    """A schema without references, those that are not followed (fields of any type), and whether it is cut."""

    schema: dict[str, Any]
    not_followed: list[str]
    is_cut: bool


def unfolded(schema: Mapping[str, Any]) -> Unfolded:
    """Replace the references of a schema. What is no schema in it (`"items": 5`) is dropped."""
    made: dict[str, Any] = {}
    not_followed: dict[str, None] = {}
    waiting = deque([(schema, made, 0, False)])
    count, is_cut = 0, False
    while waiting:
        node, into, depth, is_behind = waiting.popleft()
        if "$ref" in node:
            node, is_behind = _followed(schema, node, not_followed), True
        copied, parts = _copied(node)
        if depth > MAX_DEPTH:
            continue
        if is_behind and parts:
            count += len(parts)
            is_cut |= count > MAX_UNFOLDED
            if is_cut:
                continue
        into.update(copied)
        waiting.extend((part, made_of, depth + 1, is_behind) for part, made_of in parts)
    made["properties"] = _all_properties(made)
    return Unfolded(made, [_CREDENTIALS.sub("", ref)[:_MAX_CHARACTERS] for ref in not_followed], is_cut)


def _copied(node: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[Mapping[str, Any], dict[str, Any]]]]:
    """Copy a subschema; return its parts, too, each with its copy, which is empty yet."""
    copied: dict[str, Any] = {}
    parts: list[tuple[Mapping[str, Any], dict[str, Any]]] = []

    def part(value: Any) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if isinstance(value, Mapping):
            parts.append((value, made))
        return made

    for keyword, value in node.items():
        if keyword in _OF_FIELDS:
            copied[keyword] = {name: part(field) for name, field in value.items()} if isinstance(value, Mapping) else {}
        elif keyword in _OF_PARTS and not isinstance(value, bool):
            copied[keyword] = [part(one) for one in value] if isinstance(value, list) else part(value)
        elif keyword == "type" and isinstance(value, list):
            copied[keyword] = [one for one in value if isinstance(one, str)]
        elif keyword != "$ref" and not isinstance(value, list | dict):
            copied[keyword] = value
    return copied, parts


def _followed(root: Mapping[str, Any], node: Mapping[str, Any], not_followed: dict[str, None]) -> Mapping[str, Any]:
    """Follow the references of a subschema; its own keywords win over those that they lead to."""
    seen: set[str] = set()
    while "$ref" in node:
        ref = node["$ref"]
        own = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
        is_new = isinstance(ref, str) and ref not in seen and len(seen) < MAX_DEPTH
        target = _found(root, ref) if is_new else None
        if target is None:
            not_followed.setdefault(str(ref))
            return own
        seen.add(ref)
        node = {**target, **own}
        if isinstance(target.get("properties"), Mapping) and isinstance(own.get("properties"), Mapping):
            node["properties"] = {**target["properties"], **own["properties"]}
    return node


def _found(root: Mapping[str, Any], ref: str) -> Mapping[str, Any] | None:
    """Return what a local reference leads to (RFC 6901), or None."""
    pointer = unquote(ref[1:])
    if not ref.startswith("#") or (pointer and not pointer.startswith("/")):
        return None
    found: Any = root
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal() and len(name) < 10 and int(name) < len(found):
            found = found[int(name)]
        else:
            found = found.get(name) if isinstance(found, Mapping) else None
    return {} if found is True else found if isinstance(found, Mapping) else None


def _all_properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a row: also those in the parts that the schema is composed of."""
    parts = [part for keyword in ("allOf", "anyOf", "oneOf") for part in _list(schema.get(keyword))]
    inherited = {name: field for part in parts for name, field in _all_properties(part).items()}
    return {**inherited, **schema.get("properties", {})}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
