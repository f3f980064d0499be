"""What is known of a person, packed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.store.changes import Known
from target_kissmetrics.store.packed import Glance, PackedPerson, pack, unpack

EIGHT_BYTES = st.binary(min_size=8, max_size=8)
SECONDS = st.integers(-(2**63), 2**63 - 1)
ANYBODY = st.dictionaries(EIGHT_BYTES, st.builds(Known, EIGHT_BYTES, SECONDS, SECONDS), max_size=12)


def pairs(person: dict[bytes, Known]) -> list[bytes]:
    return [key + known.value for key, known in person.items()]


def is_plain(person: dict[bytes, Known]) -> bool:
    """Tell whether no pair lies across two fields before its own place, as digests do not in a very long while."""
    packed = pack(person)
    return all(packed.find(pair) % 32 == 0 for pair in pairs(person))


PEOPLE = ANYBODY.filter(is_plain)


@given(ANYBODY)
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


CALL, OTHER_CALL = b"a call..", b"another."


@given(PEOPLE, st.data())
def test_a_call_that_sets_what_is_known_is_seen_at_a_glance(person: dict[bytes, Known], data: st.DataObject) -> None:
    some = data.draw(st.lists(st.sampled_from(pairs(person)), unique=True)) if person else []
    packed = pack(person, Glance(CALL, some))

    assert PackedPerson(packed).was_left_by(CALL)
    assert not PackedPerson(packed).was_left_by(OTHER_CALL)
    assert PackedPerson(packed).glance == Glance(CALL, pairs(person))
    assert unpack(packed) == person == PackedPerson(packed)
    assert len(PackedPerson(packed)) == len(person)


@given(PEOPLE, EIGHT_BYTES, EIGHT_BYTES)
def test_one_that_sets_anything_else_is_not_noted(person: dict[bytes, Known], key: bytes, value: bytes) -> None:
    if key + value in pairs(person):
        return
    packed = pack(person, Glance(CALL, [*pairs(person), key + value]))

    assert packed == pack(person)
    assert not PackedPerson(packed).was_left_by(CALL)
    assert PackedPerson(packed).glance is None


@given(PEOPLE.filter(bool), st.data())
def test_it_is_not_seen_where_a_property_was_changed_since(person: dict[bytes, Known], data: st.DataObject) -> None:
    packed = pack(person, Glance(CALL, pairs(person)))
    tail = packed[len(pack(person)) :]
    key = data.draw(st.sampled_from(sorted(person)))
    changed = {**person, key: data.draw(st.builds(Known, EIGHT_BYTES, SECONDS, SECONDS))}

    assert PackedPerson(pack(changed) + tail).was_left_by(CALL) == (changed == person)
    assert not PackedPerson(pack({**person, b"new.....": changed[key]}) + tail).was_left_by(CALL)
