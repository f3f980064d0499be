"""Where the parts of a Segment or RudderStack message are: in a JSON message, or in a row of one of the tables that
their warehouse destinations write, which are recognized by their columns.

    tracks and one table an event    event, event_text; the event's own table has a column for each property
    identifies                       a column for each trait
    users                            the same, one row a person, whose id is the person's
    pages, screens                   name, and a column for each property: path, url, title, ...
    groups                           group_id, and a column for each trait
    aliases                          previous_id

All but `users` have `anonymous_id`, `user_id`, `received_at`, `sent_at`, `original_timestamp`, `timestamp`, and the
context flattened to `context_...`; in capitals, or spelled otherwise, where the warehouse or the tap does so. Sources:
Segment's "Spec: Common Fields" and "Warehouse schemas"; RudderStack's "Warehouse schema". Legacy spellings (`sessionId`
for `anonymousId`, `from` and `to` of an alias) are those of Segment's segmentio-facade.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.formats.envelope import Envelope
from target_kissmetrics.mapping.rules.fields import spelled
from target_kissmetrics.mapping.rules.properties import CAMPAIGN_PROPERTIES
from target_kissmetrics.mapping.stream import Stream

TYPES = ("identify", "track", "page", "screen", "group", "alias")

_CAMPAIGN = {
    "source": "Campaign Source", "medium": "Campaign Medium", "name": "Campaign Name", "term": "Campaign Terms",
    "content": "Campaign Content",
}  # fmt: skip
"""Segment's names in `context.campaign`, and the properties that Kissmetrics' reports know."""

_UTM = {field: name for field, name in CAMPAIGN_PROPERTIES.items() if field.startswith("utm_")}
_REFERRER = {field: name for field, name in CAMPAIGN_PROPERTIES.items() if field not in _UTM}


class Places(NamedTuple):
    """Fields, as paths, each in the order they are tried. The defaults are those of a JSON message.

    `address`, `user_agent` and `campaign` are within the context, which in a table is the row itself.
    """

    customer_id: tuple[str, ...] = ("userId",)
    device_id: tuple[str, ...] = ("anonymousId", "sessionId")
    timestamp: tuple[str, ...] = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
    message_id: tuple[str, ...] = ("messageId",)
    event: tuple[str, ...] = ("event",)
    titles: tuple[str, ...] = ("name", "category")  # of a page or screen
    group_id: tuple[str, ...] = ("groupId",)
    previous_id: tuple[str, ...] = ("previousId", "from")  # the other identity of an alias
    aliased_id: tuple[str, ...] = ("userId", "to")  # the first one
    address: tuple[str, ...] = ("ip",)
    user_agent: tuple[str, ...] = ("userAgent", "user_agent")
    properties: str = "properties"  # the object of properties; empty: the row itself
    traits: tuple[str, ...] = ("traits", "context.traits")  # the first with content counts; none: the row itself
    own: tuple[str, ...] = ()  # names and globs of the row's fields that are neither property nor trait
    # Objects (empty: the context itself), and the property that each of their fields becomes.
    campaign: Mapping[str, Mapping[str, str]] = {"campaign": _CAMPAIGN | _UTM, "page": _REFERRER | _UTM}


_FIELDS = (
    "type", "userId", "anonymousId", "sessionId", "timestamp", "originalTimestamp", "sentAt", "receivedAt", "messageId",
    "event", "name", "category", "groupId", "previousId", "from", "to",
)  # fmt: skip
"""Of a message, but for its containers."""
_CONTAINERS: dict[str, tuple[str, ...]] = {"properties": (), "traits": (), "context": ("campaign", "page", "traits")}
"""Each with the objects in it that a mapping reads."""
_IDS = ("userId", "anonymousId", "messageId")

_COLUMNS: dict[str, tuple[str, ...]] = {
    "customer_id": ("user_id",), "device_id": ("anonymous_id",), "message_id": ("id",),
    "timestamp": ("timestamp", "original_timestamp", "sent_at", "received_at"), "event": ("event_text", "event"),
    "titles": ("name", "category"), "group_id": ("group_id",), "previous_id": ("previous_id",),
    "aliased_id": ("user_id",), "address": ("context_ip",), "user_agent": ("context_user_agent",),
}  # fmt: skip
"""`id` is the message's; `event` is the name of the event's table, `event_text` the name as it was sent."""
_OWN = (
    "id", "user_id", "anonymous_id", "event", "event_text", "timestamp", "original_timestamp", "received_at", "sent_at",
    "loaded_at", "uuid_ts", "uuid", "channel", "context_*",
)  # fmt: skip
_CAMPAIGN_COLUMNS = {f"context_campaign_{field}": name for field, name in _CAMPAIGN.items()} | {
    f"context_page_{field}": name for field, name in _REFERRER.items()
}
_IN_CONTEXT = re.compile(r"(?i:context)([\s_-]|(?<=[a-z])(?=[A-Z]))")
_PAGE = ("path", "url", "title", "referrer", "search")

_TABLES = {
    "tracks": "track", "identifies": "identify", "pages": "page", "screens": "screen", "groups": "group",
    "aliases": "alias", "users": "users",
}  # fmt: skip
_NEEDS: dict[str, tuple[str, ...]] = {
    "alias": ("previous_id",), "track": ("event", "event_text"), "group": ("group_id",),
}  # fmt: skip
"""Columns of which a table needs one to be what its name says, and which say so if its name does not."""


def detect(stream: Stream) -> str | None:
    """Recognize messages by `type` beside an ID, and warehouse tables by the columns that all of them have.

    `type` and `user_id` alone are columns of many tables: in other spellings messages need
    an ID, or two containers, that others lack.
    """
    kind, beside = stream.field_for(("type",)), stream.first_of(_IDS)
    if beside is None and envelope(stream).has_container:
        containers = sum(stream.field_for((name,)) is not None for name in _CONTAINERS)
        beside = stream.field_for(("messageId", "anonymousId", *(("userId",) if containers > 1 else ())))
    if kind and beside and _are_messages(stream):
        return f"it has {kind!r} and {beside!r}"
    marks = _marks_of(stream)
    table = _table_of(stream) if marks else None
    return f"it has {marks}, as a warehouse table of messages ({table})" if table else None


def envelope(stream: Stream) -> Envelope:
    """Return what reads the messages of a stream that is no table."""
    return Envelope(stream, _FIELDS, _CONTAINERS)


def table_of(stream: Stream) -> str | None:
    """Return which table a stream is: the type of its messages, or `users`; None for JSON messages.

    ConfigError if it is a table, but it is ambiguous which, or it has no time.
    """
    if _are_messages(stream) or not (_identity_of(stream) or _is_users(stream)):
        return None
    place, table = f"{stream.entry.place}.kind", _table_of(stream)
    if table is None:
        raise ConfigError(
            place,
            f"stream {stream.name!r} looks like a warehouse table, but neither its name nor its columns say of which "
            f"messages; name it {', '.join(_TABLES)} with a stream map's __alias__ ({stream.list_fields()})",
        )
    times = _COLUMNS["timestamp"]
    if table != "alias" and not stream.field_for(times):
        raise ConfigError(
            place,
            f"stream {stream.name!r} is a warehouse table without a column of the time ({stream.list_fields()}); let "
            f"the tap keep one of {', '.join(times)}, or set another kind, such as event or ignore",
        )
    return table


_LISTED_ALONE = ("customer_id", "device_id", "timestamp", "address", "user_agent")
"""Roles of columns that the schema lists; of the others, a row may have more than its schema."""


def places_in(stream: Stream, table: str | None) -> Places:
    """Return the fields of messages, or those of them that a table has."""
    if table is None:
        return Places()
    known = [*_OWN, *(column for columns in _COLUMNS.values() for column in columns)]
    found = spelled(dict.fromkeys(known), stream.fields, stream.warn)

    def present(columns: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(found[column] for column in columns if column in found))

    campaign = spelled(_CAMPAIGN_COLUMNS, stream.fields)
    columns: dict[str, Any] = {
        role: present(columns) or (() if role in _LISTED_ALONE else columns) for role, columns in _COLUMNS.items()
    }
    columns["titles"] = tuple(found.get(column, column) for column in _COLUMNS["titles"])
    if table == "users":
        columns |= {"customer_id": present(("id",)), "device_id": ()}
    return Places(
        **columns,
        properties="",
        traits=(),
        own=(*_OWN, *present(_OWN), *filter(_IN_CONTEXT.match, stream.fields)),
        campaign={"": {field: _CAMPAIGN_COLUMNS[column] for column, field in campaign.items()}},
    )


def _are_messages(stream: Stream) -> bool:
    """Return whether rows are messages, with names and objects that no table has, or a type and no table's columns."""
    nested = stream.first_of(_IDS) or stream.field_for(_CONTAINERS)
    return bool(not stream.fields or nested or (stream.field_for(("type",)) and not _marks_of(stream)))


