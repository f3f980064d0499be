from __future__ import annotations

from typing import Any

import pytest
from mapping_streams import ISO, NOW, SECONDS, aliases_of, mapping_of, stream_of

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped

FIELDS = ("customer_id", "device_id", "previous_id", "timestamp")


def map_alias(row: dict[str, Any], entry: dict[str, Any] | None = None, **about: Any) -> Mapped:
    fields = about.pop("fields", (*FIELDS, *row))
    return mapping_of(stream_of(fields, {"kind": "alias", **(entry or {})}, **about)).map(row)


def test_the_previous_id_is_aliased_with_the_customer_id() -> None:
    mapped = map_alias({"customer_id": "ann", "previous_id": "d1", "timestamp": ISO, "plan": "no property"})
    assert mapped == Mapped(calls=[Alias("ann", "d1", SECONDS)])


@pytest.mark.parametrize("use_customer_id", [True, False])
@pytest.mark.parametrize("identity_fallback", [True, False])
def test_the_customer_id_comes_before_the_device_id_whatever_the_settings(
    use_customer_id: bool, identity_fallback: bool
) -> None:
    settings: dict[str, Any] = {"use_customer_id": use_customer_id, "identity_fallback": identity_fallback}
    row = {"customer_id": "ann", "device_id": "d1", "previous_id": "old"}
    assert aliases_of(map_alias(row, **settings)) == [("ann", "old")]
    assert aliases_of(map_alias({**row, "customer_id": None}, **settings)) == [("d1", "old")]
    assert aliases_of(map_alias({**row, "customer_id": "GUEST"}, **settings)) == [("d1", "old")]


@pytest.mark.parametrize("field", ["previous_id", "previousId", "alias"])
def test_each_candidate_gives_the_previous_id(field: str) -> None:
    assert aliases_of(map_alias({"customer_id": "ann", field: "old"}, fields=("customer_id", field))) == [
        ("ann", "old")
    ]


def test_fields_that_the_entry_names_are_the_only_ones_tried() -> None:
    entry = {"customer_id": "to", "previous_id": "from"}
    row = {"to": "ann", "from": 5.0, "customer_id": "bob", "previous_id": "x"}
    assert aliases_of(map_alias(row, entry)) == [("ann", "5")]


@pytest.mark.parametrize("previous", ["ann", " ann ", "a,nn"])
def test_an_identity_is_not_aliased_with_itself(previous: str) -> None:
    customer = "ann" if "," not in previous else "a nn"
    mapped = map_alias({"customer_id": customer, "previous_id": previous})
    assert mapped.calls == []


def test_each_id_of_a_list_is_aliased_once() -> None:
    assert aliases_of(map_alias({"customer_id": "ann", "previous_id": [7, "7", "d1", None, "", "ann"]})) == [
        ("ann", "7"),
        ("ann", "d1"),
    ]
    assert map_alias({"customer_id": "ann", "previous_id": []}).calls == []


def test_an_id_of_a_list_that_cannot_be_aliased_is_rejected_alone() -> None:
    mapped = map_alias({"customer_id": "ann", "previous_id": ["guest", "d1", "0000", {"id": 1}, [2], True]})
    assert aliases_of(mapped) == [("ann", "d1")]
    assert [(one.code, one.field) for one in mapped.rejections] == [
        ("blocked-identity", "previous_id[0]"),
        ("blocked-identity", "previous_id[2]"),
        ("bad-identity", "previous_id[3]"),
        ("bad-identity", "previous_id[4]"),
        ("bad-identity", "previous_id[5]"),
    ]
    assert "an object" in mapped.rejections[2].reason


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"customer_id": "ann"}, "no-identity", "previous_id"),
        ({"customer_id": "ann", "previous_id": " "}, "no-identity", "previous_id"),
        ({"customer_id": "ann", "previous_id": True}, "bad-identity", "previous_id"),
        ({"previous_id": "old"}, "no-identity", "customer_id"),
        ({"customer_id": "ann", "previous_id": "ANONYMOUS"}, "blocked-identity", "previous_id"),
        ({"customer_id": " guest", "previous_id": "old"}, "blocked-identity", "customer_id"),
        ({"customer_id": "ann", "previous_id": "x" * 256}, "identity-too-long", "previous_id"),
        ({"customer_id": "ann", "previous_id": "a\ud800"}, "bad-text", "previous_id"),
        ({"customer_id": "ann", "previous_id": "old", "timestamp": "2001-01-01"}, "too-old", "timestamp"),
        ({"customer_id": "ann", "previous_id": "old", "timestamp": "soon"}, "bad-timestamp", "timestamp"),
    ],
)
def test_an_alias_that_must_not_be_is_rejected(row: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(Rejected) as problem:
        map_alias(row)
    assert (problem.value.code, problem.value.field) == (code, field)


def test_an_alias_needs_no_time_and_is_not_warned_of() -> None:
    warnings: list[str] = []
    row = {"customer_id": "ann", "previous_id": "old"}
    assert map_alias(row, fields=tuple(row), warnings=warnings).calls == [Alias("ann", "old", NOW)]
    assert warnings == []


def test_a_named_time_that_is_null_does_not_reject_an_alias() -> None:
    row = {"customer_id": "ann", "previous_id": "old", "at": None}
    assert map_alias(row, {"timestamp": "at"}).calls == [Alias("ann", "old", NOW)]


@pytest.mark.parametrize(("fields", "key"), [(("previous_id",), "customer_id"), (("customer_id",), "previous_id")])
def test_a_stream_that_lacks_one_of_the_two_stops_the_run(fields: tuple[str, ...], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"streams\[0\].{key}: .*its fields: {fields[0]}"):
        mapping_of(stream_of(fields, {"kind": "alias"}))


def test_the_stream_is_described_by_what_is_read_as_what() -> None:
    mapping = mapping_of(stream_of(FIELDS, {"kind": "alias"}))
    assert mapping.describe() == "person: customer_id, else device_id; previous ID: previous_id"


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize("names", [("USER_ID", "PREVIOUS_ID"), ("userId", "previousId"), ("User ID", "Previous Id")])
def test_both_ids_may_be_spelled_otherwise(names: tuple[str, str], is_listed: bool) -> None:
    mapping = mapping_of(stream_of(names if is_listed else (), {"kind": "alias"}))
    assert aliases_of(mapping.map({names[0]: "a", names[1]: "b"})) == [("a", "b")]
