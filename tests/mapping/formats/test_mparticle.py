"""mParticle's batches, as its Events API and its outbound feeds document them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from mapping_messages import MS, event, map_batch, rejected
from mapping_streams import (
    ISO,
    NOW,
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

from target_kissmetrics.kissmetrics.calls import Record, Set
from target_kissmetrics.mapping.result import Deletion, Mapped

BILLING = "Billing Amount"

DOCUMENTED = json.loads(
    """{
      "schema_version": 2, "environment": "production", "mpid": 6004677780660780000,
      "source_request_id": "12345678-1234-1234-1234-123456789abc", "timestamp_unixtime_ms": 1706688005000,
      "ip": "203.0.113.7",
      "device_info": {"brand": "x", "android_uuid": "aaid-1", "ios_idfv": "idfv-1"},
      "user_identities": {"customer_id": "c1", "email": "jd@example.com", "facebook_custom_audience_id": "f9"},
      "user_attributes": {"Plan": "Gold", "Colors": ["red", "blue"], "$Age": 30},
      "deleted_user_attributes": ["Old Plan"],
      "events": [
        {"event_type": "session_start", "data": {"timestamp_unixtime_ms": 1706688000000}},
        {"event_type": "custom_event", "data": {"timestamp_unixtime_ms": 1706688001500, "event_name": "Clicked",
          "custom_event_type": "navigation", "event_id": 77, "custom_attributes": {"button": "Buy", "$x": 1}}},
        {"event_type": "screen_view", "data": {"timestamp_unixtime_ms": 1706688002000, "screen_name": "Cart"}},
        {"event_type": "session_end", "data": {"timestamp_unixtime_ms": 1706688009000}}
      ]
    }"""
)


def event_of(data: dict[str, Any], **about: Any) -> Mapped:
    return map_batch({"events": [data]}, **about)


def commerce(**data: Any) -> Mapped:
    return event_of(event("commerce_event", **data))


def test_a_whole_batch() -> None:
    mapped = map_batch({**DOCUMENTED, "mp_deviceid": None}, use_customer_id=True)
    address = "203.0.113.7"
    attributes = {"Email": "jd@example.com", "Facebook Custom Audience ID": "f9", "Plan": "Gold", "Colors": "red,blue"}
    attributes["Age"] = "30"
    assert mapped.calls == [
        Record("c1", "Clicked", SECONDS + 1, {"button": "Buy"}, address),
        Record("c1", "Cart", SECONDS + 2, {}, address),
        Set("c1", SECONDS + 9, attributes, address, distinct=True),
    ]
    assert mapped.skipped_types == ["session_start", "session_end"]
    assert mapped.deletions == [Deletion("c1", "Old Plan", SECONDS + 9)]
    assert mapped.rejections == []


# Identity


@pytest.mark.parametrize("key", ["customer_id", "customerid", "CustomerId"])
def test_the_customer_id_in_both_shapes_and_spellings(key: str) -> None:
    for identities in ({key: "c1"}, [{"identity_type": key, "identity": "c1"}]):
        mapped = map_batch({"user_identities": identities, "events": [event("screen_view", screen_name="S")]})
        assert record_of(mapped).person == "d1"
        mapped = map_batch(
            {"user_identities": identities, "events": [event("screen_view", screen_name="S")]}, use_customer_id=True
        )
        assert record_of(mapped).person == "c1"
        assert sets_of(mapped) == []


def test_the_device_id_is_the_first_of_those_that_mparticle_knows() -> None:
    row: dict[str, Any] = {
        "mp_deviceid": "1",
        "device_info": {
            "android_uuid": "2",
            "ios_idfv": "3",
            "ios_advertising_id": "4",
            "android_advertising_id": "5",
            "roku_publisher_id": "6",
        },
        "mpid": 7,
        "events": [event("screen_view", screen_name="S")],
    }
    order = ["mp_deviceid", *row["device_info"], "mpid"]
    for number, name in enumerate(order, 1):
        assert record_of(map_batch(row)).person == str(number)
        (row["device_info"] if name in row["device_info"] else row)[name] = None
    assert rejected(map_batch, row)[0] == "no-identity"


@pytest.mark.parametrize("zeros", ["00000000-0000-0000-0000-000000000000", "0", 0, ""])
def test_an_id_of_nothing_but_zeros_which_many_devices_share_is_passed_over(zeros: Any) -> None:
    row = {"mp_deviceid": None, "device_info": {"ios_advertising_id": zeros}, "mpid": 7}
    mapped = map_batch({**row, "events": [event("screen_view", screen_name="S")]})
    assert record_of(mapped).person == "7"


def test_other_identities_are_attributes_named_as_mparticle_names_them() -> None:
    kinds = [
        "email",
        "twitter",
        "google",
        "other",
        "other_id_2",
        "other3",
        "mobile_number",
        "phone_number_2",
        "crm_key",
    ]
    names = ["Email", "Twitter", "Google", "Other", "Other 2", "Other 3", "Mobile Number", "Phone Number 2", "Crm Key"]
    expected = {name: name.lower() for name in names}
    identities = dict(zip(kinds, expected.values(), strict=True))
    assert set_of(map_batch({"user_identities": identities})).properties == expected
    listed = [{"identity_type": kind, "identity": value} for kind, value in identities.items()]
    assert set_of(map_batch({"user_identities": listed})).properties == expected


def test_an_identity_wins_over_an_attribute_of_its_name() -> None:
    row = {"user_identities": {"email": "a@b.c"}, "user_attributes": {"email": "x@y.z", "plan": "Gold"}}
    assert set_of(map_batch(row)).properties == {"Email": "a@b.c", "plan": "Gold"}


def test_identities_that_are_none_do_not_cost_the_batch() -> None:
    mapped = map_batch({"user_identities": "c1", "events": [event("screen_view", screen_name="S")]})
    assert record_of(mapped).event == "S"
    assert codes(mapped) == [("bad-message", "user_identities")]
    mapped = map_batch({"user_identities": [7, None, {"identity_type": "email", "identity": "a@b.c"}, {"identity": 1}]})
    assert set_of(mapped).properties == {"Email": "a@b.c"}
    assert codes(mapped) == [("bad-message", "user_identities[0]")]


def test_both_ids_are_aliased_with_alias_identities_once_a_batch() -> None:
    row = {"user_identities": {"customer_id": "c1"}, "events": [event("screen_view", screen_name="S")] * 3}
    assert aliases_of(map_batch(row)) == []
    mapped = map_batch(row, alias_identities=True, use_customer_id=True)
    assert aliases_of(mapped) == [("c1", "d1")]
    assert mapped.alias_field == "mp_deviceid"


@pytest.mark.parametrize(("identity", "code"), [("guest", "blocked-identity"), ("x" * 256, "identity-too-long")])
def test_a_batch_of_everybody_is_rejected(identity: str, code: str) -> None:
    assert rejected(map_batch, {"mp_deviceid": identity})[:2] == (code, "mp_deviceid")


# Events


def test_an_event_with_its_attributes() -> None:
    attributes = {"a": Decimal("1.50"), "b": True, "c": ["x", "y"], "d": {"e": None, "f": 1}, "$Internal": "z", "g": ""}
    mapped = event_of(event("custom_event", event_name="Clicked", custom_attributes=attributes))
    assert mapped.calls == [Record("d1", "Clicked", SECONDS, {"a": "1.5", "b": "true", "c": "x,y", "d.f": "1"})]


@pytest.mark.parametrize("kind", ["custom_event", "screen_view"])
def test_prefix_properties_but_never_the_revenue(kind: str) -> None:
    name: dict[str, Any] = {"event_name": "N", "screen_name": "N", "custom_attributes": {"a": 1, "revenue": 5}}
    properties = record_of(event_of(event(kind, **name), prefix_properties=True)).properties
    assert properties == {"N - a": "1", "N - revenue": "5", BILLING: "5"}


@pytest.mark.parametrize(("method", "name"), [("LogLTVIncrease", "Paid"), ("LogEcommerceTransaction", "Purchased")])
def test_an_amount_that_was_logged_is_revenue(method: str, name: str) -> None:
    attributes = {"$Amount": "19.90", "$MethodName": method, "sku": "a"}
    record = record_of(event_of(event("custom_event", event_name="Paid", custom_attributes=attributes)))
    assert (record.event, record.properties) == (name, {"sku": "a", BILLING: "19.90"})


def test_an_amount_of_another_method_is_not() -> None:
    attributes = {"$Amount": 5, "$MethodName": "Other"}
    assert record_of(event_of(event("custom_event", event_name="E", custom_attributes=attributes))).properties == {}


def test_the_ltv_attribute_names_are_mapped_to_the_revenue_key() -> None:
    attributes = {"LTV": 7, "revenue": 9}
    mapped = event_of(
        event("custom_event", event_name="E", custom_attributes=attributes),
        revenue_fields=("ltv", "LTV"),
        revenue_key="Money",
    )
    assert record_of(mapped).properties == {"LTV": "7", "revenue": "9", "Money": "7"}


@pytest.mark.parametrize("kind", ["application_state_transition", "push_message", "opt_out", "something_new"])
def test_every_other_type_is_left_out_and_counted(kind: str) -> None:
    mapped = map_batch({"events": [event(kind), event("screen_view", screen_name="S"), event(kind)]})
    assert record_of(mapped).event == "S"
    assert mapped.skipped_types == [kind, kind]
    assert mapped.rejections == []


def test_times_are_the_events_own_then_the_batchs_and_no_event_has_a_guessed_one() -> None:
    screen = {"event_type": "screen_view", "data": {"screen_name": "S"}}
    mapping = mapping_of(stream_of(("events", "mpid")))
    batch = {"mpid": 1, "events": [screen]}
    assert record_of(mapping.map({**batch, "timestamp_unixtime_ms": str(MS)}, "2024-03-01")).time == SECONDS
    mapped = mapping.map({**batch, "user_attributes": {"plan": "x"}}, ISO)
    assert [(one.code, one.field, one.counts_as_row) for one in mapped.rejections] == [
        ("no-timestamp", "events[0]", True)
    ]
    assert [(type(call), call.time) for call in mapped.calls] == [(Set, SECONDS)]
    assert mapped.is_undated


def test_an_event_too_far_ahead_is_rejected_alone() -> None:
    screens = [
        {"event_type": "screen_view", "data": {"screen_name": "S", "timestamp_unixtime_ms": time}}
        for time in (MS, (NOW + 100_000) * 1000)
    ]
    mapped = mapping_of(stream_of(("events", "mpid"))).map({"mpid": 1, "events": screens})
    assert record_of(mapped).time == SECONDS
    assert [(one.code, one.field) for one in mapped.rejections] == [
        ("future-timestamp", "events[1].data.timestamp_unixtime_ms")
    ]


def test_events_of_one_second_are_told_from_each_other_by_their_id() -> None:
    def slot(**data: Any) -> bytes:
        return slot_of(event_of(event("screen_view", screen_name="S", **data))).row

    assert slot(event_id=1) == slot(event_id=1, custom_attributes={"a": 1})
    assert slot(event_id=1) != slot(event_id=2)
    assert slot(custom_attributes={"a": 1}) != slot(custom_attributes={"a": 2})


def test_each_events_slot_names_its_call() -> None:
    items = [{"id": "a"}, {"id": "b"}]
    cart = event("commerce_event", product_action={"action": "click", "products": items})
    mapped = map_batch({"events": [cart, event("screen_view", screen_name="S"), cart]})
    assert [(slot.record, slot.seconds) for slot in mapped.slots] == [(0, 2), (3, 1), (4, 2)]
    assert all(isinstance(mapped.calls[slot.record], Record) for slot in mapped.slots)
    assert not any(slot.spread for slot in mapped.slots)


# Commerce


ACTION: dict[str, Any] = {
    "action": "purchase",
    "transaction_id": "o1",
    "total_amount": Decimal("64.00"),
    "tax_amount": 4,
    "shipping_amount": 5,
    "coupon_code": "MAY",
    "checkout_step": 2,
    "checkout_options": "visa",
    "affiliation": "left out",
    "products": [
        {"id": "s1", "name": "Book", "brand": "x", "category": "Books", "quantity": 2, "price": Decimal("20.00")},
        {"id": "s2", "price": 24},
    ],
}


def test_a_purchase() -> None:
    assert commerce(product_action=ACTION, custom_attributes={"gift": True, "$y": 1}).calls == [
        Record(
            "d1",
            "Product Purchase",
            SECONDS,
            {
                "Order ID": "o1",
                "Order Total": "64",
                "Order Tax": "4",
                "Order Shipping": "5",
                "Checkout Step": "2",
                "Checkout Options": "visa",
                "Promo Code": "MAY",
                "gift": "true",
                BILLING: "64",
            },
        ),
        Set(
            "d1",
            SECONDS,
            {"Product SKU": "s1", "Product Name": "Book", "Category": "Books", "Quantity": "2", "Price": "20"},
        ),
        Set("d1", SECONDS + 1, {"Product SKU": "s2", "Price": "24"}),
    ]


def test_a_refund_is_negative() -> None:
    record = record_of(commerce(product_action={"action": "refund", "total_amount": "$12.50"}))
    assert (record.event, record.properties[BILLING]) == ("Product Refund", "-12.50")
    assert record.properties["Order Total"] == "$12.50"


def test_a_refund_whose_amount_is_an_attribute_is_negative_too() -> None:
    record = record_of(commerce(product_action={"action": "refund"}, custom_attributes={"revenue": 5}))
    assert record.properties == {"revenue": "5", BILLING: "-5"}


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("add_to_cart", "Product Add To Cart"),
        ("remove_from_cart", "Product Remove From Cart"),
        ("checkout", "Product Checkout"),
        ("view_detail", "Product View Detail"),
        ("add_to_wish_list", "Product Add To Wish List"),
        ("CLICK", "Product Click"),
    ],
)
def test_other_actions_have_their_name_and_no_revenue(action: str, name: str) -> None:
    record = record_of(commerce(product_action={"action": action, "total_amount": 5}))
    assert (record.event, record.properties) == (name, {"Order Total": "5"})


def test_promotions() -> None:
    promotions = [{"id": "p1", "name": "May", "creative": "banner", "position": "top"}, {"id": "p2"}]
    assert commerce(promotion_action={"action": "view", "promotions": promotions}).calls == [
        Record("d1", "Promotion View", SECONDS, {}),
        Set(
            "d1",
            SECONDS,
            {
                "Promotion Id": "p1",
                "Promotion Name": "May",
                "Promotion Creative": "banner",
                "Promotion Position": "top",
            },
        ),
        Set("d1", SECONDS + 1, {"Promotion Id": "p2"}),
    ]


def test_impressions() -> None:
    impressions = [
        {"product_impression_list": "Suggested", "products": [{"id": "s1"}, {"id": "s2"}]},
        {"product_impression_list": "Empty", "products": []},
    ]
    mapped = commerce(product_impressions=impressions)
    assert record_of(mapped).event == "Product Impression"
    assert [(call.time - SECONDS, call.properties) for call in sets_of(mapped)] == [
        (0, {"Impression Name": "Suggested", "Product SKU": "s1"}),
        (1, {"Impression Name": "Suggested", "Product SKU": "s2"}),
        (2, {"Impression Name": "Empty"}),
    ]


def test_an_event_with_products_and_impressions_keeps_their_seconds_apart() -> None:
    action = {"action": "click", "products": [{"id": "s1"}, {"id": "s2"}]}
    mapped = commerce(product_action=action, product_impressions=[{"products": [{"id": "s3"}]}])
    assert [(call.time - SECONDS, call.properties["Product SKU"]) for call in sets_of(mapped)] == [
        (0, "s1"), (1, "s2"), (2, "s3"),
    ]  # fmt: skip


def test_products_are_prefixed_with_their_event() -> None:
    action = {"action": "click", "transaction_id": "o1", "products": [{"id": "s1"}]}
    mapped = event_of(event("commerce_event", product_action=action), prefix_properties=True)
    assert record_of(mapped).properties == {"Product Click - Order ID": "o1"}
    assert set_of(mapped).properties == {"Product Click - Product SKU": "s1"}


# What a batch says of its person


def test_changes_of_an_attribute_are_set_at_their_own_time() -> None:
    change = event("user_attribute_change", MS + 3000, user_attribute_name="Plan", old="Free", new="Gold")
    mapped = map_batch({"events": [change, event("session_end", MS + 9000)], "user_attributes": {"Plan": "Gold"}})
    assert mapped.calls == [
        Set("d1", SECONDS + 3, {"Plan": "Gold"}, distinct=True),
        Set("d1", SECONDS + 9, {"Plan": "Gold"}, distinct=True),
    ]


def test_a_change_to_a_list_and_to_nothing() -> None:
    def change(new: Any) -> Mapped:
        return event_of(event("user_attribute_change", user_attribute_name="Colors", new=new))

    assert set_of(change(["red", "blue"])).properties == {"Colors": "red,blue"}
    assert change(None).calls == []


def test_attributes_alone_are_set_at_the_batchs_time() -> None:
    mapped = map_batch({"timestamp_unixtime_ms": MS, "user_attributes": {"a": 1}})
    assert mapped.calls == [Set("d1", SECONDS, {"a": "1"}, distinct=True)]


def test_deleted_attributes_are_given_and_told_once_a_stream() -> None:
    told: list[str] = []
    mapping = mapping_of(stream_of(("events", "mpid"), warnings=told))
    row = {"mpid": 1, "timestamp_unixtime_ms": MS, "deleted_user_attributes": ["Plan, old", "$Age", 5, ""]}
    assert mapping.map(row).deletions == [Deletion("1", "Plan  old", SECONDS), Deletion("1", "Age", SECONDS)]
    assert mapping.map(row).calls == []
    (line,) = told
    assert "Plan, old" in line
    assert "comes back" in line


def test_a_change_that_deletes_forgets_the_attribute() -> None:
    mapped = event_of(event("user_attribute_change", user_attribute_name="Plan", new=None, deleted=True))
    assert mapped.deletions == [Deletion("d1", "Plan", SECONDS)]


def test_reserved_attributes_lose_their_sign_and_tags_are_true() -> None:
    attributes = {"$City": "Oslo", "$Zip": "0150", "city": "Bergen", "early bird": None, "$Age": None}
    assert set_of(map_batch({"user_attributes": attributes})).properties == {
        "city": "Bergen",
        "early bird": "true",
        "Zip": "0150",
    }
    change = event("user_attribute_change", user_attribute_name="$Zip", new="0151")
    assert set_of(event_of(change)).properties == {"Zip": "0151"}


@pytest.mark.parametrize("action", ["purchase", "refund"])
def test_an_order_without_a_total_has_that_of_its_products(action: str) -> None:
    products = [{"id": "A", "total_product_amount": 30}, {"id": "B", "total_product_amount": "12.50"}]
    record = record_of(commerce(product_action={"action": action, "products": products}))
    assert record.properties["Order Total"] == "42.5"
    assert record.properties[BILLING] == ("42.5" if action == "purchase" else "-42.5")


@pytest.mark.parametrize("products", [[], [{"id": "A"}], [{"total_product_amount": 1}, {"total_product_amount": "x"}]])
def test_an_order_without_any_total_says_so_in_the_rejects(products: list[dict[str, Any]]) -> None:
    mapped = commerce(product_action={"action": "purchase", "transaction_id": "t", "products": products})
    assert record_of(mapped).properties == {"Order ID": "t"}
    assert [one.code for one in mapped.rejections] == ["bad-amount"]


def test_parts_of_a_batch_that_are_not_sent_are_counted() -> None:
    row = {"consent_state": {"gdpr": {}}, "application_info": {"os": "x"}, "context": {}, "batch_id": 5}
    assert map_batch({**row, "events": []}).skipped_types == ["consent_state", "application_info"]


def test_an_attribute_that_is_deleted_and_there_again_is_there() -> None:
    mapped = map_batch({"deleted_user_attributes": ["plan"], "user_attributes": {"Plan": "Gold"}})
    assert set_of(mapped).properties == {"Plan": "Gold"}
    assert mapped.deletions == []


def test_the_address_is_passed_on_unless_it_must_not_be() -> None:
    row = {"ip": "203.0.113.7", "events": [event("screen_view", screen_name="S")], "user_attributes": {"a": 1}}
    for flag, address in ((True, "203.0.113.7"), (False, None)):
        mapped = map_batch(row, send_ip_and_user_agent=flag)
        assert (record_of(mapped).address, set_of(mapped).address) == (address, address)


# Malformed batches: each part alone


GOOD = event("screen_view", screen_name="Good")
TIME = "events[1].data.timestamp_unixtime_ms"

MALFORMED: list[tuple[Any, str, str]] = [
    (None, "bad-message", "events[1]"),
    ("text", "bad-message", "events[1]"),
    (["list"], "bad-message", "events[1]"),
    ({}, "no-type", "events[1].event_type"),
    ({"event_type": None, "data": {}}, "no-type", "events[1].event_type"),
    ({"event_type": 7, "data": {}}, "no-type", "events[1].event_type"),
    ({"event_type": "custom_event", "data": "x"}, "bad-message", "events[1].data"),
    ({"event_type": "custom_event", "data": [1]}, "bad-message", "events[1].data"),
    ({"event_type": "custom_event"}, "no-event-name", "events[1].data.event_name"),
    (event("custom_event"), "no-event-name", "events[1].data.event_name"),
    (event("custom_event", event_name="n" * 256), "event-name-too-long", "events[1].data.event_name"),
    (event("screen_view", screen_name=5), "no-event-name", "events[1].data.screen_name"),
    (event("custom_event", event_name="E", custom_attributes=[1]), "bad-message", "events[1].data.custom_attributes"),
    (event("custom_event", event_name="E", timestamp_unixtime_ms="soon"), "bad-timestamp", TIME),
    (event("custom_event", ms=1, event_name="E"), "too-old", TIME),
    (event("commerce_event"), "no-event-name", "events[1].data"),
    (event("commerce_event", product_action="purchase"), "bad-message", "events[1].data.product_action"),
    (event("commerce_event", product_action={"total": 5}), "no-event-name", "events[1].data.product_action.action"),
    (event("user_attribute_change", new=5), "no-property-name", "events[1].data.user_attribute_name"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "code", "field"), MALFORMED)
def test_a_malformed_event_is_rejected_alone_with_its_place(part: Any, code: str, field: str) -> None:
    mapped = map_batch({"timestamp_unixtime_ms": MS, "events": [GOOD, part, GOOD], "user_attributes": {"a": 1}})
    assert [call.event for call in mapped.calls if isinstance(call, Record)] == ["Good", "Good"]
    assert set_of(mapped).properties == {"a": "1"}
    (rejection,) = mapped.rejections
    assert (rejection.code, rejection.field, rejection.counts_as_row) == (code, field, True)
    assert rejection.reason


@pytest.mark.parametrize("events", ["[", "x", {"a": 1}, 7])
def test_events_that_are_no_list_do_not_cost_the_attributes(events: Any) -> None:
    mapped = map_batch({"events": events, "user_attributes": {"a": 1}})
    assert set_of(mapped).properties == {"a": "1"}
    assert [(rejection.code, rejection.field, rejection.counts_as_row) for rejection in mapped.rejections] == [
        ("bad-message", "events", True)
    ]


@pytest.mark.parametrize("events", [None, []])
def test_a_batch_without_events_is_no_mistake(events: Any) -> None:
    mapped = map_batch({"events": events})
    assert (mapped.calls, mapped.rejections) == ([], [])


def test_attributes_that_are_none_do_not_cost_the_events() -> None:
    mapped = map_batch({"events": [GOOD], "user_attributes": "x", "deleted_user_attributes": "y"})
    assert record_of(mapped).event == "Good"
    assert codes(mapped) == [("bad-message", "user_attributes"), ("bad-message", "deleted_user_attributes")]


def test_a_batchs_own_time_that_is_none_costs_only_what_needs_it() -> None:
    row = {
        "timestamp_unixtime_ms": "soon",
        "events": [GOOD, {"event_type": "screen_view", "data": {"screen_name": "S"}}],
    }
    mapped = map_batch(row)
    assert record_of(mapped).event == "Good"
    assert codes(mapped) == [("bad-timestamp", "events[1]")]
    assert mapped.rejections[0].reason.startswith("timestamp_unixtime_ms: must be a time, not 'soon'")
    assert codes(map_batch({"timestamp_unixtime_ms": "soon", "user_attributes": {"a": 1}})) == [
        ("bad-timestamp", "timestamp_unixtime_ms")
    ]


def test_a_property_or_an_item_that_cannot_be_sent_names_its_event() -> None:
    attributes = {"_k": "x", "long": "x" * 9000, "ok": 1}
    products = [{"id": "a"}, None, "b", {"id": "c" * 9000, "name": "C"}]
    mapped = map_batch(
        {
            "events": [
                GOOD,
                event("custom_event", event_name="E", custom_attributes=attributes),
                event(
                    "commerce_event", product_action={"action": "purchase", "total_amount": "x", "products": products}
                ),
                event("commerce_event", product_action={"action": "click", "products": "a"}),
            ]
        }
    )
    assert sorted(codes(mapped)) == [
        ("bad-amount", "events[2].data.product_action.total_amount"),
        ("bad-message", "events[2].data.product_action.products[2]"),
        ("bad-message", "events[3].data.product_action.products"),
        ("reserved-name", "events[1].data.custom_attributes._k"),
        ("value-too-long", "events[1].data.custom_attributes.long"),
        ("value-too-long", "events[2].data.product_action.products.id"),
    ]
    assert len([call for call in mapped.calls if isinstance(call, Record)]) == 4
    assert [call.properties for call in sets_of(mapped)] == [{"Product SKU": "a"}, {"Product Name": "C"}]


def test_a_change_that_cannot_be_sent_names_its_event() -> None:
    mapped = event_of(event("user_attribute_change", user_attribute_name="_p", new="x"))
    assert codes(mapped) == [("reserved-name", "events[0].data.new")]


def test_10_000_events_in_one_batch_each_alone() -> None:
    events = [
        None if number % 1000 == 7 else event("custom_event", MS + number * 1000, event_name=f"E{number % 50}")
        for number in range(10_000)
    ]
    mapped = map_batch({"events": events})
    assert len(mapped.calls) == 9990
    assert [rejection.field for rejection in mapped.rejections] == [
        f"events[{number}]" for number in range(7, 10_000, 1000)
    ]
