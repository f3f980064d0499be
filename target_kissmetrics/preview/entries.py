"""Entries of `streams`, written as YAML to paste into a meltano.yml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from target_kissmetrics.preview.suggesting import Suggestion
from target_kissmetrics.reporting import display as shown

_WIDE = 1_000_000
_COMMENT_CHARACTERS = 2000


def as_yaml(suggestions: Sequence[Suggestion]) -> str:
    """Write entries with their reasons as comments.

    Whatever the names hold, what is written is read again as the same entries.
    """
    if not suggestions:
        return "streams: []\n"
    return "streams:\n" + "".join(entry_yaml(suggestion) for suggestion in suggestions)


def entry_yaml(suggestion: Suggestion) -> str:
    """Write one entry, without `streams:` in front."""
    comments = "".join(f"  # {shown.line(reason, _COMMENT_CHARACTERS)}\n" for reason in suggestion.why)
    return comments + "".join(f"  {text}\n" for text in _dumped(suggestion.entry).splitlines())


def _dumped(entry: Mapping[str, Any]) -> str:
    # In ASCII a name that holds a line separator of Unicode stays on one line.
    plain = all(text.isprintable() for text in _texts(entry))
    dumped: str = yaml.safe_dump([dict(entry)], sort_keys=False, allow_unicode=plain, width=_WIDE)
    return dumped


def _texts(given: object) -> list[str]:
    if isinstance(given, str):
        return [given]
    if isinstance(given, Mapping):
        return [text for item in given.items() for part in item for text in _texts(part)]
    if isinstance(given, (list, tuple)):
        return [text for item in given for text in _texts(item)]
    return []
