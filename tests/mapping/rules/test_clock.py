from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from mapping_streams import ISO, NOW, SECONDS, stream_of

from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules.clock import ATTRIBUTE_TIME_CANDIDATES, EVENT_TIME_CANDIDATES, RowClock

EXTRACTED = "2025-01-01T00:00:00Z"
EXTRACTED_SECONDS = 1735689600


def events(*fields: str, timestamp: str | None = None) -> RowClock:
    entry = {"timestamp": timestamp} if timestamp else {}
    stream = stream_of(("customer_id", *fields), entry)
    return stream.clock(EVENT_TIME_CANDIDATES, required=True, is_one=True)


def rejected(clock: RowClock, row: dict[str, Any], extracted: object = None) -> Rejected:
    with pytest.raises(Rejected) as problem:
        clock.read(row, extracted)
    return problem.value


def test_the_candidates_are_those_of_the_manual_in_its_order() -> None:
    assert EVENT_TIME_CANDIDATES == (
        "timestamp", "event_timestamp", "event_time", "occurred_at", "time", "derived_tstamp", "collector_tstamp",
        "created_at", "created", "date", "km_time",
    )  # fmt: skip
    assert ATTRIBUTE_TIME_CANDIDATES == ("updated_at", "modified_at", "last_modified", "timestamp", "km_time")


@pytest.mark.parametrize("field", EVENT_TIME_CANDIDATES)
def test_each_candidate_gives_an_events_time(field: str) -> None:
    assert events(field).read({field: ISO}, EXTRACTED) == (SECONDS, field)


def test_the_first_candidate_that_holds_a_time_gives_it() -> None:
    clock = stream_of(("customer_id", "timestamp", "updated_at")).clock(ATTRIBUTE_TIME_CANDIDATES)
    assert clock.read({"timestamp": "2020-01-01", "updated_at": ISO}, None) == (SECONDS, "updated_at")
    assert clock.read({"timestamp": ISO, "updated_at": None}, None) == (SECONDS, "timestamp")


def test_the_time_of_events_is_one_field_for_all_rows_of_a_schema() -> None:
    clock = events("created_at", "event_time")
    assert clock.paths == ("event_time",)
    assert clock.read({"created_at": "2020-01-01", "event_time": ISO}, None) == (SECONDS, "event_time")


def test_where_the_schema_lists_no_fields_each_row_has_its_first_candidate_with_a_time() -> None:
    clock = stream_of(()).clock(EVENT_TIME_CANDIDATES, is_one=True)
    assert clock.read({"Created At": "2020-01-01", "eventTime": ISO}, None) == (SECONDS, "eventTime")
    assert clock.read({"Created At": ISO, "eventTime": None}, None) == (SECONDS, "Created At")


def test_a_stream_whose_entry_says_that_no_field_is_the_time_uses_the_time_of_extraction() -> None:
    clock = stream_of(("customer_id", "timestamp"), {"timestamp": False}).clock(EVENT_TIME_CANDIDATES)
    assert clock.read({"timestamp": ISO}, EXTRACTED) == (EXTRACTED_SECONDS, None)


def test_a_field_that_the_entry_names_is_the_only_one_tried() -> None:
    clock = events("paid_at", "timestamp", timestamp="paid_at")
    assert clock.read({"paid_at": ISO, "timestamp": "2020-01-01"}, None) == (SECONDS, "paid_at")


@pytest.mark.parametrize("row", [{"timestamp": None}, {"timestamp": ""}, {"timestamp": "  "}, {}])
def test_an_event_without_its_time_is_rejected_whatever_named_the_field(row: dict[str, Any]) -> None:
    for clock in (events("timestamp", "created_at"), events("timestamp", timestamp="timestamp")):
        problem = rejected(clock, {**row, "created_at": ISO}, EXTRACTED)
        assert (problem.code, problem.field) == ("no-timestamp", "timestamp")


def test_an_event_of_an_open_schema_without_any_time_is_rejected() -> None:
    clock = stream_of(()).clock(EVENT_TIME_CANDIDATES, required=True, is_one=True)
    assert rejected(clock, {"customer_id": "ann", "created_at": None}, EXTRACTED).code == "no-timestamp"


