"""The tables that Segment's and RudderStack's warehouse destinations write."""

from __future__ import annotations

from typing import Any

import pytest
from mapping_streams import ISO, SECONDS, mapping_of, stream_of

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias, Record, Set
from target_kissmetrics.mapping.detection import resolve
from target_kissmetrics.mapping.result import Mapped

COMMON: dict[str, Any] = {
    "id": "m1",
    "anonymous_id": "a1",
    "user_id": "u1",
    "received_at": "2024-01-31T08:00:09Z",
    "sent_at": "2024-01-31T08:00:05Z",
    "original_timestamp": "2024-01-31T08:00:04Z",
    "timestamp": ISO,
    "uuid_ts": "2024-01-31T09:00:00Z",
    "context_ip": "203.0.113.7",
    "context_user_agent": "Mozilla/5.0",
    "context_library_name": "analytics.js",
    "context_campaign_source": "news",
    "context_campaign_name": "May",
    "context_page_referrer": "https://r.example",
    "_sdc_batched_at": "x",
}
CAMPAIGN = {"Campaign Source": "news", "Campaign Name": "May", "Referrer": "https://r.example"}
SENDER = ("203.0.113.7", "Mozilla/5.0")


def table(name: str, columns: dict[str, Any], entry: dict[str, Any] | None = None, **about: Any) -> Mapped:
    row = {**COMMON, **columns}
    stream = stream_of(row, entry, name=name, use_customer_id=True, **about)
    understood = resolve(stream)
    assert understood.kind == "segment"
    assert understood.mapping is not None
    return understood.mapping.map(row)


@pytest.mark.parametrize("name", ["tracks", "product_viewed", "public-tracks", "prod.product_viewed"])
def test_tracks_and_the_table_of_one_event(name: str) -> None:
    columns = {"event": "product_viewed", "event_text": "Product Viewed", "sku": "a", "revenue": "5.00", "context_x": 1}
    properties = {"sku": "a", "revenue": "5.00", "Billing Amount": "5.00", **CAMPAIGN}
    assert table(name, columns).calls == [Record("u1", "Product Viewed", SECONDS, properties, *SENDER)]


def test_an_event_of_both_tables_is_one_and_the_same_row() -> None:
    columns = {"event": "e", "event_text": "E"}
    (one,) = table("tracks", columns).slots
    (other,) = table("e", {**columns, "sku": "a"}).slots
    assert one.row == other.row


def test_identifies() -> None:
    assert table("identifies", {"email": "a@b.c", "plan": "Gold"}).calls == [
        Set("u1", SECONDS, {"email": "a@b.c", "plan": "Gold"}, *SENDER, distinct=True)
    ]


def test_users_has_a_row_for_each_person() -> None:
    row = {"id": "u1", "received_at": ISO, "uuid_ts": ISO, "email": "a@b.c", "context_ip": "203.0.113.7"}
    understood = resolve(stream_of(row, name="analytics-users", key=("id",)))
    assert understood.kind == "segment"
    assert understood.mapping is not None
    assert understood.mapping.map(row).calls == [Set("u1", SECONDS, {"email": "a@b.c"}, "203.0.113.7", distinct=True)]


def test_accounts_which_looks_the_same_has_no_people() -> None:
    row = {"id": "g1", "received_at": ISO, "uuid_ts": ISO, "name": "Initech"}
    with pytest.raises(ConfigError, match="could be anything"):
        resolve(stream_of(row, name="accounts", key=("id",)))


@pytest.mark.parametrize(("name", "what"), [("pages", "Page"), ("screens", "Screen"), ("_pages", "Page")])
def test_pages_and_screens(name: str, what: str) -> None:
    columns = {"name": "Home", "path": "/", "url": "https://x.example"}
    properties = {f"{what} - name": "Home", f"{what} - path": "/", f"{what} - url": "https://x.example", **CAMPAIGN}
    assert table(name, columns).calls == [Record("u1", f"Viewed Home {what}", SECONDS, properties, *SENDER)]
    (record,) = table(name, {**columns, "name": None}).calls
    assert isinstance(record, Record)
    assert record.event == f"Loaded a {what}"


