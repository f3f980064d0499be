"""Streams by hand, for the tests of the mapping: an entry is read as a config's would be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from target_kissmetrics.config.stream_entries import read_entry
from target_kissmetrics.kissmetrics.calls import Alias, Record, Set
from target_kissmetrics.mapping.detection import resolve
from target_kissmetrics.mapping.result import EventSlot, Mapped, Rejection
from target_kissmetrics.mapping.settings import BLOCKED_IDENTITIES, MappingSettings, StreamSettings
from target_kissmetrics.mapping.stream import Stream, StreamMapping

ISO = "2024-01-31T08:00:00Z"
SECONDS = 1706688000
NOW = 1750000000

EVENT_FIELDS = ("customer_id", "device_id", "event", "timestamp")
EVENT = {"customer_id": "ann", "event": "Purchased", "timestamp": ISO}

Fields = Iterable[str] | Mapping[str, Any]


def any_type(fields: Iterable[str]) -> dict[str, Any]:
    """Give each field a schema that says nothing."""
    return {field: {} for field in fields}


def stream_of(
    fields: Fields = EVENT_FIELDS,
    entry: Mapping[str, Any] | None = None,
    *,
    name: str = "things",
    key: Sequence[str] = (),
    warnings: list[str] | None = None,
    schema: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Stream:
    """Make a stream of some fields: names, or names with their JSON Schemas."""
    properties = dict(fields) if isinstance(fields, Mapping) else any_type(fields)
    told: list[str] = [] if warnings is None else warnings
    return Stream(
        name=name,
        schema={"properties": properties, **(schema or {})},
        key_properties=key,
        entry=StreamSettings(stream=name) if entry is None else read_entry({"stream": name, **entry}, 0),
        settings=MappingSettings(**{"blocked_identities": frozenset(BLOCKED_IDENTITIES), **settings}),
        warn=told.append,
        now=lambda: NOW + 0.9,
    )


def mapping_of(stream: Stream) -> StreamMapping:
    """Understand a stream that is not to be ignored."""
    mapping = resolve(stream).mapping
    assert mapping is not None
    return mapping


def map_event(row: Mapping[str, Any], entry: Mapping[str, Any] | None = None, **about: Any) -> Mapped:
    """Map one row of a stream of events, whose schema has the row's fields. What the row leaves out is as in EVENT."""
    row = {**EVENT, **row}
    fields = {**any_type((*EVENT_FIELDS, *row)), **about.pop("fields", {})}
    return mapping_of(stream_of(fields, {"kind": "event", **(entry or {})}, **about)).map(row)


def map_person(row: Mapping[str, Any], entry: Mapping[str, Any] | None = None, **about: Any) -> Mapped:
    """Map one row of a stream of people."""
    row = {"customer_id": "ann", "updated_at": ISO, **row}
    fields = {**any_type(row), **about.pop("fields", {})}
    return mapping_of(stream_of(fields, {"kind": "user_attributes", **(entry or {})}, **about)).map(row)


def record_of(mapped: Mapped) -> Record:
    """Give a row's one event."""
    (record,) = [call for call in mapped.calls if isinstance(call, Record)]
    return record


def sets_of(mapped: Mapped) -> list[Set]:
    """Give a row's sets of properties."""
    return [call for call in mapped.calls if isinstance(call, Set)]


def set_of(mapped: Mapped) -> Set:
    """Give a row's one set of properties."""
    (call,) = sets_of(mapped)
    return call


def aliases_of(mapped: Mapped) -> list[tuple[str, str]]:
    """Give the pairs that a row aliases."""
    return [(call.person, call.other) for call in mapped.calls if isinstance(call, Alias)]


def codes(mapped: Mapped) -> list[tuple[str, str | None]]:
    """Give what was set rejection: code and field."""
    return [(rejection.code, rejection.field) for rejection in mapped.rejections]


def reason(mapped: Mapped) -> str:
    """Give the reason of the one thing that was set rejection."""
    (rejection,) = mapped.rejections
    assert isinstance(rejection, Rejection)
    return rejection.reason


def slot_of(mapped: Mapped) -> EventSlot:
    """Give what tells a row's event from others."""
    (slot,) = mapped.slots
    return slot
