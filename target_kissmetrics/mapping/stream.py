"""A stream's mapping, decided once when its SCHEMA arrives: the kind, the fields, the names."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from target_kissmetrics.errors import ConfigError, did_you_mean
from target_kissmetrics.mapping.detection import Detected
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.clock import ATTRIBUTE_TIME_CANDIDATES, EVENT_TIME_CANDIDATES, RowClock, present
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.rules.identity import CUSTOMER_ID_CANDIDATES, DEVICE_ID_CANDIDATES, People
from target_kissmetrics.mapping.rules.properties import PropertyMaker
from target_kissmetrics.mapping.settings import MappingSettings, StreamSettings

MAX_SHOWN = 40
"""Fields that an error shows."""


def _silent(_: str) -> None:
    """Warn nobody."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What is known of a stream before its first row.

    Attributes:
        name: As the tap, or a stream map, calls it.
        schema: Its JSON Schema, with `properties`.
        key_properties: Its key.
        entry: Its entry of `streams`; an empty one when none matches.
        settings: What all streams share.
        warn: Takes lines for a person.
        now: Seconds since the Unix epoch.
    """

    name: str
    schema: Mapping[str, Any]
    key_properties: Sequence[str]
    entry: StreamSettings
    settings: MappingSettings
    warn: Callable[[str], None] = field(default=_silent)
    now: Callable[[], float] = field(default=time.time)

    @property
    def fields(self) -> Mapping[str, Any]:
        """The schema's top-level fields."""
        properties = self.schema.get("properties")
        return properties if isinstance(properties, Mapping) else {}

    def may_have(self, path: str) -> bool:
        """Tell whether the schema has a field, or the object that a path begins with, or names no field at all."""
        return not self.fields or path in self.fields or path.partition(".")[0] in self.fields

    def _surely_lacks(self, path: str) -> bool:
        """Tell whether an entry written for this very stream names a field that none of its rows has."""
        return not self.entry.is_glob and not self.schema.get("additionalProperties") and not self.may_have(path)

    def named(self, key: str, path: str) -> str:
        """Give a field that the entry names, after a look whether the stream has it.

        Raises:
            ConfigError: The stream has no such field: a slip of the pen that would reject, or misread, every row.
        """
        if not self._surely_lacks(path):
            return path
        likely = did_you_mean(path, self.fields)
        raise ConfigError(
            f"{self.entry.place}.{key}",
            f"stream {self.name!r} has no field {path!r}{likely} ({self.shown_fields()}); name one of them",
        )

    def shown_fields(self) -> str:
        """Name the stream's fields, the first of them, for a person to choose from."""
        more = f" and {len(self.fields) - MAX_SHOWN} more" if len(self.fields) > MAX_SHOWN else ""
        return f"its fields: {', '.join(list(self.fields)[:MAX_SHOWN]) or 'none'}{more}"

    def lacks(self, key: str, role: str) -> ConfigError:
        """Give the error of a stream without a field that no row of it can do without."""
        return ConfigError(
            f"{self.entry.place}.{key}",
            f"stream {self.name!r} has no field that is known to hold {role}; name one ({self.shown_fields()})",
        )

    def choose(self, key: str, candidates: Sequence[str]) -> tuple[str, ...]:
        """Give the fields for a role: the one the entry names, else those candidates that the schema has.

        Raises:
            ConfigError: The entry names a field that the stream does not have.
        """
        path = getattr(self.entry, key)
        if path:
            return (self.named(key, path),)
        # A schema that names no field at all leaves it to the rows.
        return present(candidates, self.fields) if self.fields else tuple(candidates)

    def people(self, *, key_is_person: bool = False) -> People:
        """Tell who rows are about.

        Args:
            key_is_person: The stream's only key stands in for a customer ID when no other field does.

        Raises:
            ConfigError: No field of the stream can hold an ID.
        """
        customer, device = self.id_fields(key_is_person=key_is_person)
        if not customer and not device:
            raise self.lacks("customer_id", "an ID")
        return People(self.settings, customer, device)

    def id_fields(self, *, key_is_person: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Give the fields of the customer ID and those of the device ID, in the order they are tried.

        Args:
            key_is_person: The stream's only key stands in for a customer ID when no other field does.
        """
        customer = self.choose("customer_id", CUSTOMER_ID_CANDIDATES)
        device = self.choose("device_id", DEVICE_ID_CANDIDATES)
        if key_is_person and not self.entry.customer_id and len(self.key_properties) == 1:
            key = self.key_properties[0]
            if key not in customer and key not in device:
                customer = (*customer, key)
        return customer, device

    def property_maker(self, reserved: Collection[str] = ()) -> PropertyMaker:
        """Give what makes the properties of this stream's rows, after a look at the fields that the entry chooses.

        A name among `include`, `exclude` or `rename` may be there for a field that comes and goes, so that one the
        stream does not have is no error; but a slip of the pen in `exclude` sends what was to stay at home.

        Args:
            reserved: Properties that the mapping sets itself, folded.
        """
        entry = self.entry
        chosen = {
            "include": entry.include or (),
            "exclude": entry.exclude,
            "rename": [field for field, _ in entry.rename],
        }
        for key, paths in chosen.items():
            for path in paths:
                if "*" not in path and "?" not in path and self._surely_lacks(path):
                    likely = did_you_mean(path, self.fields)
                    self.warn(f"{key} names the field {path!r}, which the stream does not have{likely}")
        return PropertyMaker(entry, self.settings, self.schema, self.warn, reserved)

    def event_clock(self) -> RowClock:
        """Tell when events happened."""
        clock = RowClock(
            self.choose("timestamp", EVENT_TIME_CANDIDATES), required=bool(self.entry.timestamp), now=self.now
        )
        if clock.guesses:
            self.warn(
                "no field holds the events' time, so the time of extraction, or now, stands in: a later run that reads "
                "the same rows again makes new events of them; name timestamp in the stream's entry"
            )
        return clock

    def alias_clock(self) -> RowClock:
        """Tell when identities were aliased. Import files alone carry it, so a time that is missing does no harm."""
        return RowClock(self.choose("timestamp", EVENT_TIME_CANDIDATES), required=False, now=self.now)

    def attribute_clock(self) -> RowClock:
        """Tell when attributes were set."""
        return RowClock(self.choose("timestamp", ATTRIBUTE_TIME_CANDIDATES), required=False, now=self.now)


class StreamMapping(Protocol):
    """Turns one stream's rows into calls."""

    def describe(self) -> str:
        """Say which fields were understood as what, in one line."""

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Give a row's calls. The row is not changed.

        Args:
            row: The row, after the SDK's stream maps.
            extracted: The message's `time_extracted`, or None.

        Raises:
            RowRejected: The row cannot become calls; the text says why and what to do.
        """


@dataclass(frozen=True, slots=True)
class Understood:
    """A stream, understood.

    Attributes:
        kind: What its rows are, and why.
        mapping: What turns them into calls; None for `kind: ignore`.
    """

    kind: Detected
    mapping: StreamMapping | None
