from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.mapping.rules import times

# From 1973, where epoch milliseconds can be told from seconds, to 2100.
SECONDS = st.integers(10**8, 4102444799)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    "value",
    [
        "2024-01-31T08:00:00Z",
        "2024-01-31t08:00:00z",
        "2024-01-31T08:00:00",
        "2024-01-31 08:00:00",
        "2024-01-31T08:00",
        "2024-01-31T08:00Z",
        "2024-01-31T09:00:00+01:00",
        "2024-01-31T09:00:00+0100",
        "2024-01-31 09:00:00+01",
        "2024-01-31 09:00:00 +01:00",
        "2024-01-31 09:00:00 +0100",
        "2024-01-31 08:00:00 Z",
        "2024-01-31T02:30:00-05:30",
        "2024-01-31T08:00:00.999Z",
        "2024-01-31T08:00:00,5Z",
        "2024-01-31T08:00:00.999999Z",
        "2024-01-31T08:00:00.999999999Z",
        "2024-01-31 08:00:00 UTC",
        "2024-01-31 08:00:00.123 UTC",
        "2024-01-31 08:00:00 GMT",
        "20240131T080000Z",
        "  2024-01-31T08:00:00Z\n",
        1706688000,
        1706688000.9,
        1706688000123,
        1706688000123456,
        1706688000123456789,
        Decimal("1706688000.999"),
        Decimal(1706688000123),
        "1706688000",
        "1706688000.75",
        "+1706688000",
        "1706688000123",
        "1706688000123456",
        "1706688000123456789",
        datetime(2024, 1, 31, 8, tzinfo=UTC),
        datetime(2024, 1, 31, 8),  # noqa: DTZ001 - without a zone it is UTC
        datetime(2024, 1, 31, 8, 0, 0, 999999, tzinfo=UTC),
        datetime(2024, 1, 31, 10, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_one_second_is_read_from_every_way_to_write_it(value: Any) -> None:
    assert times.to_seconds(value) == 1706688000


@pytest.mark.parametrize("value", ["2024-01-31", "20240131", date(2024, 1, 31)])
def test_a_date_is_its_first_second_in_utc(value: Any) -> None:
    assert times.to_seconds(value) == 1706659200


def test_seconds_before_the_epoch_are_cut_downwards() -> None:
    assert times.to_seconds("1969-12-31T23:59:59.5Z") == -1
    assert times.to_seconds(-0.5) == -1
    assert times.to_seconds(0) == 0


@pytest.mark.parametrize(
    "value",
    [
        "",
        "  ",
        "now",
        "yesterday",
        "0000-00-00 00:00:00",
        "2024-02-30",
        "2024-13-01",
        "2024-01-31T25:00:00Z",
        "2024-01-31T08:00:00 CET",
        "2024-01-31 and more",
        "31/01/2024",
        "08:00:00",
        "2024-01",
        "1.7e9",
        "\u0661\u0667\u0660\u0666\u0666\u0668\u0668\u0660\u0660\u0660",
        "1" * 21,
        pytest.param("x" * 100_000, id="long-text"),
        10**20,
        pytest.param(10**5000, id="5000-digits"),
        Decimal("1E+1000000"),
        Decimal("-1E+1000000"),
        Decimal("NaN"),
        Decimal("sNaN"),
        float("inf"),
        True,
        False,
        None,
        [],
        {},
        [1706688000],
    ],
)
def test_what_is_no_time_is_told_as_such_in_few_words(value: Any) -> None:
    with pytest.raises(ValueError, match=r"must be a time, not .*ISO 8601") as problem:
        times.to_seconds(value)
    assert len(str(problem.value)) < 300


def test_a_number_too_small_to_hold_is_nought() -> None:
    assert times.to_seconds(Decimal("1E-1000000")) == 0


@given(SECONDS, ZONES, st.integers(0, 999_999), st.sampled_from(["T", " "]))
def test_iso_8601_in_any_zone_comes_back_as_the_same_second(
    seconds: int, zone: timezone, micro: int, between: str
) -> None:
    moment = datetime.fromtimestamp(seconds, zone).replace(microsecond=micro)
    assert times.to_seconds(moment.isoformat(between)) == seconds
    assert times.to_seconds(moment) == seconds


@given(SECONDS, st.sampled_from([1, 10**3, 10**6, 10**9]), st.data())
def test_epoch_numbers_in_any_unit_come_back_as_the_same_second(seconds: int, unit: int, data: st.DataObject) -> None:
    number = seconds * unit + data.draw(st.integers(0, unit - 1))
    # Below 1e11 milliseconds a number is seconds: 1973 at the latest.
    if unit > 1 and seconds < 10**11 // 10**3:
        return
    assert times.to_seconds(number) == seconds
    assert times.to_seconds(Decimal(number)) == seconds
    if not (len(str(number)) == 8 and str(number)[:2] in {"19", "20"}):
        assert times.to_seconds(str(number)) == seconds


@given(SECONDS)
def test_what_iso8601_writes_is_read_as_the_same_second(seconds: int) -> None:
    text = times.to_iso(seconds)
    assert text.endswith("Z")
    assert times.to_seconds(text) == seconds


@given(st.text(max_size=40) | st.floats() | st.integers() | st.decimals() | st.binary() | st.none() | st.booleans())
def test_anything_is_a_second_or_a_value_error(value: Any) -> None:
    try:
        seconds = times.to_seconds(value)
    except ValueError:
        return
    assert isinstance(seconds, int)


@given(st.from_regex(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}([T ][0-9:.,+\-Z ]{0,20})?", fullmatch=True))
def test_what_looks_like_iso_8601_is_a_second_or_a_value_error(text: str) -> None:
    told = ""
    seconds: int | None = None
    try:
        seconds = times.to_seconds(text)
    except ValueError as problem:
        told = str(problem)
    assert "must be a time" in told if seconds is None else isinstance(seconds, int)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2024-01-31T09:00:00+01:00", "2024-01-31T08:00:00Z"),
        ("2024-01-31 08:00:00 UTC", "2024-01-31T08:00:00Z"),
        ("2024-01-31T08:00:00.5Z", "2024-01-31T08:00:00.500000Z"),
        ("2024-01-31", "2024-01-31"),
        (date(2024, 1, 31), "2024-01-31"),
        (1706688000, "2024-01-31T08:00:00Z"),
        ("1706688000123", "2024-01-31T08:00:00Z"),
    ],
)
def test_iso8601_is_written_in_utc_and_a_plain_date_stays_one(value: Any, text: str) -> None:
    assert times.to_iso(value) == text


@pytest.mark.parametrize("value", ["2024-02-30", "soon", "", None, True, "2024-99-99T00:00:00"])
def test_iso8601_of_no_time_is_an_error(value: Any) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        times.to_iso(value)


@pytest.mark.parametrize("text", ["2024-01-31", "2024-01-31T08:00", "2024-01-31 08:00:00+01", " 2024-01-31T08:00Z "])
def test_full_iso_8601_is_told(text: str) -> None:
    assert times.is_full_iso(text)


@pytest.mark.parametrize("text", ["20240131", "2024", "2024-01", "1706688000", "order 2024-01-31", "2024-01-31x", ""])
def test_what_might_be_something_else_is_not_told_as_iso_8601(text: str) -> None:
    assert not times.is_full_iso(text)


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-31 09:00:00", "2024-01-31T08:00:00Z"),
        ("2024-07-31 09:00:00", "2024-07-31T07:00:00Z"),
        ("2024-07-31", "2024-07-30T22:00:00Z"),
        ("20240731", "2024-07-30T22:00:00Z"),
        # Twice on that day: the earlier one.
        ("2024-10-27 02:30:00", "2024-10-27T00:30:00Z"),
        # Never on that day: moved on by the hour.
        ("2024-03-31 02:30:00", "2024-03-31T01:30:00Z"),
        # With a zone of its own.
        ("2024-07-31T09:00:00Z", "2024-07-31T09:00:00Z"),
        ("2024-07-31 09:00:00 UTC", "2024-07-31T09:00:00Z"),
        ("2024-07-31T09:00:00-05:00", "2024-07-31T14:00:00Z"),
        ("1706688000", "2024-01-31T08:00:00Z"),
    ],
)
def test_a_time_without_a_zone_is_in_the_given_one(text: str, expected: str) -> None:
    seconds = times.to_seconds(expected)
    assert times.to_seconds(text, BERLIN) == seconds
    if len(text) > 10 or not text.startswith("2024-"):
        assert times.to_iso(text, BERLIN) == expected


def test_objects_without_a_zone_are_in_the_given_one() -> None:
    assert times.to_seconds(datetime(2024, 7, 31, 9), BERLIN) == times.to_seconds("2024-07-31T07:00:00Z")  # noqa: DTZ001
    assert times.to_seconds(date(2024, 7, 31), BERLIN) == times.to_seconds("2024-07-30T22:00:00Z")
    assert times.to_iso(date(2024, 7, 31), BERLIN) == times.to_iso("2024-07-31", BERLIN) == "2024-07-31"
