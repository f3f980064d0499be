"""Columns that loaders add to rows: they are no properties, and some of them mark a row as deleted at its source.

Sources: Singer (`_sdc_`, of PipelineWise also `_sdc_lsn_`), Fivetran, Airbyte, dlt and Debezium (`__deleted`). The `_`
in front stays a mark, also where it is another separator: `deleted` and `ab_test` are columns of somebody's own.
"""

from __future__ import annotations

import re
from functools import lru_cache

from target_kissmetrics.mapping.rules.fields import Row, is_empty, loose

_LOADED = re.compile(r"(^|\.)[\s_-]+((?i:sdc|fivetran|airbyte|dlt|deleted$)|(?i:ab)([\s_-]|(?<=b)(?=[A-Z])))")


_TIME_MARKS = frozenset(map(loose, ("_sdc_deleted_at", "_sdc_lsn_deleted_at", "_ab_cdc_deleted_at")))
"""Columns that mark a deleted row when they are not empty."""
_FLAGS = frozenset(map(loose, ("_fivetran_deleted", "__deleted")))
"""Columns that mark one when they are true."""


@lru_cache(maxsize=10_000)
def is_metadata(field: str) -> bool:
    """Return whether a loader added a field, or an object that holds it; a warehouse may return it in capitals."""
    return _LOADED.search(field) is not None


def is_deleted(row: Row) -> bool:
    """Return whether a row is marked as deleted at its source."""
    marks = _marks(tuple(row))
    return bool(marks) and any(_is_set(field, row[field]) for field in marks)


@lru_cache(maxsize=1000)
def _marks(fields: tuple[str, ...]) -> list[str]:
    return [field for field in fields if is_metadata(field) and loose(field) in _TIME_MARKS | _FLAGS]


def _is_set(field: str, value: object) -> bool:
    if loose(field) in _TIME_MARKS:
        return not is_empty(value)
    return str(value).strip().lower() in {"true", "t", "yes", "1"}
