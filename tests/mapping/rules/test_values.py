from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules.values import MAX_NUMBER_DIGITS, Values, is_scalar, plain_number
from target_kissmetrics.mapping.settings import MappingSettings

UNIX = Values(MappingSettings())
ISO8601 = Values(MappingSettings(datetime_format="iso8601"))


def of_moments(values: Values, value: Any, *, strict: bool = True) -> str:
    """Write a value of a field whose texts may be moments; both ways agree on it."""
    checked, quick = values.writers(moment=True, strict=strict)
    text = checked[type(value)](value)
    assert quick[type(value)](value) == text
    return text


FINITE = st.decimals(allow_nan=False, allow_infinity=False).filter(lambda number: abs(number.adjusted()) < 300)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-7, "-7"),
        (10**30, "1" + "0" * 30),
        (19.99, "19.99"),
        (5.0, "5"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (0.1 + 0.2, "0.30000000000000004"),
        (Decimal("19.99"), "19.99"),
        (Decimal("19.90"), "19.9"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1.5E-7"), "0.00000015"),
        (Decimal("12345678901234567890.123456789012345678901"), "12345678901234567890.123456789012345678901"),
        (Decimal("-0"), "0"),
        (Decimal("-0.00"), "0"),
        (Decimal("0E+9"), "0"),
        ("text", "text"),
        ("  kept as it is ", "  kept as it is "),
        ("a,b:c_", "a,b:c_"),
        ("007", "007"),
        ("None", "None"),
        (None, ""),
        ("", ""),
        (" \t\n", ""),
        ([], ""),
        (["a", "b"], "a,b"),
        (["a", None, "", "b"], "a,b"),
        ([1, Decimal("2.50"), True, "x"], "1,2.5,true,x"),
        ([None, ""], ""),
        (("a", "b"), "a,b"),
    ],
)
def test_values_are_written_plainly(value: Any, text: str) -> None:
    assert UNIX.write(value) == text
    assert ISO8601.write(value) == text


@pytest.mark.parametrize(
    "value",
    [
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        float("nan"),
        float("-inf"),
        Decimal("1E+1000000"),
        Decimal("1E-1000000"),
        Decimal("0E-1000000"),
        pytest.param(Decimal("0." + "1" * 10_000), id="10000-decimals"),
        pytest.param(10**5000, id="5000-digits"),
        [1, Decimal("NaN")],
    ],
)
def test_what_is_no_number_that_can_be_written_out_is_a_problem(value: Any) -> None:
    with pytest.raises(Rejected) as problem:
        UNIX.write(value)
    assert problem.value.code == "bad-number"
    assert len(problem.value.reason) < 200


def test_as_many_digits_as_are_taken_are_all_written() -> None:
    assert plain_number(Decimal("9" * MAX_NUMBER_DIGITS)) == "9" * MAX_NUMBER_DIGITS


@given(FINITE)
def test_a_number_keeps_its_value_and_has_no_exponent(number: Decimal) -> None:
    text = UNIX.write(number)
    assert Decimal(text) == number
    assert set(text) <= set("-0123456789.")


@given(FINITE, st.integers(0, 20))
def test_equal_numbers_are_the_same_text(number: Decimal, zeros: int) -> None:
    _, _, exponent = number.as_tuple()
    written_otherwise = Decimal(f"{number:f}{'' if int(exponent) < 0 else '.'}{'0' * zeros}")
    assert written_otherwise == number
    assert UNIX.write(written_otherwise) == UNIX.write(number)


@pytest.mark.parametrize("ten", [10, 10.0, Decimal("10.00"), Decimal("1E+1")])
def test_ten_is_one_text_however_it_is_written(ten: Any) -> None:
    assert UNIX.write(ten) == "10"
    assert UNIX.write([ten, "10.0"]) == "10,10.0"


@pytest.mark.parametrize("zero", [0, 0.0, -0.0, Decimal("0.00"), Decimal("-0"), Decimal("0E+3"), Decimal("0E-9")])
def test_zero_is_one_text(zero: Any) -> None:
    assert UNIX.write(zero) == "0"


@given(st.integers(-(10**300), 10**300))
def test_a_whole_number_is_written_as_it_is(number: int) -> None:
    assert UNIX.write(number) == str(number)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_can_be_read_again(number: float) -> None:
    text = UNIX.write(number)
    assert float(text) == number
    assert "e" not in text.lower()


@given(st.text(max_size=200))
def test_a_text_is_never_changed(text: str) -> None:
    assert UNIX.write(text) == ("" if not text.strip() else text)


@pytest.mark.parametrize("character", ["x", "\u00e4", "\U0001f600"])
@pytest.mark.parametrize("limit", [1, 512, 8192])
def test_a_value_has_as_many_characters_as_the_limit_and_no_more(character: str, limit: int) -> None:
    values = Values(MappingSettings(max_value_length=limit))
    assert values.write(character * limit) == character * limit
    for too_long in (character * (limit + 1), [character, character * limit]):
        with pytest.raises(Rejected, match=rf"over the limit of {limit} \(max_value_length\)") as problem:
            values.write(too_long)
        assert problem.value.code == "value-too-long"


