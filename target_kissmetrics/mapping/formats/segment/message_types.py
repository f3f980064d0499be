"""The types of Segment's and RudderStack's messages, and what each becomes.

    track      record, with the first of `revenue_fields` as the revenue property as well; an order that was completed
               and names no `revenue` counts with its `total`, as in Segment's facade; each of its `products` is a set
               of its own, a second apart
    page       record "Viewed {name or category} Page", "Loaded a Page" without either; properties "Page - {property}"
    screen     likewise
    identify   set, change-tracked
    group      set "Group - {trait}" and "Group - id", change-tracked
    alias      alias of the previous ID and the user's (see `segment_alias`)

Nested objects are flattened with ".", lists joined with ",", texts that are full ISO 8601 are moments. Source:
Segment's server-side Kissmetrics integration and its tests; RudderStack's transformer for `products` of any event.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from target_kissmetrics.kissmetrics.calls import Record, Set
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.formats.message_parts import event_name, object_at, objects_in
from target_kissmetrics.mapping.formats.segment.context import SegmentContext
from target_kissmetrics.mapping.formats.segment.fields import Places
from target_kissmetrics.mapping.result import Aside, EventSlot, Mapped
from target_kissmetrics.mapping.rules.call_parts import SetsASecondApart, prefixed, row_token
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, Template, getter
from target_kissmetrics.mapping.rules.properties import PropertyMaker
from target_kissmetrics.mapping.rules.revenue import Revenue
from target_kissmetrics.mapping.rules.values import ValueProblem, Values
from target_kissmetrics.mapping.stream import Stream

_ORDER_COMPLETED = re.compile(r"[ _]?(completed[ _]?order|order[ _]?completed)[ _]?", re.IGNORECASE)
"""`Order Completed`, and what it was called before: `Completed Order`, `orderCompleted`."""

PRODUCTS = "products"


class Message(NamedTuple):
    """A message whose person and time are known.

    Attributes:
        row: As it came.
        context: Its context.
        person: Identity.
        time: Seconds since the Unix epoch.
        address: The person's, if it may be passed on.
        user_agent: Likewise.
    """

    row: Row
    context: Row
    person: str
    time: int
    address: str | None
    user_agent: str | None


def content_maker(stream: Stream, places: Places, prefix: str = "", revenue: Revenue | None = None) -> PropertyMaker:
    """Make the properties of what is in a message: without its own fields, and named as they are."""
    return PropertyMaker(
        replace(stream.entry, exclude=places.own),
        replace(stream.settings, campaign_properties=False),
        stream.schema,
        stream.warn,
        revenue.taken if revenue else (),
        iso_texts=True,
        prefix=prefix,
    )


class _Slots:
    """Tells the events of one stream from each other: by their message's ID, else by what they hold."""

    def __init__(self, places: Places) -> None:
        self._id = FirstOf(places.message_id)

    def add(
        self, mapped: Mapped, message: Message, record: Record, *, seconds: int = 1, amount: str | None = None
    ) -> None:
        found = self._id.find(message.row)
        told = str(found[1]) if found else tuple(record.properties.items())
        slot = EventSlot(row_token(told), len(mapped.calls), seconds, may_spread=False, revenue_property=amount)
        mapped.calls.append(record)
        mapped.slots.append(slot)


class Track:
    """An event."""

    def __init__(self, stream: Stream, places: Places, context: SegmentContext) -> None:
        settings = stream.settings
        self._under = places.properties
        self._names = FirstOf(places.event)
        advice = "mend it at the source"
        self._revenue = Revenue(settings.revenue_key, settings.revenue_fields, advice=advice, under=self._under)
        total = ("total",) if "revenue" in settings.revenue_fields else ()
        self._total = Revenue(settings.revenue_key, total, advice=advice, under=self._under)
        self._prefix = settings.prefix_properties
        self._keep = (settings.revenue_key,)
        self._maker = content_maker(stream, places, revenue=self._revenue)
        self._products = f"{self._under}.{PRODUCTS}".lstrip(".")
        self._context = context
        self._slots = _Slots(places)

    def add(self, message: Message, mapped: Mapped) -> None:
        """Add the event and its products.

        Raises:
            RowRejected: No name that Kissmetrics would keep, or properties that are no object.
        """
        row, asides = message.row, mapped.asides
        content = object_at(row.get(self._under), self._under) if self._under else row
        found = self._names.find(row)
        event = event_name(found[1] if found else None, found[0] if found else self._names.paths[0])
        products = _products(content.get(PRODUCTS), self._products, asides)
        amount = self._revenue.find(content, asides)
        if amount is None and _ORDER_COMPLETED.fullmatch(event):
            amount = self._total.find(content, asides)
        taken = self._revenue.taken if amount is not None else ()
        used = (self._products,) if products is not None else ()
        properties = self._maker.make(content, asides, used=used, taken=taken, under=self._under)
        if self._prefix:
            properties = prefixed(event, properties, asides, keep=self._keep)
        if amount is not None:
            properties[self._revenue.key] = amount
        self._context.add_campaign(message.context, properties, asides)
        record = Record(message.person, event, message.time, properties, message.address, message.user_agent)
        amount_key = self._revenue.key if amount is not None else None
        self._slots.add(mapped, message, record, seconds=max(1, len(products or ())), amount=amount_key)
        if products:
            prefix = event if self._prefix else None
            apart = SetsASecondApart(self._maker, asides, prefix, keep=self._keep, taken=taken)
            mapped.calls.extend(apart.sets(products, self._products, message.person, message.time))


