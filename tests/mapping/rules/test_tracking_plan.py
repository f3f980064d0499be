"""The tracking plan: events and properties that are not in it."""

from __future__ import annotations

from typing import Any

import pytest
from mapping_streams import EVENT, ISO, SECONDS, codes, map_event, map_person, mapping_of, record_of, set_of, stream_of

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.reject_codes import Rejected


@pytest.mark.parametrize("allowed", [("Purchased",), ("Pur*", "x"), ("*",), None])
def test_an_event_in_the_plan_is_sent(allowed: Any) -> None:
    assert record_of(map_event({}, allowed_events=allowed)).event == "Purchased"


TRACK = {"type": "track", "userId": "u1", "messageId": "m1", "timestamp": ISO, "event": "Purchased", "properties": {}}
LINE = {"_p": "u1", "_t": SECONDS, "_n": "Purchased"}


@pytest.mark.parametrize(
    ("row", "entry"), [(EVENT, {"kind": "event"}), (TRACK, {"kind": "segment"}), (LINE, {"kind": "kissmetrics"})]
)
def test_another_event_is_rejected_in_every_format(row: dict[str, Any], entry: dict[str, Any]) -> None:
    mapping = mapping_of(stream_of([*row, "traits"], entry, allowed_events=("Bought", "purchased")))
    with pytest.raises(Rejected, match="event 'Purchased' is not in allowed_events") as rejected:
        mapping.map(row)
    assert rejected.value.code == "not-in-plan"


def test_of_a_batch_other_events_are_rejected_alone() -> None:
    events = [
        {"event_type": "custom_event", "data": {"event_name": name, "timestamp_unixtime_ms": SECONDS * 1000}}
        for name in ("Menu", "Purchased", "Menu")
    ]
    batch = {"mp_deviceid": "d1", "events": events}
    mapped = mapping_of(stream_of(batch, {"kind": "mparticle"}, allowed_events=("Purchased",))).map(batch)
    assert record_of(mapped).event == "Purchased"
    assert codes(mapped) == [("not-in-plan", "events[0]"), ("not-in-plan", "events[2]")]


def test_of_several_events_of_a_row_others_are_rejected_with_their_time() -> None:
    items = [{"event_name": "Ordered", "timestamp": "timestamp"}, {"event_name": "Paid", "timestamp": "paid_at"}]
    mapped = map_event({"paid_at": ISO}, {"events": items}, allowed_events=("Ordered",))
    assert record_of(mapped).event == "Ordered"
    assert codes(mapped) == [("not-in-plan", "paid_at")]
    assert mapped.rejections[0].counts_as_row


def test_properties_that_are_not_in_it_are_dropped() -> None:
    about: dict[str, Any] = {"allowed_properties": ("plan", "address", "utm*", "Campaign *")}
    row = {"plan": "gold", "address": {"city": "Oslo"}, "ssn": "12", "utm_source": "news"}
    mapped = map_person(row, **about)
    assert set_of(mapped).properties == {"plan": "gold", "address.city": "Oslo", "Campaign Source": "news"}
    assert codes(mapped) == [("not-in-plan", "ssn")]


def test_names_are_checked_as_they_are_sent() -> None:
    entry = {"rename": [{"field": "plan", "property": "Plan"}]}
    mapped = map_person({"plan": "gold", "email": "a@b.c"}, entry, allowed_properties=("plan", "email"))
    assert set_of(mapped).properties == {"email": "a@b.c"}
    assert codes(mapped) == [("not-in-plan", "plan")]


def test_the_property_of_revenue_is_always_in_it() -> None:
    mapped = map_event({"revenue": 5, "note": None}, allowed_properties=("other",))
    assert record_of(mapped).properties == {"Billing Amount": "5"}
    assert codes(mapped) == [("not-in-plan", "revenue")]


def test_an_experiment_is_a_property() -> None:
    row = {"user_id": "u1", "experiment": "Blue", "variant": "a", "updated_at": ISO}
    mapping = mapping_of(stream_of(row, {"kind": "experiment"}, allowed_properties=("Red",)))
    with pytest.raises(Rejected, match="property 'Blue' is not in allowed_properties"):
        mapping.map(row)


def test_a_constant_that_is_not_in_it_is_an_error_of_the_configuration() -> None:
    entry = {"set": [{"property": "Source", "value": "x"}]}
    with pytest.raises(ConfigError, match=r"streams\[0\].set: property 'Source' is not in allowed_properties"):
        map_person({"plan": "gold"}, entry, allowed_properties=("plan",))
