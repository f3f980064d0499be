"""The entries of `streams`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from target_kissmetrics.config.definitions import read_object
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.registry import check_keys
from target_kissmetrics.mapping.rules.fields import Globs, glob_pattern
from target_kissmetrics.mapping.settings import StreamSettings


def entry_for(entries: Iterable[StreamSettings], stream: str) -> StreamSettings | None:
    """Return the first entry that matches a stream's name."""
    return next((entry for entry in entries if glob_pattern(entry.stream).fullmatch(stream)), None)


def read_entry(entry: object, index: int) -> StreamSettings:
    """Read one entry; a ConfigError names a key that is wrong, or has no effect for the kind."""
    return checked(read_object(StreamSettings, entry, f"streams[{index}]"))


def checked(entry: StreamSettings) -> StreamSettings:
    """Return an entry, each item of its `events` with the keys that it leaves out, if every key has an effect."""
    events = tuple(entry.of_event(item) for item in entry.events)
    for event in events:
        if event.event_name is None:
            raise ConfigError(f"{event.place}.event_name", "is required; set it to the event's name")
    entry = replace(entry, events=events)
    if entry.kind is not None:  # else when the SCHEMA decides it
        check_keys(entry, entry.kind)
    for one in (entry, *events):
        _check_renames(one)
    return entry


def _check_renames(entry: StreamSettings) -> None:
    for index, (field, _) in enumerate(entry.rename):
        is_included = entry.include is None or "." in field or Globs(entry.include).match(field)
        if Globs(entry.exclude).match(field) or not is_included:
            key, problem = ("exclude", "leaves it out") if is_included else ("include", "does not name it")
            text = f"{field!r} has no effect, since {key} {problem}; change {key}, or remove the rename"
            raise ConfigError(f"{entry.place}.rename[{index}]", text)


def check_reachable(entries: Sequence[StreamSettings]) -> None:
    """Check that every entry can match a stream that no earlier one matches, else raise a ConfigError."""
    for index, entry in enumerate(entries):
        for earlier in entries[:index]:
            if earlier.stream == entry.stream:
                problem = f"{entry.stream!r} has an entry already, {earlier.place}; merge the two entries"
            elif _covers(earlier.stream, entry.stream):
                problem = f"{earlier.place} ({earlier.stream!r}) comes first and matches; move this entry before it"
            else:
                continue
            raise ConfigError(f"{entry.place}.stream", problem)


def _covers(glob: str, other: str) -> bool:
    """Return whether a glob matches every name that another one, or a name, stands for."""
    signs = {"*": ".*", "?": "[^*]"}
    return re.fullmatch("".join(signs.get(sign) or re.escape(sign) for sign in glob), other, re.DOTALL) is not None
