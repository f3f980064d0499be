"""The tables that Segment's and RudderStack's warehouse destinations write, told by their columns.

    tracks and one table an event    event, event_text; the event's own table has a column for each property
    identifies                       a column for each trait
    users                            the same, one row a person, whose id is the person's
    pages, screens                   name, and a column for each property: path, url, title, ...
    groups                           group_id, and a column for each trait
    aliases                          previous_id

All but `users` have `anonymous_id`, `user_id`, `received_at`, `sent_at`, `original_timestamp`, `timestamp` and the
context flattened to `context_...`. Sources: Segment's "Warehouse schemas", RudderStack's "Warehouse schema".
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from target_kissmetrics.mapping.formats.segment.fields import MessageType

Table = MessageType | Literal["users"]

_IDS = ("user_id", "anonymous_id")
_LOADED = ("original_timestamp", "sent_at", "uuid_ts")
_PAGE = ("path", "url", "title", "referrer", "search")
_NAMED: dict[str, Table] = {
    "tracks": "track",
    "identifies": "identify",
    "pages": "page",
    "screens": "screen",
    "groups": "group",
    "aliases": "alias",
    "users": "users",
}
_NEEDS: dict[str, tuple[str, ...]] = {
    "track": ("event", "event_text"),
    "group": ("group_id",),
    "alias": ("previous_id",),
}
"""Columns without which a table's rows cannot be what its name says: one of them has to be there."""


def has_marks(stream: str, fields: Collection[str]) -> str | None:
    """Give the columns by which a table is surely one of these, for a person; None when it may be any table."""
    loaded = next((name for name in _LOADED if name in fields), None)
    if "received_at" not in fields:
        return None
    identity = has_identity(fields)
    if identity and loaded:
        return f"{identity!r}, 'received_at' and {loaded!r}"
    if is_users(stream, fields):
        return "the name of its table of users, and 'received_at'"
    return None


def has_identity(fields: Collection[str]) -> str | None:
    """Give the column that holds an identity, of a table that is not the one of users."""
    return next((name for name in _IDS if name in fields), None)


def is_users(stream: str, fields: Collection[str]) -> bool:
    """Tell the table of users, which has a row for each person, from the one of accounts, which looks the same."""
    loaded = "uuid_ts" in fields or any(name.startswith("context_") for name in fields)
    return (
        _table_name(stream) == "users" and {"id", "received_at"} <= set(fields) and loaded and not has_identity(fields)
    )


def table_of(stream: str, fields: Collection[str]) -> Table | None:
    """Tell which table it is; None when neither its name nor its columns do."""
    name = _table_name(stream)
    for candidate in (name, name.rpartition("_")[2]):
        table = _NAMED.get(candidate)
        if table == "users":
            if is_users(stream, fields):
                return table
        elif table and any(column in fields for column in _NEEDS.get(table, fields)):
            return table
        by_columns = _by_columns(fields)
        if by_columns:
            return by_columns
    return None


def _by_columns(fields: Collection[str]) -> MessageType | None:
    if "previous_id" in fields:
        return "alias"
    if "event_text" in fields or "event" in fields:
        return "track"
    if "group_id" in fields:
        return "group"
    if sum(column in fields for column in _PAGE) >= 2:
        return "page"
    return None


def _table_name(stream: str) -> str:
    """Give `pages` of `analytics-pages`, `prod.pages`, `_pages`."""
    return stream.lower().replace(".", "-").replace("/", "-").rpartition("-")[2].strip().lstrip("_")
