from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from preview_streams import BLOCKED, messages, plan, previewed, schema_of, suggested, written

from target_kissmetrics.config.stream_entries import read_entry
from target_kissmetrics.mapping.detection import resolve
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.settings import MappingSettings, StreamSettings
from target_kissmetrics.mapping.stream import Stream
from target_kissmetrics.preview.preview import Preview
from target_kissmetrics.preview.stream import StreamPreview
from target_kissmetrics.preview.suggest.entry import Suggestion, as_yaml

ITEMS = [{"sku": "a", "price": 3}]


def entry(name: str, *rows: dict[str, Any], key: tuple[str, ...] = (), **given: Any) -> dict[str, Any]:
    made = suggested(name, rows, given, key).entry
    assert made.pop("stream") == name
    return made


def orders(day: str = "2024-01-01", **more: Any) -> list[dict[str, Any]]:
    return [{"id": n, "user_id": f"u{n}", "ordered_on": day, "total": "19.90 EUR", **more} for n in range(5)]


def test_an_orders_table_is_purchases_with_an_amount_and_days() -> None:
    assert entry("public-orders", *orders(items=ITEMS, tax=3), key=("id",)) == {
        "kind": "event",
        "customer_id": "user_id",
        "event_name": "Purchased",
        "timestamp": "ordered_on",
        "revenue": "total",
        "spread_duplicates": True,
        "exclude": ["id"],
    }


def test_times_of_day_are_not_spread() -> None:
    assert "spread_duplicates" not in entry("orders", *orders("2024-01-01T08:00:00Z"))


def test_a_refunds_table_counts_negative() -> None:
    row = {"id": 1, "customerNumber": 7, "refundedAt": "2024-01-01T08:00:00Z", "amount": 5}
    assert entry("Refunds", row) == {
        "kind": "event",
        "customer_id": "customerNumber",
        "event_name": "Refunded",
        "timestamp": "refundedAt",
        "refund": True,
        "revenue": "amount",
    }


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        ({"total": 12, "net_total": 10, "tax": 2}, "net_total"),
        ({"subtotal": 10, "total": 12, "shipping_total": 2}, "subtotal"),
        ({"quantity": 3, "total_quantity": 3, "price": "4 €"}, "price"),
        ({"amount": "n/a", "gross": 4}, "gross"),
        ({"is_paid": True, "paid_at": "2024-01-01T00:00:01Z"}, None),
    ],
)
def test_the_amount_is_net_before_gross_and_an_amount(fields: dict[str, Any], chosen: str | None) -> None:
    assert entry("orders", {"user_id": "u", "created_at": "2024-01-01T01:00:00Z", **fields}).get("revenue") == chosen


def test_cents_are_told_of() -> None:
    made = suggested("orders", [{"user_id": "u", "created_at": 1_700_000_000, "amount_cents": 100}])
    assert made.entry["revenue"] == "amount_cents"
    assert any("100 times too high" in reason for reason in made.why)


def test_people_by_their_key_and_without_their_passwords() -> None:
    row = {"id": 7, "email": "a@b.c", "account_id": 3, "password_hash": "x", "updated_at": "2024-01-01"}
    assert entry("app_users", row, key=("id",)) == {
        "kind": "user_attributes",
        "customer_id": "id",
        "timestamp": "updated_at",
        "exclude": ["email", "password_hash"],
    }


def test_events_with_names_of_their_own() -> None:
    rows = [
        {"account_no": n % 3, "action": ["view", "buy"][n % 2], "when_it_was_ts": 1_700_000_000 + n} for n in range(9)
    ]
    assert entry("audit", *rows) == {
        "kind": "event",
        "customer_id": "account_no",
        "event_name": "{action}",
        "timestamp": "when_it_was_ts",
    }


