"""Kissmetrics' rules for single things: names, identities, values, numbers and times. Pure.

Sources: support.kissmetrics.io, "API specifications" (limits, `,` and `:`, numbers, the year 2009), and its guide to
imports (the same rules for files). Where Kissmetrics' pages leave a case open, the docstring says what is decided here.
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from typing import Final, Literal

Reason = Literal[
    "duplicate-event",
    "duplicate-property",
    "too-old",
    "no-person",
    "no-event-name",
    "too-long",
    "bad-timestamp",
    "over-1000",
]
"""Why something was not kept."""

LONGEST_NAME: Final = 255
"""Characters of an event name or a property name."""

LONGEST_IDENTITY: Final = 255
"""Characters of an identity."""

LARGEST_VALUE: Final = 8192
"""Bytes of a value in UTF-8."""

MOST_INSTANCES: Final = 1000
"""Instances of one event, or of one property, that are kept for a person."""

FIRST_SECOND: Final = 1_230_768_000
"""2009-01-01T00:00:00Z: nothing from before it is kept."""

LAST_SECOND: Final = 253_402_300_799
"""9999-12-31T23:59:59Z. A later time is no time in seconds; most often it is one in milliseconds."""

_DIGEST: Final = 16
_KEY_SHOWN: Final = 8
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,64}(?:\.[0-9]{1,64})?|\.[0-9]{1,64})")
_WHOLE_NUMBER: Final = re.compile(r"([+-]?[0-9]{1,20})(?:\.0{1,20})?")
_TO_SPACES: Final = str.maketrans(",:", "  ")


def product_of(key: str) -> str:
    """Name the product that an API key writes to, without giving the key away.

    Returns:
        A digest of the key (16 characters), which tells apart keys that begin alike, and the key's first 8 characters.
    """
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return digest[:_DIGEST] + key[:_KEY_SHOWN]


def label_of(product: str) -> str:
    """Return what may be shown of a product's key: its first 8 characters."""
    return product[_DIGEST:]


def clean(name: str) -> str:
    """Write a name or an identity as Kissmetrics does: `,` and `:` become spaces, surrounding space is cut."""
    return name.translate(_TO_SPACES).strip()


def fold(name: str) -> str:
    """Return the form in which names compare: "Plan Type" is "plan type"."""
    return name.lower()


def is_property(name: str) -> bool:
    """Tell whether a cleaned parameter name can be a property: every name that starts with `_` is reserved."""
    return name != "" and not name.startswith("_")


def is_too_large(value: str) -> bool:
    """Tell whether a value takes more than 8 KB of UTF-8."""
    # No character takes more than four bytes: most values need no encoding to be judged.
    return len(value) * 4 > LARGEST_VALUE and len(value.encode("utf-8", "surrogatepass")) > LARGEST_VALUE


def number_of(text: str) -> Decimal | None:
    """Read a number as Kissmetrics does: text that is a number is a number.

    Plain decimal notation counts, with a sign, a fraction or leading zeros; exponents, currency signs and thousands
    separators do not. Beyond 64 digits before or after the point it is taken for text.

    Returns:
        The exact number; None when the text is no number.
    """
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def same_value(one: str, other: str) -> bool:
    """Compare two values: numbers as numbers ("1.0" is "1"), text with regard to case."""
    if one == other:
        return True
    number = number_of(one)
    return number is not None and number == number_of(other)


def json_value(text: str) -> int | float | str:
    """Write a value for JSON: a number as a number, text as text.

    A fraction with more digits than a JSON reader's floating point holds stays text, so that no digit is lost.
    """
    number = number_of(text)
    if number is None:
        return text
    if number == number.to_integral_value():
        return int(number)
    nearest = float(number)
    return nearest if Decimal(str(nearest)) == number else text


def second_of(text: str) -> int | None:
    """Read a time: whole seconds since the Unix epoch in UTC.

    Returns:
        The second; None when the text is no whole number, or one past the year 9999 (milliseconds, say).
    """
    match = _WHOLE_NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    second = int(match[1])
    return second if second <= LAST_SECOND else None