def test_a_list_is_measured_as_it_is_sent() -> None:
    assert UNIX.write(["x" * 255, None, "y" * 256]) == f"{'x' * 255},{'y' * 256}"


def test_a_too_long_value_is_not_shown_in_the_reason() -> None:
    with pytest.raises(Rejected) as problem:
        UNIX.write("secret " * 2000)
    assert "secret" not in problem.value.reason


def test_half_a_character_is_a_problem() -> None:
    with pytest.raises(Rejected) as problem:
        UNIX.write("a\udfffb")
    assert problem.value.code == "bad-text"


@pytest.mark.parametrize(
    ("value", "unix", "iso"),
    [
        ("2024-01-31T08:00:00Z", "1706688000", "2024-01-31T08:00:00Z"),
        ("2024-01-31T09:00:00+01:00", "1706688000", "2024-01-31T08:00:00Z"),
        ("2024-01-31 08:00:00", "1706688000", "2024-01-31T08:00:00Z"),
        (" 2024-01-31T08:00:00Z ", "1706688000", "2024-01-31T08:00:00Z"),
        ("2024-01-31T08:00:00.750Z", "1706688000", "2024-01-31T08:00:00.750000Z"),
        ("2024-01-31", "1706659200", "2024-01-31"),
        ("1706688000", "1706688000", "2024-01-31T08:00:00Z"),
        ("1706688000123", "1706688000", "2024-01-31T08:00:00Z"),
        ("", "", ""),
        ("  ", "", ""),
        (None, "", ""),
        (["2024-01-31", "2024-02-01"], "1706659200,1706745600", "2024-01-31,2024-02-01"),
    ],
)
def test_texts_of_a_date_time_field_are_written_as_the_setting_says(value: Any, unix: str, iso: str) -> None:
    assert of_moments(UNIX, value) == unix
    assert of_moments(ISO8601, value) == iso


@pytest.mark.parametrize(
    ("value", "unix", "iso"),
    [
        (datetime(2024, 1, 31, 8, tzinfo=UTC), "1706688000", "2024-01-31T08:00:00Z"),
        (datetime(2024, 1, 31, 8), "1706688000", "2024-01-31T08:00:00Z"),  # noqa: DTZ001 - without a zone it is UTC
        (datetime(2024, 1, 31, 3, tzinfo=timezone(timedelta(hours=-5))), "1706688000", "2024-01-31T08:00:00Z"),
        (date(2024, 1, 31), "1706659200", "2024-01-31"),
    ],
)
def test_moments_that_come_as_objects_are_written_as_the_setting_says(value: Any, unix: str, iso: str) -> None:
    assert UNIX.write(value) == unix
    assert ISO8601.write(value) == iso


@pytest.mark.parametrize("text", ["soon", "0000-00-00", "2024-02-30", "31.01.2024", "9999-12-31T23:59:59-23:59x"])
def test_a_date_time_field_that_holds_none_is_a_problem(text: str) -> None:
    for values in (UNIX, ISO8601):
        with pytest.raises(Rejected, match="date-time") as problem:
            of_moments(values, text)
        assert problem.value.code == "bad-datetime"


def test_a_moment_that_no_calendar_holds_is_a_problem() -> None:
    with pytest.raises(Rejected) as problem:
        of_moments(ISO8601, "0001-01-01T00:00:00+23:59")
    assert problem.value.code == "bad-datetime"


@pytest.mark.parametrize("text", ["soon", "2024-02-30", "20240131", "1706688000", "2024-01-31 or so", "2024"])
def test_where_a_field_may_hold_other_texts_too_they_stay_as_they_are(text: str) -> None:
    assert of_moments(UNIX, text, strict=False) == text


def test_where_a_field_may_hold_other_texts_too_a_full_iso_8601_text_is_a_moment() -> None:
    assert of_moments(UNIX, "2024-01-31T08:00:00Z", strict=False) == "1706688000"
    assert of_moments(UNIX, "2024-01-31", strict=False) == "1706659200"
    assert of_moments(ISO8601, "2024-01-31T09:00:00+01:00", strict=False) == "2024-01-31T08:00:00Z"


def test_a_text_that_looks_like_a_date_stays_a_text_in_a_field_of_text() -> None:
    assert UNIX.write("2024-01-31T08:00:00Z") == "2024-01-31T08:00:00Z"


def test_scalars_are_told_from_lists_and_objects() -> None:
    assert all(is_scalar(value) for value in (None, "a", 1, 1.5, True, Decimal(1), date(2024, 1, 1)))
    not_scalars: list[object] = [[], {}, (), [1]]
    assert not any(is_scalar(value) for value in not_scalars)


def _outcome(write: Callable[[], str]) -> str:
    try:
        return f"written {write()}"
    except Rejected as problem:
        return problem.code


@pytest.mark.parametrize("value", ["", " ", "\u3000", "a" * 8193, "\ud800", 10**18, -(10**18), 10**2000, True])
def test_a_value_is_written_the_same_by_its_type(value: Any) -> None:
    checked, _ = UNIX.writers()
    assert _outcome(lambda: checked[type(value)](value)) == _outcome(lambda: UNIX.write(value))
