"""A stream as its SCHEMA message describes it, and what every kind of stream provides."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from target_kissmetrics.errors import ConfigError, did_you_mean
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.clock import RowClock
from target_kissmetrics.mapping.rules.fields import FirstOf, Globs, Row, Template
from target_kissmetrics.mapping.rules.identity import CUSTOMER_ID_CANDIDATES, DEVICE_ID_CANDIDATES, IdentityRule
from target_kissmetrics.mapping.rules.properties import PropertyMaker
from target_kissmetrics.mapping.rules.schemas import allows_others, holds, meant, paths
from target_kissmetrics.mapping.settings import MappingSettings, StreamSettings


def list_names(names: Sequence[str]) -> str:
    """Return the first 40 of some names of fields, for an error."""
    more = f" and {len(names) - 40} more" if len(names) > 40 else ""
    return f"{', '.join(names[:40])}{more}"


@dataclass(frozen=True, slots=True)
class Stream:
    """What is known of a stream before its first row.

    Attributes:
        schema: Its JSON Schema, with `properties`.
        entry: Its entry of `streams`; an empty one if none matches.
        warn: Called with each warning, one line.
        now: Returns seconds since the Unix epoch.
        rows_decide: Rows have fields that the schema does not list, so that each row decides which are meant.
    """

    name: str
    schema: Mapping[str, Any]
    key_properties: Sequence[str]
    entry: StreamSettings
    settings: MappingSettings
    warn: Callable[[str], None] = field(default=lambda _: None)
    now: Callable[[], float] = field(default=time.time)
    rows_decide: bool = False

    @property
    def fields(self) -> Mapping[str, Any]:
        """The schema's top-level fields; none where the rows decide."""
        properties = {} if self.rows_decide else self.schema.get("properties")
        return properties if isinstance(properties, Mapping) else {}

    @property
    def only_key(self) -> str | None:
        """The field that is the stream's whole key, if there is one."""
        return self.key_properties[0] if len(self.key_properties) == 1 else None

    def first_of(self, names: Iterable[str]) -> str | None:
        """Return the first of some names that the schema has, in exactly this spelling."""
        return next((name for name in names if name in self.fields), None)

    def field_for(self, candidates: Iterable[str]) -> str | None:
        """Return the first field of the schema that some candidates mean, in any spelling."""
        return next((field for field in (meant(self.fields, name) for name in candidates) if field), None)

    def fields_for(self, candidates: Iterable[str]) -> FirstOf:
        """Return the fields that candidates mean, also dotted paths. Where the schema lists none, each row decides."""
        names = tuple(candidates)
        loose = not self.fields or any("." in name for name in names)
        if self.fields:
            found = [meant(self.fields, name, self.warn) for name in names]
            names = tuple(dict.fromkeys(field for field in found if field))
        return FirstOf(names, loose=loose, warn=self.warn)

    def named(self, key: str) -> str | None:
        """Return the field that the entry names; a glob entry may name one that this stream does not have."""
        given = self._given(key) or ()
        return next((path for path in given if not self.entry.is_glob or holds(self.fields, path)), None)

    def _given(self, key: str) -> tuple[str, ...] | None:
        """Return the fields that the entry names for a role; None if it says nothing, an empty tuple for `false`."""
        given: str | tuple[str, ...] | None = getattr(self.entry, key)
        return ((given,) if given else ()) if isinstance(given, str) else given

    @property
    def identity_field(self) -> str | None:
        """The field that most likely identifies a person."""
        candidates = CUSTOMER_ID_CANDIDATES + DEVICE_ID_CANDIDATES
        return self.named("customer_id") or self.named("device_id") or self.field_for(candidates)

    def checked(self, key: str, path: str) -> str:
        """Return a field that the entry names, or raise ConfigError if the stream does not have it."""
        is_certain = bool(self.fields) and not self.entry.is_glob
        may_be = holds(self.fields, path) or (self.is_open and path.partition(".")[0] not in self.fields)
        if is_certain and not may_be:
            problem = f"stream {self.name!r} has no field {path!r}{did_you_mean(path, paths(self.fields))}"
            raise ConfigError(f"{self.entry.place}.{key}", f"{problem} ({self.list_fields()}); name one of them")
        return path

    def list_fields(self) -> str:
        """Return the names of the first fields, for an error."""
        return f"its fields: {list_names(list(self.fields)) or 'none'}"

    def missing(self, key: str, role: str) -> ConfigError:
        """Return the error of a stream without a field that every row needs."""
        problem = f"stream {self.name!r} has no known field for {role}; name one ({self.list_fields()})"
        return ConfigError(f"{self.entry.place}.{key}", problem)

    def choose(self, key: str, candidates: Iterable[str]) -> FirstOf:
        """Return the fields for a role: those that the entry names (see `checked`), else those of `fields_for`."""
        given = self._given(key)
        if given is None:
            return self.fields_for(candidates)
        return FirstOf(self.checked(key, path) for path in given)

    def id_fields(self, *, key_is_person: bool = False) -> tuple[FirstOf, FirstOf]:
        """Return the fields of the customer ID and those of the device ID.

        With `key_is_person`, the stream's only key is the customer ID where no other field is.
        """
        device = self.choose("device_id", DEVICE_ID_CANDIDATES)
        is_person = key_is_person and self.only_key is not None and self.only_key not in device.paths
        last = (self.only_key or "",) if is_person else ()
        customer = self.choose("customer_id", CUSTOMER_ID_CANDIDATES + last)
        return customer, device

    def identity_rule(self, *, key_is_person: bool = False) -> IdentityRule:
        """Return the rule for who a row is about; see `id_fields`. Raises ConfigError if no field can hold an ID."""
        customer, device = self.id_fields(key_is_person=key_is_person)
        if not customer.paths and not device.paths:
            raise self.missing("customer_id", "an ID")
        return IdentityRule(self.settings, customer, device)

    def row_clock(self, fields: FirstOf, *, required: bool) -> RowClock:
        """Return the rule for when a row happened; see `RowClock`."""
        max_future = self.settings.max_future_seconds
        return RowClock(fields, required=required, now=self.now, max_future=max_future, zone=self.entry.zone)

    def clock(self, candidates: Sequence[str], *, required: bool = False, is_one: bool = False) -> RowClock:
        """Return the rule for when a row happened: `timestamp` of the entry, else the candidates; see `RowClock`.

        With `is_one`, only the first field that the schema lists counts, also in rows where it is empty.
        """
        fields = self.choose("timestamp", candidates)
        if is_one and not fields.is_loose:
            fields = FirstOf(fields.paths[:1])
        return self.row_clock(fields, required=required)

    def property_maker(self, reserved: Collection[str] = ()) -> PropertyMaker:
        """Return what makes the properties of rows; see `PropertyMaker`. Warns of chosen fields that do not exist.

        They are no error, since a field may come and go. But a typo in `exclude` sends what must not be sent.
        """
        for name, value in self.entry.set:
            for path in Template(value).fields:
                self.checked(f"set ({name})", path)
        for path, key in self.unmatched.items() if not (self.is_open or self.entry.is_glob) else ():
            self.warn(f"{key} {path!r} matches no field of the stream{did_you_mean(path, paths(self.fields))}")
        return PropertyMaker(self.entry, self.settings, self.schema, self.warn, reserved)

    @property
    def is_open(self) -> bool:
        """Whether rows may have fields that the schema does not list."""
        return not self.fields or allows_others(self.schema)

    @property
    def unmatched(self) -> dict[str, str]:
        """The names and globs in the entry that match no listed field, each with its key."""
        entry = self.entry
        chosen = dict.fromkeys(entry.include or (), "include") | dict.fromkeys(entry.exclude, "exclude")
        chosen |= dict.fromkeys(dict(entry.rename), "rename")
        known = list(paths(self.fields)) if chosen else []
        return {
            path: key
            for path, key in chosen.items()
            if not (holds(self.fields, path) or any(map(Globs((path,)).match, known)))
        }


class StreamMapping(Protocol):
    """Maps one stream's rows to calls. It is pure: no I/O, and the row is not changed."""

    def describe(self) -> str:
        """Return which fields have which role, in one line."""

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return what a row becomes, after stream maps, or raise Rejected; `extracted` is its `time_extracted`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a stream's rows are. Each kind is declared in the module that maps it, and listed in `registry`.

    Attributes:
        keys: The keys of an entry that have a meaning for it.
        detect: Returns why a stream is of this kind, as a clause for the log; None if it is not.
        mapping: Creates the mapping of a stream, or raises ConfigError; None: its rows are ignored.
        item_keys: The keys of an item of `events` that have a meaning for it.
    """

    name: str
    keys: frozenset[str]
    detect: Callable[[Stream], str | None]
    mapping: Callable[[Stream], StreamMapping] | None
    item_keys: frozenset[str] = frozenset()
