"""What a row lacked when it was sent, for each shape of a reject line, and no event a second time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from mapping_streams import EVENT, EVENT_FIELDS, SECONDS, mapping_of, stream_of

from target_kissmetrics.commands.unsent_parts import Part, lacking, without
from target_kissmetrics.kissmetrics.calls import Alias, Record, Set
from target_kissmetrics.mapping.result import Mapped

Row = Mapping[str, Any]
BATCH_FIELDS = ("events", "mp_deviceid", "user_attributes", "user_identities")


def lacked(row: Row, *parts: tuple[str, str], entry: dict[str, Any] | None = None, **about: Any) -> Mapped | None:
    entry = {"kind": "event", **(entry or {})}
    row = {**EVENT, **row} if entry["kind"] == "event" else row
    mapping = mapping_of(stream_of([*EVENT_FIELDS, *row], entry, **about))
    return lacking(row, [Part(*part) for part in parts], mapping.map)


def sent(mapped: Mapped | None) -> list[tuple[str, Any, dict[str, str]]]:
    """Give the calls as they would go out: whether the event was sent, its second, and properties."""
    assert mapped is not None
    slots = {slot.record: slot for slot in mapped.slots}
    calls: list[tuple[str, Any, dict[str, str]]] = []
    for index, call in enumerate(mapped.calls):
        if isinstance(call, Alias):
            calls.append(("alias", 0, {}))
        elif call.properties or not isinstance(call, Record) or not slots[index].was_sent:
            kind = "event" if isinstance(call, Record) and not slots[index].was_sent else "set"
            calls.append((kind, call.time - SECONDS, call.properties))
    return calls


@pytest.mark.parametrize(
    ("row", "part", "properties"),
    [
        ({"note": "n", "b": 1}, ("note", "value-too-long"), {"note": "n"}),
        ({"a": {"note": "n", "b": 1}}, ("a.note", "bad-text"), {"a.note": "n"}),
        ({"a.note": "n", "b": 1}, ("a.note", "bad-text"), {"a.note": "n"}),
        ({"revenue": "5", "b": 1}, ("revenue", "bad-amount"), {"Billing Amount": "5"}),
        ({"note": "", "b": 1}, ("note", "bad-text"), {}),
        ({"b": 1}, ("note", "bad-text"), {}),
        # Another field had its name when the row was sent.
        ({"Note": "n", "note": "m"}, ("Note", "bad-text"), {}),
    ],
)
def test_a_property_goes_out_alone(row: Row, part: tuple[str, str], properties: dict[str, str]) -> None:
    assert sent(lacked(row, part)) == ([("set", 0, properties)] if properties else [])


def test_several_parts_of_a_row_go_out_in_one_call() -> None:
    row = {"note": "n", "b": 1, "revenue": "5"}
    parts = [("note", "bad-text"), ("revenue", "bad-amount"), ("revenue", "value-too-long")]
    assert sent(lacked(row, *parts)) == [("set", 0, {"note": "n", "revenue": "5", "Billing Amount": "5"})]


def test_a_property_of_line_items_goes_out_in_their_seconds() -> None:
    items = [{"sku": "a", "_n": "1"}, {"sku": "b"}, {"_n": "3"}]
    entry = {"rename": [{"field": "items._n", "property": "no"}]}
    expected = [("set", 0, {"no": "1"}), ("set", 2, {"no": "3"})]
    assert sent(lacked({"items": items, "b": 1}, ("items._n", "reserved-name"), entry=entry)) == expected


def test_line_items_that_could_not_be_read_go_out_in_their_seconds() -> None:
    expected = [("set", 0, {"sku": "a"}), ("set", 1, {"sku": "b"})]
    assert sent(lacked({"items": [{"sku": "a"}, {"sku": "b"}], "b": 1}, ("items", "bad-message"))) == expected


def test_a_user_attribute_stays_change_tracked() -> None:
    mapped = lacked({"traits": {"city": "Oslo", "plan": "A"}, "b": 1}, ("traits.city", "bad-text"))
    assert mapped is not None
    assert [call for call in mapped.calls if isinstance(call, Set)] == [
        Set("ann", SECONDS, {"city": "Oslo"}, distinct=True)
    ]
    person = {"customer_id": "ann", "updated_at": SECONDS, "city": "Oslo", "plan": "A"}
    assert sent(lacked(person, ("city", "bad-text"), entry={"kind": "user_attributes"})) == [
        ("set", 0, {"city": "Oslo"})
    ]


def test_an_alias_goes_out_alone() -> None:
    settings: dict[str, Any] = {"alias_identities": True, "use_customer_id": True}
    assert sent(lacked({"device_id": "d", "b": 1}, ("device_id", "alias-limit"), **settings)) == [("alias", 0, {})]
    assert sent(lacked({"device_id": "d", "b": 1}, ("b", "bad-text"), **settings)) == [("set", 0, {"b": "1"})]


@pytest.mark.parametrize(
    "entry",
    [
        {"rename": [{"field": "customer_id", "property": "Buyer"}]},
        {"rename": [{"field": "event", "property": "Name"}]},
        {"event_name": "{event} {plan}", "include": ["plan"]},
    ],
)
def test_where_the_event_is_another_one_without_the_field_nothing_goes_out(entry: dict[str, Any]) -> None:
    field = "plan" if "include" in entry else entry["rename"][0]["field"]
    row = {"device_id": "d", "plan": "A"}
    assert lacked(row, (field, "bad-text"), entry=entry, use_customer_id=True) is None


def test_a_message_s_property_goes_out_alone_with_its_prefix() -> None:
    message = {
        "type": "page", "userId": "ann", "timestamp": SECONDS, "name": "Home", "properties": {"note": "n", "b": 1},
    }  # fmt: skip
    mapped = lacked(message, ("properties.note", "value-too-long"), entry={"kind": "segment"})
    assert sent(mapped) == [("set", 0, {"Page - note": "n"})]


def event(second: int, name: str = "Fine", **attributes: str) -> dict[str, Any]:
    data = {"event_name": name, "timestamp_unixtime_ms": (SECONDS + second) * 1000, "custom_attributes": attributes}
    return {"event_type": "custom_event", "data": data}


def batch(*parts: tuple[str, str], **more: Any) -> Mapped | None:
    events = [event(0, a="1", note="n"), event(1, a="2", note="m"), event(1, a="2", note="m"), event(0, a="1")]
    row = {"mp_deviceid": "d", "events": events, "timestamp_unixtime_ms": (SECONDS + 9) * 1000, **more}
    mapping = mapping_of(stream_of(BATCH_FIELDS, {"kind": "mparticle"}))
    return lacking(row, [Part(*part) for part in parts], mapping.map)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (("events[1].data.custom_attributes.note", "value-too-long"), [("set", 1, {"note": "m"})]),
        (("events[0].data.event_name", "no-event-name"), [("event", 0, {"a": "1", "note": "n"})]),
        (("events[2]", "bad-message"), [("event", 1, {"a": "2", "note": "m"})]),
        (("events[0].data.timestamp_unixtime_ms", "too-old"), [("event", 0, {"a": "1", "note": "n"})]),
        (("events[0].event_type", "no-type"), [("event", 0, {"a": "1", "note": "n"})]),
        (("user_attributes.city", "bad-text"), [("set", 1, {"city": "Oslo"})]),
    ],
)
def test_of_a_batch_a_rejected_event_goes_out_whole_and_a_property_alone(
    part: tuple[str, str], expected: list[Any]
) -> None:
    assert sent(batch(part, user_attributes={"city": "Oslo", "plan": "A"})) == expected


def test_a_batch_that_is_another_person_s_without_the_part_stays() -> None:
    assert batch(("mp_deviceid", "identity-too-long"), mpid="m") is None


def test_a_field_is_taken_out_wherever_it_is() -> None:
    row = {"a": {"b": 1, "c": 2}, "l": [{"b": 1}, {"b": 2, "c": [{"d": 1}]}], "t": '{"b": 1, "c": 2}', "a.b": 3}
    assert without(row, ["a.b"]) == {"a": {"c": 2}, "l": row["l"], "t": row["t"]}
    assert without(row, ["l[1].c.d", "t.b"]) == {
        "a": {"b": 1, "c": 2}, "l": [{"b": 1}, {"b": 2, "c": [{}]}], "t": {"c": 2}, "a.b": 3,
    }  # fmt: skip
    assert without(row, ["l[0]"])["l"] == [None, row["l"][1]]  # type: ignore[index]
    assert without(row, ["x", "a.x", "l[7].b", "l.b.c"]) == {**row, "t": row["t"]}


@pytest.mark.parametrize(
    ("row", "path", "left"),
    [
        ({"PROPERTIES": {"a": 1, "b": 2}}, "properties.a", {"PROPERTIES": {"b": 2}}),
        ({"properties__order__id": 1, "b": 2}, "properties.order.id", {"b": 2}),
        ({"user_attributes": {"$City": "x", "b": 2}}, "user_attributes.City", {"user_attributes": {"b": 2}}),
        ({"user_attributes": {"$City": "x", "City": "y"}}, "user_attributes.City", {"user_attributes": {"$City": "x"}}),
        ({"Events": [{"Data": {"a": 1}}]}, "events[0].data.a", {"Events": [{"Data": {}}]}),
    ],
)
def test_a_part_is_taken_out_however_the_row_spells_it(row: Row, path: str, left: Row) -> None:
    assert without(row, [path]) == left
