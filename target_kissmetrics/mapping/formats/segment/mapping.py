"""Kind `segment`: a row is a message of Segment or RudderStack, as JSON or as a row of one of their warehouse tables.

`userId` is the customer ID, `anonymousId` the device ID; the settings decide which of them identifies the person, and
whether the two are aliased. `message_types` has what each type becomes, `tables` how a table is recognized, `context`
what is sent beside a message's own content.

Sources: Segment's "Spec" and its server-side Kissmetrics integration; RudderStack's transformer for Kissmetrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias
from target_kissmetrics.mapping.formats.envelope import Envelope
from target_kissmetrics.mapping.formats.message_parts import (
    MESSAGE_ITEM_KEYS,
    MESSAGE_KEYS,
    EventRules,
    Sender,
    check_once,
    set_keys,
)
from target_kissmetrics.mapping.formats.segment import tables
from target_kissmetrics.mapping.formats.segment.context import SegmentContext
from target_kissmetrics.mapping.formats.segment.fields import CONTAINERS, FIELDS, MESSAGE, PARTS, TABLE, TYPES, Places
from target_kissmetrics.mapping.formats.segment.message_types import Group, Handler, Identify, Track, View
from target_kissmetrics.mapping.formats.segment.tables import Table
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, spelled
from target_kissmetrics.mapping.rules.identity import IdentityRule
from target_kissmetrics.mapping.rules.row_keys import RowKey
from target_kissmetrics.mapping.stream import Kind, Stream

_MESSAGE_IDS = ("userId", "anonymousId", "messageId")
_COLUMNS = (
    "message_id", "event", "name", "category", "group_id", "previous_id", "aliased_id", "address", "user_agent",
)  # fmt: skip
"""Parts of a message that are a column of some tables each."""


def detect(stream: Stream) -> str | None:
    """Recognize messages by `type` beside an ID, and warehouse tables by the columns that all of them have.

    `type` and `user_id` alone are columns of many tables: in other spellings messages need
    an ID, or two containers, that others lack.
    """
    kind, beside = stream.field_for(("type",)), stream.first_of(_MESSAGE_IDS)
    if beside is None and _envelope(stream).has_container:
        containers = sum(stream.field_for((name,)) is not None for name in CONTAINERS)
        beside = stream.field_for(("messageId", "anonymousId", *(("userId",) if containers > 1 else ())))
    if kind and beside and _are_messages(stream):
        return f"it has {kind!r} and {beside!r}"
    marks = tables.marks_of(stream)
    table = tables.table_of(stream) if marks else None
    return f"it has {marks}, as a warehouse table of messages ({table})" if table else None


class SegmentMapping:
    """Maps the rows of one stream of messages."""

    def __init__(self, stream: Stream) -> None:
        self._table = _table(stream)
        self._envelope = _envelope(stream) if self._table is None else None
        places = _places(stream, self._table)
        self._device = FirstOf(places.device_id)
        self._identity = IdentityRule(stream.settings, FirstOf(places.customer_id), self._device)
        self._clock = stream.row_clock(FirstOf(places.timestamp), required=True)
        self._context = SegmentContext(stream, places)
        self._aliased, self._previous = FirstOf(places.aliased_id), FirstOf(places.previous_id)
        self._only_type = "identify" if self._table == "users" else self._table
        check_once(stream)
        self._stream = stream
        self._row_key = RowKey(stream.name, stream.key_properties)

        def handlers(of: Stream) -> dict[str, Handler]:
            return {
                "track": Track(of, places, self._context).add,
                "page": View(of, places, self._context, "Page").add,
                "screen": View(of, places, self._context, "Screen").add,
            }

        self._events = EventRules(stream, handlers)
        self._others: dict[str, Handler] = {
            "identify": Identify(stream, places).add,
            "group": Group(stream, places).add,
        }
        if self._envelope is not None and stream.fields:
            _check_fields(stream, self._envelope)

    def describe(self) -> str:
        """Return which fields have which role, in one line."""
        what = "messages" if self._table is None else f"a warehouse table of {self._table}"
        return f"{what}; person: {self._identity.describe()}; time: {self._clock.describe()}"

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return a message's calls."""
        mapped, whole = Mapped(), row
        if self._envelope is not None:
            row = self._envelope.open(row, mapped.rejections)
        kind = self._only_type or _type(row)
        time, _ = self._clock.read(row, extracted)
        context = self._context.of(row, mapped.rejections)
        if kind == "alias":
            self._add_alias(row, context, time, mapped)
            return mapped
        person = self._identity.identify(row)
        sender = Sender(person.identity, time, *self._context.sender(context))
        if kind in self._others:
            self._others[kind](row, context, sender, mapped)
        else:
            self._events.add(mapped, lambda handlers, to: handlers[kind](row, context, sender, to))
            set_keys(self._stream, whole, mapped, self._row_key)
        sender.add_alias(mapped, person)
        return mapped

    def _add_alias(self, row: Row, context: Row, time: int, mapped: Mapped) -> None:
        """Add an alias. The anonymous ID stands in for a missing one, as in Segment's browser library (Spec: Alias)."""
        person = self._identity.require(row, self._aliased, self._device)
        previous = self._identity.require(row, self._previous, self._device)
        if person != previous:
            mapped.calls.append(Alias(person, previous, time, *self._context.sender(context)))