@pytest.mark.parametrize(
    ("name", "row", "told"),
    [
        ("ab_assignments", {"member_id": "m", "experiment_key": "price", "bucket": "b"}, "kind: experiment"),
        ("account_merges", {"old_user_id": "a", "user_id": "b", "merged_at": "2024-01-01"}, "kind: alias"),
        ("identity_links", {"device_id": "d", "customer_no": "c"}, "an alias is permanent"),
    ],
)
def test_an_alias_or_experiment_is_never_guessed(name: str, row: dict[str, Any], told: str) -> None:
    made = suggested(name, [row])
    assert made.entry == {"stream": name, "kind": "ignore"}
    assert told in made.why[-1]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("countries", {"code": "DE", "name": "Germany"}),
        ("products", {"id": 1, "name": "Book", "price": 3, "created_at": "2024-01-01T00:00:01Z"}),
        ("plans", {"owner_id": 1, "name": "Gold", "created_at": "2024-01-01T00:00:01Z"}),
        ("empty", {}),
    ],
)
def test_tables_that_tell_nothing_of_people_are_left_out(name: str, row: dict[str, Any]) -> None:
    made = suggested(name, [row])
    assert made.entry == {"stream": name, "kind": "ignore"}
    assert made.why


def test_messages_are_never_guessed_at_from_their_columns() -> None:
    row = {"type": "track", "userId": "u", "event": "Paid", "timestamp": "2024-01-01T00:00:01Z", "messageId": "m"}
    assert entry("tracks", row)["kind"] in {"segment", "ignore"}


def test_what_the_entry_says_already_stays_and_its_mistake_goes() -> None:
    made = suggested("orders", orders(), {"stream": "orders", "event_name": "Bought", "customer_id": "usr"})
    assert made.entry["event_name"] == "Bought"
    assert made.entry["customer_id"] == "user_id"
    assert any("no field 'usr'; did you mean 'user_id'" in reason for reason in made.why)


def test_a_decision_is_confirmed_and_days_are_spread() -> None:
    rows = [{"user_id": "u", "event": "Paid", "time": "2024-01-01"}]
    (made,) = previewed("e", rows).suggestions()
    assert made.entry == {"stream": "e", "kind": "event", "spread_duplicates": True}


NAMES = st.text(max_size=12) | st.sampled_from(
    [
        "user_id",
        "old_id",
        "device_id",
        "amount",
        "total",
        "created_at",
        "items",
        "event",
        "variant",
        "experiment",
        "a.b",
    ]
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("2024-01-01"),
    st.just([{"a": 1}]), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip
STREAMS = st.text(min_size=1, max_size=12).filter(str.strip) | st.sampled_from(
    ["orders", "x-refunds", "merges", "users"]
)


@given(STREAMS, st.lists(st.dictionaries(NAMES, VALUES, max_size=8), max_size=5))
def test_every_suggestion_is_taken_by_the_target_also_from_its_yaml(name: str, rows: list[dict[str, Any]]) -> None:
    made = suggested(name, rows)
    (written,) = yaml.safe_load(as_yaml([made]))["streams"]
    assert written == made.entry
    read = read_entry(written, 0)
    assert read.stream == name
    stream = Stream(name, schema_of(rows), (), read, MappingSettings(blocked_identities=BLOCKED))
    assert resolve(stream).kind == made.entry["kind"]


@given(st.dictionaries(st.text(min_size=1), st.text() | st.lists(st.text())), st.text())
def test_yaml_is_read_as_it_was_meant_whatever_it_holds(made: dict[str, Any], reason: str) -> None:
    written = as_yaml([Suggestion(made, [reason])])
    try:
        written.encode()
    except UnicodeEncodeError:
        pytest.fail("no UTF-8")
    assert yaml.safe_load(written) == {"streams": [made]}


def test_no_entries_are_an_empty_list() -> None:
    assert yaml.safe_load(as_yaml([])) == {"streams": []}
    assert StreamSettings().kind is None


def why(name: str, *rows: dict[str, Any], key: tuple[str, ...] = ()) -> str:
    return "\n".join(suggested(name, rows, key=key).why)


def charges(**more: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"ch_{n}", "customer": f"cus_{n % 2}", "amount": 1999 + n, "created": 1_740_000_000 + n, **more}
        for n in range(6)
    ]


