"""An event's amount, the final names of its properties (`prefix_properties`), and the *set* calls of its items."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from target_kissmetrics.kissmetrics.calls import Properties, Record, Set
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped, Rejection
from target_kissmetrics.mapping.rules import amounts, names
from target_kissmetrics.mapping.rules.fields import FirstOf, Row
from target_kissmetrics.mapping.rules.properties import PropertyMaker
from target_kissmetrics.mapping.settings import MappingSettings


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

        Kissmetrics counts each setting of the property as a purchase, also one of 0, which would take the second of a
        real amount. Source: support.kissmetrics.io, "Revenue report". If no field of the row, or of the object in it,
        holds an amount, `rejections` gets the first one that is not empty.
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


class EventParts:
    """Names the properties of events (`prefix_properties`), and makes the sets of their items.

    Names in `unprefixed` stay as they are, besides the revenue property.
    """

    def __init__(self, settings: MappingSettings, maker: PropertyMaker, unprefixed: Collection[str] = ()) -> None:
        self._prefixes = settings.prefix_properties
        self._revenue_key = settings.revenue_key
        self._maker = maker
        self._unprefixed = {settings.revenue_key, *unprefixed}

    def named(
        self, event: str, properties: Properties, rejections: list[Rejection], amount: str | None = None
    ) -> Properties:
        """Return properties under their final names, with the amount; `rejections` gets those with an invalid name."""
        named = properties
        if self._prefixes:
            named = {}
            for name, value in properties.items():
                try:
                    full = name if name in self._unprefixed else names.property_name(f"{event} - {name}")
                except Rejected as problem:
                    rejections.append(Rejection.of(problem, name))
                else:
                    named[full] = value
        if amount is not None:
            named[self._revenue_key] = amount
        return named

    def add_items(  # noqa: PLR0913, PLR0917 - what they are items of, and where they come from
        self, mapped: Mapped, record: Record, items: Sequence[Row], under: str, taken: Collection[str], after: int = 0
    ) -> None:
        """Add a set for each item of an event that has properties, each in its own second.

        Kissmetrics keeps one value of a property a second. The first one is `after` seconds after the event. `under` is
        the path of the list, `taken` the folded names that no item may use.
        """
        for time, item in enumerate(items, start=record.time + after):
            properties = self._maker.make(item, mapped.rejections, taken=taken, under=under)
            properties = self.named(record.event, properties, mapped.rejections)
            if properties:
                mapped.calls.append(Set(record.person, time, properties, record.address, record.user_agent))
