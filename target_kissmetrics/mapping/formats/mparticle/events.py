"""mParticle's `custom_event` and `screen_view`, and what they have in common with `commerce_event`.

    custom_event   record `event_name` with its attributes; "Purchased" for `LogEcommerceTransaction`
    screen_view    record `screen_name` with its attributes

Attributes named `$...` are mParticle's own and not sent. `$Amount` beside `$MethodName` `LogLTVIncrease` or
`LogEcommerceTransaction` is the event's revenue. Source: mParticle's SDKs (`logLTVIncrease`, `logEcommerceTransaction`)
and its Kissmetrics event integration ("Revenue Key").
"""

from __future__ import annotations

from collections.abc import Collection

from target_kissmetrics.kissmetrics.calls import Properties
from target_kissmetrics.mapping.formats.message_parts import Sender, event_name, message_maker, object_at
from target_kissmetrics.mapping.result import Mapped, Rejection
from target_kissmetrics.mapping.rules.event_parts import EventParts
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.rules.revenue import Revenue
from target_kissmetrics.mapping.stream import Stream

DATA = "events.data"
"""The path of an event's data, as in a schema; rejections name the event: `events[3].data`."""

ATTRIBUTES = f"{DATA}.custom_attributes"

_TRANSACTION = "LogEcommerceTransaction"
_WITH_AMOUNT = frozenset({"LogLTVIncrease", _TRANSACTION})


class MParticleEvents:
    """Adds the events of one stream's batches.

    Attributes:
        parts: Names their properties, and makes the sets of their items.
        reserved: The revenue property, folded.
    """

    def __init__(self, stream: Stream) -> None:
        settings = stream.settings
        self.parts = EventParts(settings)
        self._revenue = Revenue(settings.revenue_key, settings.revenue_fields, under=ATTRIBUTES, in_messages=True)
        self._ltv = Revenue(settings.revenue_key, ("$Amount",), under=ATTRIBUTES, in_messages=True)
        self.reserved = self._revenue.reserved
        self._maker = message_maker(stream, exclude=(f"{ATTRIBUTES}.$*",), reserved=self.reserved)

    def add_custom(self, data: Row, sender: Sender, mapped: Mapped) -> None:
        """Add a custom event.

        Raises:
            Rejected: Its name is missing or invalid, or its attributes are no object.
        """
        attributes = attributes_of(data)
        if attributes.get("$MethodName") == _TRANSACTION and "$Amount" in attributes:
            event = "Purchased"
        else:
            event = event_name(data.get("event_name"), f"{DATA}.event_name")
        self.add(event, data, attributes, sender, mapped, amount=self.amount_of(attributes, mapped.rejections))

    def add_screen(self, data: Row, sender: Sender, mapped: Mapped) -> None:
        """Add the view of a screen.

        Raises:
            Rejected: Its name is missing or invalid, or its attributes are no object.
        """
        event, attributes = event_name(data.get("screen_name"), f"{DATA}.screen_name"), attributes_of(data)
        self.add(event, data, attributes, sender, mapped, amount=self.amount_of(attributes, mapped.rejections))

    def amount_of(self, attributes: Row, rejections: list[Rejection], *, refund: bool = False) -> str | None:
        """Return the amount among an event's attributes."""
        if attributes.get("$MethodName") in _WITH_AMOUNT:
            amount = self._ltv.find(attributes, rejections, refund=refund)
            if amount is not None:
                return amount
        return self._revenue.find(attributes, rejections, refund=refund)

    def add(  # noqa: PLR0913 - what an event is
        self,
        event: str,
        data: Row,
        attributes: Row,
        sender: Sender,
        mapped: Mapped,
        *,
        amount: str | None,
        properties: Properties | None = None,
        taken: Collection[str] = (),
        seconds: int = 1,
    ) -> None:
        """Add an event.

        Args:
            event: Its name.
            data: Its data.
            attributes: Its own attributes.
            sender: Who did it, and when.
            mapped: Gets the event.
            amount: Its revenue, if any.
            properties: Properties that come before its attributes.
            taken: Their names, folded.
            seconds: How many consecutive seconds the event and its items take.
        """
        if amount is not None:
            taken = (*taken, *self.reserved)
        of_attributes = (
            self._maker.make(attributes, mapped.rejections, taken=taken, under=ATTRIBUTES) if attributes else {}
        )
        named = self.parts.named(event, {**(properties or {}), **of_attributes}, mapped.rejections)
        if amount is not None:
            named[self._revenue.key] = amount
        sender.add_event(
            mapped,
            event,
            named,
            event_id=data.get("event_id"),
            seconds=max(1, seconds),
            revenue_property=self._revenue.key if amount is not None else None,
        )


def attributes_of(data: Row) -> Row:
    """Return an event's own attributes.

    Raises:
        Rejected: They are no object.
    """
    return object_at(data.get("custom_attributes"), ATTRIBUTES)
