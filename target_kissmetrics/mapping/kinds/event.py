"""Kind `event`: a row is something that somebody did.

The row becomes a *record* call with the row's fields as properties. An amount goes to the revenue property as well
(net, negative for a refund). Objects in a list of line items become *set* calls of their own, 0, 1, 2, ... seconds
after the event, since Kissmetrics keeps one value of a property for each second: its e-commerce guide does the same. An
object of user attributes becomes a *set* call that is change-tracked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from target_kissmetrics.kissmetrics.calls import Alias, Properties, Record, Set
from target_kissmetrics.mapping.detection import EVENT_NAME_CANDIDATES
from target_kissmetrics.mapping.reject_codes import RowRejected
from target_kissmetrics.mapping.result import EventSlot, Mapped
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.call_parts import SetsASecondApart, prefixed, row_token
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, Template, getter
from target_kissmetrics.mapping.rules.names import NameProblem
from target_kissmetrics.mapping.rules.properties import CAMPAIGN_PROPERTIES, is_metadata
from target_kissmetrics.mapping.rules.revenue import Revenue
from target_kissmetrics.mapping.stream import Stream

LINE_ITEM_CANDIDATES = ("products", "line_items", "items")
USER_ATTRIBUTE_CANDIDATES = ("user_attributes", "user_properties", "traits")

_SORTED_JSON = msgspec.json.Encoder(order="sorted")


class EventMapping:
    """Maps the rows of one stream of events."""

    def __init__(self, stream: Stream) -> None:
        settings = stream.settings
        self._stream = stream
        self._people = stream.people()
        self._clock = stream.event_clock()
        self._names = self._templates(stream)
        self._revenue = Revenue(
            settings.revenue_key,
            self._amount_fields(stream),
            advice="mend it, or name revenue in the stream's entry",
        )
        self._prefix = settings.prefix_properties
        self._unprefixed = {settings.revenue_key}
        if settings.campaign_properties:
            self._unprefixed.update(CAMPAIGN_PROPERTIES.values())
        self._maker = stream.property_maker(reserved=self._revenue.taken)
        self._line_items = FirstOf(self._nested("line_items", LINE_ITEM_CANDIDATES))
        self._user_attributes = FirstOf(self._nested("user_attributes", USER_ATTRIBUTE_CANDIDATES))
        self._key = tuple(getter(key) for key in stream.key_properties)
        self._stream_salt = stream.name.encode("utf-8", "surrogatepass")

    @staticmethod
    def _templates(stream: Stream) -> tuple[Template, ...]:
        if stream.entry.event_name is None:
            texts = [f"{{{name}}}" for name in stream.choose("event_name", EVENT_NAME_CANDIDATES)]
            if not texts:
                raise stream.lacks("event_name", "the event's name")
        else:
            texts = [stream.entry.event_name]
        templates = tuple(Template(text) for text in texts)
        for template in templates:
            for path in template.fields:
                stream.named("event_name", path)
        return templates

    @staticmethod
    def _amount_fields(stream: Stream) -> Sequence[str]:
        if stream.entry.revenue is None:
            return tuple(path for path in stream.settings.revenue_fields if stream.may_have(path))
        return tuple(stream.named("revenue", path) for path in stream.entry.revenue)

    def _nested(self, key: str, candidates: Sequence[str]) -> tuple[str, ...]:
        return tuple(path for path in self._stream.choose(key, candidates) if not self._maker.excluded_by_name(path))

    def describe(self) -> str:
        """Say which fields were understood as what, in one line."""
        parts = [
            f"person: {self._people.describe()}",
            f"event: {', else '.join(template.text for template in self._names) or 'no name field'}",
            f"time: {self._clock.describe()}",
            f"revenue: {', else '.join(self._revenue.paths) or 'none'}",
        ]
        if self._line_items.paths:
            parts.append(f"line items: {', else '.join(self._line_items.paths)}")
        if self._user_attributes.paths:
            parts.append(f"user attributes: {', else '.join(self._user_attributes.paths)}")
        return "; ".join(parts)

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Give a row's calls.

        Raises:
            RowRejected: No identity, no time or no name that Kissmetrics would keep.
        """
        mapped = Mapped()
        entry = self._stream.entry
        person = self._people.identify(row)
        time, time_field = self._clock.read(row, extracted)
        event, name_fields = self._event_name(row)
        items_field, items = self._line_items_of(row)
        attributes_field, attributes = self._user_attributes_of(row)
        used = (*person.used, *name_fields, time_field, items_field, attributes_field)

        amount = self._revenue.find(row, mapped.asides, refund=entry.refund)
        # Kissmetrics keeps one value of a property for each second, so no other part of the row may be the amount's.
        taken = self._revenue.taken if amount is not None else ()
        properties = self._maker.make(row, mapped.asides, used=used, taken=taken)
        if self._prefix:
            properties = prefixed(event, properties, mapped.asides, keep=self._unprefixed)
        if amount is not None:
            properties[self._revenue.key] = amount
        mapped.calls.append(Record(person.identity, event, time, properties, once=entry.once))
        if items_field is not None:
            prefix = event if self._prefix else None
            group = SetsASecondApart(self._maker, mapped.asides, prefix, keep=self._unprefixed, taken=taken)
            mapped.calls.extend(group.sets(items, items_field, person.identity, time))
        if attributes_field is not None:
            set_properties = self._maker.make(attributes, mapped.asides, taken=taken, under=attributes_field)
            if set_properties:
                mapped.calls.append(Set(person.identity, time, set_properties, distinct=True))
        if person.other is not None:
            mapped.calls.append(Alias(person.identity, person.other, time))
            mapped.alias_field = person.other_field
        mapped.slots.append(
            EventSlot(
                row=self._row_identity(row, properties),
                seconds=max(1, len(items)),
                spread=entry.spread_duplicates and not entry.once,
                revenue_property=self._revenue.key if amount is not None else None,
            )
        )
        return mapped

    def _event_name(self, row: Row) -> tuple[str, tuple[str, ...]]:
        for template in self._names:
            text = template.fill(row)
            if text is None:
                continue
            try:
                return names.event_name(text), template.fields
            except NameProblem as problem:
                field = template.fields[0] if template.fields else None
                raise RowRejected.of(problem, field) from None
        tried = ", ".join(template.text for template in self._names) or "none"
        raise RowRejected(
            "no-event-name",
            f"no event name: a field it is made of is absent, null or no text (tried: {tried})",
        )

    def _line_items_of(self, row: Row) -> tuple[str | None, Sequence[Mapping[str, Any]]]:
        if not self._line_items.paths:
            return None, ()
        for path, value in self._line_items.all(row):
            if isinstance(value, (list, tuple)):
                items = [item for item in value if item is not None]
                if items and all(isinstance(item, Mapping) for item in items):
                    return path, items
        return None, ()

    def _user_attributes_of(self, row: Row) -> tuple[str | None, Row]:
        if not self._user_attributes.paths:
            return None, {}
        for path, value in self._user_attributes.all(row):
            if isinstance(value, Mapping):
                return path, value
        return None, {}

    def _row_identity(self, row: Row, properties: Properties) -> bytes:
        """Tell this row from others: by its key, or by all it holds."""
        if not self._stream.entry.spread_duplicates:
            # Good for this process: enough to see that two rows differ, and a tenth of the price.
            told = tuple([str(get(row)) for get in self._key]) if self._key else tuple(properties.items())
            return row_token((self._stream_salt, told))
        content: Any = (
            [get(row) for get in self._key]
            if self._key
            else {key: value for key, value in row.items() if not is_metadata(key)}
        )
        return hashlib.blake2b(self._stream_salt + b"\0" + _as_bytes(content), digest_size=8).digest()


def _as_bytes(content: Any) -> bytes:
    """Write a row's content the same way each time."""
    try:
        return _SORTED_JSON.encode(content)
    except (UnicodeEncodeError, TypeError, ValueError):
        return json.dumps(content, sort_keys=True, default=str).encode()
    except RecursionError:
        raise RowRejected("too-deep", "objects or lists are nested too deep to tell the row from others") from None
