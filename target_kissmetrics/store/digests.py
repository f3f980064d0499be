"""The few bytes that are remembered of identities, names and values: digests, so the store holds no personal data.

Digests of people and seconds are keyed with the product, so that the same identity in two products is two people.
Eight bytes suffice where one digest is compared with one other (a value with the last one): the chance of taking two
values for one is 5e-20 a comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b

import msgspec

from target_kissmetrics.kissmetrics.names import folded

PERSON_BYTES = 16
KEY_BYTES = 8
VALUE_BYTES = 8


def product(api_key: str) -> bytes:
    """Tell products apart without keeping their keys."""
    return blake2b(api_key.encode(), digest_size=16, person=b"km-product").digest()


class Digests:
    """Digests within one product, given by its digest."""

    __slots__ = ("product",)

    def __init__(self, product: bytes) -> None:
        self.product = product

    def person(self, identity: str) -> bytes:
        """Digest an identity; with case."""
        return blake2b(identity.encode(), digest_size=PERSON_BYTES, key=self.product).digest()

    def second(self, identity: str, what: str, second: int) -> bytes:
        """Digest a second of somebody's events of one name (or of their revenue)."""
        text = f"{identity}\0{folded(what)}\0{second}"
        return blake2b(text.encode(), digest_size=PERSON_BYTES, key=self.product, person=b"km-second").digest()

    def row(self, identity: str, event: str, second: int, row: bytes) -> bytes:
        """Digest a row that holds, or wants, a second of somebody's events of one name."""
        text = f"{identity}\0{folded(event)}\0{second}\0"
        return blake2b(text.encode() + row, digest_size=PERSON_BYTES, key=self.product, person=b"km-row").digest()


@lru_cache(maxsize=65536)
def property_key(name: str) -> bytes:
    """Digest a property's name; without case, as Kissmetrics compares names."""
    return blake2b(folded(name).encode(), digest_size=KEY_BYTES, person=b"km-property").digest()


@lru_cache(maxsize=65536)
def once_key(event: str) -> bytes:
    """Digest the name of an event that is recorded once for each person."""
    return blake2b(folded(event).encode(), digest_size=KEY_BYTES, person=b"km-once").digest()


SHORT_VALUE_CHARACTERS = 32
"""Plans, countries, numbers, true and false: they come again and again, and are few enough for a cache."""


def value(text: str) -> bytes:
    """Digest a property's value; with case."""
    return _short_value(text) if len(text) <= SHORT_VALUE_CHARACTERS else _value(text)


def _value(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=VALUE_BYTES).digest()


_short_value = lru_cache(maxsize=16384)(_value)


def whole(properties: Mapping[str, str]) -> bytes:
    """Digest all that a call sets, names and values as they are, in their order."""
    return blake2b(msgspec.json.encode(properties), digest_size=VALUE_BYTES, person=b"km-whole").digest()


def content(packed: bytes) -> bytes:
    """Digest what is stored of a person."""
    return blake2b(packed, digest_size=VALUE_BYTES, person=b"km-content").digest()


NO_VALUE = bytes(VALUE_BYTES)
"""What is remembered as the value of an event recorded once."""

FORGOTTEN = b"\xff" * VALUE_BYTES
"""What is remembered as the value of an attribute that was deleted at its source: no value is equal to it."""
