"""What `--suggest` prints, pasted as it is: the target accepts it, and it gives the calls that the preview showed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from io import StringIO
from typing import Any, NamedTuple

import pytest
import yaml
from preview_streams import NOW, messages

from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.preview.cli import plan_of
from target_kissmetrics.preview.preview import Preview
from target_kissmetrics.preview.stream import StreamPreview
from target_kissmetrics.preview.suggest.entry import as_yaml

N = range(12)


def at(n: int) -> str:
    return f"2024-05-{n + 1:02}T10:{n * 7 % 60:02}:00Z"


class Table(NamedTuple):
    """Rows of a stream; the revenue that the pasted entry gives; columns that its entry excludes from a kind that the
    schema decides, so that the preview, without it, still shows them."""

    stream: str
    rows: Sequence[Mapping[str, Any]]
    revenue: str = "0"
    key: Sequence[str] = ("id",)
    excluded: Sequence[str] = ()


def orders(**columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Give 12 orders; of each column the values come in turn."""
    own = {"id": [*N], "user_id": ["u1", "u2", "u3", "u4"], "created_at": [*map(at, N)]}
    return [{name: values[n % len(values)] for name, values in {**own, **columns}.items()} for n in N]


def activity(**columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Give 12 events whose kind the schema decides."""
    return [{"event": "Paid", "timestamp": row.pop("created_at"), **row} for row in orders(**columns)]


TABLES = {
    "Shopify's orders": Table(
        "orders",
        orders(
            email=["a@x.org", "b@x.org", "c@x.org"],
            subtotal_price=["8.00"],
            total_price=["10.50"],
            currency=["USD"],
            financial_status=["paid", "refunded", "partially_refunded", "pending"],
            line_items=[[{"sku": "a", "price": "3.00", "quantity": 1}]],
            customer=[{"id": 7, "email": "a@x.org"}],
        ),
        "48.00",
    ),
    "Stripe's charges": Table(
        "charges", orders(customer=["cus_1", "cus_2"], amount=[1999], status=["succeeded", "failed", "pending"]), "7996"
    ),
    "HubSpot's contacts": Table(
        "contacts",
        [{"id": str(n + 1), "updatedAt": at(n), "properties": {"email": f"c{n}@x.org", "stage": "lead"}} for n in N],
        excluded=["properties.email"],
    ),
    "Google Analytics' rows": Table(
        "events",
        [
            {"user_pseudo_id": "1.9", "event_timestamp": 1_714_000_000_000_000 + n * 1_000_003, "event_name": "buy"}
            for n in N
        ],
        key=(),
    ),
    "Segment's messages": Table(
        "segment",
        [
            {"type": "track", "userId": "u", "event": "Paid", "timestamp": at(n), "properties": {"revenue": 5}}
            for n in N
        ],
        "60",
        key=(),
    ),
    "a table of users": Table(
        "public-users",
        [{"id": n + 1, "email": "a@x.org", "plan": "pro", "updated_at": at(n)} for n in N],
        excluded=["email"],
    ),
    "upper case": Table(
        "ORDERS", [{name.upper(): value for name, value in row.items()} for row in orders(total=[2.5])], "30.0", ("ID",)
    ),
    "camel case": Table(
        "purchases",
        [{"orderId": n, "customerId": "c", "paidAt": at(n), "totalAmount": 2} for n in N],
        "24",
        ["orderId"],
    ),
    "currencies": Table("invoices", orders(amount_paid=[2.5], currency=["EUR", "USD"])),
    "cents": Table("payments", orders(amount_cents=[1999]), "239.88"),
    "cents as text": Table("sales", orders(price_cents=["1999", "", None]), "79.96"),
    "a status with refunds": Table("transactions", orders(amount=[2], status=["completed", "refunded", "voided"]), "8"),
    "subscriptions that are deleted": Table(
        "subscriptions",
        orders(mrr=[9], _fivetran_deleted=[True, False, False], status=["active", "active", "cancelled"]),
        "36",
    ),
    "decided, in currencies": Table("activity", activity(revenue=[5], currency=["EUR", "USD"]), excluded=["id"]),
}  # fmt: skip


def previewed(config: Mapping[str, Any], table: Table) -> tuple[StreamPreview, dict[str, Any]]:
    """Give the stream's preview, and the config with what is suggested pasted into it."""
    made = Preview(plan_of(config, len(table.rows), NOW))
    lines = messages(table.stream, table.rows, table.key)
    made.read(StringIO("".join(f"{json.dumps(line)}\n" for line in lines)), config)
    made.finish()
    pasted = yaml.safe_load(as_yaml(made.suggestions()))
    return made.streams[table.stream], {**config, **pasted}


def shown(stream: StreamPreview, without: Sequence[str] = ()) -> list[Any]:
    """Give the calls of its rows, and the properties of each apart from those of some columns."""
    made: list[Any] = []
    for row in stream.first:
        assert isinstance(row.outcome, Mapped)
        for call in row.outcome.calls:
            properties = {name: value for name, value in getattr(call, "properties", {}).items() if name not in without}
            made.append((type(call), call.person, getattr(call, "event", None), getattr(call, "time", 0), properties))
    return made


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_a_pasted_suggestion_is_accepted_and_gives_the_calls_that_were_shown(table: Table) -> None:
    first, config = previewed({}, table)
    again, once_more = previewed(config, table)
    assert again.problem is None
    assert again.totals.revenue == Decimal(table.revenue)
    assert once_more == config
    if first.problem is not None:
        assert shown(again) == shown(first)
        return
    # The preview shows what a run without the entry would send; the entry says what should differ.
    amounts = ["Billing Amount", "revenue"] if first.totals.revenue != again.totals.revenue else []
    assert shown(again, amounts) == shown(first, [*table.excluded, *amounts])


def test_amounts_of_a_stream_with_a_map_of_its_own_are_put_right_by_the_entry() -> None:
    own = {"payments": {"note": "'x'"}}
    stream, config = previewed({"stream_maps": own}, TABLES["cents"])
    assert config["stream_maps"] == own
    assert config["streams"][0]["revenue_divide_by"] == 100
    assert stream.totals.revenue == Decimal("239.88")


def test_an_amount_within_an_object_is_put_right() -> None:
    rows = [{**row, "price": {"cents": 1999}} for row in activity()]
    entry = {"stream": "activity", "revenue": "price.cents"}
    _, config = previewed({"streams": [entry]}, Table("activity", rows))
    again, _ = previewed(config, Table("activity", rows))
    assert again.totals.revenue == Decimal("239.88")


def test_rows_that_nobody_paid_are_left_out_where_the_schema_decides_the_kind() -> None:
    table = Table("activity", activity(revenue=[5], status=["succeeded", "failed", None]))
    first, config = previewed({}, table)
    again, once_more = previewed(config, table)
    assert (first.counts.accepted, again.counts.accepted, again.counts.filtered) == (12, 8, 4)
    assert config["streams"][0]["when"] == {"status": ["succeeded", None]}
    assert again.warnings == []
    assert once_more == config


def test_undated_rows_are_counted_as_in_a_run() -> None:
    rows = [{"user_id": f"u{n}", "plan": "x", "updated_at": at(n) if n % 3 else None} for n in N]
    stream, _ = previewed({"streams": [{"stream": "users", "kind": "user_attributes"}]}, Table("users", rows, key=()))
    assert stream.counts.undated == 4
