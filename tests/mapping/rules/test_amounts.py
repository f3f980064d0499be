from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.mapping.rules import amounts

MONEY = st.decimals(-(10**12), 10**12, places=2)


def grouped(number: Decimal, thousands: str, point: str) -> str:
    """Write an amount of two decimals with separators, without its sign."""
    return f"{number.copy_abs():,.2f}".translate({ord(","): thousands, ord("."): point})


def lakhs(number: Decimal) -> str:
    """Write an amount as India does: 12,34,567.89."""
    whole, _, cents = f"{number.copy_abs():.2f}".partition(".")
    head, tail = whole[:-3], whole[-3:]
    pairs = [head[max(0, at - 2) : at] for at in range(len(head), 0, -2)][::-1]
    return f"{','.join([*pairs, tail])}.{cents}"


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (0, "0"),
        (12, "12"),
        (-12, "-12"),
        (19.9, "19.9"),
        (Decimal("19.90"), "19.9"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0.00"), "0"),
        ("19.99", "19.99"),
        ("19.90", "19.90"),
        (" 19.99 ", "19.99"),
        ("-5", "-5"),
        ("+5", "5"),
        ("5.", "5"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("007", "7"),
        ("0", "0"),
        ("-0", "0"),
        ("$1,234.50", "1234.50"),
        ("$1,234.50 USD", "1234.50"),
        ("US$ 1,234.50", "1234.50"),
        ("R$ 1.234,50", "1234.50"),
        ("$.50", "0.50"),
        ("USD 10", "10"),
        ("10 usd", "10"),
        ("1.234,50 EUR", "1234.50"),
        ("\u20ac1.234,50", "1234.50"),
        ("1 234,50 \u20ac", "1234.50"),
        ("1\u202f234,50\u00a0\u20ac", "1234.50"),
        ("CHF 1'234.50", "1234.50"),
        ("CHF 1\u2019234.50", "1234.50"),
        ("\u20b9 12,34,567.89", "1234567.89"),
        ("INR 1,00,000", "100000"),
        ("\u00a3-5.00", "-5.00"),
        ("-\u00a35.00", "-5.00"),
        ("\u22125.00", "-5.00"),
        ("5.00-", "-5.00"),
        ("($5.00)", "-5.00"),
        ("(0)", "0"),
        ("1,5", "1.5"),
        ("0,123", "0.123"),
        ("1,234", "1234"),
        ("1,234,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1.234", "1.234"),
        ("100 kr", "100"),
        ("\u00a51000", "1000"),
    ],
)
def test_signs_codes_and_thousands_separators_are_cut(value: Any, amount: str) -> None:
    assert amounts.to_amount(value) == amount


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        [],
        [5],
        {},
        {"amount": 5},
        "",
        " ",
        "free",
        "12 pcs",
        "3 top",
        "5 all",
        "10 cup",
        "12 cm",
        "5%",
        "$",
        "EUR",
        "-",
        "--5",
        "+-5",
        "(-5)",
        "((5))x",
        "12:30",
        "2024-01-31",
        "1.2.3",
        "10.0.0.1",
        "1,23,4",
        "1,234,56",
        "1.234.56",
        "1,2345",
        "12 34",
        "1_000",
        "0x10",
        "v5",
        "5 items",
        "$5$",
        "EUR 5 USD",
        "5 5",
        "NaN",
        "inf",
        "Infinity",
        "1e999",
        "\u0661\u0662",
        "\u00bd",
        "9" * 41,
        "9" * 100,
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("1E+1000000"),
        Decimal("1E-1000000"),
        pytest.param(Decimal("0." + "1" * 10_000), id="10000-decimals"),
        float("nan"),
        pytest.param(10**5000, id="5000-digits"),
    ],
)
def test_what_is_no_amount_is_none(value: Any) -> None:
    assert amounts.to_amount(value) is None


@given(MONEY)
def test_an_amount_in_any_style_is_the_same_amount(number: Decimal) -> None:
    minus = "-" if number < 0 else ""
    for written in (
        str(number),
        f"{minus}${grouped(number, ',', '.')}",
        f"${minus}{grouped(number, ',', '.')}",
        f"{minus}{grouped(number, ',', '.')} USD",
        f"{minus}{grouped(number, '.', ',')} EUR",
        f"{minus}{grouped(number, ' ', ',')} \u20ac",
        f"{minus}{grouped(number, chr(0x202F), ',')}\u00a0\u20ac",
        f"{minus}CHF {grouped(number, chr(39), '.')}",
        f"{minus}\u20b9{lakhs(number)}",
        f"({grouped(number, ',', '.')})" if minus else grouped(number, ",", "."),
    ):
        amount = amounts.to_amount(written)
        assert amount is not None, written
        assert Decimal(amount) == number, written


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=6))
def test_a_number_keeps_its_digits(number: Decimal) -> None:
    amount = amounts.to_amount(number)
    assert amount is not None
    assert Decimal(amount) == number
    assert amounts.to_amount(amount) == amount


@given(st.text(max_size=100) | st.text("0123456789.,'() -+$\u20aceEUSDR%", max_size=90))
def test_any_text_is_an_amount_written_plainly_or_none(text: str) -> None:
    amount = amounts.to_amount(text)
    if amount is not None:
        assert set(amount) <= set("-.0123456789")
        assert Decimal(amount).is_finite()
        assert any(character in "0123456789" for character in text)


@given(st.from_regex(r"[0-9]{1,6} ?[a-z]{4,10}", fullmatch=True))
def test_a_number_with_a_word_behind_it_is_no_amount(text: str) -> None:
    assert amounts.to_amount(text) is None


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.lists(st.integers()) | st.binary())
def test_nothing_raises(value: Any) -> None:
    amount = amounts.to_amount(value)
    assert amount is None or Decimal(amount).is_finite()


@pytest.mark.parametrize(
    ("amount", "refund"), [("5", "-5"), ("-5", "-5"), ("0", "0"), ("0.00", "0.00"), ("0.01", "-0.01")]
)
def test_a_refund_is_negative_and_nought_stays_nought(amount: str, refund: str) -> None:
    assert amounts.negative(amount) == refund


@pytest.mark.parametrize(
    ("amount", "by", "quotient"),
    [
        ("1999", 100, "19.99"),
        ("2000", 100, "20"),
        ("-5", 100, "-0.05"),
        ("12.5", 1000, "0.0125"),
        ("1", 3, "0.3333333333"),
        ("123456789012345678901234567890", 100, "1234567890123456789012345678.9"),
        ("0.10", 1, "0.1"),
    ],
)
def test_a_division_is_exact_where_it_ends(amount: str, by: int, quotient: str) -> None:
    assert amounts.divided(amount, by) == quotient