@pytest.mark.parametrize("row", [{"timestamp": None}, {"timestamp": ""}, {"timestamp": "  "}, {}])
def test_attributes_without_a_time_have_the_time_of_extraction_and_then_now(row: dict[str, Any]) -> None:
    clock = stream_of(("customer_id", "timestamp")).clock(ATTRIBUTE_TIME_CANDIDATES)
    assert clock.read(row, EXTRACTED) == (EXTRACTED_SECONDS, None)
    assert clock.read(row, datetime(2025, 1, 1, tzinfo=UTC)) == (EXTRACTED_SECONDS, None)
    assert clock.read(row, None) == (NOW, None)
    assert clock.read(row, "no time at all") == (NOW, None)


@pytest.mark.parametrize("row", [{"paid_at": None}, {"paid_at": " "}, {}])
def test_a_named_field_that_holds_no_time_rejects_the_event(row: dict[str, Any]) -> None:
    problem = rejected(events("paid_at", timestamp="paid_at"), row, EXTRACTED)
    assert (problem.code, problem.field) == ("no-timestamp", "paid_at")


def test_a_named_field_that_holds_no_time_does_not_reject_attributes() -> None:
    clock = stream_of(("customer_id", "seen"), {"timestamp": "seen"}).clock(ATTRIBUTE_TIME_CANDIDATES)
    assert clock.read({"seen": None}, EXTRACTED) == (EXTRACTED_SECONDS, None)


@pytest.mark.parametrize("field", ATTRIBUTE_TIME_CANDIDATES)
def test_each_candidate_gives_an_attributes_time(field: str) -> None:
    clock = stream_of(("customer_id", field)).clock(ATTRIBUTE_TIME_CANDIDATES)
    assert clock.read({field: ISO}, EXTRACTED) == (SECONDS, field)


def test_an_attribute_was_never_set_when_its_row_was_made() -> None:
    clock = stream_of(("customer_id", "created_at")).clock(ATTRIBUTE_TIME_CANDIDATES)
    assert clock.read({"created_at": ISO}, None) == (NOW, None)


@pytest.mark.parametrize("value", ["soon", "0000-00-00", True, {}, [1], 10**30])
def test_what_is_no_time_rejects_the_row(value: Any) -> None:
    problem = rejected(events("time"), {"time": value})
    assert (problem.code, problem.field) == ("bad-timestamp", "time")
    assert "must be a time" in problem.reason


@pytest.mark.parametrize("value", ["2008-12-31T23:59:59Z", "1970-01-01", 0, 1230767999, "2009-01-01T00:30:00+01:00"])
def test_what_happened_before_2009_is_rejected(value: Any) -> None:
    problem = rejected(events("time"), {"time": value})
    assert (problem.code, problem.field) == ("too-old", "time")


@pytest.mark.parametrize("value", ["2009-01-01T00:00:00Z", "2009-01-01", 1230768000])
def test_the_first_second_of_2009_is_taken(value: Any) -> None:
    assert events("time").read({"time": value}, None) == (1230768000, "time")


@pytest.mark.parametrize("value", ["2100-01-01", "9999-12-31T23:59:59Z", 99_999_999_999])
def test_a_time_so_late_that_it_was_misread_is_rejected(value: Any) -> None:
    assert rejected(events("time"), {"time": value}).code == "bad-timestamp"


@pytest.mark.parametrize("ahead", [0, 1, 86_400])
def test_a_time_may_be_a_little_ahead_of_the_clock(ahead: int) -> None:
    assert events("time").read({"time": NOW + ahead}, None) == (NOW + ahead, "time")


@pytest.mark.parametrize(("limit", "ahead"), [(86_400, 86_401), (0, 1), (60, 3_600)])
def test_a_time_further_ahead_is_rejected(limit: int, ahead: int) -> None:
    clock = stream_of(("time",), max_future_seconds=limit).clock(EVENT_TIME_CANDIDATES)
    problem = rejected(clock, {"time": NOW + ahead})
    assert (problem.code, problem.field) == ("future-timestamp", "time")
    assert "max_future_seconds" in problem.reason


def test_a_time_of_extraction_far_ahead_is_rejected_too() -> None:
    assert rejected(events(), {}, "2099-12-31T23:59:59Z").code == "future-timestamp"


def test_a_time_of_extraction_that_kissmetrics_would_not_keep_is_rejected_too() -> None:
    assert rejected(events(), {}, "1999-01-01T00:00:00Z").code == "too-old"


def test_a_clock_is_described_by_what_is_tried() -> None:
    assert events("created_at", "time").describe() == "time"
    assert events().describe() == "time_extracted, else now"
    assert events("paid_at", timestamp="paid_at").describe() == "paid_at"
