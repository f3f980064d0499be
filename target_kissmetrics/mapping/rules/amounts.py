"""Amounts of money as Kissmetrics counts them: digits, a point, a minus; no currency, no thousands separators."""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact

_SIGNS = "-\u2212+"
_CODES = (
    "COD|AED|AFN|ALL|AMD|ANG|AOA|ARS|AUD|AWG|AZN|BAM|BBD|BDT|BGN|BHD|BIF|BMD|BND|BOB|BRL|BSD|BTN|BWP|BYN|"
    "BZD|CAD|CDF|CHF|CLP|CNY|COP|CRC|CUP|CVE|CZK|DJF|DKK|DOP|DZD|EGP|ERN|ETB|EUR|FJD|FKP|GBP|GEL|GHS|GIP|"
    "GMD|GNF|GTQ|GYD|HKD|HNL|HRK|HTG|HUF|IDR|ILS|INR|IQD|IRR|ISK|JMD|JOD|JPY|KES|KGS|KHR|KMF|KPW|KRW|KWD|"
    "KYD|KZT|LAK|LBP|LKR|LRD|LSL|LYD|MAD|MDL|MGA|MKD|MMK|MNT|MOP|MRU|MUR|MVR|MWK|MXN|MYR|MZN|NAD|NGN|NIO|"
    "NOK|NPR|NZD|OMR|PAB|PEN|PGK|PHP|PKR|PLN|PYG|QAR|RON|RSD|RUB|RWF|SAR|SBD|SCR|SDG|SEK|SGD|SHP|SLE|SOS|"
    "SRD|SSP|STN|SVC|SYP|SZL|THB|TJS|TMT|TND|TOP|TRY|TTD|TWD|TZS|UAH|UGX|USD|UYU|UZS|VED|VES|VND|VUV|WST|"
    "XAF|XCD|XOF|XPF|YER|ZAR|ZMW|ZWG"
)
"""ISO 4217. With any three letters, "12 pcs" would be money."""

_WORDS = frozenset({"all", "ang", "bob", "cop", "cup", "gel", "lak", "mad", "mop", "pen", "ron", "sos", "top", "try"})
"""Codes that are words in lower case: "3 top" is no money."""

_SMALL_CODES = "|".join(code for code in _CODES.lower().split("|") if code not in _WORDS)
_CURRENCY = (
    r"(?:[A-Za-z]{0,3}[$\u00a2-\u00a5\u058f\u060b\u09f2\u09f3\u0e3f\u17db\u20a0-\u20cf]"
    rf"|(?:{_CODES}|{_SMALL_CODES})|kr\.?|z\u0142|K\u010d|Ft|Rs\.?|Fr\.?|\u043b\u0432)"
)
_MONEY = re.compile(
    rf"(?P<sign1>[{_SIGNS}]?)\s*(?P<code1>{_CURRENCY})?\s*(?P<sign2>[{_SIGNS}]?)\s*"
    rf"(?P<digits>[0-9](?:[0-9.,'\u2019\u00a0\u202f ]*[0-9])?|\.[0-9]+)\s*(?P<code2>{_CURRENCY})?(?P<sign3>-?)"
)
_PLAIN = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_GROUPED = re.compile(
    r"[1-9][0-9]{0,2}(?P<by>[,'\u2019\u00a0\u202f .])[0-9]{3}(?:(?P=by)[0-9]{3})*"
    r"|[1-9][0-9]?(?P<lakh>,)[0-9]{2}(?:,[0-9]{2})*,[0-9]{3}"
)
"""Thousands, or thousands and then hundreds of them, as in India."""

MAX_DIGITS = 40
MAX_CHARACTERS = 80


def to_amount(value: object) -> str | None:
    """Return an amount: `"$1,234.50"` -> `1234.50`; None if the value is not one.

    Digits stay as they are (`19.90`). A comma or point with one or two digits behind it, or behind
    thousands separated otherwise, is the decimal point (`1.234,50 EUR`). Parentheses are a minus, as in accounting.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float, Decimal)):
        amount = _plain(Decimal(repr(value)) if isinstance(value, float) else Decimal(value))
        return amount.rstrip("0").rstrip(".") if amount and "." in amount else amount
    if isinstance(value, str):
        return _read(value.strip())
    return None


def is_zero(value: object) -> bool:
    """Return whether a value is an amount of 0, which Kissmetrics would count as a purchase."""
    amount = to_amount(value)
    return amount is not None and not amount.strip("-0.")


def divided(amount: str, by: int) -> str:
    """Divide an amount (`revenue_divide_by`): exactly, or rounded to 10 digits after the point if it never ends."""
    context = Context(prec=2 * MAX_DIGITS)
    quotient = context.divide(Decimal(amount), Decimal(by))
    if context.flags[Inexact]:
        quotient = quotient.quantize(Decimal("1e-10"), context=context)
    return plain if "." not in (plain := f"{quotient:f}") else plain.rstrip("0").rstrip(".")


def negative(amount: str) -> str:
    """Return the negative amount of a refund; zero stays zero."""
    return amount if amount.startswith("-") or not amount.strip("0.") else f"-{amount}"


def _plain(number: Decimal) -> str | None:
    if not number.is_finite():
        return None
    _, digits, _ = number.as_tuple()
    if len(digits) > MAX_DIGITS or abs(number.adjusted()) > MAX_DIGITS:
        return None
    text = f"{number:f}"
    return text if text.strip("-0.") else text.lstrip("-")


def _read(text: str) -> str | None:
    if len(text) > MAX_CHARACTERS:
        return None
    if _PLAIN.fullmatch(text):
        return _plain(Decimal(text))
    if text.startswith("(") and text.endswith(")"):
        inner = _read(text[1:-1].strip())
        return None if inner is None or inner.startswith("-") else negative(inner)
    money = _MONEY.fullmatch(text)
    return _money(money) if money else None


def _money(money: re.Match[str]) -> str | None:
    before, after = money["code1"], money["code2"]
    if before and after and before.isalpha() == after.isalpha():
        return None  # "EUR 5 USD", "$5$"
    digits = _digits(money["digits"])
    signs = money["sign1"] + money["sign2"] + money["sign3"]
    if digits is None or len(signs) > 1:
        return None
    return _plain(Decimal(digits if signs in {"", "+"} else f"-{digits}"))


def _digits(text: str) -> str | None:
    """Remove the thousands separators; None if it is ambiguous which separator is which."""
    if text.isdigit():
        return text
    if _GROUPED.fullmatch(text) and text.count(".") != 1:
        return re.sub("[^0-9]", "", text)
    at = max(text.rfind("."), text.rfind(","))
    whole, point, fraction = text[: max(at, 0)], text[at], text[at + 1 :]
    if at < 0 or not fraction.isdigit():
        return None
    # A comma before three digits separates thousands, unless only 0 is before it.
    if not whole or (whole.isdigit() and (point == "." or len(fraction) <= 2 or whole == "0")):
        return f"{whole or 0}.{fraction}"
    grouped = _GROUPED.fullmatch(whole)
    if grouped and point not in {grouped["by"], grouped["lakh"]}:
        return f"{re.sub('[^0-9]', '', whole)}.{fraction}"
    return None