def test_a_payment_provider_s_created_is_the_time_and_whole_amounts_may_be_cents() -> None:
    assert entry("charges", *charges(), key=("id",)) == {
        "kind": "event",
        "customer_id": "customer",
        "event_name": "Paid",
        "timestamp": "created",
        "revenue": "amount",
        "exclude": ["id"],
    }
    made = suggested("charges", charges(), key=("id",))
    assert any("if they are cents" in reason for reason in made.why)
    assert "cents" not in why("charges", *charges(amount="19.99"))


def test_rows_that_nobody_paid_are_told_of() -> None:
    rows = [{**row, "status": ["succeeded", "failed"][n % 2]} for n, row in enumerate(charges())]
    assert "some rows with status 'failed' have amount" in why("charges", *rows)
    assert "no revenue" not in why("charges", *charges(status="succeeded"))


def test_a_person_within_an_object_is_found_when_the_row_names_none() -> None:
    row = {"id": 1, "customer": {"no": "C-1", "email": "a@b.c"}, "ordered_at": "2024-01-01T01:00:00Z", "total": 3}
    assert entry("orders", row)["customer_id"] == "customer.no"
    assert "customer.email could be customer_id as well" in why("orders", row)
    assert entry("orders", {**row, "user_id": "u"})["customer_id"] == "user_id"
    assert entry("orders", {"id": 1, "company": {"email": "a@b.c"}, "ordered_at": "2024-01-01"})["kind"] == "ignore"


def test_a_crm_s_own_number_names_nobody_where_there_is_an_address() -> None:
    row = {"id": "51", "updatedAt": "2024-01-01T01:00:00Z", "properties": {"email": "a@b.c", "phone": "1"}}
    assert entry("hubspot_contacts", row, key=("id",)) == {
        "kind": "user_attributes",
        "customer_id": "properties.email",
        "timestamp": "updatedAt",
        "exclude": ["properties.phone", "id"],
    }
    assert entry("crm_contacts", {"id": 1, "email": "a@b.c"}, key=("id",))["customer_id"] == "email"
    assert entry("crm_contacts", {"id": 1, "city": "Oslo"}, key=("id",))["customer_id"] == "id"


@pytest.mark.parametrize(
    "name",
    [
        "phone", "ip_address", "clientIp", "user_agent", "date_of_birth", "zip_code", "billing_address", "display_name",
        "firstName", "surname", "customer_name", "name", "email_address", "primary_email", "lat",
    ],
)  # fmt: skip
def test_personal_data_stays_at_home(name: str) -> None:
    assert entry("app_users", {"id": 7, name: "x"}, key=("id",))["exclude"] == [name]
    assert f"exclude has personal data or secrets ({name})" in why("app_users", {"id": 7, name: "x"}, key=("id",))


@pytest.mark.parametrize(
    "name",
    ["country", "shipping_method", "zipped", "agent_name", "plan_name", "email_opt_in", "geo", "platform", "how_long"],
)
def test_what_is_not_personal_or_tells_who_is_sent(name: str) -> None:
    assert "exclude" not in entry("app_users", {"id": 7, name: "x"}, key=("id",))


def test_personal_data_within_objects_stays_at_home() -> None:
    row = {
        "id": 7,
        "address": {"city": "Oslo", "street": "x", "geo": {"lat": 1.5, "lng": 2.5}},
        "location": {"lon": 3.5},
    }
    made = confirmed("users", row, key=("id",)).entry
    assert made["exclude"] == ["address.street", "address.geo", "location.lon"]
    (sent,) = previewed("users", [row], {"stream": "users", **made}, key=["id"]).streams["users"].first
    assert isinstance(sent.outcome, Mapped)
    assert [getattr(call, "properties", None) for call in sent.outcome.calls] == [{"address.city": "Oslo"}]


def test_what_says_who_and_when_is_not_called_personal() -> None:
    assert "exclude" not in confirmed("users", {"email": "a@b.c", "plan": "x"}, key=("email",)).entry
    assert (
        entry("products_sold", {"sku": 1, "name": "Book", "mail": "a@b.c", "sold_at": "2025-01-01"}).get("exclude")
        is None
    )


