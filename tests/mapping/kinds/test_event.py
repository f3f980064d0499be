from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapping_streams import (
    EVENT,
    EVENT_FIELDS,
    ISO,
    NOW,
    SECONDS,
    aliases_of,
    any_type,
    codes,
    map_event,
    mapping_of,
    record_of,
    set_of,
    sets_of,
    slot_of,
    stream_of,
)

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias, Record, Set
from target_kissmetrics.mapping.reject_codes import Rejected

BILLING = "Billing Amount"


def rejected(row: dict[str, Any], entry: dict[str, Any] | None = None, **about: Any) -> Rejected:
    with pytest.raises(Rejected) as problem:
        map_event(row, entry, **about)
    return problem.value


def revenue(row: dict[str, Any], entry: dict[str, Any] | None = None, **about: Any) -> str | None:
    return record_of(map_event(row, entry, **about)).properties.get(BILLING)


def test_a_row_becomes_an_event_with_its_fields_as_properties() -> None:
    mapped = map_event({"plan": "free", "size": {"x": 1}})
    assert mapped.calls == [Record("ann", "Purchased", SECONDS, {"plan": "free", "size.x": "1"})]
    assert mapped.rejections == []


def test_an_event_may_have_no_properties() -> None:
    assert map_event({}).calls == [Record("ann", "Purchased", SECONDS, {})]


def test_an_event_without_a_time_is_given_that_of_its_extraction() -> None:
    mapping = mapping_of(stream_of(("customer_id", "event"), {"kind": "event"}))
    assert record_of(mapping.map({"customer_id": "ann", "event": "x"}, ISO)).time == SECONDS
    assert record_of(mapping.map({"customer_id": "ann", "event": "x"})).time == NOW


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"customer_id": None}, "no-identity", None),
        ({"customer_id": "guest"}, "blocked-identity", "customer_id"),
        ({"timestamp": "soon"}, "bad-timestamp", "timestamp"),
        ({"timestamp": "2008-12-31"}, "too-old", "timestamp"),
        ({"event": None}, "no-event-name", None),
        ({"event": "  "}, "no-event-name", None),
        ({"event": {}}, "no-event-name", None),
        ({"event": ":,"}, "no-event-name", "event"),
        ({"event": "n" * 256}, "event-name-too-long", "event"),
        ({"event": "a\ud800"}, "bad-text", "event"),
    ],
)
def test_a_row_that_kissmetrics_would_not_keep_is_rejected(row: dict[str, Any], code: str, field: str | None) -> None:
    problem = rejected(row)
    assert (problem.code, problem.field) == (code, field)
    assert problem.reason


def test_a_named_time_that_is_null_rejects_the_event() -> None:
    assert rejected({"paid_at": None}, {"timestamp": "paid_at"}).code == "no-timestamp"


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize(
    "names",
    [
        ("USER_ID", "EVENT_NAME", "CREATED_AT", "REVENUE", "LINE_ITEMS", "USER_ATTRIBUTES"),
        ("User Id", "Event Name", "Created At", "Revenue", "Line Items", "User Attributes"),
        ("userId", "eventName", "createdAt", "revenue", "lineItems", "userAttributes"),
        ("user-id", "event-name", "created-at", "revenue", "line-items", "user-attributes"),
    ],
)
def test_each_field_of_an_event_may_be_spelled_otherwise(names: tuple[str, ...], is_listed: bool) -> None:
    row = dict(zip(names, ("u1", "Paid", ISO, 5, [{"sku": "a"}], {"plan": "x"}), strict=True))
    mapping = mapping_of(stream_of(names if is_listed else (), {"kind": "event"}))
    mapped = mapping.map(row)
    assert record_of(mapped) == Record("u1", "Paid", SECONDS, {names[3]: "5", BILLING: "5"})
    assert [call.properties for call in sets_of(mapped)] == [{"sku": "a"}, {"plan": "x"}]
    excluding = mapping_of(stream_of(names if is_listed else (), {"kind": "event", "exclude": [names[4], names[5]]}))
    assert sets_of(excluding.map(row)) == []


