"""What is known of a person, packed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.store.intents import LastSent
from target_kissmetrics.store.packed import LastCall, PackedPerson, merge, pack, unpack

EIGHT_BYTES = st.binary(min_size=8, max_size=8)
SECONDS = st.integers(-(2**63), 2**63 - 1)
ANYBODY = st.dictionaries(EIGHT_BYTES, st.builds(LastSent, EIGHT_BYTES, SECONDS, SECONDS), max_size=12)


def pairs(person: dict[bytes, LastSent]) -> list[bytes]:
    return [key + known.value for key, known in person.items()]


def is_plain(person: dict[bytes, LastSent]) -> bool:
    """Tell whether no pair lies across two fields before its own place, as digests do not in a very long while."""
    packed = pack(person)
    return all(packed.find(pair) % 32 == 0 for pair in pairs(person))


PEOPLE = ANYBODY.filter(is_plain)


@given(ANYBODY)
def test_what_was_packed_is_unpacked_as_it_was(person: dict[bytes, LastSent]) -> None:
    packed = PackedPerson(pack(person))

    assert unpack(pack(person)) == person
    assert packed == person
    assert len(packed) == len(person)


@given(PEOPLE, EIGHT_BYTES, EIGHT_BYTES)
def test_each_value_is_plainly_seen_and_no_other(person: dict[bytes, LastSent], key: bytes, value: bytes) -> None:
    packed = PackedPerson(pack(person))

    for known_key, known in person.items():
        assert packed.has_values([known_key + known.value])
    assert packed.has_values([key + value]) == (key in person and person[key].value == value)


def test_bytes_that_lie_across_two_fields_are_no_property() -> None:
    key, value = b"K" * 8, b"V" * 8
    across = LastSent(key, int.from_bytes(value, "little"), 7)
    person = {b"other...": across}

    assert key + value in pack(person)
    assert not PackedPerson(pack(person)).has_values([key + value])


def test_a_person_of_whom_nothing_is_known_has_no_value() -> None:
    assert not PackedPerson(b"").has_values([b"K" * 8 + b"V" * 8])


PLAN, CITY, AGE = b"plan....", b"city....", b"age....."
CALL, OTHER_CALL = b"a call..", b"another."


@given(PEOPLE, st.data())
def test_a_call_that_sets_what_is_known_is_seen_at_a_glance(person: dict[bytes, LastSent], data: st.DataObject) -> None:
    some = data.draw(st.lists(st.sampled_from(pairs(person)), unique=True)) if person else []
    packed = pack(person, LastCall(CALL, some))

    assert PackedPerson(packed).was_set_by(CALL)
    assert not PackedPerson(packed).was_set_by(OTHER_CALL)
    assert PackedPerson(packed).last_call == LastCall(CALL, pairs(person))
    assert unpack(packed) == person == PackedPerson(packed)
    assert len(PackedPerson(packed)) == len(person)


@given(PEOPLE, EIGHT_BYTES, EIGHT_BYTES)
def test_one_that_sets_anything_else_is_not_noted(person: dict[bytes, LastSent], key: bytes, value: bytes) -> None:
    if key + value in pairs(person):
        return
    packed = pack(person, LastCall(CALL, [*pairs(person), key + value]))

    assert packed == pack(person)
    assert not PackedPerson(packed).was_set_by(CALL)
    assert PackedPerson(packed).last_call is None


@given(PEOPLE.filter(bool), st.data())
def test_it_is_not_seen_where_a_property_was_changed_since(person: dict[bytes, LastSent], data: st.DataObject) -> None:
    packed = pack(person, LastCall(CALL, pairs(person)))
    tail = packed[len(pack(person)) :]
    key = data.draw(st.sampled_from(sorted(person)))
    changed = {**person, key: data.draw(st.builds(LastSent, EIGHT_BYTES, SECONDS, SECONDS))}

    assert PackedPerson(pack(changed) + tail).was_set_by(CALL) == (changed == person)
    assert not PackedPerson(pack({**person, b"new.....": changed[key]}) + tail).was_set_by(CALL)


def last(value: bytes, time: int) -> LastSent:
    return LastSent(value, time, time)


def test_of_two_people_the_later_second_wins_property_by_property() -> None:
    stored = {PLAN: last(b"gold....", 20), CITY: last(b"Rome....", 5)}
    new = {PLAN: last(b"free....", 10), CITY: last(b"Oslo....", 6), AGE: last(b"7.......", 1)}
    assert unpack(merge(pack(stored), new)) == {
        PLAN: last(b"gold....", 20),
        CITY: last(b"Oslo....", 6),
        AGE: last(b"7.......", 1),
    }


def test_in_one_second_what_is_new_wins() -> None:
    assert unpack(merge(pack({PLAN: last(b"gold....", 20)}), {PLAN: last(b"free....", 20)})) == {
        PLAN: last(b"free....", 20)
    }


@given(PEOPLE, ANYBODY)
def test_what_is_joined_is_what_each_property_says(stored: dict[bytes, LastSent], new: dict[bytes, LastSent]) -> None:
    wins = {key: value for key, value in new.items() if key not in stored or value.time >= stored[key].time}
    assert unpack(merge(pack(stored), new)) == {**stored, **wins}
    assert unpack(merge(pack(stored, LastCall(CALL, pairs(stored))), new, always=True)) == {**stored, **new}
    assert all(PackedPerson(pack(stored)).get(key) == stored.get(key) for key in {*stored, *new})
