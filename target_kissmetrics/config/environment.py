"""Settings from the environment as Meltano writes them there: objects within objects are flat.

What stands in meltano.yml as `stream_maps: {orders: {total: float(total)}}` is in the variable
`{"orders.total": "float(total)"}`; in the config file that Meltano writes for a run it is whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NESTED = ("batch_config", "stream_map_config", "stream_maps")
"""Settings that hold objects within objects."""


def put_together(name: str, value: Any) -> Any:
    """Put what Meltano made flat together again; what is whole stays as it is.

    Args:
        name: The setting's name.
        value: Its value, from its variable.
    """
    if name not in NESTED or not isinstance(value, Mapping):
        return value
    return _stream_maps(value) if name == "stream_maps" else _tree(value)


def _stream_maps(flat: Mapping[str, Any]) -> dict[str, Any]:
    """A stream's name may hold dots: it is all up to the last one."""
    maps: dict[str, Any] = {}
    guessed: set[str] = set()
    for key, value in flat.items():
        stream, dot, field = key.rpartition(".")
        if not dot or not stream or isinstance(value, Mapping):
            maps[key] = {**maps.get(key, {}), **value} if isinstance(value, Mapping) else value
            continue
        if value is None or value == "__NULL__":
            # It may be a stream with a dot in its name, which is left out: it must not be sent.
            guessed.add(key)
            maps.setdefault(key, None)
        if stream in guessed and maps[stream] is None:
            maps[stream] = {}
        if isinstance(maps.setdefault(stream, {}), dict):
            maps[stream][field] = value
    return maps


def _tree(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *folders, last = key.split(".")
        inner = tree
        for folder in folders:
            inner = inner.setdefault(folder, {})
            if not isinstance(inner, dict):
                return dict(flat)
        inner[last] = value
    return tree
