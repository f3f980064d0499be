"""mParticle's `commerce_event`: products, promotions, impressions.

    product_action       record "Product {Action}" with the order's properties; a set for each product; `total_amount`,
                         or without it the sum of the products' `total_product_amount`, is the revenue of a `purchase`,
                         and the negative revenue of a `refund`
    promotion_action     record "Promotion {Action}"; a set for each promotion
    product_impressions  record "Product Impression"; a set for each product, with its impression's name

The sets of one event are a second apart, since Kissmetrics keeps one value of a property a second. Source: mParticle's
"HTTP Events API", commerce events, and its Kissmetrics event integration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from target_kissmetrics.kissmetrics.calls import Record
from target_kissmetrics.mapping.formats.message_parts import (
    Sender,
    event_name,
    list_or_nothing,
    message_maker,
    object_at,
    objects_in,
)
from target_kissmetrics.mapping.formats.mparticle.events import DATA, MParticleEvents, attributes_of
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped, Rejection
from target_kissmetrics.mapping.rules.amounts import to_amount
from target_kissmetrics.mapping.rules.event_parts import EventParts, Revenue
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, is_empty
from target_kissmetrics.mapping.stream import Stream

_ACTION = f"{DATA}.product_action"
_PRODUCTS = f"{_ACTION}.products"
_PROMOTION = f"{DATA}.promotion_action"
_PROMOTIONS = f"{_PROMOTION}.promotions"
_IMPRESSIONS = f"{DATA}.product_impressions"

_PRODUCT_NAMES = {
    "id": "Product SKU", "name": "Product Name", "category": "Category", "quantity": "Quantity", "price": "Price",
}  # fmt: skip
_NAMES: Mapping[str, Mapping[str, str]] = {
    _ACTION: {
        "transaction_id": "Order ID", "total_amount": "Order Total", "tax_amount": "Order Tax",
        "shipping_amount": "Order Shipping", "checkout_step": "Checkout Step", "checkout_options": "Checkout Options",
        "coupon_code": "Promo Code",
    },
    _PRODUCTS: _PRODUCT_NAMES,
    _PROMOTIONS: {
        "id": "Promotion Id", "name": "Promotion Name", "creative": "Promotion Creative",
        "position": "Promotion Position",
    },
    _IMPRESSIONS: {"product_impression_list": "Impression Name", **_PRODUCT_NAMES},
}  # fmt: skip
"""Path of an object -> its fields that are sent, and the names of their properties."""


class Commerce:
    """Adds the commerce events of one stream."""

    def __init__(self, stream: Stream, events: MParticleEvents) -> None:
        self._events = events
        self._total = Revenue(
            stream.settings.revenue_key,
            FirstOf(("total_amount",) if stream.entry.revenue is None else ()),
            under=_ACTION,
            divide_by=stream.entry.revenue_divide_by,
        )
        renames = {f"{path}.{field}": name for path, names in _NAMES.items() for field, name in names.items()}
        self._maker = message_maker(stream, rename=renames, reserved=events.reserved)
        self._parts = EventParts(stream.settings, self._maker)

    def add(self, data: Row, sender: Sender, mapped: Mapped) -> None:
        """Add what a commerce event holds.

        Raises:
            Rejected: It holds nothing known, or a part of it does not have the shape that the format requires.
        """
        action = object_at(data.get("product_action"), _ACTION)
        promotion = object_at(data.get("promotion_action"), _PROMOTION)
        impressions = data.get("product_impressions")
        if not action and not promotion and not impressions:
            problem = "the event has no product_action, promotion_action or product_impressions"
            raise Rejected("no-event-name", problem, DATA)
        attributes_of(data)
        after = 0
        if action:
            after += self._add_action(action, data, sender, mapped)
        if promotion:
            event = _event_of("Promotion", promotion.get("action"), _PROMOTION)
            items = _objects(promotion.get("promotions"), _PROMOTIONS, mapped.rejections)
            record = self._events.add(event, data, sender, mapped, None, seconds=len(items))
            after += self._add_items(record, items, _PROMOTIONS, after, mapped)
        if impressions:
            shown = _objects(impressions, _IMPRESSIONS, mapped.rejections)
            items = [item for impression in shown for item in _products_of(impression, mapped.rejections)]
            record = self._events.add("Product Impression", data, sender, mapped, None, seconds=len(items))
            self._add_items(record, items, _IMPRESSIONS, after, mapped)

    def _add_action(self, action: Row, data: Row, sender: Sender, mapped: Mapped) -> int:
        rejections = mapped.rejections
        event = _event_of("Product", action.get("action"), _ACTION)
        products = _objects(action.get("products"), _PRODUCTS, rejections)
        amount = None
        if event in {"Product Purchase", "Product Refund"}:
            attributes = attributes_of(data)
            is_usual = self._events.entry.revenue is None
            if is_usual and is_empty(action.get("total_amount")) and self._events.has_no_amount(attributes):
                action = {**action, "total_amount": _sum(products, rejections)}
            refund = event == "Product Refund" or self._events.entry.refund
            amount = self._total.find(action, rejections, refund=refund)
            amount = amount or self._events.amount_of(attributes, rejections, refund=refund)
        taken = self._total.reserved if amount is not None else ()
        order = self._maker.make(_chosen(action, _ACTION), rejections, taken=taken, under=_ACTION)
        record = self._events.add(event, data, sender, mapped, amount, order, len(products))
        return self._add_items(record, products, _PRODUCTS, 0, mapped)

    def _add_items(self, record: Record, items: list[Row], path: str, after: int, mapped: Mapped) -> int:
        chosen = [] if self._maker.excludes(path) else [_chosen(item, path) for item in items]
        self._parts.add_items(mapped, record, chosen, path, self._events.reserved, after)
        return len(items)


def _sum(products: list[Row], rejections: list[Rejection]) -> Decimal | None:
    """Return the total of an order without one: that of its products; `rejections` gets an order without any."""
    amounts = [to_amount(product.get("total_product_amount")) for product in products]
    if amounts and None not in amounts:
        return sum(map(Decimal, filter(None, amounts)), Decimal())
    problem = "the order has no total_amount, and not every product a total_product_amount; it is sent without revenue"
    rejections.append(Rejection.of(Rejected("bad-amount", problem, f"{_ACTION}.total_amount")))
    return None


def _objects(value: object, path: str, rejections: list[Rejection]) -> list[Row]:
    return objects_in(list_or_nothing(value, path, rejections), path, rejections)


def _products_of(impression: Row, rejections: list[Rejection]) -> Iterator[Row]:
    """Yield each product of an impression with the impression's name."""
    name = {"product_impression_list": impression.get("product_impression_list")}
    products = _objects(impression.get("products"), f"{_IMPRESSIONS}.products", rejections)
    yield from ({**product, **name} for product in products) if products else (name,)


def _event_of(what: str, action: object, path: str) -> str:
    """Return the name of an action's event: `add_to_cart` -> "Product Add To Cart"."""
    if not isinstance(action, str) or not action.strip():
        raise Rejected("no-event-name", "no event name: action is empty", f"{path}.action")
    return event_name(f"{what} {' '.join(action.replace('_', ' ').split()).title()}", f"{path}.action")


def _chosen(item: Row, path: str) -> dict[str, Any]:
    return {field: item[field] for field in _NAMES[path] if item.get(field) is not None}
