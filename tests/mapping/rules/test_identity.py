from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapping_streams import stream_of

from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules.fields import FirstOf
from target_kissmetrics.mapping.rules.identity import (
    CUSTOMER_ID_CANDIDATES,
    DEVICE_ID_CANDIDATES,
    IdentityRule,
    Person,
    to_identity,
)
from target_kissmetrics.mapping.settings import BLOCKED_IDENTITIES

FIELDS = ("customer_id", "device_id")


def identify(row: dict[str, Any], fields: tuple[str, ...] = FIELDS, **settings: Any) -> Person:
    return stream_of(fields, **settings).identity_rule().identify(row)


def rejected(row: dict[str, Any], **settings: Any) -> Rejected:
    with pytest.raises(Rejected) as problem:
        identify(row, **settings)
    return problem.value


BOTH = {"customer_id": "ann", "device_id": "d1"}


@pytest.mark.parametrize(
    ("row", "use_customer_id", "identity"),
    [
        (BOTH, True, "ann"),
        (BOTH, False, "d1"),
        ({"customer_id": "ann", "device_id": None}, False, "ann"),
        ({"customer_id": "ann"}, False, "ann"),
        ({"customer_id": "ann", "device_id": " "}, False, "ann"),
        ({"customer_id": "", "device_id": "d1"}, True, "d1"),
        ({"device_id": "d1"}, True, "d1"),
        ({"customer_id": "guest", "device_id": "d1"}, True, "d1"),
        ({"customer_id": 0, "device_id": "d1"}, True, "d1"),
        ({"customer_id": "ann", "device_id": "00000000-0000-0000-0000-000000000000"}, False, "ann"),
        ({"customer_id": ":,", "device_id": "d1"}, True, "d1"),
    ],
)
def test_the_preferred_id_identifies_and_the_other_stands_in_for_it(
    row: dict[str, Any], use_customer_id: bool, identity: str
) -> None:
    assert identify(row, use_customer_id=use_customer_id).identity == identity


@pytest.mark.parametrize(
    ("row", "use_customer_id"), [({"customer_id": "ann"}, False), ({"customer_id": " ", "device_id": "d1"}, True)]
)
def test_without_fallback_a_row_without_the_preferred_id_is_rejected(
    row: dict[str, Any], use_customer_id: bool
) -> None:
    problem = rejected(row, use_customer_id=use_customer_id, identity_fallback=False)
    assert problem.code == "no-identity"
    assert "identity_fallback is off" in problem.reason


def test_without_fallback_the_preferred_id_still_identifies() -> None:
    assert identify(BOTH, use_customer_id=True, identity_fallback=False).identity == "ann"


@pytest.mark.parametrize("row", [{}, {"customer_id": None, "device_id": ""}, {"customer_id": ":"}])
def test_a_row_about_nobody_is_rejected_and_told_where_an_id_was_looked_for(row: dict[str, Any]) -> None:
    problem = rejected(row)
    assert problem.code == "no-identity"
    assert "device_id, customer_id are all empty" in problem.reason
    assert "identity_fallback" not in problem.reason


@pytest.mark.parametrize("field", CUSTOMER_ID_CANDIDATES)
def test_each_customer_id_candidate_is_found(field: str) -> None:
    assert identify({field: "ann"}, (field,), use_customer_id=True).identity == "ann"


@pytest.mark.parametrize("field", DEVICE_ID_CANDIDATES)
def test_each_device_id_candidate_is_found(field: str) -> None:
    assert identify({field: "d1"}, (field,)).identity == "d1"


def test_the_candidates_are_those_of_the_manual_in_its_order() -> None:
    assert CUSTOMER_ID_CANDIDATES == ("customer_id", "user_id", "km_person", "distinct_id")
    assert DEVICE_ID_CANDIDATES == (
        "device_id", "device_uuid", "mp_deviceid", "anonymous_id", "visitor_id", "user_pseudo_id", "$device_id",
        "domain_userid",
    )  # fmt: skip


@pytest.mark.parametrize("first", [None, "", " "])
def test_a_candidate_that_holds_no_identity_makes_way_for_the_next(first: Any) -> None:
    person = identify({"userId": "second", "customer_id": first}, ("customer_id", "userId"))
    assert person.identity == "second"
    assert person.used == ("userId",)


@pytest.mark.parametrize("blocked", ["guest", "0", 0, "0000", "00000000-0000-0000-0000-000000000000", "true", "-1"])
def test_a_blocked_candidate_makes_way_for_the_next_and_is_no_property(blocked: Any) -> None:
    person = identify({"userId": "second", "customer_id": blocked}, ("customer_id", "userId"))
    assert person.identity == "second"
    assert person.used == ("customer_id", "userId")


def test_candidates_that_are_not_in_the_schema_are_not_looked_at() -> None:
    assert identify({"customer_id": "ann", "userId": "bob"}, ("userId",)).identity == "bob"


