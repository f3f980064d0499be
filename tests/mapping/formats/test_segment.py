"""Segment's and RudderStack's messages.

The first part replays what the existing integrations are tested with, as rows: Segment's server-side Kissmetrics
integration (identity `userId`, else `anonymousId`: `use_customer_id: true`) and RudderStack's transformer. Where this
target differs on purpose, the test's name says so.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from mapping_messages import map_segment, rejected
from mapping_streams import (
    ISO,
    SECONDS,
    aliases_of,
    codes,
    mapping_of,
    record_of,
    set_of,
    sets_of,
    slot_of,
    stream_of,
)

from target_kissmetrics.kissmetrics.calls import Alias, Record, Set
from target_kissmetrics.mapping.reject_codes import Rejected

TRACK: dict[str, Any] = {"type": "track", "userId": "u1", "event": "Clicked", "properties": {}}
PAGE: dict[str, Any] = {"type": "page", "userId": "u1"}
BILLING = "Billing Amount"


def tracked(properties: Any, event: str = "Clicked", **about: Any) -> Record:
    return record_of(map_segment({**TRACK, "event": event, "properties": properties}, **about))


class TestTheSuiteOfSegmentsIntegration:
    def test_track(self) -> None:
        row = {**TRACK, "event": "my-event", "properties": {"property": True, "plan": "pro"}}
        assert map_segment(row).calls == [Record("u1", "my-event", SECONDS, {"property": "true", "plan": "pro"})]

    def test_track_without_a_user_is_the_anonymous_ones(self) -> None:
        assert record_of(map_segment({**TRACK, "userId": None, "anonymousId": "a1"})).person == "a1"

    def test_track_with_revenue_has_it_as_billing_amount_too(self) -> None:
        assert tracked({"revenue": Decimal("19.99")}).properties == {"revenue": "19.99", BILLING: "19.99"}

    def test_track_with_revenue_as_a_text_with_its_currency(self) -> None:
        assert tracked({"revenue": "$1,234.50"}).properties[BILLING] == "1234.50"

    def test_track_with_prefix_properties_never_prefixes_the_revenue(self) -> None:
        properties = tracked({"revenue": 5, "size": "L"}, prefix_properties=True).properties
        assert properties == {"Clicked - revenue": "5", "Clicked - size": "L", BILLING: "5"}

    def test_nested_objects_are_flattened_lists_joined_booleans_words_nulls_left_out(self) -> None:
        properties = {
            "address": {"city": "Oslo", "geo": {"lat": 1}},
            "tags": ["a", "b"],
            "on": False,
            "off": None,
            "e": "",
        }
        assert tracked(properties).properties == {
            "address.city": "Oslo", "address.geo.lat": "1", "tags": "a,b", "on": "false",
        }  # fmt: skip

    def test_dates_become_unix_seconds(self) -> None:
        assert tracked({"at": "2024-01-31T08:00:00.000Z", "day": "2024-01-31"}).properties == {
            "at": str(SECONDS),
            "day": "1706659200",
        }

    def test_identify_sets_the_traits(self) -> None:
        row = {
            "type": "identify",
            "userId": "u1",
            "traits": {"email": "jd@example.com", "age": 30, "address": {"zip": 1}},
        }
        traits = {"email": "jd@example.com", "age": "30", "address.zip": "1"}
        assert map_segment(row).calls == [Set("u1", SECONDS, traits, distinct=True)]

    def test_identify_differs_the_two_ids_are_aliased_only_where_alias_identities_says_so(self) -> None:
        row = {"type": "identify", "userId": "u1", "anonymousId": "a1", "traits": {"plan": "x"}}
        assert aliases_of(map_segment(row)) == []
        assert aliases_of(map_segment(row, alias_identities=True)) == [("u1", "a1")]

    @pytest.mark.parametrize(
        ("message", "event"),
        [
            ({"name": "Home"}, "Viewed Home Page"),
            ({"category": "Docs"}, "Viewed Docs Page"),
            ({"name": "Home", "category": "Docs"}, "Viewed Home Page"),
            ({"properties": {"name": "Home"}}, "Viewed Home Page"),
            ({"properties": {"category": "Docs"}}, "Viewed Docs Page"),
            ({"name": ""}, "Loaded a Page"),
            ({}, "Loaded a Page"),
        ],
    )
    def test_page(self, message: dict[str, Any], event: str) -> None:
        assert record_of(map_segment({**PAGE, **message})).event == event
        screen = record_of(map_segment({**PAGE, **message, "type": "screen"}))
        assert screen.event == event.replace("Page", "Screen")

    def test_properties_of_a_page_are_prefixed_whatever_prefix_properties_says(self) -> None:
        for flag in (True, False):
            row = {**PAGE, "name": "Home", "properties": {"url": "https://x.example", "revenue": 3}}
            properties = record_of(map_segment(row, prefix_properties=flag)).properties
            assert properties == {"Page - name": "Home", "Page - url": "https://x.example", "Page - revenue": "3"}

    def test_properties_of_a_screen_are_prefixed(self) -> None:
        row = {**PAGE, "type": "screen", "name": "Home", "properties": {"size": {"x": 1}}}
        assert record_of(map_segment(row)).properties == {"Screen - name": "Home", "Screen - size.x": "1"}

    def test_group(self) -> None:
        row = {
            "type": "group",
            "userId": "u1",
            "groupId": "g1",
            "traits": {"name": "Initech", "seats": 3, "id": "other"},
        }
        traits = {"Group - name": "Initech", "Group - seats": "3", "Group - id": "g1"}
        assert map_segment(row).calls == [Set("u1", SECONDS, traits, distinct=True)]

    def test_alias(self) -> None:
        row = {"type": "alias", "previousId": "a1", "userId": "u1"}
        assert map_segment(row).calls == [Alias("u1", "a1", SECONDS)]

    @pytest.mark.parametrize("event", ["Completed Order", "Order Completed", "orderCompleted", "completed_order"])
    def test_an_order_is_an_event_and_a_set_for_each_product_a_second_apart(self, event: str) -> None:
        products = [{"sku": "a", "price": Decimal("9.90")}, {"sku": "b", "quantity": 2}]
        row = {
            **TRACK,
            "event": event,
            "properties": {"orderId": "o1", "revenue": 25, "total": 30, "products": products},
        }
        assert map_segment(row).calls == [
            Record("u1", event, SECONDS, {"orderId": "o1", "revenue": "25", "total": "30", BILLING: "25"}),
            Set("u1", SECONDS, {"sku": "a", "price": "9.9"}),
            Set("u1", SECONDS + 1, {"sku": "b", "quantity": "2"}),
        ]

    def test_an_order_without_revenue_counts_with_its_total(self) -> None:
        assert tracked({"total": "30.00"}, "Order Completed").properties == {"total": "30.00", BILLING: "30.00"}
        assert BILLING not in tracked({"total": "30.00"}, "Order Updated").properties

    def test_products_of_an_order_are_prefixed_with_its_name(self) -> None:
        row = {**TRACK, "event": "Order Completed", "properties": {"products": [{"sku": "a"}]}}
        assert set_of(map_segment(row, prefix_properties=True)).properties == {"Order Completed - sku": "a"}

    def test_the_context_gives_address_and_user_agent(self) -> None:
        context = {"ip": "203.0.113.7", "userAgent": "Mozilla/5.0"}
        for row in (TRACK, PAGE, {"type": "identify", "userId": "u1", "traits": {"a": 1}}):
            (call,) = map_segment({**row, "context": context}).calls
            assert isinstance(call, (Record, Set))
            assert (call.address, call.user_agent) == ("203.0.113.7", "Mozilla/5.0")
            (call,) = map_segment({**row, "context": context}, send_ip_and_user_agent=False).calls
            assert isinstance(call, (Record, Set))
            assert (call.address, call.user_agent) == (None, None)

    def test_the_legacy_session_id_is_the_anonymous_id(self) -> None:
        assert record_of(map_segment({**TRACK, "userId": None, "sessionId": "s1"})).person == "s1"

    def test_the_legacy_from_and_to_of_an_alias(self) -> None:
        assert aliases_of(map_segment({"type": "alias", "from": "a1", "to": "u1"})) == [("u1", "a1")]

    def test_differs_a_property_with_the_name_of_the_amount_does_not_overwrite_it(self) -> None:
        """Segment's writes both to one name; which one counts would be chance."""
        assert tracked({"revenue": 5, "billing amount": 7}).properties == {"revenue": "5", BILLING: "5"}

    def test_differs_the_campaign_is_named_as_the_reports_know_it(self) -> None:
        """Segment's leaves the campaign out."""
        campaign = {"source": "news", "medium": "email", "name": "May", "term": "t", "content": "c", "other": "x"}
        context = {"campaign": campaign, "page": {"referrer": "https://r.example", "title": "T"}}
        row = {**TRACK, "properties": {"a": 1}, "context": context}
        assert record_of(map_segment(row)).properties == {
            "a": "1",
            "Campaign Source": "news",
            "Campaign Medium": "email",
            "Campaign Name": "May",
            "Campaign Terms": "t",
            "Campaign Content": "c",
            "Referrer": "https://r.example",
        }
        assert record_of(map_segment(row, campaign_properties=False)).properties == {"a": "1"}


