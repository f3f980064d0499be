"""What mParticle's events have in common: attributes, amounts, and how they become a record.

Attributes whose names start with `$` are mParticle's own and not sent as they are: `$Amount` beside `$MethodName`
`LogLTVIncrease` or `LogEcommerceTransaction` is the event's revenue. Source: mParticle's SDKs (`logLTVIncrease`,
`logEcommerceTransaction`) and its Kissmetrics event integration ("Revenue Key").
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

import msgspec

from target_kissmetrics.kissmetrics.calls import Properties, Record
from target_kissmetrics.mapping.formats.message_parts import object_at
from target_kissmetrics.mapping.result import Aside, EventSlot, Mapped
from target_kissmetrics.mapping.rules.call_parts import SetsASecondApart, prefixed, row_token
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.rules.properties import PropertyMaker
from target_kissmetrics.mapping.rules.revenue import Revenue
from target_kissmetrics.mapping.stream import Stream

DATA = "events.data"
"""The path of an event's data, as in a schema; what is set aside names the event: `events[3].data`."""

ATTRIBUTES = f"{DATA}.custom_attributes"

PURCHASED = "Purchased"

LTV_INCREASE = "LogLTVIncrease"
ECOMMERCE_TRANSACTION = "LogEcommerceTransaction"
_METHODS = frozenset({LTV_INCREASE, ECOMMERCE_TRANSACTION})


class Moment(NamedTuple):
    """Who did something, and when.

    Attributes:
        person: Identity.
        time: Seconds since the Unix epoch.
        address: The person's, if it may be passed on.
        told: What tells the event from others of its name and second, if the event says so.
    """

    person: str
    time: int
    address: str | None
    told: object


class EventParts:
    """Makes the parts of one stream's events."""

    def __init__(self, stream: Stream) -> None:
        settings = stream.settings
        self._prefix = settings.prefix_properties
        advice = "mend it at the source"
        self._revenue = Revenue(settings.revenue_key, settings.revenue_fields, advice=advice, under=ATTRIBUTES)
        self._ltv = Revenue(settings.revenue_key, ("$Amount",), advice=advice, under=ATTRIBUTES)
        self._keep = (settings.revenue_key,)
        self._maker = self.maker_of(replace(stream, entry=replace(stream.entry, exclude=(f"{ATTRIBUTES}.$*",))))

    def maker_of(self, stream: Stream) -> PropertyMaker:
        """Give what makes properties of a part: they are named as mParticle names them."""
        settings = replace(stream.settings, campaign_properties=False)
        return PropertyMaker(stream.entry, settings, stream.schema, stream.warn, self._revenue.taken)

    def attributes_of(self, data: Row) -> Row:
        """Give an event's own attributes.

        Raises:
            RowRejected: They are no object.
        """
        return object_at(data.get("custom_attributes"), ATTRIBUTES)

    def amount_of(self, attributes: Row, asides: list[Aside], *, refund: bool = False) -> str | None:
        """Give the amount among an event's attributes."""
        if attributes.get("$MethodName") in _METHODS:
            amount = self._ltv.find(attributes, asides, refund=refund)
            if amount is not None:
                return amount
        return self._revenue.find(attributes, asides, refund=refund)

    def properties_of(
        self, attributes: Row, asides: list[Aside], taken: Collection[str] = (), amount: str | None = None
    ) -> Properties:
        """Give an event's attributes as properties, without the amount.

        Args:
            attributes: The event's own.
            asides: Takes what is set aside.
            taken: Properties that the event has already, folded.
            amount: The event's, whose property is taken, too.
        """
        if not attributes:
            return {}
        if amount is not None:
            taken = (*taken, *self._revenue.taken)
        return self._maker.make(attributes, asides, taken=taken, under=ATTRIBUTES)

    def add_record(
        self, mapped: Mapped, record: Record, moment: Moment, *, amount: str | None = None, seconds: int = 1
    ) -> None:
        """Add an event, its properties named as the settings say, its amount under the revenue property."""
        if self._prefix:
            named = prefixed(record.event, record.properties, mapped.asides, keep=self._keep)
            record = msgspec.structs.replace(record, properties=named)
        if amount is not None:
            record.properties[self._revenue.key] = amount
        told = str(moment.told) if moment.told is not None else tuple(record.properties.items())
        amount_key = self._revenue.key if amount is not None else None
        slot = EventSlot(row_token(told), len(mapped.calls), seconds, may_spread=False, revenue_property=amount_key)
        mapped.calls.append(record)
        mapped.slots.append(slot)

    def sets_apart(self, maker: PropertyMaker, event: str, asides: list[Aside]) -> SetsASecondApart:
        """Give what makes sets of an event's items."""
        return SetsASecondApart(
            maker, asides, event if self._prefix else None, keep=self._keep, taken=self._revenue.taken
        )
