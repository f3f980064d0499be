"""Kind `event`: a row is something that a person did.

The row becomes a *record* call with its fields as properties, and its amount in the revenue property (net; negative
for refunds). Each object in a list of line items becomes a *set* call, 0, 1, 2, ... seconds after the event, since
Kissmetrics keeps one value of a property a second; its e-commerce guide does the same. An object of user attributes
becomes a *set* call that is change-tracked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias, Call, Properties, Record, Set
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import EventSlot, Mapped, Rejection, row_token
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.clock import EVENT_TIME_CANDIDATES
from target_kissmetrics.mapping.rules.event_parts import EventParts
from target_kissmetrics.mapping.rules.fields import MAX_NAME_SETS, FirstOf, Row, Template, getter, parsed, scalar_text
from target_kissmetrics.mapping.rules.loaders import is_metadata
from target_kissmetrics.mapping.rules.properties import CAMPAIGN_PROPERTIES
from target_kissmetrics.mapping.rules.revenue import Revenue
from target_kissmetrics.mapping.rules.row_keys import RowKey, digest
from target_kissmetrics.mapping.rules.schemas import times_in
from target_kissmetrics.mapping.rules.tracking_plan import TrackingPlan
from target_kissmetrics.mapping.rules.unwrap import When
from target_kissmetrics.mapping.settings import ITEM_KEYS, PERSON_KEYS, PROPERTY_KEYS
from target_kissmetrics.mapping.stream import Kind, Stream, list_names

EVENT_NAME_CANDIDATES = ("event_name", "event", "screen_name")
LINE_ITEM_CANDIDATES = ("products", "line_items", "items")
USER_ATTRIBUTE_CANDIDATES = ("user_attributes", "user_properties", "traits")

_KEYS = frozenset({
    "event_name", "events", "revenue", "revenue_divide_by", "refund", "line_items", "user_attributes", "once",
    "send_once_per_row", "spread_duplicates",
})  # fmt: skip


def detect(stream: Stream) -> str | None:
    """Recognize a stream with an identity and an event name."""
    identity = stream.identity_field
    name = stream.entry.event_name or stream.field_for(EVENT_NAME_CANDIDATES)
    return f"it has {identity!r} and {name!r}" if identity and name else None


class EventMapping:
    """Maps the rows of one stream of events."""

    def __init__(self, stream: Stream) -> None:
        settings, entry = stream.settings, stream.entry
        self._entry = entry
        self._identity = stream.identity_rule()
        self._clock = stream.clock(EVENT_TIME_CANDIDATES, required=True, is_one=True)
        self._name, self._name_fields = _event_name(stream)
        first, self._read_first_name = self._name_fields.first
        self._first_name = (first,)
        self._checked_name = lru_cache(MAX_NAME_SETS)(self._check_name)
        self._plan = TrackingPlan(settings)
        amounts = stream.choose("revenue", settings.revenue_fields)
        self._revenue = Revenue(settings.revenue_key, amounts, divide_by=entry.revenue_divide_by)
        if "revenue_divide_by" in entry.given and not (self._revenue.paths or entry.is_glob):
            problem = "has no effect, since no field holds the amount; name the field as revenue, or take the key out"
            raise ConfigError(f"{entry.place}.revenue_divide_by", problem)
        self._maker = stream.property_maker(reserved=self._revenue.reserved)
        unprefixed = CAMPAIGN_PROPERTIES.values() if settings.campaign_properties else ()
        self._parts = EventParts(settings, self._maker, unprefixed)
        self._line_items = _Part(stream, "line_items", LINE_ITEM_CANDIDATES, self._maker.excludes)
        self._user_attributes = _Part(stream, "user_attributes", USER_ATTRIBUTE_CANDIDATES, self._maker.excludes)
        if not self._clock.paths and entry.timestamp is None:
            _check_times(stream, self._user_attributes.paths)
        self._spreads = entry.spread_duplicates and not entry.once
        self._key = tuple(getter(key) for key in stream.key_properties)
        # The row's key is unique in the stream, or in one of the events of its rows.
        own = (entry.event_name or "", entry.timestamp or "") if ".events[" in entry.place else ()
        self._salt = "\0".join([stream.name, *own])
        self._row_key = RowKey(self._salt, stream.key_properties)
        self.sends_once = _sends_once(stream, self._revenue.paths)

    @property
    def time_field(self) -> str:
        """The field without which a row is no such event, for what is rejected of a row."""
        return self._clock.paths[0] if self._clock.paths else self._entry.place.rpartition(".")[2]

    def has_happened(self, row: Row) -> bool:
        """Return whether a row holds the event's time, or no field does."""
        return self._clock.holds_time(row)

    def describe(self) -> str:
        """Return which fields have which role, in one line."""
        parts = [
            f"person: {self._identity.describe()}",
            f"event: {', else '.join(self._tried)}",
            f"time: {self._clock.describe()}",
            f"revenue: {', else '.join(self._revenue.paths) or 'none'}",
        ]
        if self.sends_once:
            parts.append("sent once: by the row's key")
        for role, part in (("line items", self._line_items), ("user attributes", self._user_attributes)):
            if part.paths:
                parts.append(f"{role}: {', else '.join(part.paths)}")
        return "; ".join(parts)

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return a row's event, with its line items and user attributes."""
        mapped = Mapped()
        entry, rejections = self._entry, mapped.rejections
        person = self._identity.identify(row)
        time, time_field = self._clock.read(row, extracted)
        event, name_fields = self._event_name(row)
        items_field, items = self._line_items.find(row, rejections) if self._line_items.paths else (None, ())
        attributes_field, attributes = (
            self._user_attributes.find(row, rejections) if self._user_attributes.paths else (None, {})
        )
        used = (*person.used, *name_fields, time_field, items_field, attributes_field)

        amount = self._revenue.find(row, rejections, refund=entry.refund) if self._revenue.paths else None
        taken = self._revenue.reserved if amount is not None else ()
        properties = self._maker.make(row, rejections, used=used, taken=taken)
        properties = self._parts.named(event, properties, rejections, amount)
        key = self._row_key.of(row) if self.sends_once else None
        slot = EventSlot(
            self._row_identity(row, properties),
            seconds=len(items) or 1,
            spread=self._spreads,
            revenue_property=None if amount is None else self._revenue.key,
            key=key,
            late_amount=self._revenue.key if key and amount is None else None,
            is_dated=time_field is not None,
        )
        record = Record(person.identity, event, time, properties, once=entry.once)
        mapped.add_event(record, slot)
        if items_field is not None:
            self._parts.add_items(mapped, record, items, items_field, taken)
        if attributes_field is not None:
            set_properties = self._maker.make(attributes, rejections, taken=taken, under=attributes_field)
            mapped.add_attributes(person.identity, time, set_properties)
        if person.other is not None or person.problem is not None:
            mapped.add_alias(person, time)
        return mapped

    def _event_name(self, row: Row) -> tuple[str, tuple[str, ...]]:
        if self._name is not None:
            found = [(self._name.fields, self._name.fill(row))]
        else:
            text = self._read_first_name(row)
            if type(text) is str and text and not text.isspace():
                return self._checked_name(text, self._first_name[0]), self._first_name  # as in most rows
            found = [((path,), scalar_text(value)) for path, value in self._name_fields.all(row)]
        for fields, text in found:
            if text is not None:
                return self._checked_name(text, fields[0] if fields else None), fields
        tried = ", ".join(self._tried)
        raise Rejected("no-event-name", f"no event name: a field of it is absent, null or no scalar (tried: {tried})")

    def _check_name(self, text: str, field: str | None) -> str:
        try:
            name = names.event_name(text)
        except Rejected as problem:
            raise problem.at(field) from None
        self._plan.check_event(name, field)
        return name

    @property
    def _tried(self) -> Sequence[str]:
        return [self._name.text] if self._name else [f"{{{path}}}" for path in self._name_fields.paths]

    def _row_identity(self, row: Row, properties: Properties) -> bytes:
        """Return what identifies the row: its key, or its whole content."""
        if not self._entry.spread_duplicates:
            # This process only has to see that two rows differ, which costs a tenth of a stable digest.
            content: Any = tuple([str(get(row)) for get in self._key]) if self._key else tuple(properties.items())
            return row_token((self._salt, content))
        content = [get(row) for get in self._key] or {k: v for k, v in row.items() if not is_metadata(k)}
        return digest(self._salt, content)