class TestTheSuiteOfRudderStacksTransformer:
    def test_products_of_any_event_are_sets_of_their_own(self) -> None:
        row = {**TRACK, "event": "Cart Viewed", "properties": {"cart_id": 1, "products": [{"sku": "a"}, {"sku": "b"}]}}
        assert [call.time for call in sets_of(map_segment(row))] == [SECONDS, SECONDS + 1]
        assert record_of(map_segment(row)).properties == {"cart_id": "1"}

    def test_traits_in_the_context(self) -> None:
        row = {"type": "identify", "anonymousId": "a1", "context": {"traits": {"plan": "Gold"}}}
        assert set_of(map_segment(row)).properties == {"plan": "Gold"}

    def test_page_without_a_name(self) -> None:
        assert record_of(map_segment(PAGE)).event == "Loaded a Page"

    def test_differs_a_page_with_name_and_category_is_named_as_segment_does(self) -> None:
        """RudderStack's: "Viewed Docs Home page". One event must not have two names in one product."""
        assert record_of(map_segment({**PAGE, "name": "Home", "category": "Docs"})).event == "Viewed Home Page"

    def test_original_timestamp_stands_in_for_the_time(self) -> None:
        row = {**TRACK, "timestamp": None, "originalTimestamp": ISO, "sentAt": "2024-02-01T00:00:00Z"}
        assert record_of(map_segment(row)).time == SECONDS


