"""What is known of a person, packed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.memory.changes import Known
from target_kissmetrics.memory.packed import PackedPerson, pack, unpack

EIGHT_BYTES = st.binary(min_size=8, max_size=8)
SECONDS = st.integers(-(2**63), 2**63 - 1)
PEOPLE = st.dictionaries(EIGHT_BYTES, st.builds(Known, EIGHT_BYTES, SECONDS, SECONDS), max_size=12)


@given(PEOPLE)
def test_what_was_packed_is_unpacked_as_it_was(person: dict[bytes, Known]) -> None:
    packed = PackedPerson(pack(person))

    assert unpack(pack(person)) == person
    assert packed == person
    assert len(packed) == len(person)


@given(PEOPLE, EIGHT_BYTES, EIGHT_BYTES)
def test_each_value_is_plainly_seen_and_no_other(person: dict[bytes, Known], key: bytes, value: bytes) -> None:
    packed = PackedPerson(pack(person))

    for known_key, known in person.items():
        assert packed.plainly_has([known_key + known.value])
    assert packed.plainly_has([key + value]) == (key in person and person[key].value == value)


def test_bytes_that_lie_across_two_fields_are_no_property() -> None:
    key, value = b"K" * 8, b"V" * 8
    across = Known(key, int.from_bytes(value, "little"), 7)
    person = {b"other...": across}

    assert key + value in pack(person)
    assert not PackedPerson(pack(person)).plainly_has([key + value])


def test_a_person_of_whom_nothing_is_known_has_no_value() -> None:
    assert not PackedPerson(b"").plainly_has([b"K" * 8 + b"V" * 8])
