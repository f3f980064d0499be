"""Parts of messages: what shape each must have, and who and when its calls are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from target_kissmetrics.kissmetrics.calls import Properties, Record
from target_kissmetrics.kissmetrics.limits import LARGEST_VALUE_CHARACTERS
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import EventSlot, Mapped, Rejection, row_token
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import Row, is_empty, is_json
from target_kissmetrics.mapping.rules.identity import Person
from target_kissmetrics.mapping.rules.properties import PropertyMaker
from target_kissmetrics.mapping.settings import StreamSettings
from target_kissmetrics.mapping.stream import Stream

_NOTHING: Row = {}


class Sender(NamedTuple):
    """Who did something, and when: the same in each call of a message.

    Attributes:
        person: Identity.
        time: Seconds since the Unix epoch.
        address: The person's IP address, if it may be passed on.
        user_agent: The person's user agent, likewise.
    """

    person: str
    time: int
    address: str | None = None
    user_agent: str | None = None

    def add_event(  # noqa: PLR0913, PLR0917 - what an event is
        self,
        mapped: Mapped,
        event: str,
        properties: Properties,
        event_id: object = None,
        seconds: int = 1,
        revenue_property: str | None = None,
    ) -> Record:
        """Add an event, and return it.

        `event_id` distinguishes it from others of its name and second; None: its properties do. For `seconds` and
        `revenue_property` see `EventSlot`.
        """
        row = row_token(tuple(properties.items()) if event_id is None else str(event_id))
        slot = EventSlot(row, seconds=seconds, may_spread=False, revenue_property=revenue_property)
        record = Record(self.person, event, self.time, properties, self.address, self.user_agent)
        mapped.add_event(record, slot)
        return record

    def add_alias(self, mapped: Mapped, person: Person) -> None:
        """Add the alias of the person's two identities, if there are two."""
        mapped.add_alias(person, self.time, self.address, self.user_agent)

    def add_attributes(self, mapped: Mapped, properties: Properties) -> None:
        """Add attributes of the person, to be sent only if they changed."""
        mapped.add_attributes(self.person, self.time, properties, self.address, self.user_agent)


def message_maker(  # noqa: PLR0913 - how a format names its properties
    stream: Stream,
    *,
    exclude: tuple[str, ...] = (),
    rename: Mapping[str, str] | None = None,
    reserved: tuple[str, ...] = (),
    iso_texts: bool = False,
    prefix: str = "",
) -> PropertyMaker:
    """Return what makes properties of a message's parts; see `PropertyMaker`. Campaign fields keep their names."""
    return PropertyMaker(
        StreamSettings(exclude=exclude, rename=tuple((rename or {}).items()), timezone=stream.entry.timezone),
        replace(stream.settings, campaign_properties=False),
        stream.schema,
        stream.warn,
        reserved,
        iso_texts=iso_texts,
        prefix=prefix,
    )


def object_at(value: object, path: str) -> Row:
    """Return an object that may be absent.

    Raises:
        Rejected: The value is not an object.
    """
    if isinstance(value, Mapping):
        return value
    if is_empty(value):
        return _NOTHING
    raise not_expected("an object", value, path)


def object_or_nothing(value: object, path: str, rejections: list[Rejection], *, counts_as_row: bool = False) -> Row:
    """Return an object that may be absent; `rejections` gets any other value."""
    try:
        return object_at(value, path)
    except Rejected as problem:
        rejections.append(Rejection.of(problem, counts_as_row=counts_as_row))
        return _NOTHING


def list_or_nothing(value: object, path: str, rejections: list[Rejection], *, counts_as_row: bool = True) -> list[Any]:
    """Return a list that may be absent; `rejections` gets any other value."""
    if isinstance(value, list):
        return value
    if value is not None:
        rejections.append(Rejection.of(not_expected("a list", value, path), counts_as_row=counts_as_row))
    return []


def objects_in(items: list[Any], path: str, rejections: list[Rejection]) -> list[Row]:
    """Return the objects of a list; nulls are skipped, and `rejections` gets all other items."""
    for index, item in enumerate(items):
        if item is not None and not isinstance(item, Mapping):
            rejections.append(Rejection.of(not_expected("an object", item, f"{path}[{index}]"), counts_as_row=True))
    return [item for item in items if isinstance(item, Mapping)]


def event_name(value: object, path: str) -> str:
    """Return the name of an event.

    Raises:
        Rejected: The value is not a name that Kissmetrics accepts.
    """
    if not isinstance(value, str):
        problem = f"the event name must be a string, not {_shape(value)}"
        raise Rejected("no-event-name", problem, path, in_messages=True)
    try:
        return names.event_name(value)
    except Rejected as problem:
        raise Rejected(problem.code, problem.problem, path, in_messages=True) from None


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
