"""Entries of `streams` as YAML to paste into a meltano.yml."""

from __future__ import annotations

import json
from collections.abc import Sequence

import yaml

from target_kissmetrics.preview.suggest.entry import Suggestion
from target_kissmetrics.reporting import display

_COMMENT_CHARACTERS = 2000


def as_yaml(suggestions: Sequence[Suggestion]) -> str:
    """Write entries with their reasons as comments. The YAML reads back as the same entries, whatever names hold."""
    return "streams:\n" + "".join(map(entry_as_yaml, suggestions)) if suggestions else "streams: []\n"


def entry_as_yaml(suggestion: Suggestion) -> str:
    """Write one entry, without `streams:` in front."""
    # In ASCII, a name with a line separator of Unicode stays on one line.
    is_plain = json.dumps(suggestion.entry, ensure_ascii=False).isprintable()
    dumped = yaml.safe_dump([suggestion.entry], sort_keys=False, allow_unicode=is_plain, width=1_000_000)
    comments = [f"# {display.line(reason, _COMMENT_CHARACTERS)}" for reason in suggestion.why]
    return "".join(f"  {line}\n" for line in [*comments, *dumped.splitlines()])
