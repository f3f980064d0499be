"""The amount of an event: the first of some fields that holds one, as Kissmetrics counts money."""

from __future__ import annotations

from collections.abc import Iterable

from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.result import Aside
from target_kissmetrics.mapping.rules import amounts
from target_kissmetrics.mapping.rules.fields import FirstOf, Row


class Revenue:
    """Finds the amounts of one stream's events.

    Attributes:
        key: The property that holds them.
        taken: The same, folded: no other part of an event may have that name, for Kissmetrics keeps one value of a
            property for each second.
        paths: The fields that may hold them, in the order they are tried.

    Args:
        key: The property's name.
        fields: Paths within what an event is made of.
        advice: What to do about a field that holds no amount.
        under: The path of the object that `find` is given, for what is set aside.
    """

    def __init__(self, key: str, fields: Iterable[str], *, advice: str, under: str = "") -> None:
        self.key = key
        self.taken = (folded(key),)
        self._fields = FirstOf(fields)
        self.paths = self._fields.paths
        self._advice = advice
        self._under = f"{under}." if under else ""

    def find(self, row: Row, asides: list[Aside], *, refund: bool = False) -> str | None:
        """Give the first amount, negative for a refund; None when there is none.

        Args:
            row: A row, or the object in it that holds the fields.
            asides: Takes the field that should hold an amount and holds none.
            refund: The amount goes back.
        """
        if not self.paths:
            return None
        unreadable: str | None = None
        for path, value in self._fields.all(row):
            amount = amounts.to_amount(value)
            if amount is not None:
                return amounts.negative(amount) if refund else amount
            unreadable = unreadable or path
        if unreadable is not None:
            asides.append(
                Aside.because(
                    "bad-amount",
                    f"no amount, so the event carries no {self.key}",
                    f"{self._under}{unreadable}",
                    to_do=self._advice,
                )
            )
        return None
