"""The few bytes that the store keeps of identities, names and values: digests, which hold no personal data.

Every digest of them is keyed, with a key that is derived from the API key and the store's salt, and never stored. So
the same identity in two products, or in two stores, is two people, and a list of candidate identities recovers nobody
without the API key. The parts of a digest are joined as JSON: no part can contain what separates it from the next.

Eight bytes suffice where one digest is compared with one other (a value with the last one): the chance of taking two
values for one is 5e-20 a comparison.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
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

    Each kind of digest begins with a state of its own, which has the key in it already.

    Attributes:
        product: Tells products apart in one store. It reveals nothing of the key.
    """

    def __init__(self, key: bytes) -> None:
        def state(kind: bytes, size: int) -> blake2b:
            return blake2b(digest_size=size, key=key, person=b"km-" + kind)

        self.product = state(b"product", 16).digest()
        self._person = state(b"person", PERSON_BYTES)
        self._second = state(b"second", PERSON_BYTES)
        self._row = state(b"row", PERSON_BYTES)
        self._sent_row = state(b"sent-row", PERSON_BYTES)
        self._whole = state(b"whole", VALUE_BYTES)
        self._event = state(b"event", VALUE_BYTES)
        self._value = state(b"value", VALUE_BYTES)
        name, once = state(b"property", KEY_BYTES), state(b"once", KEY_BYTES)
        self._short_value = lru_cache(maxsize=16384)(self._long_value)
        self.property_key = lru_cache(maxsize=65536)(lambda text: _digest(name, folded(text).encode()))
        self.once_key = lru_cache(maxsize=65536)(lambda text: _digest(once, folded(text).encode()))

    property_key: Callable[[str], bytes]
    """Digest a property's name; without case, as Kissmetrics compares names."""

    once_key: Callable[[str], bytes]
    """Digest the name of an event; without case."""

    def person(self, identity: str) -> bytes:
        """Digest an identity; with case."""
        return _digest(self._person, identity.encode())

    def second(self, identity: str, what: str, second: int) -> bytes:
        """Digest a second of somebody's events of one name (or of their revenue)."""
        return _digest(self._second, _JSON.encode((identity, folded(what), second)))

    def row(self, identity: str, event: str, second: int, row: bytes) -> bytes:
        """Digest a row that holds, or wants, a second of somebody's events of one name."""
        return _digest(self._row, _JSON.encode((identity, folded(event), second, row)))

    def sent_row(self, key: bytes) -> bytes:
        """Digest the key of a row whose event is sent once: the store keeps it like a person."""
        return _digest(self._sent_row, key)

    def value(self, text: str) -> bytes:
        """Digest a property's value; with case."""
        return self._short_value(text) if len(text) <= SHORT_VALUE_CHARACTERS else self._long_value(text)

    def _long_value(self, text: str) -> bytes:
        return _digest(self._value, text.encode())

    def whole(self, properties: Mapping[str, str]) -> bytes:
        """Digest all that a call sets, names and values as they are, in their order."""
        return _digest(self._whole, _JSON.encode(properties))

    def event(self, content: object) -> bytes:
        """Digest an event and its line items, whatever the order of their properties."""
        return _digest(self._event, _SORTED_JSON.encode(content))


def _digest(state: blake2b, data: bytes) -> bytes:
    copy = state.copy()
    copy.update(data)
    return copy.digest()


def content(packed: bytes) -> bytes:
    """Digest what is stored of a person: digests and seconds."""
    return blake2b(packed, digest_size=VALUE_BYTES, person=b"km-content").digest()


SENT_EVENT, SENT_TO, SENT_AMOUNT = (name.ljust(KEY_BYTES, b"\0") for name in (b"event", b"person", b"amount"))
"""What is kept of a row whose event is sent once: its event; whom it was sent to, if it had no amount; the amount that
was sent later."""

FORGOTTEN = b"\xff" * VALUE_BYTES
"""What is stored as the value of an attribute that was deleted at its source: no value is equal to it."""