def test_the_number_of_a_row_is_left_out_unless_it_says_who() -> None:
    assert entry("orders", *orders(), key=("id",))["exclude"] == ["id"]
    assert "exclude" not in entry("orders", *orders())
    assert "exclude" not in entry("app_users", {"id": 7, "plan": "x"}, key=("id",))
    assert "exclude" not in confirmed("users", {"id": 7, "plan": "x"}, key=("id",)).entry


def test_which_of_two_ids_is_the_person_is_said() -> None:
    row = {"visitor_id": "v", "user_id": "u", "started_at": "2024-01-01T01:00:00Z", "browser": "Firefox"}
    told = why("web_sessions", row)
    assert "visitor_id is the person, or user_id where it is empty; set use_customer_id: true" in told
    assert "could be customer_id as well" not in told


def run_mapped(
    name: str, rows: list[dict[str, Any]], types: dict[str, str], rules: dict[str, str], *entries: dict[str, Any]
) -> Preview:
    config = {"stream_maps": {name: rules}} if rules else {}
    lines = messages(name, rows)
    for field, of_type in types.items():
        lines[0]["schema"]["properties"][field] = {"type": [of_type, "null"]}
    preview = Preview(plan(*entries))
    preview.read(io.StringIO("".join(f"{json.dumps(line)}\n" for line in lines)), config)
    preview.finish()
    assert not preview.streams[name].rejected
    return preview


def pasted(name: str, rows: list[dict[str, Any]]) -> StreamPreview:
    (made,) = yaml.safe_load(as_yaml([suggested(name, rows)]))["streams"]
    return previewed(name, rows, made).streams[name]


def test_rows_that_nobody_paid_are_left_out_by_their_status() -> None:
    rows = [{**row, "status": ["succeeded", "failed", None][n % 3]} for n, row in enumerate(charges())]
    assert entry("charges", *rows)["when"] == {"status": ["succeeded", None]}
    stream = pasted("charges", rows)
    # Of the amounts 1999, 2000, ... 2004 those of the failed ones are left out; nothing says that they are cents.
    assert stream.totals.revenue == Decimal(1999 + 2001 + 2002 + 2004)
    assert (stream.counts.filtered, stream.rejected) == (2, {})


def changes(*told: str, field: str = "what_happened", **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": n, "member_no": f"m{n % 4}", field: told[n % len(told)], "stamp_ts": 1_740_000_000 + n, **more}
        for n in range(12)
    ]


HAPPENED = ("subscribed", "cancelled", "refunded", "paused")


@pytest.mark.parametrize("field", ["what_happened", "action", "event_type", "what", "operation"])
def test_a_column_that_says_what_happened_names_the_event(field: str) -> None:
    made = suggested("subscriptions", changes(*HAPPENED, field=field))
    assert made.entry["event_name"] == f"Subscription {{{field}}}"
    assert f"{field} names the event: 'subscribed', 'cancelled', 'refunded', 'paused'" in made.why


def test_a_type_that_says_nothing_of_what_was_done_names_no_event() -> None:
    made = suggested("subscriptions", changes("monthly", "yearly", field="type"))
    assert made.entry["event_name"] == "Subscribed"
    assert entry("subscriptions", *changes("monthly", field="type"))["event_name"] == "Subscribed"


@pytest.mark.parametrize("told", [[f"text {n}" for n in range(12)], ["once", "it is a long text " * 5], ["2024-01-01"]])
def test_texts_that_are_no_names_name_no_event(told: list[str]) -> None:
    assert entry("subscriptions", *changes(*told, field="event_note_type"))["event_name"] == "Subscribed"
    many = [{**row, "what": f"{row['id']} {n}"} for n in range(5) for row in changes("x", field="y")]
    assert entry("subscriptions", *many)["event_name"] == "Subscribed"


def test_of_events_by_name_those_that_nobody_paid_have_no_revenue() -> None:
    rows = changes(*HAPPENED, amount=9.5)
    made = entry("subscriptions", *rows)
    assert made["event_name"] == "Subscription {what_happened}"
    assert made["events"] == [
        {"when": {"what_happened": ["subscribed", "paused"]}},
        {"when": {"what_happened": ["cancelled", "refunded"]}, "revenue": False},
    ]
    stream = pasted("subscriptions", rows)
    assert (stream.totals.calls["record"], stream.totals.revenue) == (12, Decimal("57.0"))