def test_a_stream_with_two_spellings_of_one_candidate_warns_and_the_other_is_a_property() -> None:
    warnings: list[str] = []
    mapping = mapping_of(stream_of(("USER_ID", "userId", "event", "timestamp"), warnings=warnings))
    record = record_of(mapping.map({"userId": "b", "USER_ID": "a", "event": "Paid", "timestamp": ISO}))
    assert (record.person, record.properties) == ("a", {"userId": "b"})
    assert [warning for warning in warnings if "'USER_ID' serves as user_id" in warning and "'userId'" in warning]


TIMES = {"type": ["string", "null"], "format": "date-time"}


@pytest.mark.parametrize("entry", [{}, {"kind": "event"}, {"kind": "event", "event_name": "Booked"}])
def test_a_stream_whose_times_have_other_names_stops_and_shows_them(entry: dict[str, Any]) -> None:
    fields = {"customer_id": {}, "event": {}, "booked": TIMES, "shippedAt": {}, "meta": {"properties": {"day": TIMES}}}
    with pytest.raises(ConfigError, match=r"timestamp: stream 'things' .*booked, shippedAt, meta.day; write"):
        mapping_of(stream_of(fields, entry))
    named = mapping_of(stream_of(fields, {**entry, "timestamp": "meta.day"}))
    assert record_of(named.map({"customer_id": "a", "event": "b", "meta": {"day": ISO}})).time == SECONDS


def test_a_stream_whose_entry_says_that_no_time_is_meant_has_the_time_of_extraction() -> None:
    warnings: list[str] = []
    fields = {"customer_id": {}, "event": {}, "shipped": TIMES, "created_at": TIMES}
    mapping = mapping_of(stream_of(fields, {"timestamp": False}, warnings=warnings))
    record = record_of(mapping.map({"customer_id": "a", "event": "b", "created_at": "2020-01-01"}, ISO))
    assert (record.time, record.properties) == (SECONDS, {"created_at": "1577836800"})
    assert warnings == []


@pytest.mark.parametrize(
    "more", [{}, {"plan": {}}, {"_fivetran_synced": TIMES}, {"traits": {"properties": {"a_at": TIMES}}}]
)
def test_a_stream_without_anything_like_a_time_has_the_time_of_extraction_with_a_warning(more: dict[str, Any]) -> None:
    warnings: list[str] = []
    mapping_of(stream_of({"customer_id": {}, "event": {}, **more}, warnings=warnings))
    assert [warning for warning in warnings if "no field holds the events' time" in warning]


# The event's name


@pytest.mark.parametrize("field", ["event_name", "event", "eventName", "screen_name"])
def test_each_candidate_names_the_event(field: str) -> None:
    mapping = mapping_of(stream_of(("customer_id", field, "timestamp")))
    mapped = mapping.map({"customer_id": "ann", field: " Opened: it ", "timestamp": ISO})
    assert record_of(mapped).event == "Opened  it"
    assert record_of(mapped).properties == {}


def test_the_first_candidate_that_holds_a_name_names_the_event() -> None:
    row = {"event_name": "first", "screen_name": "last", "event": None}
    assert record_of(map_event(row)).event == "first"
    assert record_of(map_event({**row, "event_name": None})).event == "last"
    assert record_of(map_event({**row, "event_name": None})).properties == {}


def test_a_candidate_that_did_not_name_the_event_is_a_property() -> None:
    assert record_of(map_event({"screen_name": "Home"})).properties == {"screen_name": "Home"}


def test_an_events_name_may_be_a_constant() -> None:
    record = record_of(map_event({"event": "as property"}, {"event_name": "Paid, in full"}))
    assert record.event == "Paid  in full"
    assert record.properties == {"event": "as property"}


def test_an_events_name_may_be_a_template() -> None:
    record = record_of(map_event({"screen_name": "Home"}, {"event_name": "Viewed {screen_name} Screen"}))
    assert record.event == "Viewed Home Screen"
    assert record.properties == {"event": "Purchased"}


def test_a_template_with_a_field_that_is_null_rejects_the_row() -> None:
    problem = rejected({"screen_name": None}, {"event_name": "Viewed {screen_name} Screen"})
    assert problem.code == "no-event-name"
    assert "Viewed {screen_name} Screen" in problem.reason


