"""Entries of `streams` as YAML to paste into a meltano.yml."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from target_kissmetrics.preview.suggest.entry import Suggestion
from target_kissmetrics.reporting import display
from target_kissmetrics.reporting.redaction import redact

_COMMENT_CHARACTERS = 2000


def as_yaml(suggestions: Sequence[Suggestion], stream_maps: Mapping[str, Any] | None = None) -> str:
    """Write entries with their reasons as comments; and `stream_maps`, with the maps that they need, if they need any.

    The YAML reads back as the same entries and maps, whatever names hold.
    """
    needed = {one.entry["stream"]: one.stream_map for one in suggestions if one.stream_map}
    before = _dumped({"stream_maps": {**(stream_maps or {}), **needed}}) if needed else ""
    entries = "streams:\n" + "".join(map(entry_as_yaml, suggestions)) if suggestions else "streams: []\n"
    return before + entries


def entry_as_yaml(suggestion: Suggestion) -> str:
    """Write one entry, without `streams:` in front."""
    comments = [f"# {display.line(reason, _COMMENT_CHARACTERS)}" for reason in suggestion.why]
    return "".join(f"  {line}\n" for line in [*comments, *_dumped([suggestion.entry]).splitlines()])


def _dumped(value: object) -> str:
    # In ASCII, a name with a line separator of Unicode stays on one line.
    is_plain = json.dumps(value, ensure_ascii=False).isprintable()
    return redact(yaml.safe_dump(value, sort_keys=False, allow_unicode=is_plain, width=1_000_000))