def in_cents(
    *amounts: int | None, told: tuple[str, ...] = ("subscribed", "cancelled", "renewed")
) -> list[dict[str, Any]]:
    rows = changes(*told)
    return [{**row, "gross_cents": amounts[n % len(amounts)]} for n, row in enumerate(rows)]


def test_cents_and_rows_that_nobody_paid_are_put_right_together() -> None:
    rows = in_cents(1999, 500, None)
    stream = pasted("subscriptions", rows)
    assert (stream.counts.accepted, stream.rejected) == (12, {})
    # 19.99 of four that subscribed; what was cancelled, and what has no amount, has none.
    assert stream.totals.revenue == Decimal("79.96")
    assert stream.totals.properties.known["Billing Amount"].count == 4
    assert not any("100 times" in text or "no revenue" in text for text in stream.warnings)


def test_names_and_values_that_yaml_quotes_are_taken() -> None:
    rows = changes('it\'s "paid"', 'it\'s "failed"', amount=9.5)
    rows = [{**row, "the amount: net": row.pop("amount")} for row in rows]
    assert pasted("subscriptions", rows).totals.revenue == Decimal("57.0")


def test_a_refund_that_is_negative_already_stays_in() -> None:
    rows = in_cents(1999, 500, -1999, told=("subscribed", "cancelled", "refunded"))
    assert entry("subscriptions", *rows)["events"][1]["when"] == {"what_happened": ["cancelled"]}
    assert pasted("subscriptions", rows).totals.revenue == 0
    states = [{**row, "status": ["succeeded", "refunded"][n % 2]} for n, row in enumerate(charges())]
    assert "no revenue" not in why("charges", *({**row, "amount": -5} for row in states if row["status"] == "refunded"))


CONFIGURED = {
    "stream": "subscriptions",
    "kind": "event",
    "customer_id": "member_no",
    "event_name": "Subscription {what_happened}",
    "timestamp": "stamp_ts",
    "revenue": "gross_cents",
}


def test_wrong_money_is_warned_of_whoever_wrote_the_entry() -> None:
    rows = in_cents(1999, 500, None)
    warned = "\n".join(previewed("subscriptions", rows, CONFIGURED).streams["subscriptions"].warnings)
    assert "the name gross_cents suggests cents; without revenue_divide_by: 100 revenue is 100 times too high" in warned
    assert "some rows with what_happened 'cancelled' have gross_cents, which may be no revenue" in warned
    for other in ({"revenue": False}, {"kind": "ignore"}):
        assert not previewed("subscriptions", rows, {**CONFIGURED, **other}).streams["subscriptions"].warnings


@pytest.mark.parametrize(
    "fix",
    [
        {"gross_cents": "float(record['gross_cents'] or 0) / 100.5"},
        {"gross_cents": "float(record['gross_cents']) / 100.5 if record['what_happened'] != 'cancelled' else None"},
    ],
)
def test_money_that_a_stream_map_fixes_is_not_warned_of(fix: dict[str, str]) -> None:
    rows, types = in_cents(1999, 500), {"gross_cents": "integer"}
    warned = "\n".join(run_mapped("subscriptions", rows, types, fix, CONFIGURED).streams["subscriptions"].warnings)
    assert "100 times" not in warned
    assert ("'cancelled'" in warned) is ("cancelled" not in fix["gross_cents"])


def test_rows_of_refunds_that_are_sent_negative_are_not_warned_of() -> None:
    rows = in_cents(1999, told=("refunded", "cancelled"))
    warned = "\n".join(
        previewed("subscriptions", rows, {**CONFIGURED, "refund": True}).streams["subscriptions"].warnings
    )
    assert "'cancelled'" in warned
    assert "refunded" not in warned