def test_a_template_over_a_field_that_the_stream_does_not_have_stops_the_run() -> None:
    with pytest.raises(ConfigError, match=r"streams\[0\].event_name: .*'evnt'; did you mean 'event'"):
        map_event({}, {"event_name": "{evnt}"})


def test_a_stream_without_a_name_for_its_events_stops_the_run() -> None:
    with pytest.raises(ConfigError, match=r"streams\[0\].event_name: .*its fields: customer_id, timestamp"):
        mapping_of(stream_of(("customer_id", "timestamp"), {"kind": "event"}))


def test_a_stream_without_an_id_for_its_events_stops_the_run() -> None:
    with pytest.raises(ConfigError, match=r"streams\[0\].customer_id: "):
        mapping_of(stream_of(("event", "timestamp"), {"kind": "event"}))


def test_a_schema_without_fields_leaves_the_candidates_to_the_rows() -> None:
    mapping = mapping_of(stream_of((), {"kind": "event"}))
    mapped = mapping.map({"userId": "ann", "screen_name": "Home", "time": ISO, "revenue": 5})
    assert mapped.calls == [Record("ann", "Home", SECONDS, {"revenue": "5", BILLING: "5"})]


# Revenue


@pytest.mark.parametrize(
    ("value", "amount"), [(19.99, "19.99"), (Decimal("20.5"), "20.5"), ("$1,234.50", "1234.50"), (-5, "-5")]
)
def test_the_amount_goes_to_the_revenue_property_and_the_field_stays_one(value: Any, amount: str) -> None:
    properties = record_of(map_event({"revenue": value})).properties
    assert properties == {"revenue": str(value), BILLING: amount}


def test_the_revenue_property_has_the_name_of_the_setting() -> None:
    assert record_of(map_event({"revenue": 5}, revenue_key="Umsatz")).properties == {"revenue": "5", "Umsatz": "5"}


def test_an_excluded_revenue_field_still_gives_the_amount() -> None:
    assert record_of(map_event({"revenue": 5}, {"exclude": ["revenue"]})).properties == {BILLING: "5"}
    assert record_of(map_event({"revenue": 5}, {"include": []})).properties == {BILLING: "5"}


def test_the_first_of_revenue_fields_that_holds_an_amount_wins() -> None:
    fields = ("total", "sub.total", "revenue")
    row = {"total": "n/a", "sub": {"total": "7.50"}, "revenue": 9}
    assert revenue(row, revenue_fields=fields) == "7.50"
    assert revenue({**row, "total": 0}, revenue_fields=fields) == "7.50"
    assert revenue({**row, "sub": {}, "total": None}, revenue_fields=fields) == "9"
    assert map_event(row, revenue_fields=fields).rejections == []


@pytest.mark.parametrize("refund", [True, False])
@pytest.mark.parametrize("zero", [0, 0.0, -0.0, Decimal("0.00"), "0", "$0.00", "(0)"])
def test_an_amount_of_zero_is_no_revenue_and_the_field_stays_a_property(zero: Any, refund: bool) -> None:
    mapped = map_event({"revenue": zero, BILLING: zero}, {"refund": refund})
    (record,) = mapped.calls
    assert isinstance(record, Record)
    assert BILLING not in record.properties
    assert "revenue" in record.properties
    assert (mapped.slots[0].revenue_property, mapped.rejections) == (None, [])


def test_line_items_and_attributes_send_no_amount_of_zero_either() -> None:
    mapped = map_event({"products": [{"sku": "a", BILLING: 0}], "user_attributes": {"plan": "x", BILLING: "0.00"}})
    assert [call.properties for call in mapped.calls if isinstance(call, Set)] == [{"sku": "a"}, {"plan": "x"}]


def test_the_entrys_revenue_takes_the_place_of_the_settings() -> None:
    row = {"revenue": 9, "total": 5, "other": 3}
    assert revenue(row, {"revenue": "total"}) == "5"
    assert revenue(row, {"revenue": ["missing.one", "other"]}, fields={"missing": {}}) == "3"
    assert revenue({**row, "total": None}, {"revenue": "total"}) is None


