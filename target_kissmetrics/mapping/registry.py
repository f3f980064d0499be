"""The way into the mapping: a stream -> how it is understood."""

from __future__ import annotations

from collections.abc import Callable

from target_kissmetrics.mapping.detection import Detected, detect
from target_kissmetrics.mapping.formats.kissmetrics_export import ExportMapping
from target_kissmetrics.mapping.formats.mparticle.mapping import MParticleMapping
from target_kissmetrics.mapping.formats.segment.mapping import SegmentMapping
from target_kissmetrics.mapping.kinds.alias import AliasMapping
from target_kissmetrics.mapping.kinds.event import EventMapping
from target_kissmetrics.mapping.kinds.experiment import ExperimentMapping
from target_kissmetrics.mapping.kinds.user_attributes import UserAttributesMapping
from target_kissmetrics.mapping.settings import FLAT_KINDS, PROPERTY_KEYS, Kind, check_keys
from target_kissmetrics.mapping.stream import Stream, StreamMapping, Understood

MAPPINGS: dict[Kind, Callable[[Stream], StreamMapping]] = {
    "event": EventMapping,
    "user_attributes": UserAttributesMapping,
    "alias": AliasMapping,
    "experiment": ExperimentMapping,
    "segment": SegmentMapping,
    "mparticle": MParticleMapping,
    "kissmetrics": ExportMapping,
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
        elif kind.kind not in FLAT_KINDS:
            # What is excluded must stay at home, and message formats exclude nothing.
            check_keys(entry, kind.kind, PROPERTY_KEYS)
    if kind.kind == "ignore":
        return Understood(kind, None)
    return Understood(kind, MAPPINGS[kind.kind](stream))
