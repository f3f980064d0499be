"""The kinds of streams. Each kind is declared in its own module; a new message format is one more line here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.formats import kissmetrics_export
from target_kissmetrics.mapping.formats.mparticle import mapping as mparticle
from target_kissmetrics.mapping.formats.segment import mapping as segment
from target_kissmetrics.mapping.kinds import event, people
from target_kissmetrics.mapping.settings import ROW_KEYS, StreamSettings
from target_kissmetrics.mapping.stream import Kind

ALL_KEYS = frozenset(key.name for key in fields(StreamSettings)) - {"place", "given", "stream", "kind", *ROW_KEYS}
"""Keys of an entry that have a meaning for some kinds only."""

_FLAT = (event.KIND, people.USER_ATTRIBUTES, people.ALIAS, people.EXPERIMENT)
_MESSAGE_FORMATS = (
    segment.KIND,
    mparticle.KIND,
    kissmetrics_export.KIND,
)
_IGNORE = Kind("ignore", keys=ALL_KEYS, detect=lambda _: None, mapping=None)

BY_NAME = {kind.name: kind for kind in (*_FLAT, *_MESSAGE_FORMATS, _IGNORE)}
KINDS = tuple(BY_NAME)
"""The names of all kinds, as in `kind` of an entry of `streams`."""

FLAT_KINDS = tuple(kind.name for kind in _FLAT)
"""Kinds whose rows are flat: one event, one person's attributes, one alias or one assignment a row. Their entries name
fields of the row; those of message formats name fields of objects in the row."""

DETECTION_ORDER = (*_MESSAGE_FORMATS, people.ALIAS, people.EXPERIMENT, event.KIND, people.USER_ATTRIBUTES)
"""The first kind that recognizes a stream's schema wins."""


def check_keys(entry: StreamSettings, kind: str, keys: Collection[str] = ALL_KEYS) -> None:
    """Raise ConfigError if one of some keys of an entry has no meaning for the stream's kind, so no effect."""
    for key in fields(StreamSettings):
        given = key.name in keys and getattr(entry, key.name) != key.default
        if given and key.name not in BY_NAME[kind].keys:
            to_do = "give such streams an entry of their own, before it" if entry.is_glob else "change the kind"
            raise ConfigError(f"{entry.place}.{key.name}", f"has no meaning for kind {kind}; remove it, or {to_do}")
    for item in entry.events:
        for name in sorted(item.given - BY_NAME[kind].item_keys) if kind != _IGNORE.name else ():
            raise ConfigError(f"{item.place}.{name}", f"has no meaning for kind {kind}; remove it")
