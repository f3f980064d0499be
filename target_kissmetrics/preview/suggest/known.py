"""Shapes of rows that are known as a whole: the exports of other tools. To support another one, add a line."""

from collections.abc import Callable
from typing import Any

from target_kissmetrics.preview.suggest.roles import Columns

_ZERO_DECIMALS = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split()  # noqa: SIM905 - a table
)
"""Currencies whose amounts Stripe does not count in hundredths. Source: Stripe's "Supported currencies"."""

WHEN_IS_SAMPLED = "`when` has the values of the sampled rows; rows with others are left out: add them"

Entry = dict[str, Any]


def _event(name: str, timestamp: str, **more: Any) -> Callable[[Columns], Entry]:
    return lambda _: {"kind": "event", "event_name": f"{{{name}}}", "timestamp": timestamp, **more}


def _ga4(columns: Columns) -> Entry:
    events = [{"event_name": "{event_name}", "when": {"event_name": "purchase"}, "revenue": "value"}]
    others = [name for name in columns["event_name"].texts if name != "purchase"]
    events += [{"event_name": "{event_name}", "when": {"event_name": others}}] if others else []
    unwrap = [name for name in ("event_params", "user_properties") if name in columns]
    return {"kind": "event", "unwrap": unwrap, "timestamp": "event_timestamp", "events": events}


def _shopify(_: Columns) -> Entry:
    paid = {"financial_status": ["paid", "partially_refunded", "refunded"]}
    amount = "total_price_set.shop_money.amount"
    events = [
        {"event_name": "Ordered", "timestamp": "created_at"},
        {"event_name": "Purchased", "timestamp": "processed_at", "revenue": amount, "when": paid},
        {"event_name": "Cancelled", "timestamp": "cancelled_at"},
    ]
    ids = ["customer.id", "email"]
    return {"kind": "event", "customer_id": ids, "include": ["name", "source_name"], "events": events}


def _stripe(columns: Columns) -> Entry:
    used = columns["currency"].texts
    whole = [currency for currency in used if currency.lower() in _ZERO_DECIMALS]
    cents = [currency for currency in used if currency not in whole]
    events: list[Entry] = []
    for currencies, divided in ((cents, {"revenue_divide_by": 100}), (whole, {})):
        paid = {"paid": True, **({"currency": currencies} if whole and cents else {})}
        back = {"refund": True, "when": {**paid, "refunded": True}}
        if currencies:
            events.append({"event_name": "Purchased", "revenue": "amount", **divided, "when": paid})
            events.append({"event_name": "Refunded", "revenue": "amount_refunded", **divided, **back})
    chosen = {"include": ["currency", "description"], "spread_duplicates": True}
    return {"kind": "event", "customer_id": "customer", "timestamp": "created", **chosen, "events": events}


def _hubspot(columns: Columns) -> Entry:
    time = {"timestamp": "updatedAt"} if "updatedAt" in columns else {}
    return {"kind": "user_attributes", "unwrap": ["properties"], "customer_id": "email", **time}


_POSTHOG = _event("event", "timestamp", unwrap=["properties"], customer_id="distinct_id", exclude=["$*", "uuid"])
_MIXPANEL = _event("event", "time", unwrap=["properties"], customer_id="distinct_id", exclude=["$*", "mp_*"])
_AMPLITUDE = _event(
    "event_type", "event_time", unwrap=["event_properties"], customer_id="user_id", device_id="device_id"
)
_SNOWPLOW = _event("event_name", "derived_tstamp", customer_id="user_id", device_id="domain_userid")

KNOWN: tuple[tuple[str, str, Callable[[Columns], Entry]], ...] = (
    ("GA4's export to BigQuery", "event_name event_timestamp event_params user_pseudo_id", _ga4),
    ("PostHog's events", "event distinct_id timestamp properties", _POSTHOG),
    ("Mixpanel's raw export", "event properties.distinct_id properties.time", _MIXPANEL),
    ("Amplitude's export", "event_type event_time device_id event_properties", _AMPLITUDE),
    ("Snowplow's events", "event_name derived_tstamp domain_userid", _SNOWPLOW),
    ("Shopify's orders", "financial_status processed_at cancelled_at total_price_set", _shopify),
    ("Stripe's charges", "amount amount_refunded currency paid refunded created", _stripe),
    ("HubSpot's contacts", "properties.email properties.lifecyclestage", _hubspot),
)
"""Names of shapes, fields that all their rows have as paths, and their entries."""


def known(columns: Columns) -> tuple[Entry, list[str]] | None:
    """Give the entry for a known shape, with the reasons for it; None for any other."""
    for name, fields, entry_for in KNOWN:
        if columns.keys() >= set(fields.split()):
            entry, why = entry_for(columns), [f"its rows have the shape of {name}"]
            if any("when" in event for event in entry.get("events", ())):
                why.append(WHEN_IS_SAMPLED)
            return entry, why
    return None
