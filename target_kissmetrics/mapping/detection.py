"""The kind and the mapping of a stream, decided once, when its SCHEMA message arrives.

Kissmetrics cannot delete data. A stream whose kind is ambiguous therefore stops the run: an `orders` or `products`
table must not become people's attributes by a guess.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.registry import BY_NAME, DETECTION_ORDER, FLAT_KINDS, check_keys
from target_kissmetrics.mapping.result import Mapped, Rejection
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.rules.schemas import listed
from target_kissmetrics.mapping.rules.unwrap import Unwrap, When
from target_kissmetrics.mapping.settings import PROPERTY_KEYS
from target_kissmetrics.mapping.stream import Stream, StreamMapping

_TO_CHOOSE = (
    "event, customer_id: FIELD, event_name: NAME, timestamp: FIELD",
    "user_attributes, customer_id: FIELD",
    "alias, customer_id: FIELD, previous_id: FIELD",
    "experiment, customer_id: FIELD, experiment: FIELD, variant: FIELD",
    "ignore",
)


class Detected(NamedTuple):
    """The name of a kind, and why the stream is of this kind: a clause for the log."""

    kind: str
    why: str


class ResolvedStream(NamedTuple):
    """A stream whose kind is decided, as in `Detected`, and what maps its rows; None for `kind: ignore`."""

    kind: str
    why: str
    mapping: StreamMapping | None


def resolve(stream: Stream) -> ResolvedStream:
    """Decide a stream's kind and create its mapping.

    Raises ConfigError: the kind is ambiguous, or the entry names a key or a field that the stream does not have.
    """
    entry = stream.entry
    stream = unwrapped(stream)
    if entry.kind is not None:
        kind, why = entry.kind, f"{entry.place} says so"
    else:
        kind, why = detect(stream)
        if not entry.is_glob:
            check_keys(entry, kind)
        elif kind not in FLAT_KINDS:
            # Excluded fields must not be sent, and kind kissmetrics cannot exclude any.
            check_keys(entry, kind, PROPERTY_KEYS)
    create = BY_NAME[kind].mapping
    if create is None:
        return ResolvedStream(kind, why, None)
    mapping = create(stream)
    return ResolvedStream(kind, why, ChosenRows(stream, mapping) if entry.unwrap or entry.when else mapping)


class ChosenRows:
    """Maps the rows of a stream that its entry chooses, with their parts lifted (`unwrap`, `when`)."""

    def __init__(self, stream: Stream, mapping: StreamMapping) -> None:
        entry = stream.entry
        self._mapping = mapping
        self._unwrap = Unwrap(entry.unwrap, stream.warn) if entry.unwrap else None
        self._when = When(stream)
        self.sends_once = getattr(mapping, "sends_once", False)

    def describe(self) -> str:
        """Return which fields have which role, in one line."""
        return self._mapping.describe() + (f"; rows by {', '.join(self._when.names)}" if self._when.names else "")

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return what a row becomes; nothing if it is not chosen."""
        rejections: list[Rejection] = []
        row = self._unwrap.lift(row, rejections) if self._unwrap else row
        if not self._when.matches(row):
            return Mapped(is_filtered=True)
        mapped = self._mapping.map(row, extracted)
        mapped.rejections += rejections
        return mapped


def unwrapped(stream: Stream) -> Stream:
    """Return a stream once its parts are lifted; its rows decide where the schema lists no fields of a part."""
    for part in stream.entry.unwrap:
        stream.checked("unwrap", part)
        fields = dict(stream.schema.get("properties") or {})
        inner = listed(fields.pop(part, None))
        rows_decide = stream.rows_decide or (part in stream.fields and not inner)
        stream = replace(stream, schema={**stream.schema, "properties": {**inner, **fields}}, rows_decide=rows_decide)
    return stream


def detect(stream: Stream) -> Detected:
    """Detect a stream's kind from its schema. Fields that the entry names count as found.

    Raises ConfigError if it is ambiguous, which lists the fields and the entries to choose from.
    """
    for kind in DETECTION_ORDER:
        why = kind.detect(stream)
        if why:
            return Detected(kind.name, why)
    entries = ", ".join(f"{{stream: {stream.name}, kind: {kind}}}" for kind in _TO_CHOOSE)
    raise ConfigError(
        "streams",
        f"stream {stream.name!r} could be anything, and Kissmetrics cannot delete data ({stream.list_fields()}); "
        f"set its kind with one of these entries of streams: {entries}",
    )
