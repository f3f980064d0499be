"""The final names of an event's properties (`prefix_properties`), and the *set* calls of its items."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from target_kissmetrics.kissmetrics.calls import Properties, Record, Set
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped, Rejection
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.rules.properties import PropertyMaker
from target_kissmetrics.mapping.settings import MappingSettings


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