def test_revenue_false_is_none() -> None:
    mapped = map_event({"revenue": 9}, {"revenue": False})
    assert record_of(mapped).properties == {"revenue": "9"}
    assert slot_of(mapped).revenue_property is None


def test_a_revenue_field_that_the_stream_does_not_have_stops_the_run() -> None:
    with pytest.raises(ConfigError, match=r"streams\[0\].revenue: .*'totl'; did you mean 'total'"):
        map_event({"total": 5}, {"revenue": "totl"})


@pytest.mark.parametrize("value", ["12 pcs", "n/a", True, [5], {"amount": 5}, Decimal("NaN")])
def test_what_is_no_amount_is_set_aside_and_the_event_sent_without(value: Any) -> None:
    mapped = map_event({"revenue": value})
    assert BILLING not in record_of(mapped).properties
    assert ("bad-amount", "revenue") in codes(mapped)
    assert slot_of(mapped).revenue_property is None


@pytest.mark.parametrize("value", [None, "", " "])
def test_an_event_without_an_amount_is_nothing_to_tell_of(value: Any) -> None:
    mapped = map_event({"revenue": value})
    assert mapped.calls == [Record("ann", "Purchased", SECONDS, {})]
    assert mapped.rejections == []


@pytest.mark.parametrize(("value", "amount"), [(5, "-5"), (-5, "-5"), ("$5.00", "-5.00"), ("($5.00)", "-5.00")])
def test_a_refund_is_sent_negative(value: Any, amount: str) -> None:
    assert revenue({"revenue": value}, {"refund": True}) == amount


@pytest.mark.parametrize("field", [BILLING, "billing amount", "BILLING:AMOUNT"])
def test_no_field_takes_the_place_of_the_amount(field: str) -> None:
    warnings: list[str] = []
    mapped = map_event({field: "999", "revenue": 5}, warnings=warnings)
    assert record_of(mapped).properties == {"revenue": "5", BILLING: "5"}
    assert len(warnings) == 1
    assert "the amount is already property" in warnings[0]


def test_no_line_item_or_user_attribute_takes_the_place_of_the_amount() -> None:
    row = {"revenue": 5, "items": [{"billing amount": 999, "sku": "a"}], "traits": {BILLING: 999, "plan": "b"}}
    assert [call.properties for call in sets_of(map_event(row))] == [{"sku": "a"}, {"plan": "b"}]


def test_a_field_named_as_the_revenue_property_can_hold_the_amount() -> None:
    mapped = map_event({BILLING: "$5.00"}, {"revenue": BILLING, "refund": True})
    assert record_of(mapped).properties == {BILLING: "-5.00"}


# Line items


@pytest.mark.parametrize("field", ["products", "line_items", "items"])
def test_each_line_item_is_a_set_a_second_after_the_one_before(field: str) -> None:
    mapped = map_event({field: [{"sku": "a", "price": 1}, {"sku": "b"}, {"sku": "c"}], "n": 1})
    assert mapped.calls == [
        Record("ann", "Purchased", SECONDS, {"n": "1"}),
        Set("ann", SECONDS, {"sku": "a", "price": "1"}),
        Set("ann", SECONDS + 1, {"sku": "b"}),
        Set("ann", SECONDS + 2, {"sku": "c"}),
    ]
    assert slot_of(mapped).seconds == 3


def test_an_item_with_nothing_to_send_keeps_its_second() -> None:
    mapped = map_event({"items": [{"sku": "a"}, {}, {"sku": None, "x": ""}, {"sku": "d"}]})
    assert [(call.time - SECONDS, call.properties) for call in sets_of(mapped)] == [
        (0, {"sku": "a"}),
        (3, {"sku": "d"}),
    ]


def test_nulls_among_line_items_are_passed_over() -> None:
    mapped = map_event({"items": [None, {"sku": "a"}, None, {"sku": "b"}]})
    assert [(call.time - SECONDS, call.properties) for call in sets_of(mapped)] == [
        (0, {"sku": "a"}),
        (1, {"sku": "b"}),
    ]


@pytest.mark.parametrize("items", [[], None, [None], {}, ""])
def test_no_line_items_are_no_calls(items: Any) -> None:
    mapped = map_event({"items": items})
    assert mapped.calls == [Record("ann", "Purchased", SECONDS, {})]
    assert slot_of(mapped).seconds == 1