# Identity


@pytest.mark.parametrize(
    ("settings", "person"),
    [({}, "a1"), ({"use_customer_id": True}, "u1"), ({"identity_fallback": False}, "a1")],
)
def test_the_user_id_is_the_customer_id_and_the_anonymous_id_the_device_id(settings: Any, person: str) -> None:
    mapping = mapping_of(stream_of(("type", "userId", "anonymousId", "properties"), **settings))
    mapped = mapping.map({**TRACK, "anonymousId": "a1", "timestamp": ISO})
    assert record_of(mapped).person == person


def test_an_alias_is_sent_whatever_alias_identities_says_and_only_once() -> None:
    row = {"type": "alias", "previousId": "a1", "userId": "u1", "anonymousId": "a9"}
    assert aliases_of(map_segment(row, alias_identities=True)) == [("u1", "a1")]


def test_the_anonymous_id_stands_in_where_an_alias_lacks_an_identity() -> None:
    assert aliases_of(map_segment({"type": "alias", "userId": "u1", "anonymousId": "a1"})) == [("u1", "a1")]
    assert aliases_of(map_segment({"type": "alias", "previousId": "u1", "anonymousId": "a1"})) == [("a1", "u1")]


def test_an_alias_of_one_identity_with_itself_says_nothing() -> None:
    assert map_segment({"type": "alias", "previousId": "u1", "userId": "u1"}).calls == []


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"type": "alias", "userId": "u1"}, "no-identity", "previousId"),
        ({"type": "alias", "previousId": "a"}, "no-identity", "userId"),
        ({"type": "alias", "previousId": "anonymous", "userId": "u1"}, "blocked-identity", "previousId"),
        ({**TRACK, "userId": "Guest"}, "blocked-identity", "userId"),
        ({**TRACK, "userId": None}, "no-identity", None),
    ],
)
def test_nobody_and_everybody_are_rejected(row: dict[str, Any], code: str, field: str | None) -> None:
    assert rejected(map_segment, row)[:2] == (code, field)