def _marks_of(stream: Stream) -> str | None:
    """Return the columns that prove a table to be one of these, as a clause; None if it may be any table."""
    identity, received = _identity_of(stream), stream.field_for(("received_at",))
    loaded = stream.field_for(("original_timestamp", "sent_at", "uuid_ts"))
    if identity and loaded and received:
        return f"{identity!r}, {received!r} and {loaded!r}"
    return "the name of its table of users, and 'received_at'" if _is_users(stream) else None


def _identity_of(stream: Stream) -> str | None:
    return stream.field_for(("user_id", "anonymous_id"))


def _is_users(stream: Stream) -> bool:
    """Return whether it is the table `users`, with a row for each person. The one of accounts has the same columns."""
    if _table_name(stream) != "users" or _identity_of(stream):
        return False
    loaded = stream.field_for(("uuid_ts",)) or any(map(_IN_CONTEXT.match, stream.fields))
    return bool(loaded and stream.field_for(("id",)) and stream.field_for(("received_at",)))


def _table_of(stream: Stream) -> str | None:
    """Return which table it is, by its name, its columns, or the end of its name; None if none of them says so."""
    name = _table_name(stream)
    by_columns = [*_NEEDS, *(["page"] if len(spelled(_PAGE, stream.fields)) >= 2 else [])]
    for table in (_TABLES.get(name), *by_columns, _TABLES.get(name.rpartition("_")[2])):
        if table == "users" and not _is_users(stream):
            continue
        if table and (table not in _NEEDS or stream.field_for(_NEEDS[table])):
            return table
    return None


def _table_name(stream: Stream) -> str:
    """Return `pages` for `analytics-pages`, `prod.pages`, `_pages`."""
    return stream.name.lower().replace(".", "-").replace("/", "-").rpartition("-")[2].strip().lstrip("_")