def test_a_candidate_that_holds_scalars_is_a_property() -> None:
    assert record_of(map_event({"items": ["a", "b"], "products": 3})).properties == {"items": "a,b", "products": "3"}


def test_objects_mixed_with_scalars_are_no_line_items() -> None:
    warnings: list[str] = []
    mapped = map_event({"items": [{"sku": "a"}, "b"]}, warnings=warnings)
    assert mapped.calls == [Record("ann", "Purchased", SECONDS, {})]
    assert len(warnings) == 1


def test_the_first_candidate_that_holds_objects_gives_the_line_items() -> None:
    mapped = map_event({"items": [{"sku": "last"}], "products": [], "line_items": [{"sku": "first"}]})
    assert set_of(mapped).properties == {"sku": "first"}


def test_the_entrys_line_items_take_the_place_of_the_candidates() -> None:
    mapped = map_event({"cart": {"lines": [{"sku": "a"}]}, "items": [{"sku": "b"}]}, {"line_items": "cart.lines"})
    assert set_of(mapped).properties == {"sku": "a"}
    assert record_of(mapped).properties == {}


def test_excluded_line_items_are_no_calls() -> None:
    mapped = map_event({"items": [{"sku": "a"}]}, {"exclude": ["items"]})
    assert mapped.calls == [Record("ann", "Purchased", SECONDS, {})]


def test_a_part_of_line_items_can_be_excluded() -> None:
    assert set_of(map_event({"items": [{"sku": "a", "cost": 1}]}, {"exclude": ["items.cost"]})).properties == {
        "sku": "a"
    }


def test_include_chooses_among_the_events_own_fields() -> None:
    mapped = map_event({"items": [{"sku": "a"}], "a": 1, "b": 2}, {"include": ["a"]})
    assert mapped.calls == [Record("ann", "Purchased", SECONDS, {"a": "1"}), Set("ann", SECONDS, {"sku": "a"})]


# User attributes


@pytest.mark.parametrize("field", ["user_attributes", "user_properties", "traits"])
def test_user_attributes_carried_with_an_event_are_a_change_tracked_set(field: str) -> None:
    mapped = map_event({field: {"plan": "free", "address": {"city": "Ulm"}}, "n": 1})
    assert mapped.calls == [
        Record("ann", "Purchased", SECONDS, {"n": "1"}),
        Set("ann", SECONDS, {"plan": "free", "address.city": "Ulm"}, distinct=True),
    ]


@pytest.mark.parametrize("value", [None, {}, {"a": None}])
def test_empty_user_attributes_are_no_call(value: Any) -> None:
    assert map_event({"traits": value}).calls == [Record("ann", "Purchased", SECONDS, {})]


@pytest.mark.parametrize("value", ["text", 5])
def test_a_candidate_that_holds_no_object_is_a_property(value: Any) -> None:
    assert map_event({"traits": value}).calls == [Record("ann", "Purchased", SECONDS, {"traits": str(value)})]


def test_the_entrys_user_attributes_take_the_place_of_the_candidates() -> None:
    mapped = map_event({"user": {"plan": "a"}, "traits": {"plan": "b"}}, {"user_attributes": "user"})
    assert set_of(mapped).properties == {"plan": "a"}
    assert record_of(mapped).properties == {"traits.plan": "b"}


def test_excluded_user_attributes_are_no_call() -> None:
    assert map_event({"traits": {"plan": "a"}}, {"exclude": ["traits"]}).calls == [Record("ann", "Purchased", SECONDS)]


def test_an_object_is_named_the_same_whichever_role_it_had_in_the_row_before() -> None:
    mapping = mapping_of(stream_of((*EVENT_FIELDS, "user_attributes", "traits"), {"kind": "event"}))
    first = mapping.map({**EVENT, "traits": {"plan": "a"}})
    assert set_of(first).properties == {"plan": "a"}
    second = mapping.map({**EVENT, "user_attributes": {"x": 1}, "traits": {"plan": "a"}})
    assert record_of(second).properties == {"traits.plan": "a"}


# prefix_properties


