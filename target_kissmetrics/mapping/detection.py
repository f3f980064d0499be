"""The kind and the mapping of a stream, decided once, when its SCHEMA message arrives.

Kissmetrics cannot delete data. A stream whose kind is ambiguous therefore stops the run: an `orders` or `products`
table must not become people's attributes by a guess.
"""

from __future__ import annotations

from typing import NamedTuple

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.registry import BY_NAME, DETECTION_ORDER, FLAT_KINDS, check_keys
from target_kissmetrics.mapping.settings import PROPERTY_KEYS
from target_kissmetrics.mapping.stream import Stream, StreamMapping


class Detected(NamedTuple):
    """The name of a kind, and why the stream is of this kind."""

    kind: str
    why: str


class ResolvedStream(NamedTuple):
    """A stream whose kind is decided.

    Attributes:
        kind: Name of the kind.
        why: Why it is of this kind: a clause for the log.
        mapping: Maps its rows; None for `kind: ignore`.
    """

    kind: str
    why: str
    mapping: StreamMapping | None


def resolve(stream: Stream) -> ResolvedStream:
    """Decide a stream's kind and create its mapping.

    Raises:
        ConfigError: The kind is ambiguous, or the entry names a key or a field that the stream does not have.
    """
    entry = stream.entry
    if entry.kind is not None:
        kind, why = entry.kind, f"{entry.place} says so"
    else:
        kind, why = detect(stream)
        if not entry.is_glob:
            check_keys(entry, kind)
        elif kind not in FLAT_KINDS:
            # Excluded fields must not be sent, and message formats cannot exclude any.
            check_keys(entry, kind, PROPERTY_KEYS)
    create = BY_NAME[kind].mapping
    return ResolvedStream(kind, why, create(stream) if create else None)


def detect(stream: Stream) -> Detected:
    """Detect a stream's kind from its schema. Fields that the entry names count as found.

    Raises:
        ConfigError: It is ambiguous. The text lists the fields and the entries to choose from.
    """
    for kind in DETECTION_ORDER:
        why = kind.detect(stream)
        if why:
            return Detected(kind.name, why)
    raise ConfigError("streams", _ambiguous(stream))


def _ambiguous(stream: Stream) -> str:
    name = stream.name
    return (
        f"stream {name!r} could be anything, and Kissmetrics cannot delete data ({stream.list_fields()}); "
        "set its kind with one of these entries of streams: "
        f"{{stream: {name}, kind: event, customer_id: FIELD, event_name: NAME, timestamp: FIELD}}, "
        f"{{stream: {name}, kind: user_attributes, customer_id: FIELD}}, "
        f"{{stream: {name}, kind: alias, customer_id: FIELD, previous_id: FIELD}}, "
        f"{{stream: {name}, kind: experiment, customer_id: FIELD, experiment: FIELD, variant: FIELD}}, "
        f"{{stream: {name}, kind: ignore}}"
    )