def test_any_message_with_both_ids_aliases_them_with_alias_identities() -> None:
    mapped = map_segment({**TRACK, "anonymousId": "a1"}, alias_identities=True)
    assert aliases_of(mapped) == [("u1", "a1")]
    assert mapped.alias_field == "anonymousId"


# Malformed messages


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"userId": "u1"}, "no-type", "type"),
        ({"userId": "u1", "type": None}, "no-type", "type"),
        ({"userId": "u1", "type": " "}, "no-type", "type"),
        ({"userId": "u1", "type": ["track"]}, "no-type", "type"),
        ({"userId": "u1", "type": "delete"}, "unknown-type", "type"),
        ({**TRACK, "properties": ["a"]}, "bad-message", "properties"),
        ({**TRACK, "properties": True}, "bad-message", "properties"),
        ({**TRACK, "properties": 7}, "bad-message", "properties"),
        ({**PAGE, "properties": [{}]}, "bad-message", "properties"),
        ({"type": "identify", "userId": "u1", "traits": ["a"]}, "bad-message", "traits"),
        ({"type": "identify", "userId": "u1", "context": {"traits": True}}, "bad-message", "context.traits"),
        ({"type": "group", "userId": "u1", "groupId": "g", "traits": 5}, "bad-message", "traits"),
        ({**TRACK, "event": None}, "no-event-name", "event"),
        ({**TRACK, "event": {"a": 1}}, "no-event-name", "event"),
        ({**TRACK, "event": ":"}, "no-event-name", "event"),
        ({**TRACK, "event": "x" * 256}, "event-name-too-long", "event"),
        ({**PAGE, "name": "x" * 256}, "event-name-too-long", "name"),
        ({**TRACK, "timestamp": "yesterday"}, "bad-timestamp", "timestamp"),
        ({**TRACK, "timestamp": "2008-01-01"}, "too-old", "timestamp"),
    ],
)
def test_a_malformed_message_is_rejected_with_the_part_that_is_wrong(row: Any, code: str, field: str) -> None:
    found = rejected(map_segment, row)
    assert found[:2] == (code, field)
    assert found[2]


def test_a_type_is_told_without_case() -> None:
    assert map_segment({**TRACK, "type": "Track "}).calls


def test_a_context_that_is_no_object_does_not_cost_the_message() -> None:
    mapped = map_segment({**TRACK, "context": ["x"]})
    assert record_of(mapped).event == "Clicked"
    assert codes(mapped) == [("bad-message", "context")]


def test_a_product_that_is_no_object_is_set_aside_alone() -> None:
    row = {**TRACK, "properties": {"products": [{"sku": "a"}, "b", None, {"sku": "c"}]}}
    mapped = map_segment(row)
    assert [call.properties for call in sets_of(mapped)] == [{"sku": "a"}, {"sku": "c"}]
    assert codes(mapped) == [("bad-message", "properties.products[1]")]


def test_a_list_of_products_without_objects_is_a_property() -> None:
    assert tracked({"products": ["a", "b"]}).properties == {"products": "a,b"}


def test_an_amount_that_is_none_is_set_aside_and_names_its_part() -> None:
    mapped = map_segment({**TRACK, "properties": {"revenue": "12 pcs"}})
    assert codes(mapped) == [("bad-amount", "properties.revenue")]
    assert record_of(mapped).properties == {"revenue": "12 pcs"}


def test_a_property_can_never_become_a_reserved_parameter() -> None:
    for row in ({**TRACK}, {**PAGE}, {"type": "identify", "userId": "u1"}, {"type": "group", "userId": "u1"}):
        content = "traits" if row["type"] in {"identify", "group"} else "properties"
        mapped = map_segment({**row, content: {"_k": "x", " _t": "y", "ok": "z"}})
        assert [code for code, _ in codes(mapped)] == ["reserved-name", "reserved-name"]
        assert len([name for call in mapped.calls if not isinstance(call, Alias) for name in call.properties]) == 1


def test_an_address_that_is_none_is_not_passed_on() -> None:
    for value in (7, "", {"a": 1}, "\ud800", "x" * 9000):
        assert record_of(map_segment({**TRACK, "context": {"ip": value, "userAgent": value}})).address is None


