"""The few bytes that are remembered of identities, names and values: digests, so the store holds no personal data.

Every digest of them is keyed, with a key that is derived from the API key and the store's salt, and never stored. So
the same identity in two products, or in two stores, is two people, and a list of candidate identities recovers nobody
without the API key. The parts of a digest are joined as JSON: no part can contain what separates it from the next.

Eight bytes suffice where one digest is compared with one other (a value with the last one): the chance of taking two
values for one is 5e-20 a comparison.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b

import msgspec

from target_kissmetrics.kissmetrics.names import folded

_JSON = msgspec.json.Encoder()
_SORTED_JSON = msgspec.json.Encoder(order="deterministic")

PERSON_BYTES = 16
KEY_BYTES = 8
VALUE_BYTES = 8
SECOND_BYTES = 8
SALT_BYTES = 16

SHORT_VALUE_CHARACTERS = 32
"""Plans, countries, numbers, true and false: they come again and again, and are few enough for a cache."""


def derived_key(api_key: str, salt: bytes) -> bytes:
    """Derive the key of a product's digests by HKDF-SHA256 (RFC 5869).

    An API key is 160 random bits, which nobody guesses, so scrypt's slowness would protect nothing and cost each start
    60 ms.
    """
    extracted = hmac.digest(salt, api_key.encode(), "sha256")
    return hmac.digest(extracted, b"target-kissmetrics digests\x01", "sha256")


class Digests:
    """Digests within one product and store, given by their key.

    Attributes:
        product: Tells products apart in one store. It reveals nothing of the key.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.product = blake2b(digest_size=16, key=key, person=b"km-product").digest()
        self.property_key = lru_cache(maxsize=65536)(self._property_key)
        self.once_key = lru_cache(maxsize=65536)(self._once_key)
        self._short_value = lru_cache(maxsize=16384)(self._value)

    def person(self, identity: str) -> bytes:
        """Digest an identity; with case."""
        return blake2b(identity.encode(), digest_size=PERSON_BYTES, key=self._key).digest()

    def second(self, identity: str, what: str, second: int) -> bytes:
        """Digest a second of somebody's events of one name (or of their revenue)."""
        parts = _JSON.encode((identity, folded(what), second))
        return blake2b(parts, digest_size=PERSON_BYTES, key=self._key, person=b"km-second").digest()

    def row(self, identity: str, event: str, second: int, row: bytes) -> bytes:
        """Digest a row that holds, or wants, a second of somebody's events of one name."""
        parts = _JSON.encode((identity, folded(event), second, row))
        return blake2b(parts, digest_size=PERSON_BYTES, key=self._key, person=b"km-row").digest()

    def sent_row(self, key: bytes) -> bytes:
        """Digest the key of a row whose event is sent once: the store keeps it like a person."""
        return blake2b(key, digest_size=PERSON_BYTES, key=self._key, person=b"km-sent-row").digest()

    def value(self, text: str) -> bytes:
        """Digest a property's value; with case."""
        return self._short_value(text) if len(text) <= SHORT_VALUE_CHARACTERS else self._value(text)

    def whole(self, properties: Mapping[str, str]) -> bytes:
        """Digest all that a call sets, names and values as they are, in their order."""
        return blake2b(_JSON.encode(properties), digest_size=VALUE_BYTES, key=self._key, person=b"km-whole").digest()

    def event(self, content: object) -> bytes:
        """Digest an event and its line items, whatever the order of their properties."""
        text = _SORTED_JSON.encode(content)
        return blake2b(text, digest_size=VALUE_BYTES, key=self._key, person=b"km-event").digest()

    def _property_key(self, name: str) -> bytes:
        """Digest a property's name; without case, as Kissmetrics compares names."""
        return blake2b(folded(name).encode(), digest_size=KEY_BYTES, key=self._key, person=b"km-property").digest()

    def _once_key(self, event: str) -> bytes:
        """Digest the name of an event that is recorded once for each person."""
        return blake2b(folded(event).encode(), digest_size=KEY_BYTES, key=self._key, person=b"km-once").digest()

    def _value(self, text: str) -> bytes:
        return blake2b(text.encode(), digest_size=VALUE_BYTES, key=self._key).digest()


def content(packed: bytes) -> bytes:
    """Digest what is stored of a person: digests and seconds."""
    return blake2b(packed, digest_size=VALUE_BYTES, person=b"km-content").digest()


SENT_EVENT, SENT_TO, SENT_AMOUNT = (name.ljust(KEY_BYTES, b"\0") for name in (b"event", b"person", b"amount"))
"""What is kept of a row whose event is sent once: its event; whom it was sent to, if it had no amount; the amount that
was sent later."""

FORGOTTEN = b"\xff" * VALUE_BYTES
"""What is remembered as the value of an attribute that was deleted at its source: no value is equal to it."""
