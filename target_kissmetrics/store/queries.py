"""The store's queries, and how they are asked for many keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from target_kissmetrics.store import layout
from target_kissmetrics.store.digests import PERSON_BYTES, SECOND_BYTES
from target_kissmetrics.store.intents import INTENT_BYTES
from target_kissmetrics.store.layout import ALIASES, INTENTS, PEOPLE, SECONDS
from target_kissmetrics.store.packed import UNIT

KEYS_PER_QUERY = 1000

LAST_SENT = sa.select(PEOPLE.c.person, PEOPLE.c.properties)
TO_CHANGE = LAST_SENT.order_by(PEOPLE.c.person).with_for_update()
PARTNERS = sa.select(ALIASES.c.person, ALIASES.c.partner)
CLAIMED = sa.select(SECONDS.c.slot, SECONDS.c.holder)
ENTRIES = sa.select(INTENTS.c.id, INTENTS.c.entries)
PENDING = sa.select(INTENTS.c.id).where(INTENTS.c.product == sa.bindparam("product"))

_T = TypeVar("_T")

_IS_WHOLE: Mapping[str, Callable[[int], bool]] = {
    "properties": lambda size: size % UNIT == 0,
    "partner": lambda size: size == PERSON_BYTES,
    "holder": lambda size: size == SECOND_BYTES,
    "entries": lambda size: size % INTENT_BYTES == 0,
}
"""Column -> whether this package may have written a value of `size` bytes."""


def select(connection: Connection, query: sa.Select[Any], keys: Collection[Any]) -> Iterator[Any]:
    """Run a query for keys of its first column; the second one holds bytes.

    Raises:
        StoreError: Some of these bytes are not what this package writes.
    """
    value = query.selected_columns[1]
    is_whole = _IS_WHOLE[value.name]
    for part in some(list(keys)):
        rows = connection.exec_driver_sql(_with_keys(query, connection.dialect, len(part)), tuple(part)).all()
        values = [row[1] for row in rows]
        if not set(map(type, values)) <= {bytes} or not all(map(is_whole, set(map(len, values)))):
            raise layout.damaged(value.table.name)
        yield from rows


@lru_cache
def _with_keys(query: sa.Select[Any], dialect: sa.Dialect, count: int) -> str:
    """Write a query for so many keys of its first column: SQLAlchemy's own way of many keys takes as long as SQLite."""
    keys: sa.BindParameter[Any] = sa.bindparam("keys", expanding=True)
    text = str(query.where(query.selected_columns[0].in_(keys)).compile(dialect=dialect))
    return text.replace("__[POSTCOMPILE_keys]", ", ".join(["?" if dialect.name == "sqlite" else "%s"] * count))


def some(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield some values in parts, each of which one query takes."""
    for start in range(0, len(values), KEYS_PER_QUERY):
        yield values[start : start + KEYS_PER_QUERY]