# What else holds


def test_revenue_fields_are_those_of_the_setting() -> None:
    about: dict[str, Any] = {"revenue_fields": ("value",), "revenue_key": "Money"}
    assert tracked({"value": 5, "revenue": 9}, **about).properties == {"value": "5", "revenue": "9", "Money": "5"}
    assert "Money" not in tracked({"total": 5}, "Order Completed", **about).properties
    assert BILLING not in tracked({"revenue": 5}, revenue_fields=()).properties


def test_a_property_wins_over_the_campaign_of_the_same_name() -> None:
    row = {**TRACK, "properties": {"campaign source": "mine"}, "context": {"campaign": {"source": "theirs"}}}
    assert record_of(map_segment(row)).properties == {"campaign source": "mine"}


def test_the_campaign_of_a_page_is_not_prefixed() -> None:
    row = {**PAGE, "properties": {"referrer": "r"}, "context": {"page": {"referrer": "r"}}}
    assert record_of(map_segment(row)).properties == {"Page - referrer": "r", "Referrer": "r"}


TIMES = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")


@pytest.mark.parametrize("index", range(4))
def test_the_time_is_the_first_of_four_that_a_message_has(index: int) -> None:
    mapping = mapping_of(stream_of(("type", "userId", "properties")))
    later = dict.fromkeys(TIMES[index + 1 :], "2020-01-01")
    row = {**TRACK, "timestamp": None, **later, TIMES[index]: ISO}
    assert record_of(mapping.map(row, "2021-01-01")).time == SECONDS


@pytest.mark.parametrize("kind", ["track", "identify", "page", "group"])
def test_a_message_without_a_time_is_rejected(kind: str) -> None:
    mapping = mapping_of(stream_of(("type", "userId", "properties")))
    with pytest.raises(Rejected) as problem:
        mapping.map({**TRACK, "type": kind, "timestamp": None, "traits": {"a": 1}}, ISO)
    assert problem.value.code == "no-timestamp"


def test_a_message_is_told_from_others_by_its_id() -> None:
    def slot(**more: Any) -> bytes:
        return slot_of(map_segment({**TRACK, **more})).row

    assert slot(messageId="m1") == slot(messageId="m1", properties={"a": 1})
    assert slot(messageId="m1") != slot(messageId="m2")
    assert slot(properties={"a": 1}) != slot(properties={"a": 2})


def test_an_identify_without_traits_says_nothing() -> None:
    assert map_segment({"type": "identify", "userId": "u1"}).calls == []
    assert map_segment({"type": "group", "userId": "u1"}).calls == []


@pytest.mark.parametrize(
    "row",
    [
        {"type": "track", "user_id": "u1", "event": "E", "received_at": ISO, "properties": {"a": 1}},
        {"TYPE": "track", "USER_ID": "u1", "Event": "E", "Received At": ISO, "PROPERTIES": {"a": 1}},
        {"type": "track", "userId": "u1", "event": "E", "receivedAt": ISO, "properties": '{"a": 1}'},
        {"type": "track", "userId": "u1", "event": "E", "receivedAt": ISO, "properties__a": 1},
    ],
)
@pytest.mark.parametrize("is_listed", [True, False])
def test_a_message_is_read_in_any_spelling_and_shape(row: dict[str, Any], *, is_listed: bool) -> None:
    mapping = mapping_of(stream_of(tuple(row) if is_listed else (), {"kind": "segment"}))
    mapped = mapping.map(row)
    assert mapped.calls == [Record("u1", "E", SECONDS, {"a": "1"})]
    assert mapped.rejections == []


def test_a_schema_without_a_type_is_told_when_the_stream_starts() -> None:
    told: list[str] = []
    mapping_of(stream_of(("userId", "messageId", "traits"), {"kind": "segment"}, warnings=told))
    assert "no field 'type'" in told[0]
    told.clear()
    mapping_of(stream_of((), {"kind": "segment"}, warnings=told))
    assert told == []


def test_the_line_a_stream_starts_with() -> None:
    text = mapping_of(stream_of(("type", "userId", "properties"))).describe()
    assert text.startswith("messages; person: anonymousId/sessionId, else userId; time: timestamp")
