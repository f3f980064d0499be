"""Names of streams in the config that match no stream. A typo there assigns data to the wrong person, permanently."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from target_kissmetrics.mapping.rules.fields import glob_pattern
from target_kissmetrics.mapping.settings import StreamSettings

_MIN_SIMILARITY = 0.8
"""Of each word: `custmers` is similar to `customers`; `users` is not similar to `orders`, nor `2023` to `2024`."""

_MIN_SIMILARITY_OF_WHOLE = 0.9


class ConfiguredName(NamedTuple):
    """A stream's name in the config.

    Attributes:
        place: The entry or map that the name is in: `streams[0]`.
        key: The name's own place: `streams[0].stream`.
        name: The name, or a glob.
        is_glob: Whether it is a glob.
        is_entry: Whether it is in `streams`; those in `stream_maps` have globs of another kind.
    """

    place: str
    key: str
    name: str
    is_glob: bool
    is_entry: bool

    def matches(self, stream: str) -> bool:
        """Return whether the name applies to a stream."""
        if self.is_entry:
            return bool(glob_pattern(self.name).fullmatch(stream))
        return self.name == stream or fnmatchcase(stream, self.name)


def of_entries(entries: Iterable[StreamSettings]) -> list[ConfiguredName]:
    """Return the names in `streams`. They apply after stream maps."""
    return [ConfiguredName(one.place, f"{one.place}.stream", one.stream, one.is_glob, is_entry=True) for one in entries]


def of_stream_maps(maps: object) -> list[ConfiguredName]:
    """Return the names in `stream_maps`. They apply to the tap's streams."""
    if not isinstance(maps, Mapping):
        return []
    named = [_source(str(key), value) for key, value in maps.items() if not str(key).startswith("__")]
    return [
        ConfiguredName(place, place, name, any(sign in name for sign in "*?["), is_entry=False)
        for place, name in named
        if not _is_field(name, maps)
    ]


def _source(key: str, value: Any) -> tuple[str, str]:
    source = value.get("__source__") if isinstance(value, Mapping) else None
    return (f"stream_maps.{key}.__source__", source) if isinstance(source, str) else ("stream_maps", key)


def _is_field(name: str, maps: Mapping[str, Any]) -> bool:
    """Return whether the name is also a field of a stream: in the environment the two look the same."""
    stream, dot, field = name.rpartition(".")
    inner = maps.get(stream) if dot and maps.get(name, "") is None else None
    return isinstance(inner, Mapping) and field in inner


class NameWatch:
    """Compares the streams of a run with the names in the config.

    Args:
        names: The names in one place of the config: `streams` or `stream_maps`.
    """

    def __init__(self, names: Iterable[ConfiguredName]) -> None:
        self._unmatched = list(names)
        self._matched: list[ConfiguredName] = []
        self._other_streams: list[str] = []

    def saw(self, stream: str) -> list[str]:
        """Count a stream; return the warnings about it, only once."""
        self._matched += [one for one in self._unmatched if one.matches(stream)]
        self._unmatched = [one for one in self._unmatched if not one.matches(stream)]
        if stream in self._other_streams or any(one.matches(stream) for one in self._matched):
            return []
        self._other_streams.append(stream)
        return [
            f"{one.key} '{one.name}' matches no stream; did you mean '{stream}'?"
            for one in self._unmatched
            if not one.is_glob and is_similar(one.name, stream)
        ]

    @property
    def unseen(self) -> list[ConfiguredName]:
        """The names that have matched no stream so far."""
        return list(self._unmatched)

    @property
    def has_seen_any(self) -> bool:
        """Whether there was any stream."""
        return bool(self._matched or self._other_streams)

    def guess(self, one: ConfiguredName) -> str:
        """Return `; did you mean 'orders'?` for a name that has matched no stream, or an empty string."""
        similar = [stream for stream in self._other_streams if is_similar(one.name, stream)]
        return f"; did you mean '{similar[0]}'?" if similar else ""


def named(names: Iterable[ConfiguredName]) -> str:
    """List names with their places."""
    return ", ".join(f"'{one.name}' ({one.key})" for one in names)


def is_similar(typed: str, stream: str) -> bool:
    """Return whether a name is likely a typo of another one, with or without the name of its schema."""
    first, second = _words(typed), _words(stream)
    if _are_similar(first, second):
        return True
    short, long = sorted((re.split(r"[-.]", typed), re.split(r"[-.]", stream)), key=len)
    return len(short) == 1 < len(long) and _are_similar(_words(short[0]), _words(long[-1]))


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", name.lower()) if word]


def _are_similar(first: list[str], second: list[str]) -> bool:
    if len(first) == len(second):
        pairs = zip(first, second, strict=True)
        return bool(first) and all(_similarity(one, other) >= _MIN_SIMILARITY for one, other in pairs)
    return _similarity("".join(first), "".join(second)) >= _MIN_SIMILARITY_OF_WHOLE


def _similarity(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()