def _envelope(stream: Stream) -> Envelope:
    return Envelope(stream, FIELDS, CONTAINERS, PARTS)


def _check_fields(stream: Stream, envelope: Envelope) -> None:
    """Check that messages carry something.

    Raises:
        ConfigError: They have neither properties, traits nor context, so that their data would be lost.
    """
    if not stream.field_for(("type",)):
        stream.warn("it has no field 'type', so each row is rejected; fix the tap, or set another kind")
    if not envelope.has_container and not stream.field_for(("previousId", "from")):
        raise ConfigError(
            f"{stream.entry.place}.kind",
            f"stream {stream.name!r} holds messages without properties, traits and context, whose data would be lost "
            f"({stream.list_fields()}); let the tap keep them, or set another kind, such as event or ignore",
        )


def _type(row: Row) -> str:
    kind = row.get("type")
    if kind in TYPES:
        return str(kind)
    if not isinstance(kind, str) or not kind.strip():
        raise Rejected("no-type", "the message has no type", "type")
    if kind.strip().lower() in TYPES:
        return kind.strip().lower()
    raise Rejected("unknown-type", f"the type must be one of {', '.join(TYPES)}, not {kind[:60]!r}", "type")


def _table(stream: Stream) -> Table | None:
    """Return which table the stream is; None for messages.

    Raises:
        ConfigError: It is a table, but it is ambiguous which.
    """
    if _are_messages(stream) or not (tables.identity_of(stream) or tables.is_users(stream)):
        return None
    table = tables.table_of(stream)
    if table is None:
        raise ConfigError(
            f"{stream.entry.place}.kind",
            f"stream {stream.name!r} looks like a warehouse table, but neither its name nor its columns say of which "
            "messages; name it tracks, identifies, users, pages, screens, groups or aliases with a stream map's "
            f"__alias__ ({stream.list_fields()})",
        )
    if table != "alias" and not stream.field_for(TABLE.timestamp):
        raise ConfigError(
            f"{stream.entry.place}.kind",
            f"stream {stream.name!r} is a warehouse table without a column of the time ({stream.list_fields()}); let "
            f"the tap keep one of {', '.join(TABLE.timestamp)}, or set another kind, such as event or ignore",
        )
    return table


def _are_messages(stream: Stream) -> bool:
    """Return whether rows are messages, with names and objects that no table has, or a type and no table's columns."""
    nested = stream.first_of(_MESSAGE_IDS) or stream.field_for(CONTAINERS)
    return bool(not stream.fields or nested or (stream.field_for(("type",)) and not tables.marks_of(stream)))


def _places(stream: Stream, table: Table | None) -> Places:
    """Return the fields of messages, or those of them that a table has."""
    if table is None:
        return MESSAGE

    known = (path for role in _COLUMNS for path in getattr(TABLE, role))
    found = spelled(dict.fromkeys((*TABLE.own, *known)), stream.fields, stream.warn)

    def present(paths: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(found[path] for path in paths if path in found))

    ((part, campaign),) = TABLE.campaign
    is_users = table == "users"
    columns: dict[str, Any] = {role: present(getattr(TABLE, role)) or getattr(TABLE, role) for role in _COLUMNS}
    return replace(
        TABLE,
        **columns,
        customer_id=present(("id",) if is_users else TABLE.customer_id),
        device_id=() if is_users else present(TABLE.device_id),
        timestamp=present(TABLE.timestamp),
        own=(*TABLE.own, *present(TABLE.own), *filter(tables.is_context, stream.fields)),
        campaign=((part, {field: campaign[name] for name, field in spelled(campaign, stream.fields).items()}),),
    )


KIND = Kind("segment", MESSAGE_KEYS, detect, SegmentMapping, item_keys=MESSAGE_ITEM_KEYS)
