"""Kind `segment`: a row is a message of Segment or RudderStack, as JSON or as a row of one of their warehouse tables.

`userId` is the customer ID, `anonymousId` the device ID; the settings decide which of them identifies the person, and
whether the two are aliased. The types of messages, and what each becomes:

    track      record; the first of `revenue_fields` is its revenue. A completed order without `revenue` counts with its
               `total`, as in Segment's facade; a refunded one is negative, also with its `value`; each of its
               `products` is a set of its own, a second apart
    page       record "Viewed {name or category} Page", "Loaded a Page" without either; properties "Page - {property}",
               among them the name and the category
    screen     likewise
    identify   set, change-tracked
    group      set "Group - {trait}" and "Group - id", change-tracked
    alias      alias of the previous ID and the user's

Nested objects are flattened with ".", lists joined with ",", full ISO 8601 texts are times. The context's campaign is
sent with events. Sources: Segment's "Spec", its server-side Kissmetrics integration and its tests; RudderStack's
transformer for Kissmetrics, for `products` of any event.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias, Properties
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.formats import message_parts as parts
from target_kissmetrics.mapping.formats.message_parts import EventRules, Handler, Sender
from target_kissmetrics.mapping.formats.segment.places import TYPES, Places, detect, envelope, places_in, table_of
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped, Rejection
from target_kissmetrics.mapping.rules.event_parts import EventParts
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, getter, is_empty, parsed, scalar_text
from target_kissmetrics.mapping.rules.identity import IdentityRule
from target_kissmetrics.mapping.rules.properties import PropertyMaker
from target_kissmetrics.mapping.rules.values import Values, is_scalar
from target_kissmetrics.mapping.stream import Kind, Stream

_ORDER_COMPLETED = re.compile(r"[ _]?(completed[ _]?order|order[ _]?completed)[ _]?", re.IGNORECASE)
"""`Order Completed`, and its former names `Completed Order` and `orderCompleted`."""
_ORDER_REFUNDED = re.compile(r"[ _]?(refunded[ _]?order|order[ _]?refunded)[ _]?", re.IGNORECASE)

_GROUP_ID = "Group - id"


class SegmentMapping:
    """Maps the rows of one stream of messages."""

    def __init__(self, stream: Stream) -> None:
        self._table = table_of(stream)
        self._envelope = envelope(stream) if self._table is None else None
        self._only_type = "identify" if self._table == "users" else self._table
        places = places_in(stream, self._table)
        self._device = FirstOf(places.device_id)
        self._identity = IdentityRule(stream.settings, FirstOf(places.customer_id), self._device)
        self._clock = stream.row_clock(FirstOf(places.timestamp), required=True)
        self._aliased, self._previous = FirstOf(places.aliased_id), FirstOf(places.previous_id)
        sends_both = stream.settings.send_ip_and_user_agent
        self._address = FirstOf(places.address if sends_both else ())
        self._user_agent = FirstOf(places.user_agent if sends_both else ())
        self._events = EventRules(stream, lambda of: Events(of, places).handlers)
        identify, group = Traits(stream, places), Traits(stream, places, of_group=True)
        self._attributes: dict[str, Handler] = {"identify": identify.add, "group": group.add}
        if self._envelope is None or not stream.fields:
            return
        if not stream.field_for(("type",)):
            stream.warn("it has no field 'type', so each row is rejected; fix the tap, or set another kind")
        if not self._envelope.has_container and not stream.field_for(places.previous_id):
            raise ConfigError(
                f"{stream.entry.place}.kind",
                f"stream {stream.name!r} holds messages without properties, traits and context, whose data would be "
                f"lost ({stream.list_fields()}); let the tap keep them, or set another kind, such as event or ignore",
            )

    def describe(self) -> str:
        """Return which fields have which role, in one line."""
        what = "messages" if self._table is None else f"a warehouse table of {self._table}"
        return f"{what}; person: {self._identity.describe()}; time: {self._clock.describe()}"

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return a message's calls. One without a context, or with an invalid one, is sent all the same."""
        mapped, message, context = Mapped(), row, row
        if self._envelope is not None:
            message = self._envelope.open(row, mapped.rejections)
            context = parts.object_or_nothing(message.get("context"), "context", mapped.rejections)
        kind = self._only_type or _type(message)
        time, _ = self._clock.read(message, extracted)
        address = parts.passable(_value(self._address, context))
        user_agent = parts.passable(_value(self._user_agent, context))
        if kind == "alias":
            # The anonymous ID stands in for a missing one, as in Segment's browser library (Spec: Alias).
            current = self._identity.require(message, self._aliased, self._device)
            previous = self._identity.require(message, self._previous, self._device)
            if current != previous:
                mapped.calls.append(Alias(current, previous, time, address, user_agent))
            return mapped
        person = self._identity.identify(message)
        sender = Sender(person.identity, time, address, user_agent)
        if kind in self._attributes:
            self._attributes[kind](message, sender, mapped)
        else:
            self._events.add(kind, message, sender, mapped)
            self._events.set_keys(row, mapped)
        mapped.add_alias(person, time, address, user_agent)
        return mapped


