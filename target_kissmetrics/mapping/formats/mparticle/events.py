"""mParticle's `custom_event` and `screen_view`, and what they have in common with `commerce_event`.

    custom_event   record `event_name` with its attributes; "Purchased" for `LogEcommerceTransaction`
    screen_view    record `screen_name` with its attributes

Attributes whose names start with `$` are mParticle's own and not sent: `$Amount` beside `$MethodName` `LogLTVIncrease`
or `LogEcommerceTransaction` is the event's revenue. Source: mParticle's SDKs (`logLTVIncrease`,
`logEcommerceTransaction`) and its Kissmetrics event integration ("Revenue Key").
"""

from __future__ import annotations

from target_kissmetrics.kissmetrics.calls import Properties, Record
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.formats.message_parts import (
    Sender,
    amounts_of,
    event_name,
    message_maker,
    object_at,
)
from target_kissmetrics.mapping.result import Mapped, Rejection
from target_kissmetrics.mapping.rules.event_parts import EventParts, Revenue
from target_kissmetrics.mapping.rules.fields import FirstOf, Row
from target_kissmetrics.mapping.stream import Stream

DATA = "events.data"
"""The path of an event's data, as in a schema; rejections name the event: `events[3].data`."""

ATTRIBUTES = f"{DATA}.custom_attributes"

_TRANSACTION = "LogEcommerceTransaction"
_WITH_AMOUNT = frozenset({"LogLTVIncrease", _TRANSACTION})


class MParticleEvents:
    """Adds the events of one stream's batches.

    Attributes:
        reserved: The revenue property, folded.
        entry: What the stream's entry says of them.
    """

    def __init__(self, stream: Stream) -> None:
        settings = stream.settings
        self.entry = stream.entry
        self._revenue, self._ltv = (
            Revenue(
                settings.revenue_key,
                fields,
                under=ATTRIBUTES,
                divide_by=stream.entry.revenue_divide_by,
            )
            for fields in (amounts_of(stream, settings.revenue_fields), FirstOf(("$Amount",)))
        )
        self.reserved = self._revenue.reserved
        self._maker = message_maker(stream, own=(f"{ATTRIBUTES}.$*",), reserved=self.reserved)
        self._parts = EventParts(settings, self._maker)

    def add_custom(self, data: Row, sender: Sender, mapped: Mapped) -> None:
        """Add a custom event, or raise Rejected if its name or its attributes are invalid."""
        attributes = attributes_of(data)
        if attributes.get("$MethodName") == _TRANSACTION and "$Amount" in attributes:
            event = "Purchased"
        else:
            event = event_name(data.get("event_name"), f"{DATA}.event_name")
        self.add(event, data, sender, mapped, self.amount_of(attributes, mapped.rejections))

    def add_screen(self, data: Row, sender: Sender, mapped: Mapped) -> None:
        """Add the view of a screen, or raise Rejected if its name or its attributes are invalid."""
        event = event_name(data.get("screen_name"), f"{DATA}.screen_name")
        self.add(event, data, sender, mapped, self.amount_of(attributes_of(data), mapped.rejections))

    def amount_of(self, attributes: Row, rejections: list[Rejection], *, refund: bool = False) -> str | None:
        """Return the amount among an event's attributes."""
        refund = refund or self.entry.refund
        if attributes.get("$MethodName") in _WITH_AMOUNT and self.entry.revenue is None:
            amount = self._ltv.find(attributes, rejections, refund=refund)
            if amount is not None:
                return amount
        return self._revenue.find(attributes, rejections, refund=refund)

    def has_no_amount(self, attributes: Row) -> bool:
        """Whether an event's attributes hold no amount either."""
        return self.amount_of(attributes, []) is None

    def add(  # noqa: PLR0913, PLR0917 - what an event is
        self,
        event: str,
        data: Row,
        sender: Sender,
        mapped: Mapped,
        amount: str | None,
        properties: Properties | None = None,
        seconds: int = 1,
    ) -> Record:
        """Add an event, and return it: `properties`, if any, then its attributes, then its amount."""
        properties = properties or {}
        taken = (*map(folded, properties), *(self.reserved if amount is not None else ()))
        of_attributes = self._maker.make(attributes_of(data), mapped.rejections, taken=taken, under=ATTRIBUTES)
        named = self._parts.named(event, properties | of_attributes, mapped.rejections, amount)
        key = self._revenue.key if amount is not None else None
        return sender.add_event(mapped, event, named, data.get("event_id"), max(1, seconds), key, self.entry)


def attributes_of(data: Row) -> Row:
    """Return an event's own attributes.

    Raises:
        Rejected: They are no object.
    """
    return object_at(data.get("custom_attributes"), ATTRIBUTES)
