"""The tables that Segment's and RudderStack's warehouse destinations write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from mapping_streams import ISO, SECONDS, mapping_of, stream_of

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias, Record, Set
from target_kissmetrics.mapping.detection import resolve
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.fields import loose

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


def _otherwise(columns: dict[str, Any], spell: Callable[[str], str]) -> dict[str, Any]:
    return {spell(name): value for name, value in columns.items()}


def _in_camel_case(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest) if head else name


SPELLINGS = [str.upper, str.title, lambda name: name.replace("_", "-") if name[0] != "_" else name]


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("tracks", {"event": "product_viewed", "event_text": "Product Viewed", "revenue": "5.00"}),
        ("order_completed", {"event": "order_completed", "event_text": "Order Completed", "total": "5.00",
                             "products": '[{"sku": "a"}, {"sku": "b"}]'}),
        ("identifies", {"email": "a@b.c"}),
        ("pages", {"name": "Home", "path": "/", "url": "https://x.example/"}),
        ("screens", {"name": "Home", "category": "c"}),
        ("groups", {"group_id": "g1", "plan": "Gold"}),
        ("aliases", {"previous_id": "p1"}),
    ],
)  # fmt: skip
def test_a_table_in_other_spellings_is_the_same_table(
    spell: Callable[[str], str], name: str, columns: dict[str, Any]
) -> None:
    def sent(spelling: Callable[[str], str]) -> list[Any]:
        row = _otherwise({**COMMON, **columns}, spelling)
        resolved = resolve(stream_of(row, name=spelling(name), use_customer_id=True))
        assert resolved.kind == "segment"
        assert resolved.mapping is not None
        calls = resolved.mapping.map(row).calls
        return [_folded(call) for call in calls]

    assert sent(spell) == sent(str)
    assert sent(str)


def _folded(call: Any) -> Any:
    """Return a call's parts; a property that is named after a column, in one spelling."""
    parts = (type(call), call.person, call.time, getattr(call, "event", None), getattr(call, "other", None))
    return *parts, {loose(name): value for name, value in getattr(call, "properties", {}).items()}


def test_users_in_capitals_has_a_row_for_each_person() -> None:
    row = {"ID": "u1", "RECEIVED_AT": ISO, "UUID_TS": ISO, "EMAIL": "a@b.c", "CONTEXT_IP": "203.0.113.7"}
    resolved = resolve(stream_of(row, name="ANALYTICS-USERS", key=("ID",)))
    assert resolved.mapping is not None
    assert resolved.mapping.map(row).calls == [Set("u1", SECONDS, {"EMAIL": "a@b.c"}, "203.0.113.7", distinct=True)]


def test_messages_in_camel_case_are_no_table() -> None:
    row = {_in_camel_case(name): value for name, value in COMMON.items()} | {"type": "track", "properties": {}}
    assert "warehouse" not in resolve(stream_of({**row, "event": "E"}, name="tracks")).why


@pytest.mark.parametrize("name", ["tracks", "identifies", "pages", "groups"])
def test_a_table_without_a_column_of_the_time_stops_the_run(name: str) -> None:
    columns = {"user_id": "u1", "event": "e", "event_text": "E", "path": "/", "group_id": "g", "context_ip": "1.2.3.4"}
    with pytest.raises(ConfigError, match="without a column of the time"):
        resolve(stream_of(columns, {"kind": "segment"}, name=name))


def test_a_table_of_aliases_needs_no_time() -> None:
    row = {"user_id": "u1", "previous_id": "p1", "context_ip": "203.0.113.7"}
    resolved = resolve(stream_of(row, {"kind": "segment"}, name="aliases"))
    assert resolved.mapping is not None
    (call,) = resolved.mapping.map(row).calls
    assert isinstance(call, Alias)