def test_a_field_that_the_entry_names_is_the_only_one_tried() -> None:
    people = stream_of(("email", "customer_id"), {"customer_id": "email"}).identity_rule()
    assert people.identify({"email": "a@b.c", "customer_id": "ann"}).identity == "a@b.c"
    with pytest.raises(Rejected):
        people.identify({"email": None, "customer_id": "ann"})


def test_an_id_may_lie_in_an_object() -> None:
    people = stream_of(("user",), {"customer_id": "user.id"}).identity_rule()
    person = people.identify({"user": {"id": 7}})
    assert person.identity == "7"
    assert person.used == ("user.id",)


@pytest.mark.parametrize(
    ("value", "identity"),
    [
        ("ann", "ann"),
        ("  ann\t", "ann"),
        ("\ufeffann\u200b", "ann"),
        ("Ann@Example.com", "Ann@Example.com"),
        ("a:b,c", "a b c"),
        ("5.0", "5.0"),
        ("007", "007"),
        (5, "5"),
        (0, "0"),
        (-5, "-5"),
        (5.0, "5"),
        (5.5, "5.5"),
        (Decimal("5.0"), "5"),
        (Decimal("5.00"), "5"),
        (Decimal("5.50"), "5.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0.0"), "0"),
        (1e20, "100000000000000000000"),
        (Decimal("12345678901234567890123456789012345.0"), "12345678901234567890123456789012345"),
        (12345678901234567890123, "12345678901234567890123"),
        (Decimal("0.1234567890123456789012345678901230"), "0.123456789012345678901234567890123"),
        ("_k", "_k"),
        (None, ""),
        ("", ""),
        (" ", ""),
        (":", ""),
    ],
)
def test_identities_are_written_as_kissmetrics_would_make_them(value: Any, identity: str) -> None:
    assert to_identity(value) == identity


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (True, "a boolean"),
        (False, "a boolean"),
        ({}, "an object"),
        ({"id": 1}, "an object"),
        ([], "an array"),
        (["ann"], "an array"),
        ('["ann", "bob"]', "JSON text of an object or an array"),
        ('{"id": "ann"}', "JSON text of an object or an array"),
        (Decimal("NaN"), "a number out of range"),
        (Decimal("sNaN"), "a number out of range"),
        (float("inf"), "a number out of range"),
        (Decimal("1E+1000000"), "a number out of range"),
        pytest.param(10**5000, "a number out of range", id="5000-digits"),
    ],
)
def test_what_is_no_text_and_no_number_is_no_identity(value: Any, what: str) -> None:
    problem = rejected({"customer_id": value, "device_id": "d1"}, use_customer_id=True)
    assert (problem.code, problem.field) == ("bad-identity", "customer_id")
    assert what in problem.reason


@given(st.integers(-(10**30), 10**30))
def test_a_whole_number_is_one_identity_however_it_is_written(number: int) -> None:
    assert to_identity(number) == to_identity(Decimal(number)) == to_identity(Decimal(f"{number}.000")) == str(number)


@given(st.text(max_size=60) | st.floats() | st.decimals() | st.booleans() | st.none() | st.binary(max_size=5))
def test_an_identity_holds_nothing_that_kissmetrics_would_change(value: Any) -> None:
    try:
        identity = to_identity(value)
    except ValueError:
        return
    assert identity == identity.strip()
    assert not {",", ":"} & set(identity)
    assert to_identity(identity) == identity


def test_255_characters_are_an_identity_and_256_are_not() -> None:
    assert identify({"customer_id": f" {'x' * 255} "}).identity == "x" * 255
    problem = rejected({"customer_id": "x" * 256})
    assert (problem.code, problem.field) == ("identity-too-long", "customer_id")
    assert "256 characters, over the limit of 255" in problem.reason


def test_half_a_character_is_no_identity() -> None:
    assert rejected({"customer_id": "a\ud800"}).code == "bad-text"


@pytest.mark.parametrize("blocked", BLOCKED_IDENTITIES)
@pytest.mark.parametrize("written", ["{}", " {}\t", "{}\u200b"])
def test_a_blocked_identity_is_rejected_whatever_its_case_and_space(blocked: str, written: str) -> None:
    for text in (blocked, blocked.upper(), blocked.title()):
        problem = rejected({"customer_id": written.format(text)})
        assert (problem.code, problem.field) == ("blocked-identity", "customer_id")
        assert "blocked_identities" in problem.reason


def test_a_blocked_identity_is_replaced_by_the_other_id_only_with_fallback() -> None:
    row = {"device_id": "guest", "customer_id": "ann"}
    assert identify(row).identity == "ann"
    assert rejected(row, identity_fallback=False).code == "blocked-identity"
    assert rejected({"device_id": "guest", "customer_id": "0"}).code == "blocked-identity"


