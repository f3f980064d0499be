"""The columns of a stream: their names, and their values in a sample of rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from target_kissmetrics.kissmetrics.limits import EARLIEST_TIME, LATEST_TIME
from target_kissmetrics.mapping.rules import amounts, times
from target_kissmetrics.mapping.rules.fields import Row, getter, is_empty
from target_kissmetrics.mapping.rules.loaders import is_metadata
from target_kissmetrics.mapping.rules.schemas import listed, moments

MAX_COLUMNS = 500

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN = re.compile(r"[\W_]+")
_PLAIN_NAME = re.compile(r"\w+", re.ASCII)

Columns = Mapping[str, "Column"]


def words(name: str) -> str:
    """Give a name's words in lower case: `orderDate`, `order_date` and `Order-Date` are `order date`."""
    return _BETWEEN.sub(" ", _CAMEL.sub("_", name).lower()).strip()


@dataclass(frozen=True)
class Column:
    """A field of a stream, or a field of an object in it.

    Attributes:
        name: The field, or its path.
        values: Its value in each sampled row; None where it is empty.
        is_moment: The schema declares a date or date-time.
        is_nested: It is part of an object.
    """

    name: str
    values: Sequence[Any]
    is_moment: bool = False
    is_nested: bool = False

    @cached_property
    def filled(self) -> list[Any]:
        """Its values that are not empty."""
        return [value for value in self.values if value is not None]

    @cached_property
    def texts(self) -> list[str]:
        """Its different texts and numbers, as text."""
        return list(dict.fromkeys(str(value) for value in self.filled if _is_scalar(value)))

    @cached_property
    def amounts(self) -> list[Decimal | None]:
        """Its values as amounts; None where a value is not one."""
        return [None if (amount := amounts.to_amount(value)) is None else Decimal(amount) for value in self.values]

    @cached_property
    def seconds(self) -> list[int]:
        """Its values that are times within Kissmetrics' limits, in seconds since the Unix epoch."""
        found = []
        for value in self.filled:
            with suppress(ValueError, OverflowError):
                found.append(times.to_seconds(value))
        return [second for second in found if EARLIEST_TIME <= second < LATEST_TIME]

    @property
    def is_date_only(self) -> bool:
        """Whether its times are days without a time of day."""
        return bool(self.seconds) and all(second % 86_400 == 0 for second in self.seconds)

    def is_id(self) -> bool:
        """Whether it may hold IDs."""
        return self.has_most(sum(map(_is_scalar, self.filled)))

    def is_text(self) -> bool:
        """Whether it holds texts."""
        return self.has_most(sum(isinstance(value, str) for value in self.filled))

    def has_most(self, number: int) -> bool:
        """Tell whether a number is four fifths of its values; a column that was not sampled may be anything."""
        return not self.values or (bool(self.filled) and number * 5 >= len(self.filled) * 4)


def columns_of(schema: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Column]:
    """Give a stream's columns by name, with those of objects one level deep by path: `billing.email`."""
    names = dict.fromkeys([*listed(schema), *(name for row in rows for name in row)])
    top = [name for name in names if not is_metadata(name)][:MAX_COLUMNS]
    paths = dict.fromkeys(path for row in rows for path in _paths(row) if path not in names)
    dated = {path for path, _ in moments(schema)}
    columns = {}
    for name in [*top, *list(paths)[:MAX_COLUMNS]]:
        values = [None if is_empty(value) else value for value in map(getter(name), rows)]
        columns[name] = Column(name, values, name in dated, name in paths)
    return columns


def _is_scalar(value: object) -> bool:
    return isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool)


def _paths(row: Row) -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, Mapping) and _PLAIN_NAME.fullmatch(name) and not is_metadata(name):
            yield from (f"{name}.{key}" for key in value if _PLAIN_NAME.fullmatch(key))
