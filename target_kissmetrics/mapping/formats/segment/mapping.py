"""Kind `segment`: a row is a message of Segment or RudderStack, as JSON or as a row of one of their warehouse tables.

`userId` is the customer ID, `anonymousId` the device ID; which of them identifies the person, and whether the two are
aliased, is for the settings to say. What each type becomes: `segment_types`. `context.ip` and `context.userAgent` go
out beside the calls, `context.campaign` and the page's referrer as properties of events, under the names that
Kissmetrics' reports know. Where a table is told from another: `segment_tables`.

Sources: Segment's "Spec" and its server-side Kissmetrics integration; RudderStack's transformer for Kissmetrics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias
from target_kissmetrics.mapping.formats.segment import tables as segment_tables
from target_kissmetrics.mapping.formats.segment.alias import SegmentAlias
from target_kissmetrics.mapping.formats.segment.context import SegmentContext
from target_kissmetrics.mapping.formats.segment.fields import MESSAGE, TABLE, MessageType, Places
from target_kissmetrics.mapping.formats.segment.message_types import Group, Identify, Message, Track, View
from target_kissmetrics.mapping.formats.segment.tables import Table
from target_kissmetrics.mapping.reject_codes import RowRejected
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.clock import RowClock, present
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.rules.identity import People
from target_kissmetrics.mapping.stream import Stream

TYPES: tuple[MessageType, ...] = ("identify", "track", "page", "screen", "group", "alias")

_NESTED = ("userId", "anonymousId", "messageId", "properties", "traits", "context")


class SegmentMapping:
    """Maps the rows of one stream of messages."""

    def __init__(self, stream: Stream) -> None:
        self._table = _table(stream)
        places = _places(stream, self._table)
        self._places = places
        self._people = People(stream.settings, places.customer_id, places.device_id, in_messages=True)
        self._clock = RowClock(places.timestamp, required=False, now=stream.now, in_messages=True)
        self._context = SegmentContext(stream, places)
        self._alias = SegmentAlias(self._people, places)
        self._only_type: MessageType | None = None
        if self._table is not None:
            self._only_type = "identify" if self._table == "users" else self._table
        self._add: dict[str, Callable[[Message, Mapped], None]] = {
            "track": Track(stream, places, self._context).add,
            "page": View(stream, places, self._context, "Page").add,
            "screen": View(stream, places, self._context, "Screen").add,
            "identify": Identify(stream, places).add,
            "group": Group(stream, places).add,
        }
        if self._table is None and stream.fields and not stream.may_have("type"):
            stream.warn("it has no field 'type', without which a message cannot be read: each such row is rejected")

    def describe(self) -> str:
        """Say which fields were understood as what, in one line."""
        what = "messages" if self._table is None else f"a warehouse table of {self._table}"
        return f"{what}; person: {self._people.describe()}; time: {self._clock.describe()}"

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Give a message's calls.

        Raises:
            RowRejected: No type, person or name that Kissmetrics would keep, or a part that is not what it should be;
                the reason says which.
        """
        mapped = Mapped()
        kind = self._only_type or _type(row)
        time, _ = self._clock.read(row, extracted)
        if kind == "alias":
            self._alias.add(row, time, mapped)
            return mapped
        person = self._people.identify(row)
        context = self._context.of(row, mapped.asides)
        address, user_agent = self._context.sender(context)
        self._add[kind](Message(row, context, person.identity, time, address, user_agent), mapped)
        if person.other is not None:
            mapped.calls.append(Alias(person.identity, person.other, time))
            mapped.alias_field = person.other_field
        return mapped


def _type(row: Row) -> str:
    kind = row.get("type")
    if kind in TYPES:
        return str(kind)
    if not isinstance(kind, str) or not kind.strip():
        raise RowRejected("no-type", "the message has no type", "type")
    if kind.strip().lower() in TYPES:
        return kind.strip().lower()
    raise RowRejected("unknown-type", f"{kind[:60]!r} is no type of message; known are {', '.join(TYPES)}", "type")


def _table(stream: Stream) -> Table | None:
    """Tell which table the stream is; None for messages.

    Raises:
        ConfigError: It is some table, but it is not plain which.
    """
    fields = stream.fields
    if not fields or any(name in fields for name in _NESTED):
        return None
    if "type" in fields and not segment_tables.has_marks(stream.name, fields):
        return None
    if not segment_tables.has_identity(fields) and not segment_tables.is_users(stream.name, fields):
        return None
    table = segment_tables.table_of(stream.name, fields)
    if table is None:
        raise ConfigError(
            f"{stream.entry.place}.kind",
            f"stream {stream.name!r} looks like a warehouse table, but neither its name nor its columns say of which "
            "messages; name it tracks, identifies, users, pages, screens, groups or aliases with a stream map's "
            f"__alias__ ({stream.shown_fields()})",
        )
    return table


def _places(stream: Stream, table: Table | None) -> Places:
    """Give the fields of messages, or those of them that a table has."""
    if table is None:
        return MESSAGE
    places = replace(TABLE, customer_id=("id",), device_id=()) if table == "users" else TABLE
    return replace(
        places,
        customer_id=present(places.customer_id, stream.fields),
        device_id=present(places.device_id, stream.fields),
        timestamp=present(places.timestamp, stream.fields),
    )