def test_equal_rows_without_a_key_are_told_of_in_the_suggestion() -> None:
    row = {"user_id": "u", "ordered_at": "2025-01-01T00:00:01Z", "total": 3.5}
    for key, told in (((), True), (("total",), False)):
        (made,) = previewed("orders", [row, row], key=key).suggestions()
        assert any("1 row equal to another one, and the stream has no key" in one for one in made.why) is told


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("countries", {"code": "DE", "name": "Germany"}),
        ("plans", {"owner_id": 1, "name": "Gold", "created_at": "2024-01-01T00:00:01Z"}),
        ("things", {"user_id": "u", "size": 3}),
    ],
)
def test_how_to_send_what_is_left_out_is_said(name: str, row: dict[str, Any]) -> None:
    assert why(name, row, row).endswith("and remove kind: ignore")


def test_amounts_in_several_currencies_are_told_of() -> None:
    rows = [{**row, "currency": ["EUR", "USD"][n % 2]} for n, row in enumerate(orders())]
    assert "currency has more than one value (EUR, USD); amounts are summed and not converted" in why("orders", *rows)
    assert "currency" not in why("orders", *orders(currency="EUR"))


def confirmed(name: str, *rows: dict[str, Any], key: tuple[str, ...] = (), **given: Any) -> Suggestion:
    entries = [{"stream": name, **given}] if given else []
    (made,) = previewed(name, rows, *entries, key=key).suggestions()
    assert made.entry.pop("stream") == name
    return made


def customers(**more: Any) -> list[dict[str, Any]]:
    return [
        {"uuid": f"c-{n}", "primary_email": f"{n}@example.com", "changed": 1_740_000_000_000 + n, **more}
        for n in range(4)
    ]


def test_people_that_are_decided_by_their_key_get_their_time_and_hear_of_their_address() -> None:
    made = confirmed("customers", *customers(), key=("uuid",))
    assert made.entry["kind"] == "user_attributes"
    assert made.entry["timestamp"] == "changed"
    assert "customer_id" not in made.entry
    assert any(reason.startswith("primary_email could be customer_id as well") for reason in made.why)
    assert "timestamp" not in confirmed("customers", *customers(updated_at="2025-01-01"), key=("uuid",)).entry


def test_events_that_are_decided_get_a_time_where_their_own_rule_has_none() -> None:
    row = {"user_id": "u", "event": "Paid", "paid_on": 1_740_000_000}
    assert confirmed("e", row).entry == {"kind": "event", "timestamp": "paid_on"}
    assert confirmed("e", {**row, "time": 1_740_000_000}).entry == {"kind": "event"}


def test_events_that_would_stop_for_their_time_get_it_and_one_that_names_none_keeps_it_so() -> None:
    row = {"user_id": "u", "event": "Paid", "paid_at": 1_740_000_000}
    made = suggested("e", [row])
    assert made.entry["timestamp"] == "paid_at"
    assert confirmed("e", row, timestamp=False).entry["timestamp"] is False


def test_an_entry_without_a_kind_stays_and_gets_one() -> None:
    made = confirmed("customers", *customers(), key=("uuid",), exclude=["uuid"], timestamp="changed")
    assert made.entry == {"kind": "user_attributes", "exclude": ["uuid"], "timestamp": "changed"}


def visits() -> list[dict[str, Any]]:
    return [
        {"visitor_id": f"v{n}", "member_no": f"m{n}" if n % 2 else None, "started_at": f"2025-01-01T00:00:{n:02}Z"}
        for n in range(12)
    ]


def test_a_visitor_stands_in_for_a_member_who_is_not_logged_in() -> None:
    made = suggested("sessions", visits())
    assert (made.entry["customer_id"], made.entry["device_id"]) == ("member_no", "visitor_id")
    assert any("set use_customer_id: true to prefer member_no" in reason for reason in made.why)
    assert "would be rejected" not in "\n".join(made.why)
    preview = previewed("sessions", visits(), use_customer_id=True).streams["sessions"]
    assert (preview.counts.accepted, preview.rejected) == (12, {})
    assert "m1" in preview.totals.identities


@pytest.mark.parametrize(
    "fields", [{"is_anonymous": 0}, {"cookie": "accepted"}, {"visitor_count": 3}, {"anonymous": True}]
)
def test_flags_and_numbers_of_visitors_name_no_device(fields: dict[str, Any]) -> None:
    rows = [{"member_no": f"m{n}", "started_at": "2025-01-01T00:00:01Z", **fields} for n in range(12)]
    assert "device_id" not in entry("sessions", *rows)


