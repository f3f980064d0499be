"""Reads settings from variables of the environment, `TARGET_KISSMETRICS_` and the name in capitals.

Meltano flattens nested objects there. `stream_maps: {orders: {total: float(total)}}` of meltano.yml is
`{"orders.total": "float(total)"}` in the variable, but nested in the config file that Meltano writes for a run.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from target_kissmetrics.config.definitions import Schema
from target_kissmetrics.errors import ConfigError

PREFIX = "TARGET_KISSMETRICS_"

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


def read_environment(variables: Mapping[str, str], schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """Read the settings that have a variable, by the JSON Schema of each. An empty one is left out."""
    flattening = {f"flattening_max_{name}": {"type": ["integer"]} for name in ("depth", "key_length")}
    flattening |= {"flattening_enabled": {"type": ["boolean"]}, "flattening_separator": {"type": ["string"]}}
    read = {**schemas, **flattening}  # they are refused
    given = {name: variables.get(variable_of(name)) for name in read}
    return {name: _value(name, read[name], text) for name, text in given.items() if text}


def variable_of(name: str) -> str:
    """Return the name of a setting's variable."""
    return PREFIX + name.upper()


def _value(name: str, schema: Schema, text: str) -> Any:
    types = schema["type"]
    if "boolean" in types:
        # Not everything else is false: `TARGET_KISSMETRICS_DRY_RUN=y` must not send.
        if text.lower() not in _TRUE | _FALSE:
            raise ConfigError(name, f"must be true or false, but {variable_of(name)} is neither")
        return text.lower() in _TRUE
    if "integer" in types:
        return _integer(text)
    if "array" not in types and "object" not in types:
        return text
    try:
        return unflattened(name, json.loads(text))
    except (ValueError, RecursionError):
        if schema.get("items") == {"type": ["string"]}:
            return text.split(",")
        kind = "list" if "array" in types else "object"
        raise ConfigError(name, f"must be a JSON {kind}, but {variable_of(name)} is not") from None


def _integer(text: str) -> int | str:
    """Read an integer, also `8.0` and `1e2`; other text stays as it is, for the check of the setting."""
    with suppress(ValueError):
        if text.isascii() and "_" not in text and float(text).is_integer():  # else a number of Python, not of JSON
            return int(float(text))
    return text


def unflattened(name: str, value: Any) -> Any:
    """Nest again what Meltano flattened in a setting's value; other values stay as they are."""
    if not isinstance(value, Mapping):
        return value
    if name == "stream_maps":
        return _stream_maps(value)
    return _tree(value) if name in {"batch_config", "stream_map_config"} else value


def _stream_maps(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Nest stream maps. A stream's name may contain dots: it ends at the last one."""
    maps: dict[str, Any] = {}
    ambiguous: set[str] = set()
    for key, value in flat.items():
        stream, dot, field = key.rpartition(".")
        if not dot or not stream or isinstance(value, Mapping):
            maps[key] = {**maps.get(key, {}), **value} if isinstance(value, Mapping) else value
            continue
        if value is None or value == "__NULL__":
            # This may also be a stream with a dot in its name that is excluded, and so must not be sent.
            ambiguous.add(key)
            maps.setdefault(key, None)
        if stream in ambiguous and maps[stream] is None:
            maps[stream] = {}
        if isinstance(maps.setdefault(stream, {}), dict):
            maps[stream][field] = value
    return maps


def _tree(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        inner = tree
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                return dict(flat)
        inner[last] = value
    return tree