def test_properties_are_prefixed_with_the_events_name_but_not_the_revenue() -> None:
    mapped = map_event({"plan": "a", "revenue": 5, "items": [{"sku": "x"}]}, prefix_properties=True)
    assert record_of(mapped).properties == {"Purchased - plan": "a", "Purchased - revenue": "5", BILLING: "5"}
    assert set_of(mapped).properties == {"Purchased - sku": "x"}


def test_user_attributes_are_not_prefixed() -> None:
    assert set_of(map_event({"traits": {"plan": "a"}}, prefix_properties=True)).properties == {"plan": "a"}


def test_names_that_reports_know_are_not_prefixed() -> None:
    row = {"utm_source": "x", "referer": "y"}
    assert record_of(map_event(row, prefix_properties=True)).properties == {"Campaign Source": "x", "Referrer": "y"}
    assert record_of(map_event(row, prefix_properties=True, campaign_properties=False)).properties == {
        "Purchased - utm_source": "x",
        "Purchased - referer": "y",
    }


def test_a_prefixed_name_that_is_too_long_is_set_aside() -> None:
    mapped = map_event({"n" * 243: 1, "n" * 244: 2}, prefix_properties=True)
    assert record_of(mapped).properties == {f"Purchased - {'n' * 243}": "1"}
    assert codes(mapped) == [("name-too-long", "n" * 244)]


def test_an_event_named_like_a_parameter_does_not_make_its_properties_parameters() -> None:
    mapped = map_event({"event": "_k", "plan": "a"}, prefix_properties=True)
    assert record_of(mapped).properties == {}
    assert codes(mapped) == [("reserved-name", "plan")]


# once, aliases, spreading


def test_once_is_said_of_the_event() -> None:
    assert record_of(map_event({}, {"once": True})).once
    assert not record_of(map_event({})).once
    assert not slot_of(map_event({}, {"once": True, "spread_duplicates": True})).spread


def test_both_ids_are_aliased_when_asked_for() -> None:
    mapped = map_event({"device_id": "d1"}, alias_identities=True)
    assert mapped.calls[-1] == Alias("d1", "ann", SECONDS)
    assert mapped.alias_field == "customer_id"
    assert aliases_of(map_event({"device_id": "d1"})) == []


def slot_row(row: dict[str, Any], *, key: tuple[str, ...] = (), name: str = "things", spread: bool = True) -> bytes:
    slot = slot_of(map_event(row, {"spread_duplicates": spread}, key=key, name=name))
    assert slot.spread is spread
    return slot.row


@pytest.mark.parametrize("spread", [True, False])
def test_a_row_is_told_by_its_key(spread: bool) -> None:
    one = slot_row({"id": 1, "a": 1}, key=("id",), spread=spread)
    assert slot_row({"id": 1, "a": 2}, key=("id",), spread=spread) == one
    assert slot_row({"id": 2, "a": 1}, key=("id",), spread=spread) != one
    assert slot_row({"id": 1, "a": 1}, key=("id", "a"), spread=spread) != one


@pytest.mark.parametrize("spread", [True, False])
def test_a_row_without_a_key_is_told_by_its_content(spread: bool) -> None:
    one = slot_row({"a": 1, "b": {"c": [1, Decimal("2.5")]}}, spread=spread)
    assert slot_row({"a": 1, "b": {"c": [1, Decimal("2.5")]}}, spread=spread) == one
    assert slot_row({"a": 2, "b": {"c": [1, Decimal("2.5")]}}, spread=spread) != one


def test_rows_of_two_streams_are_two_rows() -> None:
    assert slot_row({"id": 1}, key=("id",)) != slot_row({"id": 1}, key=("id",), name="others")


def test_a_row_is_told_the_same_in_any_run() -> None:
    told = slot_row({"b": 1, "a": {"y": 2, "x": Decimal("1.50")}})
    assert told == slot_row({"a": {"x": Decimal("1.50"), "y": 2}, "b": 1})
    assert told.hex() == "568b1aada383c2ae"


def test_when_a_row_was_loaded_does_not_tell_it_from_itself() -> None:
    assert slot_row({"a": 1, "_sdc_batched_at": "x", "_SDC_SEQUENCE": 1}) == slot_row({"a": 1, "_sdc_batched_at": "y"})