@pytest.mark.parametrize("zeros", [0, 0.0, "0", "0000", "0-0", "00000000-0000-0000-0000-000000000000", "00:00:00"])
def test_zeros_are_nobody_whatever_the_settings(zeros: Any) -> None:
    assert rejected({"customer_id": zeros}, blocked_identities=frozenset()).code == "blocked-identity"
    assert identify({"customer_id": "00-7"}).identity == "00-7"


def test_no_setting_is_advised_for_zeros() -> None:
    assert "blocked_identities" not in rejected({"customer_id": "0000"}).reason
    assert "remove it from blocked_identities" in rejected({"customer_id": "anon"}).reason


def test_identities_are_lower_cased_when_asked_for() -> None:
    row = {"device_id": "D1", "customer_id": "Ann@Example.com"}
    person = identify(row, alias_identities=True, lowercase_identities=True)
    assert (person.identity, person.other) == ("d1", "ann@example.com")
    assert (
        identify({"device_id": "D1", "customer_id": "d1"}, alias_identities=True, lowercase_identities=True).other
        is None
    )
    assert identify(row).identity == "D1"


def test_what_only_contains_a_blocked_identity_is_not_blocked() -> None:
    assert identify({"customer_id": "guest-7"}).identity == "guest-7"


def test_ids_are_aliased_only_when_asked_for() -> None:
    assert identify(BOTH) == Person("d1", None, None, ("device_id", "customer_id"))


def test_with_alias_identities_the_other_id_is_given_too() -> None:
    device_first, customer_first = ("device_id", "customer_id"), ("customer_id", "device_id")
    assert identify(BOTH, alias_identities=True) == Person("d1", "ann", "customer_id", device_first)
    given = identify(BOTH, alias_identities=True, use_customer_id=True)
    assert given == Person("ann", "d1", "device_id", customer_first)


def test_with_alias_identities_but_without_fallback_both_ids_are_still_aliased() -> None:
    person = identify(BOTH, alias_identities=True, identity_fallback=False)
    assert (person.identity, person.other) == ("d1", "ann")


@pytest.mark.parametrize("other", [None, "", "d1", " d1 ", "guest", "GUEST ", "x" * 256, "a\ud800", True, {}])
def test_an_other_id_that_is_none_or_the_same_or_nobodys_own_is_not_aliased(other: Any) -> None:
    person = identify({"device_id": "d1", "customer_id": other}, alias_identities=True)
    assert (person.identity, person.other, person.other_field) == ("d1", None, None)
    assert (person.problem is not None) == (other in ("x" * 256, "a\ud800", True, {}))


def test_a_person_is_described_by_the_fields_in_the_order_they_are_tried() -> None:
    fields = ("customer_id", "user_id", "device_id")
    assert stream_of(fields).identity_rule().describe() == "device_id, else customer_id/user_id"
    assert stream_of(fields, use_customer_id=True).identity_rule().describe() == "customer_id/user_id, else device_id"
    assert stream_of(fields, identity_fallback=False).identity_rule().describe() == "device_id"
    assert stream_of(("user_id",), identity_fallback=False).identity_rule().describe() == "no device ID field"


def test_people_of_no_fields_say_so() -> None:
    people = IdentityRule(stream_of().settings, FirstOf(()), FirstOf(()))
    assert people.describe() == "no ID field"
    with pytest.raises(Rejected, match="no field can hold one"):
        people.identify({"a": 1})


@pytest.mark.parametrize(
    ("row", "identity"),
    [
        ({"user": "u1", "email": "a@b.c"}, "u1"),
        ({"user": None, "email": "a@b.c"}, "a@b.c"),
        ({"user": " ", "email": "a@b.c"}, "a@b.c"),
        ({"user": "guest", "email": "a@b.c"}, "a@b.c"),
        ({"user": "000-000", "email": "a@b.c"}, "a@b.c"),
        ({"user": {"id": 5}, "email": "a@b.c"}, "a@b.c"),
        ({"user": "x" * 256, "email": "a@b.c"}, "a@b.c"),
        ({"user": "guest", "email": None, "device": "d1"}, "d1"),
    ],
)
def test_of_a_list_of_fields_the_first_that_holds_an_acceptable_id_counts(row: dict[str, Any], identity: str) -> None:
    entry = {"kind": "event", "customer_id": ["user", "email"], "device_id": ["browser", "device"]}
    stream = stream_of(["user", "email", "browser", "device"], entry, use_customer_id=True)
    assert stream.identity_rule().identify(row).identity == identity


def test_if_none_of_them_is_acceptable_the_first_that_is_no_id_is_the_reason() -> None:
    entry = {"kind": "event", "customer_id": ["a", "b", "c"], "device_id": ["d"]}
    rule = stream_of(["a", "b", "c", "d"], entry, use_customer_id=True).identity_rule()
    with pytest.raises(Rejected) as rejected:
        rule.identify({"a": "guest", "b": {"id": 1}, "c": True, "d": "d1"})
    assert (rejected.value.code, rejected.value.field) == ("bad-identity", "b")
