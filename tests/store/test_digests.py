"""Digests: of whom they say nothing without the key, and that no two subjects share one."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.store.digests import Digests, derived_key

KEY = "0123456789abcdef0123456789abcdef01234567"
OWN = Digests(derived_key(KEY, b"s" * 16))
TEXTS = st.text(st.sampled_from('ab:\0"\\1'), max_size=4)
SUBJECTS = st.tuples(TEXTS, TEXTS, st.integers(-9, 99))

ALL: dict[str, Callable[[Digests], bytes]] = {
    "person": lambda own: own.person("ada@example.com"),
    "property_key": lambda own: own.property_key("plan"),
    "once_key": lambda own: own.once_key("plan"),
    "value": lambda own: own.value("ada@example.com"),
    "long value": lambda own: own.value("ada@example.com" * 9),
    "whole": lambda own: own.whole({"email": "ada@example.com"}),
    "event": lambda own: own.event(("ada@example.com", "Bought", 1)),
    "second": lambda own: own.second("ada@example.com", "Bought", 1),
    "row": lambda own: own.row("ada@example.com", "Bought", 1, b"r" * 8),
    "sent_row": lambda own: own.sent_row(b"orders\0ada@example.com"),
    "product": lambda own: own.product,
}


@given(SUBJECTS, SUBJECTS)
def test_identity_name_and_second_are_never_confused(one: tuple[str, str, int], other: tuple[str, str, int]) -> None:
    assert (OWN.second(*one) == OWN.second(*other)) == (one == other)
    assert (OWN.row(*one, b"r" * 8) == OWN.row(*other, b"r" * 8)) == (one == other)


@pytest.mark.parametrize("digest", ALL.values(), ids=ALL)
def test_another_api_key_or_another_salt_gives_another_digest(digest: Callable[[Digests], bytes]) -> None:
    others = [Digests(derived_key(KEY, b"t" * 16)), Digests(derived_key(KEY[:-1] + "8", b"s" * 16))]
    assert len({digest(own) for own in (OWN, *others)}) == 3
    assert digest(Digests(derived_key(KEY, b"s" * 16))) == digest(OWN)


def test_subjects_of_every_kind_have_digests_of_their_own() -> None:
    same = [OWN.person("x")[:8], OWN.property_key("x"), OWN.once_key("x"), OWN.value("x"), OWN.sent_row(b"x")[:8]]
    assert len(set(same)) == len(same)


def test_what_tells_products_apart_in_the_store_recovers_nobody() -> None:
    """Who has a killed run's store knows `product` and a list of candidate addresses."""
    for key in (OWN.product, b"s" * 16, b""):
        assert blake2b(b"ada@example.com", digest_size=16, key=key).digest() != OWN.person("ada@example.com")
        assert Digests(key).person("ada@example.com") != OWN.person("ada@example.com")


def test_the_key_is_derived_as_rfc_5869_says() -> None:
    """HKDF with a salt, for one block, written out by its definition of HMAC."""
    from hashlib import sha256  # noqa: PLC0415

    def hmac(key: bytes, text: bytes) -> bytes:
        padded = key.ljust(64, b"\0")
        inner = sha256(bytes(byte ^ 0x36 for byte in padded) + text).digest()
        return sha256(bytes(byte ^ 0x5C for byte in padded) + inner).digest()

    expected = hmac(hmac(b"s" * 16, KEY.encode()), b"target-kissmetrics digests\x01")
    assert derived_key(KEY, b"s" * 16) == expected
