"""Kissmetrics' rules for single things: names, identities, values, numbers and times. Pure.

Sources: support.kissmetrics.io, "API specifications" (limits, `,` and `:`, numbers, the year 2009), and its guide to
imports (the same rules for files). Where these leave a case open, the docstring says what is decided here.
"""

from __future__ import annotations

import hashlib
import re
from decimal import Context, Decimal
from typing import Final
from urllib.parse import unquote_plus

MAX_NAME: Final = 255  # characters of the name of an event or a property, and of an identity
MAX_VALUE: Final = 512  # characters of a value
MAX_INSTANCES: Final = 1000  # instances of one event, or of one property, that are kept for a person
FIRST_SECOND: Final = 1_230_768_000  # 2009-01-01T00:00:00Z: nothing from before it is kept
LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z. A later time is most often one in milliseconds
EXACT: Final = Context(prec=300)  # adds numbers of 64 digits on either side of the point without rounding
_DIGEST: Final = 16
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,64}(?:\.[0-9]{1,64})?|\.[0-9]{1,64})")
_WHOLE_NUMBER: Final = re.compile(r"([+-]?[0-9]{1,20})(?:\.0{1,20})?")
_TO_SPACES: Final = str.maketrans(",:", "  ")


def product_of(key: str) -> str:
    """Return the name of an API key's product: a digest of the key (16 characters) and its first 8 characters."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST] + key[:8]


def label_of(product: str) -> str:
    """Return the part of a product's name that may be displayed: the first 8 characters of its key."""
    return product[_DIGEST:]


def clean(name: str) -> str:
    """Write a name or an identity as Kissmetrics does: `,` and `:` become spaces, surrounding space is cut."""
    return name.translate(_TO_SPACES).strip()


def fold(name: str) -> str:
    """Return the form in which names compare: "Plan Type" is "plan type"."""
    return name.lower()


def is_key(name: str) -> bool:
    """Return whether a decoded parameter holds an API key: `_k`, in capitals, with space, percent-encoded once more."""
    return fold(clean(unquote_plus(unquote_plus(name)))) == "_k"


def is_property(name: str) -> bool:
    """Return whether a cleaned parameter name can be a property: names that start with `_` are reserved."""
    return name != "" and not name.startswith("_")


def number_of(text: str) -> Decimal | None:
    """Read a number in plain decimal notation, of at most 64 digits before and after the point; None for text."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def fold_value(value: str) -> str:
    """Return the form in which values compare: numbers as numbers ("1.0" is "1"), text with regard to case."""
    number = number_of(value)
    return value if number is None else format(EXACT.normalize(number), "f")


def json_value(text: str) -> int | float | str:
    """Write a value for JSON: a number as a number, text and fractions that a float would round as text."""
    number = number_of(text)
    if number is None:
        return text
    if number == number.to_integral_value():
        return int(number)
    nearest = float(number)
    return nearest if Decimal(str(nearest)) == number else text


def second_of(text: str) -> int | None:
    """Read a time in whole seconds since the Unix epoch; None for anything else, and for one past the year 9999."""
    match = _WHOLE_NUMBER.fullmatch(text.strip())
    return int(match[1]) if match is not None and int(match[1]) <= LAST_SECOND else None