class Events:
    """Adds what was tracked, and viewed pages and screens, by the keys of a stream's entry, or of an item of it."""

    def __init__(self, stream: Stream, places: Places) -> None:
        settings = stream.settings
        self._entry = stream.entry
        self._under = places.properties
        self._names, self._id = FirstOf(places.event), FirstOf(places.message_id)
        self._products = FirstOf(("products",), loose=True)
        totals = ("total", "value") if "revenue" in settings.revenue_fields else ()
        self._revenue, self._completed, self._refunded = (
            parts.revenue_of(stream, parts.amounts_of(stream, (*settings.revenue_fields, *more)), self._under)
            for more in ((), totals[:1], totals)
        )
        self._maker = parts.message_maker(stream, own=places.own, iso_texts=True)
        self._parts = EventParts(settings, self._maker)
        self.handlers: dict[str, Handler] = {"track": self._add_track}  # what adds the events of each type
        for what in ("Page", "Screen"):
            maker = parts.message_maker(stream, own=places.own, iso_texts=True, prefix=f"{what} - ")
            self.handlers[what.lower()] = partial(self._add_view, what, maker)
        within = [f"{self._under}.{title}" for title in places.titles if self._under]
        self._titles = FirstOf((*places.titles, *within))
        self._own_titles = places.titles if self._under else ()
        self._campaign = [
            (part, [(field, name, folded(name)) for field, name in fields.items()])
            for part, fields in places.campaign.items()
            if settings.campaign_properties and fields
        ]
        self._values = Values(settings)

    def _content(self, message: Row) -> Row:
        return parts.object_at(message.get(self._under), self._under) if self._under else message

    def _add_track(self, message: Row, sender: Sender, mapped: Mapped) -> None:
        rejections = mapped.rejections
        content = self._content(message)
        path, value = self._names.find(message) or (self._names.paths[0], None)
        event = parts.event_name(value, path)
        field, value = self._products.find(content) or ("products", None)
        where = f"{self._under}.{field}".lstrip(".")
        products = None if self._maker.excludes(where) else _products(value, where, rejections)
        amount = self._amount(event, content, rejections)
        taken = self._revenue.reserved if amount is not None else ()
        used = (where,) if products is not None else ()
        properties = self._maker.make(content, rejections, used=used, taken=taken, under=self._under)
        properties = self._parts.named(event, properties, rejections, amount)
        self._add_campaign(message, properties, rejections)
        seconds, event_id = max(1, len(products or ())), _value(self._id, message)
        key = self._revenue.key if amount is not None else None
        record = sender.add_event(mapped, event, properties, event_id, seconds, key, self._entry)
        if products:
            self._parts.add_items(mapped, record, products, where, taken)

    def _amount(self, event: str, content: Row, rejections: list[Rejection]) -> str | None:
        if self._entry.refund or _ORDER_REFUNDED.fullmatch(event):
            return self._refunded.find(content, rejections, refund=True)
        return (self._completed if _ORDER_COMPLETED.fullmatch(event) else self._revenue).find(content, rejections)

    def _add_view(self, what: str, maker: PropertyMaker, message: Row, sender: Sender, mapped: Mapped) -> None:
        content = self._content(message)
        own = {name: message[name] for name in self._own_titles if not is_empty(message.get(name))}
        properties = maker.make({**content, **own}, mapped.rejections, under=self._under)
        self._add_campaign(message, properties, mapped.rejections)
        event = f"Loaded a {what}"
        for path, value in self._titles.all(message):
            title = scalar_text(value)
            if title:
                event = parts.event_name(f"Viewed {title.strip()} {what}", path)
                break
        sender.add_event(mapped, event, properties, _value(self._id, message), entry=self._entry)

    def _add_campaign(self, message: Row, properties: Properties, rejections: list[Rejection]) -> None:
        """Add the campaign's properties to those of an event, unless it has such a property."""
        context: Any = message.get("context") if self._under else message
        if not self._campaign or not isinstance(context, Mapping):
            return
        taken = {folded(name) for name in properties}
        for part, fields in self._campaign:
            holder = context.get(part) if part else context
            if not isinstance(holder, Mapping):
                continue
            for field, name, folded_name in fields:
                value = holder.get(field)
                if value is None or folded_name in taken or not is_scalar(value) or is_empty(value):
                    continue
                taken.add(folded_name)
                try:
                    properties[name] = self._values.write(value)
                except Rejected as problem:
                    rejections.append(Rejection.of(problem, f"context.{part}.{field}" if part else field))


