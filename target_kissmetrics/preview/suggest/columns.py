"""The columns of a stream: their names, and their values in a sample of rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from target_kissmetrics.kissmetrics.limits import EARLIEST_TIME, LATEST_TIME
from target_kissmetrics.mapping.rules import amounts, times
from target_kissmetrics.mapping.rules.fields import Row, getter, is_empty
from target_kissmetrics.mapping.rules.properties import is_metadata, moments

MAX_COLUMNS = 500

_DAY = 86_400
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
    def words(self) -> str:
        """The words of its name."""
        return words(self.name)

    @cached_property
    def filled(self) -> list[Any]:
        """Its values that are not empty."""
        return [value for value in self.values if value is not None]

    @cached_property
    def texts(self) -> dict[str, None]:
        """Its different texts and numbers, as text."""
        return {str(value): None for value in self.filled if is_scalar(value)}

    @cached_property
    def amounts(self) -> list[Decimal | None]:
        """Its values as amounts; None where a value is not one."""
        read = map(amounts.to_amount, self.values)
        return [None if amount is None else Decimal(amount) for amount in read]

    @cached_property
    def moments(self) -> list[int | None]:
        """Its values as times within Kissmetrics' limits, in seconds since the Unix epoch; None for others."""
        return [_second(value) for value in self.values]

    @property
    def is_date_only(self) -> bool:
        """Whether its times are days without a time of day."""
        seconds = [second for second in self.moments if second is not None]
        return bool(seconds) and all(second % _DAY == 0 for second in seconds)

    def is_mostly(self, read: Sequence[object]) -> bool:
        """Tell whether at least four of five values are something; a column that was not sampled may be anything.

        Args:
            read: For each value whether it is, or what it was read as, None or false where it is not.
        """
        found = sum(one is not None and one is not False for one in read)
        return not self.values or (bool(self.filled) and found * 5 >= len(self.filled) * 4)

    @property
    def is_id(self) -> bool:
        """Whether it may hold IDs."""
        return self.is_mostly([is_scalar(value) for value in self.values])

    @property
    def is_text(self) -> bool:
        """Whether it holds texts."""
        return self.is_mostly([isinstance(value, str) for value in self.values])


def columns_of(schema: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Column]:
    """Give a stream's columns by name, with those of objects one level deep by path: `billing.email`."""
    properties = schema.get("properties")
    declared = properties if isinstance(properties, Mapping) else {}
    names = dict.fromkeys([*declared, *(name for row in rows for name in row)])
    top = [name for name in names if not is_metadata(name)][:MAX_COLUMNS]
    paths = dict.fromkeys(path for row in rows for path in _paths(row))
    nested = [path for path in paths if path not in names][:MAX_COLUMNS]
    dated = {path for path, _ in moments(schema)}
    return {
        name: Column(
            name, [None if is_empty(value) else value for value in map(getter(name), rows)], name in dated, is_nested
        )
        for names, is_nested in ((top, False), (nested, True))
        for name in names
    }


def is_scalar(value: object) -> bool:
    """Tell whether a value is a text or a number."""
    return isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool)


def _paths(row: Row) -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, Mapping) and _PLAIN_NAME.fullmatch(name) and not is_metadata(name):
            yield from (f"{name}.{key}" for key in value if _PLAIN_NAME.fullmatch(key))


def _second(value: object) -> int | None:
    try:
        second = times.to_seconds(value)
    except (ValueError, OverflowError):
        return None
    return second if EARLIEST_TIME <= second < LATEST_TIME else None
