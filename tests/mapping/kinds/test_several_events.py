"""Several events from one row (`events`)."""

from __future__ import annotations

from typing import Any

import pytest
from mapping_streams import SECONDS, mapping_of, stream_of

from target_kissmetrics.config.stream_entries import read_entry
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias, Record, Set
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped

ENTRY: dict[str, Any] = {
    "kind": "event",
    "customer_id": ["user_id", "email"],
    "timezone": "Europe/Berlin",
    "events": [
        {"event_name": "Ordered", "timestamp": "created_at"},
        {"event_name": "Purchased", "timestamp": "paid_at", "revenue": "total_cents", "revenue_divide_by": 100,
         "when": {"test": False}},
        {"event_name": "Refunded", "timestamp": "refunded_at", "revenue": "refunded_cents", "revenue_divide_by": 100,
         "refund": True},
    ],
}  # fmt: skip
ROW: dict[str, Any] = {
    "id": 1, "user_id": None, "email": "a@b.c", "created_at": "2024-01-31 09:00:00", "paid_at": "2024-01-31 09:00:05",
    "refunded_at": None, "total_cents": 1999, "refunded_cents": None, "test": False,
}  # fmt: skip


def orders(row: dict[str, Any], entry: dict[str, Any] | None = None, **about: Any) -> Mapped:
    stream = stream_of(ROW | row, ENTRY | (entry or {}), key=("id",), use_customer_id=True, **about)
    return mapping_of(stream).map(ROW | row)


def events(mapped: Mapped) -> list[tuple[str, int, str | None]]:
    """Give each event's name, its time after the first one's, and its amount."""
    records = [call for call in mapped.calls if isinstance(call, Record)]
    return [(call.event, call.time - SECONDS, call.properties.get("Billing Amount")) for call in records]


def test_a_row_is_one_event_for_each_of_its_times() -> None:
    assert events(orders({})) == [("Ordered", 0, None), ("Purchased", 5, "19.99")]
    assert events(orders({"refunded_at": "2024-01-31 09:01:00", "refunded_cents": 500})) == [
        ("Ordered", 0, None),
        ("Purchased", 5, "19.99"),
        ("Refunded", 60, "-5"),
    ]


def test_a_time_that_is_null_has_not_happened() -> None:
    mapped = orders({"paid_at": None})
    assert events(mapped) == [("Ordered", 0, None)]
    assert (mapped.rejections, mapped.is_filtered) == ([], False)


def test_a_row_of_which_nothing_happened_is_filtered() -> None:
    mapped = orders({"created_at": "", "paid_at": None, "email": None})
    assert (mapped.is_filtered, mapped.calls, mapped.rejections) == (True, [], [])


def test_an_event_has_a_condition_of_its_own() -> None:
    assert events(orders({"test": True})) == [("Ordered", 0, None)]


def test_what_an_item_leaves_out_is_the_entry_s() -> None:
    entry = {"exclude": ["email", "test", "*_at", "*_cents"], "events": [
        {"event_name": "Ordered", "timestamp": "created_at", "exclude": ["id"]},
        {"event_name": "Purchased", "timestamp": "paid_at"},
    ]}  # fmt: skip
    first, second = orders({"note": "n"}, entry).calls
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert "email" not in second.properties
    assert second.properties == {"id": "1", "note": "n"}
    assert "id" not in first.properties
    assert "total_cents" in first.properties


def test_an_event_that_cannot_be_sent_is_rejected_alone() -> None:
    mapped = orders({"paid_at": "soon"})
    assert events(mapped) == [("Ordered", 0, None)]
    (rejection,) = mapped.rejections
    assert (rejection.code, rejection.field, rejection.counts_as_row) == ("bad-timestamp", "paid_at", True)


