"""Which rows of a stream are mapped (`when`)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from target_kissmetrics.mapping.rules.fields import Row, getter


class When:
    """Chooses rows by the values of their fields.

    Args:
        conditions: Fields, each with the values of which it must have one.
    """

    def __init__(self, conditions: tuple[tuple[str, tuple[Any, ...]], ...]) -> None:
        self._conditions = [(getter(path), frozenset(map(_comparable, values))) for path, values in conditions]

    def matches(self, row: Row) -> bool:
        """Return whether a row has one of the values in each of the fields."""
        return all(_comparable(get(row)) in values for get, values in self._conditions)


def _comparable(value: Any) -> tuple[str, Any]:
    """Return a value as it is compared: texts with texts, numbers with numbers, whatever their type."""
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, (int, float, Decimal)):
        return "number", Decimal(repr(value)) if isinstance(value, float) else value
    return "other", value if value is None or isinstance(value, str) else repr(value)
