"""The way into the mapping: a stream -> how it is understood."""

from __future__ import annotations

from collections.abc import Callable

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.alias import AliasMapping
from target_kissmetrics.mapping.detection import Detected, detect
from target_kissmetrics.mapping.event import EventMapping
from target_kissmetrics.mapping.experiment import ExperimentMapping
from target_kissmetrics.mapping.settings import Kind, check_keys
from target_kissmetrics.mapping.stream import Stream, StreamMapping, Understood
from target_kissmetrics.mapping.user_attributes import UserAttributesMapping

MAPPINGS: dict[Kind, Callable[[Stream], StreamMapping]] = {
    "event": EventMapping,
    "user_attributes": UserAttributesMapping,
    "alias": AliasMapping,
    "experiment": ExperimentMapping,
}


def understand(stream: Stream) -> Understood:
    """Decide a stream's kind and make its mapping.

    Raises:
        ConfigError: The kind is not plain, or the entry names what the stream does not have.
    """
    entry = stream.entry
    if entry.kind is not None:
        kind = Detected(entry.kind, f"{entry.place} says so")
    else:
        kind = detect(stream.name, stream.fields, stream.key_properties, entry)
        if not entry.is_glob:
            check_keys(entry, kind.kind)
    if kind.kind == "ignore":
        return Understood(kind, None)
    if kind.kind not in MAPPINGS:
        raise ConfigError(
            f"{entry.place}.kind" if entry.kind else "streams",
            f"stream {stream.name!r} is of kind {kind.kind} ({kind.why}), which this version cannot read yet; "
            f"leave it out with {{stream: {stream.name}, kind: ignore}}",
        )
    return Understood(kind, MAPPINGS[kind.kind](stream))
