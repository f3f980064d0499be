"""mParticle's events, and what each becomes.

    custom_event         record `event_name` with its attributes; "Purchased" for `LogEcommerceTransaction`
    screen_view          record `screen_name` with its attributes
    commerce_event, by what it holds:
    product_action       record "Product {Action}" with the order's properties; a set for each product; `total_amount`,
                         or without it the sum of the products' `total_product_amount`, is the revenue of a `purchase`,
                         and the negative revenue of a `refund`
    promotion_action     record "Promotion {Action}"; a set for each promotion
    product_impressions  record "Product Impression"; a set for each product, with its impression's name

The sets of one event are a second apart, since Kissmetrics keeps one value of a property a second. Attributes whose
names start with `$` are mParticle's own and not sent: `$Amount` beside `$MethodName` `LogLTVIncrease` or
`LogEcommerceTransaction` is the event's revenue. Sources: mParticle's "HTTP Events API", its SDKs (`logLTVIncrease`,
`logEcommerceTransaction`) and its Kissmetrics event integration ("Revenue Key").
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from target_kissmetrics.kissmetrics.calls import Properties
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.formats import message_parts as parts
from target_kissmetrics.mapping.formats.message_parts import Handler, Sender
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped, Rejection
from target_kissmetrics.mapping.rules.amounts import to_amount
from target_kissmetrics.mapping.rules.event_parts import EventParts
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, is_empty
from target_kissmetrics.mapping.stream import Stream

DATA = "events.data"  # the path of an event's data, as in a schema; rejections name the event: `events[3].data`
_ATTRIBUTES = f"{DATA}.custom_attributes"
_ACTION = f"{DATA}.product_action"
_PRODUCTS = f"{_ACTION}.products"
_PROMOTION = f"{DATA}.promotion_action"
_PROMOTIONS = f"{_PROMOTION}.promotions"
_IMPRESSIONS = f"{DATA}.product_impressions"

_TRANSACTION = "LogEcommerceTransaction"
_WITH_AMOUNT = frozenset({"LogLTVIncrease", _TRANSACTION})

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
_RENAMES = {f"{path}.{field}": name for path, names in _NAMES.items() for field, name in names.items()}


class MParticleEvents:
    """Adds events, by the keys of a stream's entry, or of an item of it."""

    def __init__(self, stream: Stream) -> None:
        self._entry = stream.entry
        self._revenue = parts.revenue_of(stream, parts.amounts_of(stream, stream.settings.revenue_fields), _ATTRIBUTES)
        self._ltv = parts.revenue_of(stream, FirstOf(("$Amount",)), _ATTRIBUTES)
        self._total = parts.revenue_of(stream, FirstOf(("total_amount",)), _ACTION)
        self._maker = parts.message_maker(stream, own=(f"{_ATTRIBUTES}.$*",), rename=_RENAMES)
        self._parts = EventParts(stream.settings, self._maker)
        self.handlers: dict[str, Handler] = {  # what adds the events of each type
            "custom_event": self._add_custom, "screen_view": self._add_screen, "commerce_event": self._add_commerce,
        }  # fmt: skip

    def _add_custom(self, data: Row, sender: Sender, mapped: Mapped) -> None:
        attributes = _attributes_of(data)
        if attributes.get("$MethodName") == _TRANSACTION and "$Amount" in attributes:
            event = "Purchased"
        else:
            event = parts.event_name(data.get("event_name"), f"{DATA}.event_name")
        self._add(event, data, sender, mapped, self._amount_of(attributes, mapped.rejections))

    def _add_screen(self, data: Row, sender: Sender, mapped: Mapped) -> None:
        event = parts.event_name(data.get("screen_name"), f"{DATA}.screen_name")
        self._add(event, data, sender, mapped, self._amount_of(_attributes_of(data), mapped.rejections))

    def _add_commerce(self, data: Row, sender: Sender, mapped: Mapped) -> None:
        rejections = mapped.rejections
        action = parts.object_at(data.get("product_action"), _ACTION)
        promotion = parts.object_at(data.get("promotion_action"), _PROMOTION)
        impressions = data.get("product_impressions")
        if not action and not promotion and not impressions:
            problem = "the event has no product_action, promotion_action or product_impressions"
            raise Rejected("no-event-name", problem, DATA)
        _attributes_of(data)
        after = 0
        if action:
            after += self._add_action(action, data, sender, mapped)
        if promotion:
            event = _event_of("Promotion", promotion.get("action"), _PROMOTION)
            promotions = parts.objects_in(promotion.get("promotions"), _PROMOTIONS, rejections)
            self._add(event, data, sender, mapped, items=promotions, path=_PROMOTIONS, after=after)
            after += len(promotions)
        if impressions:
            shown = parts.objects_in(impressions, _IMPRESSIONS, rejections)
            products = [product for impression in shown for product in _products_of(impression, rejections)]
            self._add("Product Impression", data, sender, mapped, items=products, path=_IMPRESSIONS, after=after)

    def _add_action(self, action: Row, data: Row, sender: Sender, mapped: Mapped) -> int:
        """Add the event of an action, and return the number of its products."""
        rejections = mapped.rejections
        event = _event_of("Product", action.get("action"), _ACTION)
        products = parts.objects_in(action.get("products"), _PRODUCTS, rejections)
        amount = None
        if event in {"Product Purchase", "Product Refund"}:
            attributes = _attributes_of(data)
            refund = event == "Product Refund" or self._entry.refund
            if self._entry.revenue is None:
                if is_empty(action.get("total_amount")) and self._amount_of(attributes, []) is None:
                    action = {**action, "total_amount": _sum(products, rejections)}
                amount = self._total.find(action, rejections, refund=refund)
            amount = amount or self._amount_of(attributes, rejections, refund=refund)
        taken = self._total.reserved if amount is not None else ()
        order = self._maker.make(_chosen(action, _ACTION), rejections, taken=taken, under=_ACTION)
        self._add(event, data, sender, mapped, amount, order, products, _PRODUCTS)
        return len(products)

    def _amount_of(self, attributes: Row, rejections: list[Rejection], *, refund: bool = False) -> str | None:
        refund = refund or self._entry.refund
        if attributes.get("$MethodName") in _WITH_AMOUNT and self._entry.revenue is None:
            amount = self._ltv.find(attributes, rejections, refund=refund)
            if amount is not None:
                return amount
        return self._revenue.find(attributes, rejections, refund=refund)

    def _add(  # noqa: PLR0913, PLR0917 - what an event is
        self,
        event: str,
        data: Row,
        sender: Sender,
        mapped: Mapped,
        amount: str | None = None,
        properties: Properties | None = None,
        items: Sequence[Row] = (),
        path: str = "",
        after: int = 0,
    ) -> None:
        """Add an event: `properties`, if any, then its attributes, then its amount; and a set for each item.

        `path` is that of the items; their sets follow those of the `after` items before.
        """
        properties = properties or {}
        taken = (*map(folded, properties), *(self._revenue.reserved if amount is not None else ()))
        attributes = self._maker.make(_attributes_of(data), mapped.rejections, taken=taken, under=_ATTRIBUTES)
        named = self._parts.named(event, properties | attributes, mapped.rejections, amount)
        key = self._revenue.key if amount is not None else None
        seconds = max(1, len(items))
        record = sender.add_event(mapped, event, named, data.get("event_id"), seconds, key, self._entry)
        if items and not self._maker.excludes(path):
            chosen = [_chosen(item, path) for item in items]
            self._parts.add_items(mapped, record, chosen, path, self._revenue.reserved, after)


