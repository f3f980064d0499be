"""What an entry of `streams` says of messages: their amounts, their properties, and their events by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from mapping_streams import ISO, SECONDS, mapping_of, record_of, stream_of

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Record, Set
from target_kissmetrics.mapping.result import Mapped

Message = Mapping[str, Any]


def track(name: str, properties: Message, **message: Any) -> dict[str, Any]:
    usual = {"type": "track", "userId": "u1", "anonymousId": "a1", "messageId": "m1", "timestamp": ISO}
    return {**usual, "event": name, "properties": properties, **message}


def custom(name: str, attributes: Message, **batch: Any) -> dict[str, Any]:
    data = {"event_name": name, "custom_attributes": attributes, "timestamp_unixtime_ms": SECONDS * 1000}
    return {"mp_deviceid": "a1", "events": [{"event_type": "custom_event", "data": data}], **batch}


FORMATS: dict[str, Any] = {"segment": track, "mparticle": custom}


@pytest.fixture(params=FORMATS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def mapped_by(
    kind: str, entry: Message, name: str = "Bought", *, key: tuple[str, ...] = (), **properties: Any
) -> Mapped:
    message = FORMATS[kind](name, properties, id=1)
    return mapping_of(stream_of([*message, "traits"], {"kind": kind, **entry}, key=key)).map(message)


def test_an_amount_is_in_the_named_field_and_divided(kind: str) -> None:
    entry = {"revenue": "total_cents", "revenue_divide_by": 100}
    assert record_of(mapped_by(kind, entry, total_cents=1999, revenue=5)).properties["Billing Amount"] == "19.99"
    assert "Billing Amount" not in record_of(mapped_by(kind, {"revenue": False}, revenue=5)).properties


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        ({"exclude": ["email"]}, {"plan", "city.name"}),
        ({"exclude": ["e*"]}, {"plan", "city.name"}),
        ({"include": ["plan"]}, {"plan"}),
        ({"include": ["city"]}, {"city.name"}),
        ({"exclude": ["city.name"]}, {"email", "plan"}),
        ({"rename": [{"field": "plan", "property": "Plan Name"}]}, {"email", "Plan Name", "city.name"}),
    ],
)
def test_properties_are_chosen_and_named_by_the_names_of_their_fields(
    kind: str, entry: Message, names: set[str]
) -> None:
    properties: dict[str, Any] = {"email": "a@b.c", "plan": "gold", "city": {"name": "Oslo"}}
    assert set(record_of(mapped_by(kind, entry, **properties)).properties) == names


def test_attributes_of_people_are_chosen_too() -> None:
    entry = {"exclude": ["email"], "rename": [{"field": "plan", "property": "Plan"}]}
    traits = {"email": "a@b.c", "plan": "gold"}
    identify = {"type": "identify", "userId": "u1", "messageId": "m1", "timestamp": ISO, "traits": traits}
    stream = stream_of(identify, {"kind": "segment", **entry})
    (call,) = mapping_of(stream).map(identify).calls
    assert isinstance(call, Set)
    assert call.properties == {"Plan": "gold"}
    batch = {"mp_deviceid": "a1", "timestamp_unixtime_ms": SECONDS * 1000, "user_attributes": traits, "events": []}
    (call,) = mapping_of(stream_of(batch, {"kind": "mparticle", **entry})).map(batch).calls
    assert isinstance(call, Set)
    assert call.properties == {"Plan": "gold"}


def test_lists_of_products_can_be_excluded() -> None:
    mapped = mapped_by("segment", {"exclude": ["products"]}, products=[{"sku": "a"}])
    assert [type(call) for call in mapped.calls] == [Record]


def test_events_are_refunded_recorded_once_or_ignored_by_their_names(kind: str) -> None:
    entry = {
        "events": [
            {"event_name": "Money Back", "refund": True},
            {"event_name": "Debug *", "ignore": True},
            {"event_name": "Signed Up", "once": True, "exclude": ["email"]},
            {"event_name": "*Up", "refund": True},
        ]
    }
    assert record_of(mapped_by(kind, entry, "Money Back", revenue=5)).properties["Billing Amount"] == "-5"
    ignored = mapped_by(kind, entry, "Debug Menu", a=1)
    assert (ignored.calls, ignored.slots, ignored.skipped_types) == ([], [], ["ignored by events"])
    signed_up = record_of(mapped_by(kind, entry, "Signed Up", revenue=5, email="a@b.c"))
    assert (signed_up.once, signed_up.properties) == (True, {"revenue": "5", "Billing Amount": "5"})
    usual = record_of(mapped_by(kind, entry, "Bought", revenue=5))
    assert (usual.once, usual.properties["Billing Amount"]) == (False, "5")


def test_of_a_batch_each_event_has_its_own_rules() -> None:
    first, second = custom("Debug", {}), custom("Bought", {"revenue": 5})
    batch = {**first, "events": [*first["events"], *second["events"]]}
    entry = {"kind": "mparticle", "events": [{"event_name": "Debug", "ignore": True}]}
    mapped = mapping_of(stream_of(batch, entry)).map(batch)
    assert record_of(mapped).event == "Bought"
    assert [slot.record for slot in mapped.slots] == [0]


def test_pages_are_selected_by_the_names_of_their_events() -> None:
    page = {"type": "page", "userId": "u1", "messageId": "m1", "timestamp": ISO, "name": "Admin", "properties": {}}
    entry = {"kind": "segment", "events": [{"event_name": "Viewed Admin Page", "ignore": True}]}
    assert mapping_of(stream_of(page, entry)).map(page).calls == []


def test_duplicates_are_spread_by_what_the_message_is_in_every_run(kind: str) -> None:
    slots = [mapped_by(kind, {"spread_duplicates": True}, a=1).slots[0] for _ in range(2)]
    assert slots[0].spread
    assert slots[0].row == slots[1].row
    assert len(slots[0].row) == 8


def test_messages_are_sent_once_by_their_row_s_key_if_the_entry_says_so(kind: str) -> None:
    assert mapped_by(kind, {}, revenue=5, key=("id",)).slots[0].key is None
    (slot,) = mapped_by(kind, {"send_once_per_row": True}, a=1, key=("id",)).slots
    assert slot.key is not None
    assert (slot.key, slot.late_amount) == (slot.key, "Billing Amount")
    (later,) = mapped_by(kind, {"send_once_per_row": True}, revenue=5, key=("id",)).slots
    assert (later.key, later.late_amount) == (slot.key, None)
    with pytest.raises(ConfigError, match=r"send_once_per_row: stream 'things' has no key properties"):
        mapped_by(kind, {"send_once_per_row": True}, a=1)


def test_times_without_a_zone_are_in_that_of_the_entry() -> None:
    message = track("Bought", {"at": "2024-01-31 09:00:00"}, timestamp="2024-01-31 09:00:00")
    mapped = mapping_of(stream_of(message, {"kind": "segment", "timezone": "Europe/Berlin"})).map(message)
    assert record_of(mapped).time == SECONDS
    assert record_of(mapped).properties == {"at": str(SECONDS)}