@pytest.mark.parametrize(
    "value", [10**400, float("nan"), "\ud800", Decimal("1E+999"), Decimal("NaN"), True, None, [[[]]], {"": {"": 1}}]
)
def test_any_content_tells_a_row(value: Any) -> None:
    assert slot_row({"a": value}) == slot_row({"a": copy.copy(value)}) != slot_row({"a": "other"})


def test_content_nested_without_end_rejects_the_row_and_not_the_run() -> None:
    nested: list[Any] = []
    for _ in range(50_000):
        nested = [nested]
    problem = rejected({"a": nested}, {"spread_duplicates": True})
    assert problem.code == "too-deep"


def test_the_stream_is_described_by_what_is_read_as_what() -> None:
    fields = (*EVENT_FIELDS, "event_name", "revenue", "items", "traits")
    assert mapping_of(stream_of(fields, {"kind": "event"})).describe() == (
        "person: device_id, else customer_id; event: {event_name}, else {event}; "
        "time: timestamp; revenue: revenue; line items: items; user attributes: traits"
    )
    assert "revenue: none" in mapping_of(stream_of(EVENT_FIELDS)).describe()


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_what_a_row_says_cannot_change_another_part_of_the_call(person: str, event: str, value: str) -> None:
    row = {"customer_id": person, "event": event, "_k": value, "_p": value, "_n": value, "_t": 1, "_d": 0, "x": value}
    try:
        record = record_of(map_event(row, prefix_properties=True))
    except Rejected:
        return
    assert record.time == SECONDS
    assert all(name.endswith(" - x") and not name.startswith("_") for name in record.properties)
    assert set(record.properties.values()) <= {value}


def test_a_stream_of_events_without_a_time_is_warned_of() -> None:
    warnings: list[str] = []
    mapping = mapping_of(stream_of(("customer_id", "event"), {"kind": "event"}, warnings=warnings))
    assert record_of(mapping.map({"customer_id": "ann", "event": "Bought"})).time == NOW
    (warning,) = warnings
    assert "set timestamp in the stream's entry" in warning


@pytest.mark.parametrize("entry", [{}, {"timestamp": "time"}])
def test_a_stream_of_events_with_a_time_is_not_warned_of(entry: dict[str, Any]) -> None:
    warnings: list[str] = []
    mapping_of(stream_of(("customer_id", "event", "time"), {"kind": "event", **entry}, warnings=warnings))
    assert warnings == []


@pytest.mark.parametrize(
    ("entry", "key", "fields", "is_once"),
    [
        ({}, ["id"], ["revenue"], True),
        ({"revenue": "total"}, ["id"], ["total"], True),
        ({}, ["id"], ["total"], False),
        ({}, [], ["revenue"], False),
        ({"revenue": False}, ["id"], ["revenue"], False),
        ({"once": True}, ["id"], ["revenue"], False),
        ({"send_once_per_row": False}, ["id"], ["revenue"], False),
        ({"send_once_per_row": True}, ["id"], [], True),
        ({"send_once_per_row": True, "stream": "*"}, [], [], False),
    ],
)
def test_a_row_is_sent_once_where_it_has_a_key_and_may_have_an_amount(
    entry: dict[str, Any], key: list[str], fields: list[str], is_once: bool
) -> None:
    slot = slot_of(map_event({"id": 7}, entry, key=key, fields=any_type(fields)))
    assert (slot.key is not None) is is_once


@pytest.mark.parametrize(("more", "key"), [({}, ()), ({"once": True}, ("id",))])
def test_send_once_per_row_that_cannot_take_effect_is_an_error(more: dict[str, Any], key: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="send_once_per_row"):
        map_event({"id": 7}, {"send_once_per_row": True, **more}, key=key)


def row_key(key: Any, other: Any = "x", stream: str = "things") -> bytes | None:
    return slot_of(map_event({"id": key, "no": other}, {"send_once_per_row": True}, key=["id", "no"], name=stream)).key