class View:
    """A page or a screen that was seen.

    Args:
        what: `Page` or `Screen`.
    """

    def __init__(self, stream: Stream, places: Places, context: SegmentContext, what: str) -> None:
        self._what = what
        self._under = places.properties
        self._names = [(path, getter(path), Template(f"{{{path}}}")) for path in (*places.name, *places.category)]
        self._maker = content_maker(stream, places, prefix=f"{what} - ")
        self._context = context
        self._slots = _Slots(places)

    def add(self, message: Message, mapped: Mapped) -> None:
        """Add the event.

        Raises:
            RowRejected: A name that Kissmetrics would not keep, or properties that are no object.
        """
        content = object_at(message.row.get(self._under), self._under) if self._under else message.row
        event, used = self._event(message.row)
        properties = self._maker.make(content, mapped.asides, used=used, under=self._under)
        self._context.add_campaign(message.context, properties, mapped.asides)
        record = Record(message.person, event, message.time, properties, message.address, message.user_agent)
        self._slots.add(mapped, message, record)

    def _event(self, row: Row) -> tuple[str, tuple[str, ...]]:
        for path, _, template in self._names:
            text = template.fill(row)
            if text:
                # A column that names the event is no property of it; within a message's properties it is one, too.
                return event_name(f"Viewed {text.strip()} {self._what}", path), () if self._under else (path,)
        return f"Loaded a {self._what}", ()


class Identify:
    """Traits of a person."""

    def __init__(self, stream: Stream, places: Places) -> None:
        self._traits = [(path, getter(path)) for path in places.traits if path]
        self._maker = content_maker(stream, places)

    def add(self, message: Message, mapped: Mapped) -> None:
        """Add the traits, change-tracked.

        Raises:
            RowRejected: Traits that are no object.
        """
        traits, under = _traits(self._traits, message.row)
        properties = self._maker.make(traits, mapped.asides, under=under)
        if properties:
            mapped.calls.append(
                Set(message.person, message.time, properties, message.address, message.user_agent, distinct=True)
            )


class Group:
    """A person's group, and its traits."""

    def __init__(self, stream: Stream, places: Places) -> None:
        self._traits = [(path, getter(path)) for path in places.traits if path == "traits"]
        self._id = FirstOf(places.group_id)
        self._values = Values(stream.settings.datetime_format)
        self._maker = content_maker(stream, places, prefix="Group - ")

    def add(self, message: Message, mapped: Mapped) -> None:
        """Add the group's ID and traits, change-tracked.

        Raises:
            RowRejected: Traits that are no object.
        """
        traits, under = _traits(self._traits, message.row)
        group = self._id.find(message.row)
        used = (group[0],) if group else ()
        taken = (folded("Group - id"),) if group else ()
        properties = self._maker.make(traits, mapped.asides, used=used, taken=taken, under=under)
        if group:
            try:
                text = self._values.write(group[1])
            except ValueProblem as problem:
                mapped.asides.append(Aside.of(problem, group[0]))
            else:
                if text:
                    properties["Group - id"] = text
        if properties:
            mapped.calls.append(
                Set(message.person, message.time, properties, message.address, message.user_agent, distinct=True)
            )


def _traits(places: list[tuple[str, Any]], row: Row) -> tuple[Row, str]:
    """Give a message's traits and their path: the first object that holds any; a table's row has them itself."""
    if not places:
        return row, ""
    for path, get in places:
        traits = object_at(get(row), path)
        if traits:
            return traits, path
    return {}, places[0][0]


def _products(value: object, path: str, asides: list[Aside]) -> list[Row] | None:
    """Give the objects in a list of products; None when it is no list that holds any.

    Warehouse tables hold lists as JSON texts (Segment's "Warehouse schemas").
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value, parse_float=Decimal)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, list) or not any(isinstance(item, Mapping) for item in value):
        return None
    return objects_in(value, path, asides)