class Traits:
    """Adds the traits of a person, or those of a person's group, and its ID."""

    def __init__(self, stream: Stream, places: Places, *, of_group: bool = False) -> None:
        self._traits = [(path, getter(path)) for path in places.traits if path == "traits" or not of_group]
        self._group_id = FirstOf(places.group_id if of_group else ())
        self._values = Values(stream.settings, stream.entry.zone)
        self._maker = parts.message_maker(stream, own=places.own, iso_texts=True, prefix="Group - " if of_group else "")

    def add(self, message: Row, sender: Sender, mapped: Mapped) -> None:
        """Add what is set."""
        under, traits = "", message
        for path, get in self._traits:
            under, traits = path, parts.object_at(get(message), path)
            if traits:
                break
        group = self._group_id.find(message)
        used, taken = ((group[0],), (folded(_GROUP_ID),)) if group else ((), ())
        properties = self._maker.make(traits, mapped.rejections, used=used, taken=taken, under=under)
        if group:
            try:
                text = self._values.write(group[1])
            except Rejected as problem:
                mapped.rejections.append(Rejection.of(problem, group[0]))
            else:
                properties |= {_GROUP_ID: text} if text else {}
        mapped.add_attributes(sender.person, sender.time, properties, sender.address, sender.user_agent)


def _type(message: Row) -> str:
    written = message.get("type")
    kind = written.strip().lower() if isinstance(written, str) else ""
    if not kind:
        raise Rejected("no-type", "the message has no type", "type")
    if kind not in TYPES:
        raise Rejected("unknown-type", f"the type must be one of {', '.join(TYPES)}, not {str(written)[:60]!r}", "type")
    return kind


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
        rejections.append(Rejection.of(parts.not_expected("a list", value, path)))
        return []
    if not isinstance(value, list) or not any(isinstance(item, Mapping) for item in value):
        return None
    return parts.objects_in(value, path, rejections)


KIND = Kind("segment", parts.MESSAGE_KEYS, detect, SegmentMapping, item_keys=parts.MESSAGE_ITEM_KEYS)