class _Part:
    """A part of an event that becomes calls of its own, and may be JSON text: its line items or its user attributes.

    `key` is the entry's key for the field that holds it; `unless` says which fields are left out.
    """

    def __init__(self, stream: Stream, key: str, candidates: Sequence[str], unless: Callable[[str], bool]) -> None:
        self._fields = stream.choose(key, candidates)
        self.paths = [path for path in self._fields.paths if not unless(path)]
        self._unless = unless
        self._is_named = getattr(stream.entry, key) is not None
        self._is_list = key == "line_items"

    def find(self, row: Row, rejections: list[Rejection]) -> tuple[str | None, Any]:
        """Return the field that holds the part, and the part, empty if it is rejected; without a field: no part.

        Text that is no JSON at all is none of a field that the entry names, and a property of one that is recognized.
        """
        for path, value in self._fields.all(row) if self.paths else ():
            if self._unless(path):
                continue
            try:
                part = parsed(value)
                problem = "text" if isinstance(part, str) else "other JSON text"
            except ValueError:
                part, problem = None, "text that does not parse"
            shaped = self._shaped(part)
            if shaped is not None:
                return path, shaped
            is_json = part is not value
            if part is None or (part and self._is_named and (is_json or isinstance(part, str))):
                expected = "a list of objects" if self._is_list else "an object"
                rejections.append(Rejection.of(Rejected("bad-message", f"must be {expected}, not {problem}", path)))
                return path, {}
            if is_json and not part:
                return path, {}
        return None, {}

    def _shaped(self, part: Any) -> Any:
        """Return an object, or the objects of a list that holds nothing else but nulls; None for any other part."""
        if not self._is_list:
            return part if isinstance(part, Mapping) else None
        items = [item for item in part if item is not None] if isinstance(part, (list, tuple)) else []
        return items if items and all(isinstance(item, Mapping) for item in items) else None


