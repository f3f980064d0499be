"""Parts whose fields are lifted to the top of a row, in the shapes of GA4, Mixpanel, PostHog and Amplitude."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from mapping_streams import ISO, SECONDS, codes, mapping_of, record_of, stream_of

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Record
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.mapping.rules.unwrap import Unwrap


def lift(row: dict[str, Any], *parts: str, warnings: list[str] | None = None) -> tuple[Any, list[Rejection]]:
    rejections: list[Rejection] = []
    unwrap = Unwrap(parts, ([] if warnings is None else warnings).append)
    return unwrap.lift(row, rejections), rejections


@pytest.mark.parametrize(
    ("part", "fields"),
    [
        ({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 2}}),
        ([{"key": "a", "value": 1}, {"name": "b", "value": None}], {"a": 1, "b": None}),
        ([{"key": "a", "value": {"string_value": "x", "int_value": None}}], {"a": "x"}),
        ([{"key": "a", "value": {"string_value": None, "int_value": "5", "set_timestamp_micros": 1}}], {"a": "5"}),
        ([{"key": "a", "value": {"double_value": Decimal("1.5")}}], {"a": Decimal("1.5")}),
        ([{"key": "a", "value": {"bool_value": False}}], {"a": False}),
        ([{"key": "a", "value": {"int_value": 0, "float_value": None}}], {"a": 0}),
        ([{"key": "a", "value": {"string_value": None}}], {"a": None}),
        ([{"key": "a", "value": {"street": "s"}}], {"a": {"street": "s"}}),
        ({}, {}),
        ([], {}),
        (None, {}),
        (" ", {}),
    ],
)
@pytest.mark.parametrize("as_text", [False, True])
def test_a_part_s_fields_are_the_row_s(part: Any, fields: dict[str, Any], as_text: bool) -> None:
    if as_text and isinstance(part, (dict, list)):
        part = json.dumps(part, default=float)
    assert lift({"id": 1, "part": part}, "part") == ({"id": 1, **fields}, [])


def test_the_row_s_own_field_wins_then_the_first_part_with_a_warning_each() -> None:
    warnings: list[str] = []
    row = {"a": 1, "b": None, "one": {"a": 2, "b": 3, "c": 4, "d": 5}, "two": {"c": 6, "d": None}}
    for _ in range(2):
        lifted, _ = lift(row, "one", "two", warnings=warnings)
        assert lifted == {"a": 1, "b": 3, "c": 4, "d": 5}
    assert warnings[:2] == [
        "field 'a' in 'one' is dropped: the row has a field of that name already",
        "field 'c' in 'two' is dropped: the row has a field of that name already",
    ]


def test_a_part_within_a_lifted_part_is_lifted_after_it() -> None:
    assert lift({"payload": {"properties": {"a": 1}}}, "payload", "properties") == ({"a": 1}, [])


@pytest.mark.parametrize(
    "part", [5, True, "text", '{"half', [1], [{"value": 1}], [{"key": "a"}], [{"key": 5, "value": 1}], '"text"', [[]]]
)
def test_a_part_of_another_shape_is_rejected_alone(part: Any) -> None:
    lifted, (rejection,) = lift({"id": 1, "part": part, "other": {"a": 1}}, "part", "other")
    assert lifted == {"id": 1, "a": 1}
    assert (rejection.code, rejection.field) == ("bad-message", "part")
    assert "must be an object, or a list of {key, value} objects" in rejection.reason


# With the rest of a mapping

GA4 = {
    "event_name": "purchase",
    "event_timestamp": SECONDS * 1_000_000,
    "user_pseudo_id": "p1",
    "user_id": None,
    "event_params": [
        {"key": "page_title", "value": {"string_value": "Home", "int_value": None}},
        {"key": "value", "value": {"double_value": 12.5}},
    ],
    "user_properties": [{"key": "plan", "value": {"string_value": "gold", "set_timestamp_micros": 1}}],
}


def test_a_row_of_ga4() -> None:
    entry = {"kind": "event", "unwrap": ["event_params", "user_properties"], "revenue": "value"}
    mapped = mapping_of(stream_of(GA4, entry)).map(GA4)
    properties = {"page_title": "Home", "value": "12.5", "plan": "gold", "Billing Amount": "12.5"}
    assert record_of(mapped) == Record("p1", "purchase", SECONDS, properties)


MIXPANEL = {"event": "Signed Up", "properties": {"distinct_id": "u1", "time": SECONDS, "plan": "gold"}}


def test_fields_that_the_schema_does_not_list_are_recognized_in_the_rows() -> None:
    mapping = mapping_of(stream_of(MIXPANEL, {"kind": "event", "unwrap": ["properties"]}))
    assert record_of(mapping.map(MIXPANEL)) == Record("u1", "Signed Up", SECONDS, {"plan": "gold"})
    upper = {"event": "E", "properties": '{"DISTINCT_ID": "u2", "Time": "2024-01-31T08:00:00Z"}'}
    assert record_of(mapping.map(upper)) == Record("u2", "E", SECONDS, {})


def test_fields_that_it_lists_are_recognized_in_it_and_keep_their_formats() -> None:
    inner = {"user_id": {}, "created_at": {}, "seen": {"type": "string", "format": "date-time"}}
    stream = stream_of({"event": {}, "payload": {"properties": inner}}, {"unwrap": ["payload"]})
    row = {"event": "E", "payload": {"user_id": "u1", "created_at": ISO, "seen": ISO}}
    mapping = mapping_of(stream)
    assert "time: created_at" in mapping.describe()
    assert record_of(mapping.map(row)) == Record("u1", "E", SECONDS, {"seen": str(SECONDS)})


def test_a_part_that_the_stream_does_not_have_stops_it() -> None:
    with pytest.raises(
        ConfigError, match=r"streams\[0\].unwrap: stream 'things' has no field 'propertys'; did you mean"
    ):
        mapping_of(stream_of(MIXPANEL, {"kind": "event", "unwrap": ["propertys"]}))


def test_an_entry_for_several_streams_may_name_a_part_that_one_does_not_have() -> None:
    row = {"user_id": "u1", "event": "E", "timestamp": ISO, "a": 1}
    stream = stream_of(row, {"stream": "*", "kind": "event", "unwrap": ["properties"]})
    mapping = mapping_of(stream)
    assert "time: timestamp" in mapping.describe()
    assert record_of(mapping.map(row)).properties == {"a": "1"}


def test_a_rejected_part_is_in_the_row_s_rejects() -> None:
    row = {"user_id": "u1", "event": "E", "timestamp": ISO, "properties": "text"}
    mapped = mapping_of(stream_of(row, {"kind": "event", "unwrap": ["properties"]})).map(row)
    assert codes(mapped) == [("bad-message", "properties")]
    assert record_of(mapped).properties == {}
