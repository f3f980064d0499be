"""References in schemas: followed within the schema, and nowhere else."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.mapping.rules.schemas import moments
from target_kissmetrics.singer.schemas import MAX_UNFOLDED, unfolded

MOMENT = {"type": ["string", "null"], "format": "date-time"}


def dates(fields: dict[str, Any], **definitions: Any) -> set[str]:
    return {path for path, _ in moments(unfolded({"properties": fields, "definitions": definitions}).schema)}


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ({"$ref": "#/definitions/moment"}, "at"),
        ({"$ref": "#/definitions/moment", "description": "x"}, "at"),
        ({"$ref": "#/definitions/chained"}, "at"),
        ({"allOf": [{"$ref": "#/definitions/moment"}]}, "at"),
        ({"anyOf": [{"type": "null"}, {"$ref": "#/definitions/moment"}]}, "at"),
        ({"oneOf": [{"$ref": "#/definitions/moment"}]}, "at"),
        ({"type": "array", "items": {"$ref": "#/definitions/moment"}}, "at"),
        ({"type": "object", "properties": {"made": {"$ref": "#/definitions/moment"}}}, "at.made"),
        ({"$ref": "#/definitions/place"}, "at.since"),
        ({"anyOf": [{"$ref": "#/definitions/place"}]}, "at.since"),
        ({"$ref": "#/definitions/place", "properties": {"town": {}}}, "at.since"),
        ({"$ref": "#/definitions/a~1b/x~0y"}, "at"),
        ({"$ref": "#/definitions/50%25"}, "at"),
        ({"$ref": "#/definitions/listed/0"}, "at"),
        ({"$ref": "#/properties/other"}, "at"),
    ],
)
def test_a_date_time_behind_a_local_reference_is_one(field: dict[str, Any], path: str) -> None:
    found = dates(
        {"at": field, "other": MOMENT},
        moment=MOMENT,
        chained={"$ref": "#/definitions/moment"},
        place={"type": "object", "properties": {"since": {"$ref": "#/definitions/moment"}}},
        listed=[MOMENT],
        **{"a/b": {"x~y": MOMENT}, "50%": MOMENT},
    )
    assert found == {path, "other"}


def test_its_own_keywords_win_over_those_behind_a_reference() -> None:
    assert dates({"at": {"$ref": "#/definitions/moment", "format": "uuid"}}, moment=MOMENT) == set()


def test_the_fields_of_a_row_may_be_behind_a_reference_too() -> None:
    base = {"properties": {"at": MOMENT}}
    for schema in ({"$ref": "#/$defs/base"}, {"allOf": [{"$ref": "#/$defs/base"}, {"properties": {"id": {}}}]}):
        assert unfolded({**schema, "$defs": {"base": base}}).schema["properties"]["at"] == MOMENT


@pytest.mark.parametrize(
    "ref",
    [
        "#/definitions/none",
        "#moment",
        "moment",
        "other.json#/moment",
        "file:///etc/hostname",
        "//host/x",
        "https://example.com/schema.json#/definitions/moment",
        "#/type/0",
        "#/properties/at",
        "#/listed/" + "9" * 5000,
        "#/listed/1",
        5,
    ],
)
def test_any_other_reference_is_not_followed_and_named_once(ref: object) -> None:
    field = {"$ref": ref, "title": "kept"}
    definitions = {"definitions": {"moment": MOMENT}, "listed": [MOMENT]}
    made = unfolded({"type": "object", "properties": {"at": field, "too": field}, **definitions})
    assert made.not_followed == [str(ref)[:200]]
    assert made.schema["properties"]["at"] == {"title": "kept"}


def test_credentials_in_a_reference_are_not_shown() -> None:
    assert unfolded({"$ref": "https://user:s3cret@host/x"}).not_followed == ["https://host/x"]


def test_a_reference_that_leads_to_itself_alone_is_not_followed() -> None:
    definitions = {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}
    assert unfolded({"properties": {"at": {"$ref": "#/definitions/a"}}, "definitions": definitions}).not_followed


def test_a_long_chain_of_references_is_not_followed_to_its_end() -> None:
    chain = {f"c{n}": {"$ref": f"#/definitions/c{n + 1}", f"k{n}": 1} for n in range(20_000)}
    began = time.monotonic()
    made = unfolded({"properties": {f"f{n}": {"$ref": "#/definitions/c0"} for n in range(500)}, "definitions": chain})
    assert made.not_followed == ["#/definitions/c60"]
    assert time.monotonic() - began < 5


def test_a_schema_that_refers_to_itself_is_unfolded_level_by_level() -> None:
    team = {"properties": {"made": MOMENT, "parent": {"$ref": "#/definitions/team"}}}
    found = dates({"team": {"$ref": "#/definitions/team"}}, team=team)
    assert {"team.made", "team.parent.made", "team.parent.parent.parent.parent.made"} <= found
    assert dates({"at": MOMENT, "parent": {"$ref": "#"}}) >= {"at", "parent.at", "parent.parent.at"}


def test_a_schema_whose_references_double_at_each_level_stays_small_and_its_other_fields_whole() -> None:
    definitions: dict[str, Any] = {
        f"d{level}": {"properties": {side: {"$ref": f"#/definitions/d{level + 1}"} for side in "lr"} | {"at": MOMENT}}
        for level in range(40)
    }
    nested = {"properties": {"x": {"properties": {"y": {"properties": {"at": MOMENT}}}}}}
    fields = {"wide": {"$ref": "#/definitions/d0"}, "plain": {"$ref": "#/definitions/moment"}, "own": nested}
    began = time.perf_counter()
    made = unfolded({"properties": fields, "definitions": {**definitions, "d40": {}, "moment": MOMENT}})
    found = {path for path, _ in moments(made.schema)}
    assert {"wide.at", "wide.l.r.at", "wide.l.l.l.l.l.at", "plain", "own.x.y.at"} <= found
    assert made.is_cut
    assert len(found) < MAX_UNFOLDED
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize(
    "odd",
    [
        {"properties": 5},
        {"properties": []},
        {"items": 5},
        {"anyOf": "x"},
        {"anyOf": [5, None]},
        {"format": ["x"]},
        {"type": {"a": 1}},
        {"required": True},
        {"additionalProperties": 5},
        True,
        None,
        5,
        [],
    ],
)
def test_what_is_no_schema_is_read_as_one_that_says_nothing(odd: Any) -> None:
    for schema in ({"properties": {"at": odd}}, odd if isinstance(odd, dict) else {}):
        made = unfolded(schema)
        assert list(moments(made.schema)) == []
        assert isinstance(made.schema["properties"], dict)


REFS = ["#", "#/definitions/a", "#/definitions/b", "#/properties/x", "#/definitions/none", "file:///x", 5]
subschemas = st.recursive(
    st.sampled_from([{}, MOMENT, {"type": "string"}, True, 5])
    | st.builds(lambda ref: {"$ref": ref}, st.sampled_from(REFS)),
    lambda inner: st.one_of(
        st.builds(lambda x, y: {"properties": {"x": x, "y": y}}, inner, inner),
        st.builds(lambda key, x, y: {key: [x, y]}, st.sampled_from(["anyOf", "allOf", "oneOf", "items"]), inner, inner),
        st.builds(lambda ref, x: {"$ref": ref, "properties": {"z": x}}, st.sampled_from(REFS), inner),
    ),
    max_leaves=8,
)


@given(x=subschemas, a=subschemas, b=subschemas)
def test_any_schema_is_unfolded_without_references_and_within_bounds(x: Any, a: Any, b: Any) -> None:
    made = unfolded({"properties": {"x": x}, "definitions": {"a": a, "b": b}}).schema
    waiting, count = [made], 0
    while waiting:
        node = waiting.pop()
        count += 1
        assert not isinstance(node, dict) or "$ref" not in node
        waiting += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    assert count < 20 * MAX_UNFOLDED
    list(moments(made))
