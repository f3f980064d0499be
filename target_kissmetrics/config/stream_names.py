"""Names of streams in a config that no stream has: a slip that would send people under a wrong identity, for ever."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from target_kissmetrics.mapping.rules.fields import glob_pattern
from target_kissmetrics.mapping.settings import StreamSettings

_LEAST_LIKENESS = 0.8
"""Of each word: `custmers` is like `customers`, `users` is not like `orders`, nor `2023` like `2024`."""

_LEAST_LIKENESS_AS_A_WHOLE = 0.9


class Wanted(NamedTuple):
    """A stream's name in the config.

    Attributes:
        place: Where it stands: `streams[0]`.
        name: The name, or a glob.
        what: What it is: `entry` or `map`.
        is_glob: Whether it is a glob.
    """

    place: str
    name: str
    what: str
    is_glob: bool

    def matches(self, stream: str) -> bool:
        """Whether a stream is meant by it, as who uses it decides."""
        if self.name == stream:
            return True
        if self.what == "entry":
            return bool(glob_pattern(self.name).fullmatch(stream))
        return fnmatchcase(stream, self.name)


def of_entries(entries: Iterable[StreamSettings]) -> list[Wanted]:
    """Give the names in `streams`, which are those after stream maps."""
    return [Wanted(entry.place, entry.stream, "entry", entry.is_glob) for entry in entries]


def of_stream_maps(maps: object) -> list[Wanted]:
    """Give the names in `stream_maps`, which are those of the tap."""
    if not isinstance(maps, Mapping):
        return []
    named = [_source(str(key), value) for key, value in maps.items() if not str(key).startswith("__")]
    return [
        Wanted(place, name, "map", any(sign in name for sign in "*?["))
        for place, name in named
        if not _is_field(name, maps)
    ]


def _source(key: str, value: Any) -> tuple[str, str]:
    source = value.get("__source__") if isinstance(value, Mapping) else None
    return (f"stream_maps.{key}.__source__", source) if isinstance(source, str) else ("stream_maps", key)


def _is_field(name: str, maps: Mapping[str, Any]) -> bool:
    """Whether it is there beside a stream's field: in the environment the two look the same."""
    stream, dot, field = name.rpartition(".")
    inner = maps.get(stream) if dot and maps.get(name, "") is None else None
    return isinstance(inner, Mapping) and field in inner


class NameWatch:
    """Watches which streams come, and tells what the config names instead.

    Args:
        wanted: Names in one place of the config: those of its entries, or those of its stream maps.
    """

    def __init__(self, wanted: Iterable[Wanted]) -> None:
        self._unseen = list(wanted)
        self._seen: list[Wanted] = []
        self._missed: list[str] = []

    def saw(self, stream: str) -> list[str]:
        """Take a stream's name; give what to warn of, once for a stream."""
        came = [one for one in self._unseen if one.matches(stream)]
        self._unseen = [one for one in self._unseen if one not in came]
        self._seen += came
        if stream in self._missed or any(one.matches(stream) for one in self._seen):
            return []
        self._missed.append(stream)
        return [
            f"{one.place} is for '{one.name}'; did you mean '{stream}', which no {one.what} is for?"
            for one in self._unseen
            if not one.is_glob and is_alike(one.name, stream)
        ]

    @property
    def unseen(self) -> list[Wanted]:
        """Names that no stream had so far."""
        return list(self._unseen)

    def guess(self, one: Wanted) -> str:
        """Give `; did you mean 'orders', which no entry is for?` for a name that no stream had, or nothing."""
        alike = [stream for stream in self._missed if is_alike(one.name, stream)]
        return f"; did you mean '{alike[0]}', which no {one.what} is for?" if alike else ""


def named(unseen: Iterable[Wanted]) -> str:
    """List names with their places."""
    return ", ".join(f"'{one.name}' ({one.place})" for one in unseen)


def is_alike(typed: str, stream: str) -> bool:
    """Tell whether a name is likely to be a slip of another one, its schema's name left out or not."""
    first, second = _words(typed), _words(stream)
    if _are_alike(first, second):
        return True
    short, long = sorted((_tables(typed), _tables(stream)), key=len)
    return len(short) == 1 < len(long) and _are_alike(_words(short[0]), _words(long[-1]))


def _tables(name: str) -> list[str]:
    return re.split(r"[-.]", name)


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", name.lower()) if word]


def _are_alike(first: list[str], second: list[str]) -> bool:
    if len(first) == len(second):
        return bool(first) and all(
            _likeness(one, other) >= _LEAST_LIKENESS for one, other in zip(first, second, strict=True)
        )
    return _likeness("".join(first), "".join(second)) >= _LEAST_LIKENESS_AS_A_WHOLE


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()
