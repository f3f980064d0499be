"""The types of Segment's and RudderStack's messages, and what each becomes.

    track      record; the first of `revenue_fields` is its revenue. A completed order without `revenue` counts with its
               `total`, as in Segment's facade; a refunded one is negative, also with its `value`; each of its
               `products` is a set of its own, a second apart
    page       record "Viewed {name or category} Page", "Loaded a Page" without either; properties "Page - {property}",
               among them the name and the category
    screen     likewise
    identify   set, change-tracked
    group      set "Group - {trait}" and "Group - id", change-tracked
    alias      alias of the previous ID and the user's, in `mapping`

Nested objects are flattened with ".", lists joined with ",", full ISO 8601 texts are times. Source: Segment's
server-side Kissmetrics integration and its tests; RudderStack's transformer for `products` of any event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.formats.message_parts import (
    Sender,
    amounts_of,
    event_name,
    message_maker,
    not_expected,
    object_at,
    objects_in,
)
from target_kissmetrics.mapping.formats.segment.context import SegmentContext
from target_kissmetrics.mapping.formats.segment.fields import Places
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped, Rejection
from target_kissmetrics.mapping.rules.event_parts import EventParts, Revenue
from target_kissmetrics.mapping.rules.fields import FirstOf, Getter, Row, Template, getter, is_empty, parsed
from target_kissmetrics.mapping.rules.values import Values
from target_kissmetrics.mapping.stream import Stream

_ORDER_COMPLETED = re.compile(r"[ _]?(completed[ _]?order|order[ _]?completed)[ _]?", re.IGNORECASE)
"""`Order Completed`, and its former names `Completed Order` and `orderCompleted`."""

_ORDER_REFUNDED = re.compile(r"[ _]?(refunded[ _]?order|order[ _]?refunded)[ _]?", re.IGNORECASE)

_GROUP_ID = "Group - id"


Handler = Callable[[Row, Row, Sender, Mapped], None]
"""Adds the calls of a message. Takes the message, its context, its sender, and what gets the calls. Raises Rejected for
an invalid name, and for properties or traits that are no object."""


class Track:
    """An event."""

    def __init__(self, stream: Stream, places: Places, context: SegmentContext) -> None:
        settings = stream.settings
        self._under = places.properties
        self._products = FirstOf(("products",), loose=True)
        self._names = FirstOf(places.event)
        self._id = FirstOf(places.message_id)
        self._context = context
        self._entry = stream.entry
        totals = ("total", "value") if "revenue" in settings.revenue_fields else ()
        self._revenue, self._completed, self._refunded = (
            Revenue(
                settings.revenue_key,
                amounts_of(stream, (*settings.revenue_fields, *more)),
                under=self._under,
                divide_by=stream.entry.revenue_divide_by,
            )
            for more in ((), totals[:1], totals)
        )
        self._maker = message_maker(stream, own=places.own, reserved=self._revenue.reserved, iso_texts=True)
        self._parts = EventParts(settings, self._maker)

    def add(self, row: Row, context: Row, sender: Sender, mapped: Mapped) -> None:
        """Add the event and its products."""
        rejections = mapped.rejections
        content = object_at(row.get(self._under), self._under) if self._under else row
        path, value = self._names.find(row) or (self._names.paths[0], None)
        event = event_name(value, path)
        field, value = self._products.find(content) or ("products", None)
        where = f"{self._under}.{field}".lstrip(".")
        products = None if self._maker.excludes(where) else _products(value, where, rejections)
        amount = self._amount(event, content, rejections)
        taken = self._revenue.reserved if amount is not None else ()
        used = (where,) if products is not None else ()
        properties = self._maker.make(content, rejections, used=used, taken=taken, under=self._under)
        properties = self._parts.named(event, properties, rejections, amount)
        self._context.add_campaign(context, properties, rejections)
        seconds, event_id = max(1, len(products or ())), _value(self._id, row)
        key = self._revenue.key if amount is not None else None
        record = sender.add_event(mapped, event, properties, event_id, seconds, key, self._entry)
        if products:
            self._parts.add_items(mapped, record, products, where, taken)

    def _amount(self, event: str, content: Row, rejections: list[Rejection]) -> str | None:
        if self._entry.refund or _ORDER_REFUNDED.fullmatch(event):
            return self._refunded.find(content, rejections, refund=True)
        return (self._completed if _ORDER_COMPLETED.fullmatch(event) else self._revenue).find(content, rejections)


class View:
    """A viewed page or screen.

    Args:
        what: `Page` or `Screen`.
    """

    def __init__(self, stream: Stream, places: Places, context: SegmentContext, what: str) -> None:
        self._what = what
        self._under = places.properties
        self._own = (*places.name, *places.category) if self._under else ()
        within = [f"{self._under}.{name}" for name in self._own]
        self._names = [(path, Template(f"{{{path}}}")) for path in (*places.name, *places.category, *within)]
        self._id = FirstOf(places.message_id)
        self._context = context
        self._entry = stream.entry
        self._maker = message_maker(stream, own=places.own, iso_texts=True, prefix=f"{what} - ")

    def add(self, row: Row, context: Row, sender: Sender, mapped: Mapped) -> None:
        """Add the event."""
        content = object_at(row.get(self._under), self._under) if self._under else row
        own = {name: row[name] for name in self._own if not is_empty(row.get(name))}
        properties = self._maker.make({**content, **own}, mapped.rejections, under=self._under)
        self._context.add_campaign(context, properties, mapped.rejections)
        sender.add_event(mapped, self._event(row), properties, _value(self._id, row), entry=self._entry)

    def _event(self, row: Row) -> str:
        for path, template in self._names:
            text = template.fill(row)
            if text:
                return event_name(f"Viewed {text.strip()} {self._what}", path)
        return f"Loaded a {self._what}"


class Identify:
    """Traits of a person."""

    def __init__(self, stream: Stream, places: Places) -> None:
        self._traits = [(path, getter(path)) for path in places.traits if path]
        self._maker = message_maker(stream, own=places.own, iso_texts=True)

    def add(self, row: Row, context: Row, sender: Sender, mapped: Mapped) -> None:  # noqa: ARG002 - no campaign
        """Add the traits."""
        path, traits = _traits(self._traits, row)
        sender.add_attributes(mapped, self._maker.make(traits, mapped.rejections, under=path))


class Group:
    """A person's group, and its traits."""

    def __init__(self, stream: Stream, places: Places) -> None:
        self._traits = [(path, getter(path)) for path in places.traits if path == "traits"]
        self._id = FirstOf(places.group_id)
        self._values = Values(stream.settings, stream.entry.zone)
        self._maker = message_maker(stream, own=places.own, iso_texts=True, prefix="Group - ")

    def add(self, row: Row, context: Row, sender: Sender, mapped: Mapped) -> None:  # noqa: ARG002 - no campaign
        """Add the group's ID and traits."""
        path, traits = _traits(self._traits, row)
        group = self._id.find(row)
        used, taken = ((group[0],), (folded(_GROUP_ID),)) if group else ((), ())
        properties = self._maker.make(traits, mapped.rejections, used=used, taken=taken, under=path)
        if group:
            try:
                text = self._values.write(group[1])
            except Rejected as problem:
                mapped.rejections.append(Rejection.of(problem, group[0]))
            else:
                if text:
                    properties[_GROUP_ID] = text
        sender.add_attributes(mapped, properties)


def _traits(places: list[tuple[str, Getter]], row: Row) -> tuple[str, Row]:
    """Return the first traits with content, and their path; those of a table are the row itself."""
    for path, get in places:
        traits = object_at(get(row), path)
        if traits:
            return path, traits
    return (places[0][0], {}) if places else ("", row)


def _value(fields: FirstOf, row: Row) -> object:
    found = fields.find(row)
    return found[1] if found else None


def _products(value: object, path: str, rejections: list[Rejection]) -> list[Row] | None:
    """Return the objects in a list of products; None if it is not a list that holds any.

    Warehouse tables hold lists as JSON texts (Segment's "Warehouse schemas").
    """
    try:
        value = parsed(value)
    except ValueError:
        rejections.append(Rejection.of(not_expected("a list", value, path)))
        return []
    if not isinstance(value, list) or not any(isinstance(item, Mapping) for item in value):
        return None
    return objects_in(value, path, rejections)
