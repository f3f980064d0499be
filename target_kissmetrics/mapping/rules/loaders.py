"""Columns that loaders add to rows: they are no properties, and some of them mark a row as deleted at its source.

Sources: Singer (`_sdc_`, of PipelineWise also `_sdc_lsn_`), Fivetran, Airbyte, dlt and Debezium (`__deleted`). The `_`
in front stays a mark, also where it is another separator: `deleted` and `ab_test` are columns of somebody's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from target_kissmetrics.mapping.rules.fields import Row, is_empty, loose

_LOADED = re.compile(r"(^|\.)[\s_-]+((?i:sdc|fivetran|airbyte|dlt|deleted$)|(?i:ab)([\s_-]|(?<=b)(?=[A-Z])))")


def _is_true(value: object) -> bool:
    return str(value).strip().lower() in {"true", "t", "yes", "1"}


_MARKS: dict[str, Callable[[object], bool]] = {
    "_sdc_deleted_at": lambda value: not is_empty(value),
    "_sdc_lsn_deleted_at": lambda value: not is_empty(value),
    "_ab_cdc_deleted_at": lambda value: not is_empty(value),
    "_fivetran_deleted": _is_true,
    "__deleted": _is_true,
}
"""Columns that mark a deleted row, and what their values must be."""
_LOOSE_MARKS = {loose(name): is_set for name, is_set in _MARKS.items()}


@lru_cache(maxsize=10_000)
def is_metadata(field: str) -> bool:
    """Return whether a loader added a field, or an object that holds it; a warehouse may return it in capitals."""
    return _LOADED.search(field) is not None


def is_deleted(row: Row) -> bool:
    """Return whether a row is marked as deleted at its source."""
    marks = _marks(tuple(row))
    return bool(marks) and any(is_set(row[field]) for field, is_set in marks)


@lru_cache(maxsize=1000)
def _marks(fields: tuple[str, ...]) -> tuple[tuple[str, Callable[[object], bool]], ...]:
    marks = ((field, _LOOSE_MARKS.get(loose(field))) for field in fields if is_metadata(field))
    return tuple((field, is_set) for field, is_set in marks if is_set)