def _attributes_of(data: Row) -> Row:
    return parts.object_at(data.get("custom_attributes"), _ATTRIBUTES)


def _sum(products: list[Row], rejections: list[Rejection]) -> Decimal | None:
    """Return the total of an order without one: that of its products; `rejections` gets an order without any."""
    amounts = [to_amount(product.get("total_product_amount")) for product in products]
    if amounts and None not in amounts:
        return sum(map(Decimal, filter(None, amounts)), Decimal())
    problem = "the order has no total_amount, and not every product a total_product_amount; it is sent without revenue"
    rejections.append(Rejection.of(Rejected("bad-amount", problem, f"{_ACTION}.total_amount")))
    return None


def _products_of(impression: Row, rejections: list[Rejection]) -> list[Row]:
    """Return each product of an impression with the impression's name; the name alone if there is none."""
    name = {"product_impression_list": impression.get("product_impression_list")}
    products = parts.objects_in(impression.get("products"), f"{_IMPRESSIONS}.products", rejections)
    return [{**product, **name} for product in products or [{}]]


def _event_of(what: str, action: object, path: str) -> str:
    """Return the name of an action's event: `add_to_cart` -> "Product Add To Cart"."""
    if not isinstance(action, str) or not action.strip():
        raise Rejected("no-event-name", "no event name: action is empty", f"{path}.action")
    return parts.event_name(f"{what} {' '.join(action.replace('_', ' ').split()).title()}", f"{path}.action")


def _chosen(item: Row, path: str) -> dict[str, Any]:
    return {field: item[field] for field in _NAMES[path] if item.get(field) is not None}
