"""Names of streams in the config that match no stream. A typo there assigns data to the wrong person, permanently."""

import difflib
import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from target_kissmetrics.mapping.rules.fields import glob_pattern
from target_kissmetrics.mapping.settings import StreamSettings


class ConfiguredName(NamedTuple):
    """A stream's name in the config, or a glob."""

    place: str  # the entry or map that the name is in: `streams[0]`
    key: str  # the name's own place: `streams[0].stream`
    name: str
    pattern: re.Pattern[str]  # matches the streams that it applies to

    @property
    def is_glob(self) -> bool:
        """Whether it may apply to several streams."""
        return any(sign in self.name for sign in "*?[")

    def matches(self, stream: str) -> bool:
        """Return whether it applies to a stream."""
        return self.name == stream or self.pattern.fullmatch(stream) is not None


def of_entries(entries: Iterable[StreamSettings]) -> list[ConfiguredName]:
    """Return the names in `streams`. They apply after stream maps."""
    return [ConfiguredName(one.place, f"{one.place}.stream", one.stream, glob_pattern(one.stream)) for one in entries]


def of_stream_maps(maps: object) -> list[ConfiguredName]:
    """Return the names in `stream_maps`. They apply to the tap's streams, and have globs of another kind."""
    named = []
    for key, value in maps.items() if isinstance(maps, Mapping) else ():
        source = value.get("__source__") if isinstance(value, Mapping) else None
        place, name = (f"stream_maps.{key}.__source__", source) if isinstance(source, str) else ("stream_maps", key)
        if not key.startswith("__") and not _is_field(name, maps):
            named.append(ConfiguredName(place, place, name, re.compile(fnmatch.translate(name))))
    return named


def _is_field(name: str, maps: Any) -> bool:
    """Return whether the name is also a field of a stream: in the environment the two look the same."""
    stream, dot, field = name.rpartition(".")
    inner = maps.get(stream) if dot and maps.get(name, "") is None else None
    return isinstance(inner, Mapping) and field in inner


class NameWatch:
    """Compares the streams of a run with the names in `streams` or `stream_maps`; `unseen` have matched none so far.

    `seen` are the streams, each with whether a name matches it.
    """

    def __init__(self, names: Iterable[ConfiguredName]) -> None:
        self._names = list(names)
        self.unseen = self._names
        self.seen: dict[str, bool] = {}

    def saw(self, stream: str) -> list[str]:
        """Count a stream; return the warnings about it, only once."""
        if stream in self.seen:
            return []
        self.seen[stream] = any(one.matches(stream) for one in self._names)
        self.unseen = [one for one in self.unseen if not one.matches(stream)]
        return [
            f"{one.key} '{one.name}' matches no stream; did you mean '{stream}'?"
            for one in self.unseen
            if not self.seen[stream] and not one.is_glob and is_similar(one.name, stream)
        ]

    def guess(self, one: ConfiguredName) -> str:
        """Return `; did you mean 'orders'?` for a name that has matched no stream, or an empty string."""
        similar = [name for name, is_matched in self.seen.items() if not is_matched and is_similar(one.name, name)]
        return f"; did you mean '{similar[0]}'?" if similar else ""


def is_similar(typed: str, stream: str) -> bool:
    """Return whether a name is likely a typo of another one, with or without the name of its schema."""
    short, short_stream = (re.split(r"[-.]", name)[-1] for name in (typed, stream))
    return any(_are_similar(*pair) for pair in ((typed, stream), (short, stream), (typed, short_stream)))


def _are_similar(one: str, other: str) -> bool:
    first, second = (re.findall(r"[^\W_]+", name.lower()) for name in (one, other))
    if len(first) != len(second):
        return "".join(first) == "".join(second)
    pairs = zip(first, second, strict=True)
    ratios = [difflib.SequenceMatcher(None, *words, autojunk=False).ratio() for words in pairs]
    # `custmers` is similar to `customers`; `users` is not similar to `orders`, nor `2023` to `2024`.
    return bool(ratios) and min(ratios) >= 0.8
