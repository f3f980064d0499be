"""The entries of `streams`."""

from __future__ import annotations

from collections.abc import Iterable

from target_kissmetrics.config.definitions import read_object
from target_kissmetrics.mapping.registry import check_keys
from target_kissmetrics.mapping.rules.fields import glob_pattern
from target_kissmetrics.mapping.settings import StreamSettings


def entry_for(entries: Iterable[StreamSettings], stream: str) -> StreamSettings | None:
    """Return the first entry that matches a stream's name."""
    return next((entry for entry in entries if glob_pattern(entry.stream).fullmatch(stream)), None)


def read_entry(entry: object, index: int) -> StreamSettings:
    """Read one entry.

    Raises:
        ConfigError: A key is wrong, or has no effect for the kind.
    """
    settings: StreamSettings = read_object(StreamSettings, entry, f"streams[{index}]")
    if settings.kind is not None:
        check_keys(settings, settings.kind)
    return settings
