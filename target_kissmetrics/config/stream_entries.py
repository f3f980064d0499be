"""The entries of `streams`."""

from __future__ import annotations

from collections.abc import Iterable

from target_kissmetrics.config.definitions import read_object
from target_kissmetrics.mapping.rules.fields import glob_pattern
from target_kissmetrics.mapping.settings import StreamSettings, check_keys


def entry_for(entries: Iterable[StreamSettings], stream: str) -> StreamSettings | None:
    """Return the first entry that matches a stream's name."""
    return next(
        (entry for entry in entries if entry.stream == stream or glob_pattern(entry.stream).fullmatch(stream)), None
    )


def read_entry(entry: object, index: int) -> StreamSettings:
    """Read one entry.

    Raises:
        ConfigError: It names the entry and the key.
    """
    settings: StreamSettings = read_object(StreamSettings, entry, f"streams[{index}]")
    check_keys(settings, settings.kind)
    return settings
