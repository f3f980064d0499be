from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.sandbox import rules


@pytest.mark.parametrize(
    ("written", "kept"),
    [("Plan,Type", "Plan Type"), ("a:b", "a b"), ("  x ", "x"), (",:", ""), (":_p", "_p"), ("\tname\n", "name")],
)
def test_commas_and_colons_become_spaces_and_surrounding_space_is_cut(written: str, kept: str) -> None:
    assert rules.clean(written) == kept


@given(st.text())
def test_cleaning_twice_is_cleaning_once(name: str) -> None:
    assert rules.clean(rules.clean(name)) == rules.clean(name)


@pytest.mark.parametrize("name", ["_k", "_p", "_n", "_t", "_d", "_ip", "_ua", "_c", "_u", "_anything", ""])
def test_reserved_and_empty_names_are_no_properties(name: str) -> None:
    assert not rules.is_property(name)


def test_any_other_name_is_a_property() -> None:
    assert rules.is_property("Plan_")


@pytest.mark.parametrize("text", ["123", "-1", "+1", "0.10", ".5", "007", "9" * 64])
def test_text_that_is_a_number_is_a_number(text: str) -> None:
    assert rules.number_of(text) == Decimal(text)


@pytest.mark.parametrize(
    "text", ["", "1e5", "$1", "1,000", " 1", "1.", "NaN", "Infinity", "٣", "1_000", "9" * 65, "1\n"]
)
def test_any_other_text_is_text(text: str) -> None:
    assert rules.number_of(text) is None


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [("1", "1.0", True), ("01", "1", True), ("a", "A", False), ("a", "a", True), ("1", "a", False), ("1", "2", False)],
)
def test_numbers_compare_as_numbers_and_text_with_case(one: str, other: str, is_same: bool) -> None:
    assert (rules.fold_value(one) == rules.fold_value(other)) is is_same


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("123", 123),
        ("19.99", 19.99),
        ("100.00", 100),
        ("-0.5", -0.5),
        ("Gold", "Gold"),
        ("true", "true"),
        ("9" * 40, int("9" * 40)),
        ("0.12345678901234567890123", "0.12345678901234567890123"),
    ],
)
def test_json_shows_numbers_as_numbers_and_never_loses_a_digit(text: str, value: float | str) -> None:
    shown = rules.json_value(text)
    assert (shown, type(shown)) == (value, type(value))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**30), max_value=10**30))
def test_a_number_shown_is_the_number_sent(number: Decimal) -> None:
    assert Decimal(str(rules.json_value(format(number, "f")))) == number


@pytest.mark.parametrize(
    ("text", "second"),
    [("1700000000", 1_700_000_000), (" 1 ", 1), ("-5", -5), ("1700000000.0", 1_700_000_000), ("+7", 7)],
)
def test_a_time_is_whole_seconds(text: str, second: int) -> None:
    assert rules.second_of(text) == second


@pytest.mark.parametrize(
    "text", ["", "now", "1.5", "2024-01-01", "1700000000000", "1e9", "0x10", "9" * 5000, "253402300800"]
)
def test_anything_else_is_no_time(text: str) -> None:
    assert rules.second_of(text) is None


def test_a_product_shows_eight_characters_of_its_key_and_tells_keys_apart() -> None:
    one, other = rules.product_of("abcdefgh-one"), rules.product_of("abcdefgh-other")
    assert rules.label_of(one) == rules.label_of(other) == "abcdefgh"
    assert one != other
    assert "one" not in one
