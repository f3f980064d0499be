"""Finds, divides and signs an event's amount."""

from __future__ import annotations

from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.mapping.rules import amounts
from target_kissmetrics.mapping.rules.fields import FirstOf, Row


class Revenue:
    """Finds the amounts of one stream's events: the first of some fields that holds one.

    Args:
        key: The property that holds the amount.
        under: The path of the object that `find` gets, for rejections.
        divide_by: What the amounts are divided by: 100 for cents.

    Attributes:
        reserved: The key, folded: no other part of an event may have this name in the same second.
    """

    def __init__(self, key: str, fields: FirstOf, *, under: str = "", divide_by: int = 1) -> None:
        self.key = key
        self.reserved = (folded(key),)
        self._fields = fields
        self.paths = fields.paths
        self._under = f"{under}." if under else ""
        self._divide_by = divide_by

    def find(self, row: Row, rejections: list[Rejection], *, refund: bool = False) -> str | None:
        """Return the first amount other than 0, negative for a refund; None if there is none.

        Kissmetrics counts 0 as a purchase too, and then ignores a real amount in its second (support.kissmetrics.io,
        "Revenue report"). If no field holds an amount, `rejections` gets the first one that is not empty.
        """
        unreadable: str | None = None
        for path, value in self._fields.all(row) if self.paths else ():
            amount = amounts.to_amount(value)
            if amount is None:
                unreadable = unreadable or path
            elif amount.strip("-0."):
                if self._divide_by != 1:
                    amount = amounts.divided(amount, self._divide_by)
                return amounts.negative(amount) if refund else amount
        if unreadable is not None:
            problem = f"must be an amount; the event is sent without {self.key}"
            rejections.append(Rejection.of(Rejected("bad-amount", problem, f"{self._under}{unreadable}")))
        return None