def test_rows_that_name_nobody_are_told_of() -> None:
    rows = [{"user_no": None if n < 3 else n, "ordered_at": "2025-01-01T00:00:01Z"} for n in range(4)]
    (made,) = previewed("orders", rows).suggestions()
    assert "of 4 rows, rejected: 3 (3 no-identity)" in made.why
    (made,) = previewed("orders", rows[3:]).suggestions()
    assert "rejected" not in "\n".join(made.why)


def test_amounts_of_several_currencies_are_no_revenue() -> None:
    rows = [{**row, "currency": ["EUR", "USD"][n % 2]} for n, row in enumerate(orders())]
    made = suggested("orders", rows)
    assert made.entry["revenue"] is False
    assert "then set revenue: total\n" in as_yaml([made])


def test_an_order_that_is_refunded_in_part_keeps_its_amount() -> None:
    states = ["paid", "partially_refunded", "Partially Refunded", "partial-refund"]
    rows = [{**row, "status": states[n % 4]} for n, row in enumerate(orders())]
    made = suggested("orders", rows)
    assert made.entry["revenue"] == "total"
    assert "when" not in made.entry


def test_a_time_is_found_by_its_values_where_its_name_says_nothing() -> None:
    row = {"member_no": "m", "began": "2025-01-01T08:00:00Z", "note": "x"}
    assert entry("sessions", row)["timestamp"] == "began"
    assert entry("sessions", {**row, "visited_at": "2025-01-01T09:00:00Z"})["timestamp"] == "visited_at"
    assert "timestamp" not in entry("sessions", {**row, "began": "soon"})


@given(STREAMS, st.lists(st.dictionaries(NAMES, VALUES, max_size=8), max_size=5), st.booleans())
def test_every_confirmed_entry_is_taken_and_keeps_its_kind(name: str, rows: list[dict[str, Any]], keyed: bool) -> None:
    preview = previewed(name, rows, key=("user_id",) if keyed else ())
    again = previewed(name, rows, *yaml.safe_load(as_yaml(preview.suggestions()))["streams"], key=("user_id",))
    assert "could be anything" not in str(again.streams[name].problem)
    assert again.streams[name].kind == preview.streams[name].kind


@pytest.mark.parametrize("kind", [{}, {"kind": "event"}])
def test_money_that_the_entry_fixes_is_neither_warned_of_nor_fixed_again(kind: dict[str, str]) -> None:
    rows = [{**row, "event": "Paid"} for row in in_cents(1999, 500)]
    fixed = {
        "stream": "subscriptions", "customer_id": "member_no", "timestamp": "stamp_ts", "revenue": "gross_cents",
        "revenue_divide_by": 100, "when": {"what_happened": ["subscribed", "renewed"]}, **kind,
    }  # fmt: skip
    preview = previewed("subscriptions", rows, fixed)
    stream = preview.streams["subscriptions"]
    (made,) = preview.suggestions()
    assert stream.problem is None
    assert (stream.counts.rows, stream.counts.filtered, stream.counts.accepted) == (12, 4, 8)
    assert not any("100 times" in text or "no revenue" in text for text in [*stream.warnings, *made.why])
    assert made.entry["revenue"] == "gross_cents"
    assert "4 filtered" in written(preview)


@pytest.mark.parametrize("kind", [{}, {"kind": "event"}])
def test_amounts_of_several_events_from_one_row_are_left_to_them(kind: dict[str, str]) -> None:
    item = {"timestamp": "stamp_ts", "revenue": "gross_cents", "revenue_divide_by": 100, "event_name": "Paid"}
    entry = {"stream": "things", "customer_id": ["member_no", "id"], "events": [item], **kind}
    preview = previewed("things", in_cents(1999, 500), entry)
    (made,) = preview.suggestions()
    stream = preview.streams["things"]
    assert stream.totals.revenue == Decimal("149.94")
    assert made.entry["events"] == [item]
    assert not any("100 times" in text for text in [*stream.warnings, *made.why])
