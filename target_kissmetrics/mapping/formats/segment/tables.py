"""The tables that Segment's and RudderStack's warehouse destinations write, recognized by their columns.

    tracks and one table an event    event, event_text; the event's own table has a column for each property
    identifies                       a column for each trait
    users                            the same, one row a person, whose id is the person's
    pages, screens                   name, and a column for each property: path, url, title, ...
    groups                           group_id, and a column for each trait
    aliases                          previous_id

All but `users` have `anonymous_id`, `user_id`, `received_at`, `sent_at`, `original_timestamp`, `timestamp`, and the
context flattened to `context_...`; in capitals, or spelled otherwise, where the warehouse or the tap does so. Sources:
Segment's "Warehouse schemas", RudderStack's "Warehouse schema".
"""

from __future__ import annotations

import re
from typing import Literal

from target_kissmetrics.mapping.formats.segment.fields import MessageType
from target_kissmetrics.mapping.rules.fields import spelled
from target_kissmetrics.mapping.stream import Stream

Table = MessageType | Literal["users"]

_CONTEXT = re.compile(r"(?i:context)([\s_-]|(?<=[a-z])(?=[A-Z]))")
_PAGE = ("path", "url", "title", "referrer", "search")
_NAMED: dict[str, Table] = {
    "tracks": "track", "identifies": "identify", "pages": "page", "screens": "screen", "groups": "group",
    "aliases": "alias", "users": "users",
}  # fmt: skip
_NEEDS: dict[str, tuple[str, ...]] = {
    "track": ("event", "event_text"), "group": ("group_id",), "alias": ("previous_id",),
}  # fmt: skip
"""Columns of which a table needs one to be what its name says."""


def marks_of(stream: Stream) -> str | None:
    """Return the columns that prove a table to be one of these, as a clause; None if it may be any table."""
    identity, received = identity_of(stream), stream.field_for(("received_at",))
    loaded = stream.field_for(("original_timestamp", "sent_at", "uuid_ts"))
    if identity and loaded and received:
        return f"{identity!r}, {received!r} and {loaded!r}"
    return "the name of its table of users, and 'received_at'" if is_users(stream) else None


def identity_of(stream: Stream) -> str | None:
    """Return the column that holds an identity, of a table other than `users`."""
    return stream.field_for(("user_id", "anonymous_id"))


def is_users(stream: Stream) -> bool:
    """Return whether it is the table `users`, with a row for each person. The one of accounts has the same columns."""
    if _table_name(stream) != "users" or identity_of(stream):
        return False
    loaded = stream.field_for(("uuid_ts",)) or any(map(is_context, stream.fields))
    return bool(loaded and stream.field_for(("id",)) and stream.field_for(("received_at",)))


def is_context(column: str) -> bool:
    """Return whether a column holds a part of a message's context."""
    return _CONTEXT.match(column) is not None


def table_of(stream: Stream) -> Table | None:
    """Return which table it is; None if neither its name nor its columns say so."""
    name = _table_name(stream)
    for candidate in (name, name.rpartition("_")[2]):
        table = _NAMED.get(candidate)
        if table == "users":
            if is_users(stream):
                return table
        elif table and (table not in _NEEDS or stream.field_for(_NEEDS[table])):
            return table
        by_columns = _by_columns(stream)
        if by_columns:
            return by_columns
    return None


def _by_columns(stream: Stream) -> MessageType | None:
    if stream.field_for(("previous_id",)):
        return "alias"
    if stream.field_for(("event_text", "event")):
        return "track"
    if stream.field_for(("group_id",)):
        return "group"
    return "page" if len(spelled(_PAGE, stream.fields)) >= 2 else None


def _table_name(stream: Stream) -> str:
    """Return `pages` for `analytics-pages`, `prod.pages`, `_pages`."""
    return stream.name.lower().replace(".", "-").replace("/", "-").rpartition("-")[2].strip().lstrip("_")
