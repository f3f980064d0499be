"""Reads the entries of `streams`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from target_kissmetrics.errors import ConfigError, did_you_mean
from target_kissmetrics.mapping.registry import KINDS, check_keys
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import Template, glob_pattern
from target_kissmetrics.mapping.settings import StreamSettings

_TEXTS = (
    "customer_id",
    "device_id",
    "timestamp",
    "line_items",
    "user_attributes",
    "previous_id",
    "experiment",
    "variant",
)
_FLAGS = ("refund", "once", "spread_duplicates")
_KEYS = tuple(f.name for f in fields(StreamSettings) if f.name != "place")
_NO_SUCH = f"; take it out (keys are {', '.join(_KEYS)})"


def entry_for(entries: Iterable[StreamSettings], stream: str) -> StreamSettings | None:
    """Give the first entry that matches a stream's name."""
    return next(
        (entry for entry in entries if entry.stream == stream or glob_pattern(entry.stream).fullmatch(stream)), None
    )


def read_entry(entry: object, index: int) -> StreamSettings:
    """Read one entry.

    Raises:
        ConfigError: It names the entry and the key.
    """
    place = f"streams[{index}]"
    if not isinstance(entry, Mapping):
        raise ConfigError(place, f"must be an object such as {{stream: users, kind: user_attributes}}, not {entry!r}")
    given = {key: value for key, value in entry.items() if value is not None}
    for key in given:
        if key not in _KEYS:
            raise ConfigError(f"{place}.{key}", f"no such key{did_you_mean(str(key), _KEYS) or _NO_SUCH}")
    values: dict[str, Any] = {"place": place, "stream": _text(given, "stream", place, required=True)}
    values["kind"] = _kind(given, place)
    values.update({key: _text(given, key, place) for key in _TEXTS})
    values["event_name"] = _event_name(given, place)
    values.update({key: _flag(given, key, place) for key in _FLAGS})
    values["include"] = _texts(given, "include", place)
    values["exclude"] = _texts(given, "exclude", place) or ()
    values["rename"] = _rename(given, place)
    values["revenue"] = _revenue(given, place)
    settings = StreamSettings(**values)
    if settings.kind is not None:
        check_keys(settings, settings.kind)
    return settings


def _kind(given: Mapping[str, Any], place: str) -> str | None:
    kind = given.get("kind")
    if kind is None:
        return None
    if kind not in KINDS:
        likely = did_you_mean(str(kind), KINDS)
        raise ConfigError(f"{place}.kind", f"must be one of {', '.join(KINDS)}, not {kind!r}{likely}")
    return str(kind)


def _text(given: Mapping[str, Any], key: str, place: str, *, required: bool = False) -> str | None:
    value = given.get(key)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{place}.{key}", f"must be a text that is not empty, not {value!r}")
    return value


def _flag(given: Mapping[str, Any], key: str, place: str) -> bool:
    value = given.get(key, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{place}.{key}", f"must be true or false, not {value!r}")
    return value


def _texts(given: Mapping[str, Any], key: str, place: str) -> tuple[str, ...] | None:
    value = given.get(key)
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) and item.strip() for item in value):
        raise ConfigError(f"{place}.{key}", f"must be a list of fields, not {value!r}")
    return tuple(value)


def _event_name(given: Mapping[str, Any], place: str) -> str | None:
    text = _text(given, "event_name", place)
    if text is not None and not Template(text).fields:
        try:
            names.event_name(text)
        except Rejected as problem:
            raise ConfigError(f"{place}.event_name", f"{text[:60]!r}: {problem.problem}; write another one") from None
    return text


def _rename(given: Mapping[str, Any], place: str) -> tuple[tuple[str, str], ...]:
    value = given.get("rename", [])
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{place}.rename", "must be a list of {field: ..., property: ...}")
    renames: dict[str, str] = {}
    for index, item in enumerate(value):
        where = f"{place}.rename[{index}]"
        field, name = _rename_pair(item, where)
        if field in renames:
            raise ConfigError(where, f"field {field!r} is renamed twice; take one of the two out")
        renames[field] = name
    return tuple(renames.items())


def _rename_pair(item: object, where: str) -> tuple[str, str]:
    if not isinstance(item, Mapping) or set(item) != {"field", "property"}:
        raise ConfigError(where, f"must be {{field: ..., property: ...}}, not {item!r}")
    field, wanted = str(_text(item, "field", where, required=True)), str(_text(item, "property", where, required=True))
    try:
        return field, names.property_name(wanted)
    except Rejected as problem:
        raise ConfigError(f"{where}.property", f"{wanted[:60]!r}: {problem.problem}; write another one") from None


def _revenue(given: Mapping[str, Any], place: str) -> tuple[str, ...] | None:
    value = given.get("revenue")
    if value is None:
        return None
    if value is False:
        return ()
    if isinstance(value, str) and value.strip():
        return (value,)
    if isinstance(value, (list, tuple)) and value:
        return _texts(given, "revenue", place)
    raise ConfigError(f"{place}.revenue", f"must be a field, a list of fields or false, not {value!r}")
