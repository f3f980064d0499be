"""mParticle's `commerce_event`: products, promotions, impressions.

    product_action       record "Product {Action}" with the order's properties; a set for each product; `purchase` has
                         `total_amount` as its revenue, `refund` the same, negative
    promotion_action     record "Promotion {Action}"; a set for each promotion
    product_impressions  record "Product Impression"; a set for each product, with its impression's name

Sets are a second apart, over the whole event: Kissmetrics keeps one value of a property for each second. Source:
mParticle's "HTTP Events API", commerce events, and its Kissmetrics event integration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from target_kissmetrics.kissmetrics.calls import Properties, Record
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.formats.message_parts import MEND, as_aside, event_name, list_at, object_at, objects_in
from target_kissmetrics.mapping.formats.mparticle.events import DATA, EventParts, Moment
from target_kissmetrics.mapping.reject_codes import RowRejected
from target_kissmetrics.mapping.result import Aside, Mapped
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.rules.revenue import Revenue
from target_kissmetrics.mapping.settings import StreamSettings
from target_kissmetrics.mapping.stream import Stream

_ORDER = {
    "transaction_id": "Order ID",
    "total_amount": "Order Total",
    "tax_amount": "Order Tax",
    "shipping_amount": "Order Shipping",
    "checkout_step": "Checkout Step",
    "checkout_options": "Checkout Options",
    "coupon_code": "Promo Code",
}
_PRODUCT = {
    "id": "Product SKU",
    "name": "Product Name",
    "category": "Category",
    "quantity": "Quantity",
    "price": "Price",
}
_PROMOTION = {
    "id": "Promotion Id",
    "name": "Promotion Name",
    "creative": "Promotion Creative",
    "position": "Promotion Position",
}
_IMPRESSION = {"product_impression_list": "Impression Name", **_PRODUCT}

_ACTION = f"{DATA}.product_action"
_PROMOTIONS = f"{DATA}.promotion_action"
_IMPRESSIONS = f"{DATA}.product_impressions"

_WITH_REVENUE = frozenset({"purchase", "refund"})


class Commerce:
    """Maps the commerce events of one stream."""

    def __init__(self, stream: Stream, parts: EventParts) -> None:
        self._parts = parts
        self._total = Revenue(
            stream.settings.revenue_key, ("total_amount",), advice="mend it at the source", under=_ACTION
        )
        renames = {
            **{f"{_ACTION}.{field}": name for field, name in _ORDER.items()},
            **{f"{_ACTION}.products.{field}": name for field, name in _PRODUCT.items()},
            **{f"{_PROMOTIONS}.promotions.{field}": name for field, name in _PROMOTION.items()},
            **{f"{_IMPRESSIONS}.{field}": name for field, name in _IMPRESSION.items()},
        }
        entry = StreamSettings(stream=stream.name, rename=tuple(renames.items()))
        self._maker = parts.maker_of(replace(stream, entry=entry))

    def add(self, data: Row, moment: Moment, mapped: Mapped) -> None:
        """Add what a commerce event holds.

        Raises:
            RowRejected: It holds nothing that is known, or a part of it is not what it should be.
        """
        action = object_at(data.get("product_action"), _ACTION)
        promotion = object_at(data.get("promotion_action"), _PROMOTIONS)
        impressions = data.get("product_impressions")
        if not action and not promotion and not impressions:
            raise RowRejected(
                "no-event-name",
                "it holds no product_action, promotion_action or product_impressions",
                DATA,
                to_do=MEND,
            )
        custom = self._parts.attributes_of(data)
        taken = 0
        if action:
            taken += self._add_action(action, custom, moment, mapped)
        if promotion:
            taken += self._add_promotion(promotion, custom, moment, mapped, taken)
        if impressions:
            self._add_impressions(impressions, custom, moment, mapped, taken)

    def _add_action(self, action: Row, custom: Row, moment: Moment, mapped: Mapped) -> int:
        kind, event = _named("Product", action.get("action"), _ACTION)
        amount = None
        if kind in _WITH_REVENUE:
            amount = self._total.find(action, mapped.asides, refund=kind == "refund")
            amount = amount or self._parts.amount_of(custom, mapped.asides, refund=kind == "refund")
        order = self._make(action, _ORDER, mapped.asides, _ACTION, self._total.taken if amount is not None else ())
        products = self._objects(action.get("products"), f"{_ACTION}.products", mapped.asides)
        self._record(event, order, custom, moment, mapped, amount=amount, seconds=len(products))
        return self._sets(event, products, _PRODUCT, f"{_ACTION}.products", moment, mapped, 0)

    def _add_promotion(self, promotion: Row, custom: Row, moment: Moment, mapped: Mapped, after: int) -> int:
        _, event = _named("Promotion", promotion.get("action"), _PROMOTIONS)
        promotions = self._objects(promotion.get("promotions"), f"{_PROMOTIONS}.promotions", mapped.asides)
        self._record(event, {}, custom, moment, mapped, seconds=len(promotions))
        return self._sets(event, promotions, _PROMOTION, f"{_PROMOTIONS}.promotions", moment, mapped, after)

    def _add_impressions(self, value: object, custom: Row, moment: Moment, mapped: Mapped, after: int) -> None:
        impressions = self._objects(value, _IMPRESSIONS, mapped.asides)
        items = [item for impression in impressions for item in self._seen(impression, mapped.asides)]
        self._record("Product Impression", {}, custom, moment, mapped, seconds=len(items))
        self._sets("Product Impression", items, _IMPRESSION, _IMPRESSIONS, moment, mapped, after)

    def _seen(self, impression: Row, asides: list[Aside]) -> Iterator[Row]:
        """Give each product of an impression with the impression's name."""
        name = {"product_impression_list": impression.get("product_impression_list")}
        products = self._objects(impression.get("products"), f"{_IMPRESSIONS}.products", asides)
        yield from ({**product, **name} for product in products) if products else (name,)

    def _record(  # noqa: PLR0913 - what an event is
        self,
        event: str,
        properties: Properties,
        custom: Row,
        moment: Moment,
        mapped: Mapped,
        *,
        amount: str | None = None,
        seconds: int = 1,
    ) -> None:
        taken = {folded(name) for name in properties}
        properties |= self._parts.properties_of(custom, mapped.asides, taken, amount)
        record = Record(moment.person, event, moment.time, properties, moment.address)
        self._parts.add_record(mapped, record, moment, amount=amount, seconds=max(1, seconds))

    def _sets(  # noqa: PLR0913, PLR0917 - what a set is
        self,
        event: str,
        items: list[Row],
        names: Mapping[str, str],
        path: str,
        moment: Moment,
        mapped: Mapped,
        after: int,
    ) -> int:
        chosen = [_chosen(item, names) for item in items]
        apart = self._parts.sets_apart(self._maker, event, mapped.asides)
        mapped.calls.extend(apart.sets(chosen, path, moment.person, moment.time + after))
        return len(chosen)

    def _make(
        self, item: Row, names: Mapping[str, str], asides: list[Aside], path: str, taken: tuple[str, ...]
    ) -> Properties:
        return self._maker.make(_chosen(item, names), asides, taken=taken, under=path)

    @staticmethod
    def _objects(value: object, path: str, asides: list[Aside]) -> list[Row]:
        """Give a list's objects; a list that is none is set aside, the event goes on without."""
        try:
            items = list_at(value, path)
        except RowRejected as problem:
            asides.append(as_aside(problem))
            return []
        return objects_in(items, path, asides)


def _named(what: str, action: object, path: str) -> tuple[str, str]:
    """Give an action, and its event's name: `add_to_cart` -> "Product Add To Cart"."""
    if not isinstance(action, str) or not action.strip():
        raise RowRejected("no-event-name", "there is no action in it", f"{path}.action", to_do=MEND)
    plain = " ".join(action.replace("_", " ").split()).lower()
    return plain, event_name(f"{what} {plain.title()}", f"{path}.action")


def _chosen(item: Row, names: Mapping[str, str]) -> dict[str, Any]:
    return {field: item[field] for field in names if item.get(field) is not None}