class SeveralEvents:
    """Maps rows that are several events each (`events`): one for each of their times that is not empty."""

    def __init__(self, stream: Stream) -> None:
        entry = stream.entry
        self._events: list[tuple[When, EventMapping]] = []
        for event in entry.events:
            # A field that is recognized as the amount would count for each of the events.
            own = replace(stream, entry=replace(event, revenue=event.revenue or ()))
            self._events.append((When(own), EventMapping(own)))
        unnamed = stream.fields_for(stream.settings.revenue_fields).paths if stream.fields else ()
        if unnamed and all(event.revenue is None for event in entry.events):
            stream.warn(
                f"field {unnamed[0]!r} is the amount of none of the events; name it as revenue in the one that it "
                "belongs to, or set revenue: false"
            )
        self.sends_once = any(mapping.sends_once for _, mapping in self._events)

    def describe(self) -> str:
        """Return which fields have which role, in one line."""
        return " / ".join(mapping.describe() for _, mapping in self._events)

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return the events that have happened. An event that is rejected is a part of the row, unless all are."""
        whole = Mapped(is_filtered=True)
        rejected: list[tuple[Rejected, str]] = []
        for when, mapping in self._events:
            if not (when.matches(row) and mapping.has_happened(row)):
                continue
            whole.is_filtered = False
            try:
                mapped = mapping.map(row, extracted)
            except Rejected as problem:
                rejected.append((problem, mapping.time_field))
            else:
                for slot in mapped.slots:
                    slot.place = mapping.time_field
                _add(whole, mapped)
        if rejected and not whole.slots:
            raise rejected[0][0]
        whole.rejections += [Rejection.of(problem, field, counts_as_row=True) for problem, field in rejected]
        return whole


def _add(whole: Mapped, event: Mapped) -> None:
    """Add an event to those of its row, whose aliases and user attributes are sent once."""
    sent = [_sent_once(call) for call in whole.calls]
    event.calls = [call for call in event.calls if _sent_once(call) is None or _sent_once(call) not in sent]
    event.rejections = [one for one in event.rejections if one not in whole.rejections]
    whole.add(event)
    whole.alias_field = whole.alias_field or event.alias_field


def _sent_once(call: Call) -> object:
    """Return what a call says, if a row says it once."""
    if isinstance(call, Alias):
        return call.person, call.other
    return (call.person, call.properties) if isinstance(call, Set) and call.distinct else None


def _check_times(stream: Stream, of_person: Sequence[str]) -> None:
    """Raise ConfigError if a stream without a known field for the time of its events holds other times.

    Events must not get the time of extraction by a guess.
    """
    times = [path for path in times_in(stream.schema) if path.partition(".")[0] not in of_person]
    if times:
        raise ConfigError(
            f"{stream.entry.place}.timestamp",
            f"stream {stream.name!r} has no known field for the time of its events, but other times: "
            f"{list_names(times)}; write {{stream: {stream.name}, timestamp: FIELD}} with the one that is meant, or "
            "timestamp: false to use the time of extraction",
        )
    stream.warn(
        "no field holds the events' time, so time_extracted or now is used, and a later run that reads the "
        "same rows again creates new events; set timestamp in the stream's entry"
    )


def _event_name(stream: Stream) -> tuple[Template | None, FirstOf]:
    """Return the name that the entry gives, and the fields that hold it without one."""
    if stream.entry.event_name is not None:
        template = Template(stream.entry.event_name)
        for path in template.fields:
            stream.checked("event_name", path)
        return template, FirstOf(())
    fields = stream.fields_for(EVENT_NAME_CANDIDATES)
    if not fields.paths:
        raise stream.missing("event_name", "the event name")
    return None, fields


def _sends_once(stream: Stream, revenue: Sequence[str]) -> bool:
    """Return whether a row's event is sent once; ConfigError if the entry says so, and it cannot be."""
    entry, has_key = stream.entry, bool(stream.key_properties)
    if entry.send_once_per_row is None:
        return has_key and bool(revenue) and not entry.once
    place = f"{entry.place}.send_once_per_row"
    if entry.send_once_per_row and entry.once:
        raise ConfigError(place, "has no meaning beside once: true, which is stricter; remove one of the two")
    if entry.send_once_per_row and not has_key and not entry.is_glob:
        problem = f"stream {stream.name!r} has no key properties, so a later run cannot recognize a row"
        raise ConfigError(place, f"{problem}; let the tap name them, or remove this key")
    return entry.send_once_per_row and has_key


KIND = Kind(
    "event",
    keys=PERSON_KEYS | PROPERTY_KEYS | _KEYS,
    detect=detect,
    mapping=lambda stream: SeveralEvents(stream) if stream.entry.events else EventMapping(stream),
    item_keys=ITEM_KEYS - {"ignore"},
)
