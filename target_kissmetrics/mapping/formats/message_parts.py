"""What message formats share: checks of shape, the person and time of a message's calls, rules for events."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Properties, Record
from target_kissmetrics.kissmetrics.limits import LARGEST_VALUE_CHARACTERS
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import EventSlot, Mapped, Rejection, row_token
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, glob_pattern, is_empty, is_json
from target_kissmetrics.mapping.rules.properties import PropertyMaker
from target_kissmetrics.mapping.rules.revenue import Revenue
from target_kissmetrics.mapping.rules.row_keys import RowKey, digest
from target_kissmetrics.mapping.rules.tracking_plan import TrackingPlan
from target_kissmetrics.mapping.settings import ITEM_KEYS, PROPERTY_KEYS, EventSettings
from target_kissmetrics.mapping.stream import Stream

MESSAGE_KEYS = PROPERTY_KEYS - {"set"} | {
    "revenue", "revenue_divide_by", "spread_duplicates", "send_once_per_row", "events",
}  # fmt: skip
MESSAGE_ITEM_KEYS = ITEM_KEYS - {"timestamp", "when", "line_items"}  # of an item of `events`


class Sender(NamedTuple):
    """Who did something, and when, the same in each call of a message."""

    person: str  # an identity
    time: int  # in seconds since the Unix epoch
    address: str | None = None  # the person's, if it may be passed on, as is their user agent
    user_agent: str | None = None

    def add_event(  # noqa: PLR0913, PLR0917 - what an event is
        self,
        mapped: Mapped,
        event: str,
        properties: Properties,
        event_id: object = None,
        seconds: int = 1,
        revenue_property: str | None = None,
        entry: EventSettings | None = None,
    ) -> Record:
        """Add an event, and return it.

        `event_id` distinguishes it from others of its name and second; None: its properties do. For `seconds` and
        `revenue_property` see `EventSlot`. `entry` is what the stream's entry says of it, if the kind has such keys.
        """
        content: Any = tuple(properties.items()) if event_id is None else str(event_id)
        once, spread = (entry.once, entry.spread_duplicates) if entry is not None else (False, False)
        slot = EventSlot(
            digest("", content) if spread else row_token(content),
            seconds=seconds,
            spread=spread and not once,
            may_spread=entry is not None,
            revenue_property=revenue_property,
        )
        record = Record(self.person, event, self.time, properties, self.address, self.user_agent, once)
        mapped.add_event(record, slot)
        return record


Handler = Callable[[Row, Sender, Mapped], None]
"""Adds the calls of a message, or of a batch's event. Raises Rejected, also for parts that do not have their shape."""


class EventRules:
    """The rules for the events of one stream: by their names (`events`), and by the row's key (`send_once_per_row`).

    `create` returns what adds events of each type, by the keys of a stream's entry, or of one of its items. ConfigError
    if events are to be sent once, but rows have no key.
    """

    def __init__(self, stream: Stream, create: Callable[[Stream], Mapping[str, Handler]]) -> None:
        entry, settings = stream.entry, stream.settings
        if entry.send_once_per_row and not stream.key_properties:
            problem = f"stream {stream.name!r} has no key properties, so a later run cannot recognize a row"
            raise ConfigError(f"{entry.place}.send_once_per_row", f"{problem}; let the tap name them")
        self._row_key = RowKey(stream.name, stream.key_properties) if entry.send_once_per_row else None
        self._revenue_key = settings.revenue_key
        self._plan = TrackingPlan(settings)
        self._usual = create(stream)
        self._items = [
            (glob_pattern(item.event_name or "*"), None if item.ignore else create(replace(stream, entry=item)))
            for item in entry.events
        ]
        self._is_choosing = bool(self._items) or settings.allowed_events is not None

    def add(self, kind: str, message: Row, sender: Sender, mapped: Mapped) -> None:
        """Add an event of some type by the rules for its name; Rejected if it cannot be sent, or is not in the plan."""
        if not self._is_choosing:
            self._usual[kind](message, sender, mapped)
            return
        event = Mapped()
        self._usual[kind](message, sender, event)
        names = [call.event for call in event.calls if isinstance(call, Record)]
        item = next((rules for pattern, rules in self._items if any(map(pattern.fullmatch, names))), self._usual)
        if item is None:
            mapped.skipped_types.append("ignored by events")
            return
        if item is not self._usual:
            event = Mapped()
            item[kind](message, sender, event)
        for name in names:
            self._plan.check_event(name, None)
        mapped.add(event)

    def set_keys(self, row: Row, mapped: Mapped) -> None:
        """Mark events as those of their row; a later version of it may give an amount to one that had none."""
        row_key = self._row_key.of(row) if self._row_key else None
        if row_key is None:
            return
        for index, slot in enumerate(mapped.slots):
            slot.key = b"\0".join([row_key, str(index).encode()]) if index else row_key
            slot.late_amount = None if slot.revenue_property else self._revenue_key