def test_groups() -> None:
    assert table("groups", {"group_id": "g1", "name": "Initech"}).calls == [
        Set("u1", SECONDS, {"Group - name": "Initech", "Group - id": "g1"}, *SENDER, distinct=True)
    ]


@pytest.mark.parametrize("name", ["aliases", "_aliases", "anything"])
def test_aliases(name: str) -> None:
    assert table(name, {"previous_id": "a0"}).calls == [Alias("u1", "a0", SECONDS, *SENDER)]


@pytest.mark.parametrize(
    ("columns", "call"),
    [
        ({"event_text": "E"}, Record),
        ({"event": "e"}, Record),
        ({"path": "/", "title": "T"}, Record),
        ({"group_id": "g"}, Set),
        ({"previous_id": "a0"}, Alias),
    ],
)
def test_a_table_is_told_by_its_columns_where_its_name_says_nothing(columns: dict[str, Any], call: type) -> None:
    assert type(table("model_17", columns).calls[0]) is call


@pytest.mark.parametrize(("name", "call"), [("prod_identifies", Set), ("stg_screens", Record)])
def test_a_table_is_told_by_the_end_of_its_name(name: str, call: type) -> None:
    assert type(table(name, {"plan": "x"}).calls[0]) is call


def test_lists_of_products_are_json_texts_in_a_warehouse() -> None:
    columns = {"event_text": "Order Completed", "products": '[{"sku": "a", "price": 9.90}, {"sku": "b"}]'}
    calls = table("order_completed", columns).calls
    assert [call.properties for call in calls if isinstance(call, Set)] == [{"sku": "a", "price": "9.9"}, {"sku": "b"}]
    (record,) = [call for call in calls if isinstance(call, Record)]
    assert "products" not in record.properties


@pytest.mark.parametrize("text", ["[1, 2]", "none", "[]"])
def test_a_text_that_is_no_list_of_products_is_a_property(text: str) -> None:
    (record, *_) = table("e", {"event_text": "E", "products": text[:400]}).calls
    assert isinstance(record, Record)
    assert record.properties["products"] == text[:400]


@pytest.mark.parametrize("text", ["[broken", "[" * 100_000, '[{"sku": '])
def test_a_text_of_products_that_does_not_parse_is_rejected_alone(text: str) -> None:
    mapped = table("e", {"event_text": "E", "products": text})
    (record,) = mapped.calls
    assert isinstance(record, Record)
    assert "products" not in record.properties
    assert [(one.code, one.field) for one in mapped.rejections] == [("bad-message", "products")]


def test_a_column_named_type_does_not_make_messages_of_a_table() -> None:
    assert table("e", {"event_text": "E", "type": "track"}).calls[0] == Record(
        "u1", "E", SECONDS, {"type": "track", **CAMPAIGN}, *SENDER
    )


def test_the_two_ids_of_a_table_are_aliased_with_alias_identities() -> None:
    assert Alias("u1", "a1", SECONDS, *SENDER) in table("identifies", {"plan": "x"}, alias_identities=True).calls


def test_a_table_that_may_be_any_stops_the_run_also_where_the_kind_is_named() -> None:
    with pytest.raises(ConfigError, match="could be anything"):
        resolve(stream_of({**COMMON, "plan": "x"}, name="stuff"))
    with pytest.raises(ConfigError, match="__alias__"):
        resolve(stream_of({**COMMON, "plan": "x"}, {"kind": "segment"}, name="stuff"))


def test_an_events_table_of_ones_own_is_none_of_segments() -> None:
    assert resolve(stream_of(("user_id", "event", "received_at", "timestamp"))).kind == "event"


def test_the_line_a_stream_starts_with_names_the_table() -> None:
    row = {**COMMON, "event_text": "E"}
    stream = stream_of(row, name="tracks")
    assert resolve(stream).why.startswith("it has 'user_id', 'received_at' and 'original_timestamp'")
    assert mapping_of(stream).describe() == (
        "a warehouse table of track; person: anonymous_id, else user_id; "
        "time: timestamp, else original_timestamp, else sent_at, else received_at"
    )
