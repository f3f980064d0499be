"""Shapes of rows that are known as a whole: the exports of other tools. To support another one, add a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from target_kissmetrics.mapping.rules.fields import parsed
from target_kissmetrics.preview.suggest.columns import Columns
from target_kissmetrics.preview.suggest.money import WHEN_IS_SAMPLED

_ZERO_DECIMALS = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split()  # noqa: SIM905 - a table
)
"""Currencies whose amounts Stripe does not count in hundredths. Source: Stripe's "Supported currencies"."""


class Known(NamedTuple):
    """A shape.

    Attributes:
        name: For a person.
        fields: Fields that all its rows have, as paths; those within JSON text count.
        entry: Gives the entry for its columns.
    """

    name: str
    fields: tuple[str, ...]
    entry: Callable[[Columns], dict[str, Any]]


def _event(name: str, timestamp: str, **more: Any) -> Callable[[Columns], dict[str, Any]]:
    return lambda _: {"kind": "event", "event_name": f"{{{name}}}", "timestamp": timestamp, **more}


def _ga4(columns: Columns) -> dict[str, Any]:
    names = list(columns["event_name"].texts)
    events = [{"event_name": "{event_name}", "when": {"event_name": "purchase"}, "revenue": "value"}]
    others = [name for name in names if name != "purchase"]
    events += [{"event_name": "{event_name}", "when": {"event_name": others}}] if others else []
    unwrap = [name for name in ("event_params", "user_properties") if name in columns]
    return {"kind": "event", "unwrap": unwrap, "timestamp": "event_timestamp", "events": events}


def _shopify(_: Columns) -> dict[str, Any]:
    paid = {"financial_status": ["paid", "partially_refunded", "refunded"]}
    amount = "total_price_set.shop_money.amount"
    events = [
        {"event_name": "Ordered", "timestamp": "created_at"},
        {"event_name": "Purchased", "timestamp": "processed_at", "revenue": amount, "when": paid},
        {"event_name": "Cancelled", "timestamp": "cancelled_at"},
    ]
    return {
        "kind": "event",
        "customer_id": ["customer.id", "email"],
        "include": ["name", "source_name"],
        "events": events,
    }


def _stripe(columns: Columns) -> dict[str, Any]:
    used = list(columns["currency"].texts)
    whole = [currency for currency in used if currency.lower() in _ZERO_DECIMALS]
    cents = [currency for currency in used if currency not in whole]
    events: list[dict[str, Any]] = []
    for currencies, divided in ((cents, {"revenue_divide_by": 100}), (whole, {})):
        if currencies:
            only = {"currency": currencies} if whole and cents else {}
            paid = {"revenue": "amount", **divided, "when": {"paid": True, **only}}
            back = {
                "revenue": "amount_refunded",
                **divided,
                "refund": True,
                "when": {"paid": True, "refunded": True, **only},
            }
            events += [{"event_name": "Purchased", **paid}, {"event_name": "Refunded", **back}]
    chosen = {"include": ["currency", "description"], "spread_duplicates": True}
    return {"kind": "event", "customer_id": "customer", "timestamp": "created", **chosen, "events": events}


_NO_MARKS = {"exclude": ["$*", "mp_*"]}

KNOWN = (
    Known("GA4's export to BigQuery", ("event_name", "event_timestamp", "event_params", "user_pseudo_id"), _ga4),
    Known(
        "PostHog's events",
        ("event", "distinct_id", "timestamp", "properties"),
        _event("event", "timestamp", unwrap=["properties"], customer_id="distinct_id", exclude=["$*", "uuid"]),
    ),
    Known(
        "Mixpanel's raw export",
        ("event", "properties.distinct_id", "properties.time"),
        _event("event", "time", unwrap=["properties"], customer_id="distinct_id", **_NO_MARKS),
    ),
    Known(
        "Amplitude's export",
        ("event_type", "event_time", "device_id", "event_properties"),
        _event("event_type", "event_time", unwrap=["event_properties"], customer_id="user_id", device_id="device_id"),
    ),
    Known(
        "Snowplow's events",
        ("event_name", "derived_tstamp", "domain_userid"),
        _event("event_name", "derived_tstamp", customer_id="user_id", device_id="domain_userid"),
    ),
    Known("Shopify's orders", ("financial_status", "processed_at", "cancelled_at", "total_price_set"), _shopify),
    Known("Stripe's charges", ("amount", "amount_refunded", "currency", "paid", "refunded", "created"), _stripe),
    Known(
        "HubSpot's contacts",
        ("properties.email", "properties.lifecyclestage"),
        lambda columns: {
            "kind": "user_attributes",
            "unwrap": ["properties"],
            "customer_id": "email",
            **({"timestamp": "updatedAt"} if "updatedAt" in columns else {}),
        },
    ),
)


def known(columns: Columns) -> tuple[dict[str, Any], list[str]] | None:
    """Give the entry for a known shape, with the reasons for it; None for any other."""
    for shape in KNOWN:
        if all(_has(columns, field) for field in shape.fields):
            why = [f"its rows have the shape of {shape.name}"]
            entry = shape.entry(columns)
            if any("when" in event for event in entry.get("events", ())):
                why.append(WHEN_IS_SAMPLED)
            return entry, why
    return None


def _has(columns: Columns, path: str) -> bool:
    head, dot, rest = path.partition(".")
    if path in columns or head not in columns or not dot:
        return path in columns
    for value in columns[head].filled[:1]:
        with suppress(ValueError):
            inner = parsed(value)
            return isinstance(inner, Mapping) and rest in inner
    return False