def amounts_of(stream: Stream, usual: Sequence[str]) -> FirstOf:
    """Return the fields of an event's amount: those of the stream's entry, else the usual ones."""
    named = stream.entry.revenue
    return FirstOf(usual, loose=True) if named is None else FirstOf(path.rpartition(".")[2] for path in named)


def revenue_of(stream: Stream, fields: FirstOf, under: str) -> Revenue:
    """Return what finds the amounts of events in some fields of an object in messages."""
    divide_by = stream.entry.revenue_divide_by
    return Revenue(stream.settings.revenue_key, fields, under=under, divide_by=divide_by)


def message_maker(
    stream: Stream,
    *,
    own: tuple[str, ...] = (),
    rename: Mapping[str, str] | None = None,
    iso_texts: bool = False,
    prefix: str = "",
) -> PropertyMaker:
    """Return what makes properties of a message's parts; see `PropertyMaker`. Campaign fields keep their names.

    `rename` is the format's, beside that of the stream's entry.
    """
    renames = {**(rename or {}), **dict(stream.entry.rename)}
    entry = replace(stream.entry, rename=tuple(renames.items()))
    settings = replace(stream.settings, campaign_properties=False)
    reserved = (folded(settings.revenue_key),)
    return PropertyMaker(
        entry, settings, stream.schema, stream.warn, reserved, iso_texts=iso_texts, prefix=prefix, own=own
    )


def object_at(value: object, path: str) -> Row:
    """Return an object that may be absent; any other value is Rejected."""
    if isinstance(value, Mapping):
        return value
    if is_empty(value):
        return {}
    raise not_expected("an object", value, path)


def object_or_nothing(value: object, path: str, rejections: list[Rejection], *, counts_as_row: bool = False) -> Row:
    """Return an object that may be absent; `rejections` gets any other value."""
    try:
        return object_at(value, path)
    except Rejected as problem:
        rejections.append(Rejection.of(problem, counts_as_row=counts_as_row))
        return {}


def list_or_nothing(value: object, path: str, rejections: list[Rejection]) -> list[Any]:
    """Return a list that may be absent; `rejections` gets any other value."""
    if isinstance(value, list):
        return value
    if value is not None:
        rejections.append(Rejection.of(not_expected("a list", value, path), counts_as_row=True))
    return []


def objects_in(value: object, path: str, rejections: list[Rejection]) -> list[Row]:
    """Return the objects of a list; nulls are skipped, and `rejections` gets all other items."""
    items = list_or_nothing(value, path, rejections)
    for index, item in enumerate(items):
        if item is not None and not isinstance(item, Mapping):
            rejections.append(Rejection.of(not_expected("an object", item, f"{path}[{index}]"), counts_as_row=True))
    return [item for item in items if isinstance(item, Mapping)]


def event_name(value: object, path: str) -> str:
    """Return the name of an event; a value that is no name that Kissmetrics accepts is Rejected."""
    if not isinstance(value, str):
        raise Rejected("no-event-name", f"the event name must be a string, not {_shape(value)}", path)
    try:
        return names.event_name(value)
    except Rejected as problem:
        raise Rejected(problem.code, problem.problem, path) from None


def passable(value: object) -> str | None:
    """Return an IP address or a user agent as it can be passed on with a call; None if it cannot."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    return text if 0 < len(text) * 4 <= LARGEST_VALUE_CHARACTERS and names.is_utf8(text) else None


def not_expected(expected: str, value: object, path: str) -> Rejected:
    """Return the rejection of a part that does not have the shape that its format requires."""
    what = "text that does not parse" if is_json(value) else _shape(value)
    return Rejected("bad-message", f"must be {expected}, not {what}", path)


def _shape(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    shapes = {type(None): "null", str: "a string", list: "a list", tuple: "a list", dict: "an object"}
    return shapes.get(type(value), "a number or a date")