@pytest.mark.parametrize("row", [{"created_at": "never", "paid_at": "soon"}, {"email": None}, {"email": "guest"}])
def test_a_row_none_of_whose_events_can_be_sent_is_rejected(row: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        orders(row)


def test_each_event_of_a_row_is_known_by_itself() -> None:
    mapped = orders({}, {"send_once_per_row": True, "spread_duplicates": True})
    assert len({slot.key for slot in mapped.slots}) == len({slot.row for slot in mapped.slots}) == 2
    assert [slot.record for slot in mapped.slots] == [0, 1]
    again = orders({"total_cents": 5}, {"send_once_per_row": True, "spread_duplicates": True})
    assert [(slot.key, slot.row) for slot in again.slots] == [(slot.key, slot.row) for slot in mapped.slots]


def test_events_with_an_amount_are_sent_once_as_usual() -> None:
    assert [slot.key is not None for slot in orders({}).slots] == [False, True]


def test_attributes_and_aliases_of_the_row_are_sent_once() -> None:
    mapped = orders({"traits": {"plan": "gold"}, "device_id": "d1"}, alias_identities=True)
    assert [type(call) for call in mapped.calls] == [Record, Set, Alias, Record]
    assert [slot.record for slot in mapped.slots] == [0, 3]


def test_line_items_follow_their_event() -> None:
    items = {"line_items": "basket"}
    entry = {"events": [ENTRY["events"][0], {**ENTRY["events"][1], **items}]}
    mapped = orders({"basket": [{"sku": "a"}, {"sku": "b"}]}, entry)
    times = [(type(call), call.time - SECONDS) for call in mapped.calls]
    assert times == [(Record, 0), (Record, 5), (Set, 5), (Set, 6)]


def test_a_field_that_looks_like_the_amount_counts_for_no_event_and_is_warned_of() -> None:
    warnings: list[str] = []
    entry = {"events": [ENTRY["events"][0], {"event_name": "Paid", "timestamp": "paid_at"}]}
    assert {amount for _, _, amount in events(orders({"revenue": 5}, entry, warnings=warnings))} == {None}
    assert any("field 'revenue' is the amount of none of the events" in warning for warning in warnings)
    warnings.clear()
    assert {
        amount for *_, amount in events(orders({"revenue": 5}, entry | {"revenue": "revenue"}, warnings=warnings))
    } == {"5"}
    assert not any("is the amount of none" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({"timestamp": "created"}, "streams[0].events[0].timestamp: stream 'things' has no field 'created'; did you"),
        ({"when": {"tset": True}}, "streams[0].events[0].when: stream 'things' has no field 'tset'"),
        ({"revenue": "totel_cents"}, "streams[0].events[0].revenue: stream 'things' has no field 'totel_cents'"),
    ],
)
def test_a_field_that_the_stream_does_not_have_is_named_with_its_item(item: dict[str, Any], problem: str) -> None:
    entry = {"events": [{"event_name": "Ordered", "timestamp": "created_at", **item}]}
    with pytest.raises(ConfigError) as error:
        orders({}, entry)
    assert str(error.value).startswith(problem)


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ([{"timestamp": "a"}], "[0].event_name: is required; set it to the event's name"),
        ([{"event_name": "E", "customer_id": "a"}], "[0].customer_id: no such key"),
        ([{"event_name": "E", "refund": "yes"}], "[0].refund: must be true or false"),
        (["E"], "[0]: must be an object"),
        (
            [{"event_name": "E", "exclude": ["a"], "rename": [{"field": "a", "property": "b"}]}],
            "[0].rename[0]: 'a' has no",
        ),
        ("E", ": must be a list"),
    ],
)
def test_a_wrong_item_is_named(items: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_entry({"stream": "a", "kind": "event", "events": items}, 2)
    assert str(error.value).startswith(f"streams[2].events{problem}")


def test_events_with_seconds_or_keys_of_their_own_are_planned_one_by_one() -> None:
    mapped = orders({"traits": {"plan": "gold"}, "device_id": "d1"}, alias_identities=True)
    first, second = mapped.by_event()
    assert [type(call) for call in first.calls] == [Record, Set, Alias]
    assert [type(call) for call in second.calls] == [Record]
    assert [slot.record for part in (first, second) for slot in part.slots] == [0, 0]
    assert first.alias_field == mapped.alias_field


def test_other_events_stay_together() -> None:
    entry = {"send_once_per_row": False}
    mapped = orders({}, entry)
    assert mapped.by_event() == [mapped]
    assert [slot.record for slot in mapped.slots] == [0, 1]


def test_an_event_that_is_recorded_once_is_not_sent_once_per_row_as_well() -> None:
    items = [{**ENTRY["events"][0], "once": True}, ENTRY["events"][1]]
    mapped = orders({}, {"send_once_per_row": True, "events": items})
    assert [slot.key is not None for slot in mapped.slots] == [False, True]


@pytest.mark.parametrize("entry", [{"events": []}, {"events": [{"event_name": "E", "revenue_divide_by": 100}]}])
def test_a_division_of_no_amount_is_an_error(entry: dict[str, Any]) -> None:
    more = {} if entry["events"] else {"event_name": "E", "revenue_divide_by": 100, "timestamp": "created_at"}
    with pytest.raises(ConfigError, match=r"revenue_divide_by: has no effect, since no field holds the amount"):
        orders({}, {**entry, **more, **({"timestamp": "created_at"} if entry["events"] else {})})