def test_the_key_of_a_row_is_its_stream_and_values_of_any_type() -> None:
    values = [7, 8, -7, "7", "a", True, 7.5, [1, "a"], {"a": 1}, 2**80, "7\0", float("nan")]
    keys = [row_key(value) for value in values]
    assert len({*keys, row_key(7, "y"), row_key(7, stream="others"), row_key("a", "\0x")}) == len(values) + 3
    assert row_key(7) == row_key(7.0) == row_key(Decimal("7.00")) == keys[0]
    assert row_key(7.5) == row_key(Decimal("7.50"))
    row, entry = {"id": 7, "no": "x"}, {"send_once_per_row": True}
    assert slot_of(map_event(row, entry, key=["no", "id"], name="things")).key == keys[0]
    assert row_key({"a": 1, "b": 2}) == row_key({"b": 2, "a": 1})
    assert row_key(0) == row_key(Decimal("-0.0"))


@pytest.mark.parametrize("empty", [None, "", " "])
def test_a_row_whose_key_is_null_or_empty_has_none(empty: str | None) -> None:
    assert row_key(empty) is row_key(7, empty) is None
    mapping = mapping_of(stream_of((*EVENT_FIELDS, "id", "revenue"), {"kind": "event"}, key=["id"]))
    assert slot_of(mapping.map(EVENT)).key is None


def test_a_spread_row_that_is_sent_once_claims_its_second_for_an_amount_that_comes_later() -> None:
    entry = {"send_once_per_row": True, "spread_duplicates": True}
    assert slot_of(map_event({"id": 7}, entry, key=["id"])).late_amount == "Billing Amount"
    assert slot_of(map_event({"id": 7, "revenue": 5}, entry, key=["id"])).late_amount is None
    assert slot_of(map_event({"id": None}, entry, key=["id"])).late_amount is None


def test_a_time_of_extraction_is_not_the_row_s() -> None:
    mapping = mapping_of(stream_of(("customer_id", "event", "revenue", "id"), {"kind": "event"}, key=["id"]))
    assert not slot_of(mapping.map({"customer_id": "ann", "event": "Bought", "id": 7})).is_dated
    assert slot_of(map_event({})).is_dated


@pytest.mark.parametrize(
    ("role", "text"), [("line_items", '{"sku": "a"}'), ("line_items", '["a"]'), ("user_attributes", "[1]")]
)
def test_json_text_of_another_shape_is_no_part_that_the_entry_names(role: str, text: str) -> None:
    mapped = map_event({"part": text, "event": "Ordered"}, {role: "part"})
    assert [(rejection.code, rejection.field) for rejection in mapped.rejections] == [("bad-message", "part")]
    assert record_of(mapped).properties == {}


@pytest.mark.parametrize(("field", "text"), [("line_items", "[]"), ("user_attributes", "{}")])
def test_json_text_without_content_is_no_property(field: str, text: str) -> None:
    mapped = map_event({field: text, "event": "Ordered"})
    assert (mapped.rejections, record_of(mapped).properties) == ([], {})


@pytest.mark.parametrize(
    ("row", "entry", "amount"),
    [
        ({"total_cents": 1999}, {}, "19.99"),
        ({"total_cents": "1999"}, {"refund": True}, "-19.99"),
        ({"total_cents": 0, "other": 50}, {"revenue": ["total_cents", "other"]}, "0.5"),
    ],
)
def test_an_amount_is_divided_and_its_field_is_not(row: dict[str, Any], entry: dict[str, Any], amount: str) -> None:
    given = {"revenue": "total_cents", "revenue_divide_by": 100, **entry}
    properties = record_of(map_event(row, given)).properties
    assert properties["Billing Amount"] == amount
    assert properties["total_cents"] == str(row["total_cents"]) or "other" in row


def test_times_without_a_zone_are_in_that_of_the_entry() -> None:
    fields = {"seen": {"type": "string", "format": "date-time"}}
    mapped = map_event(
        {"timestamp": "2024-07-31 09:00:00", "seen": "2024-07-31 10:00:00"},
        {"timezone": "America/New_York"},
        fields=fields,
        datetime_format="iso8601",
    )
    assert record_of(mapped).time == 1722430800
    assert record_of(mapped).properties == {"seen": "2024-07-31T14:00:00Z"}
