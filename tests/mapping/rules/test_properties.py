from __future__ import annotations

import copy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapping_streams import codes, map_event, map_person, mapping_of, reason, record_of, set_of, stream_of

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Properties
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules import properties as properties_module
from target_kissmetrics.mapping.rules.properties import PropertyMaker
from target_kissmetrics.mapping.rules.schemas import moments
from target_kissmetrics.mapping.settings import MappingSettings, StreamSettings

DATE_TIME = {"type": ["string", "null"], "format": "date-time"}
TEXT = {"type": ["string", "null"]}


def make(row: dict[str, Any], entry: dict[str, Any] | None = None, **about: Any) -> Properties:
    """Give a row's properties under an entry, from a stream of people."""
    mapped = map_person(row, entry, **about)
    return set_of(mapped).properties if mapped.calls else {}


# What becomes a property


def test_nested_objects_are_flattened_with_a_dot() -> None:
    assert make({"a": {"b": {"c": 1}, "d": "x"}, "e": True}) == {"a.b.c": "1", "a.d": "x", "e": "true"}


def test_lists_of_scalars_are_joined_with_a_comma() -> None:
    assert make({"tags": ["a", 2, None, "", False], "none": []}) == {"tags": "a,2,false"}


@pytest.mark.parametrize("value", [[{"a": 1}], [1, {"a": 1}], [[1, 2]], [{}]])
def test_lists_of_objects_are_left_out_and_warned_of_once(value: list[Any]) -> None:
    warnings: list[str] = []
    mapping = mapping_of(stream_of(("customer_id", "x"), {"kind": "user_attributes"}, warnings=warnings))
    for _ in range(3):
        mapped = mapping.map({"customer_id": "ann", "x": value, "plan": "free"})
        assert set_of(mapped).properties == {"plan": "free"}
        assert mapped.rejections == []
    assert warnings == ["field 'x' is dropped: a list of objects cannot be a property"]


def test_a_list_of_objects_that_is_excluded_is_not_warned_of() -> None:
    warnings: list[str] = []
    make({"x": [{"a": 1}]}, {"exclude": ["x"]}, warnings=warnings)
    assert warnings == []


@pytest.mark.parametrize("value", [None, "", "  ", [], [None], {}, {"a": None}, {"a": {"b": ""}}])
def test_null_and_empty_values_are_not_sent(value: Any) -> None:
    mapped = map_person({"x": value})
    assert mapped.calls == []
    assert mapped.rejections == []


def test_nought_and_false_are_sent() -> None:
    assert make({"a": 0, "b": False, "c": "0"}) == {"a": "0", "b": "false", "c": "0"}


@pytest.mark.parametrize(
    "field",
    [
        "_sdc_batched_at", "_sdc_deleted_at", "_SDC_SEQUENCE", "_fivetran_synced", "_FIVETRAN_ACTIVE", "_airbyte_meta",
        "_ab_source_file_url", "_abCdcLsn", "_dlt_load_id", "__deleted", "__DELETED", "_Fivetran Id",
    ],
)  # fmt: skip
def test_fields_that_taps_add_are_no_properties_and_nothing_to_tell_of(field: str) -> None:
    mapped = map_person({field: "2024-01-01", "plan": "free"})
    assert set_of(mapped).properties == {"plan": "free"}
    assert mapped.rejections == []


@pytest.mark.parametrize("field", ["ab_test", "deleted", "about", "dlt_plan", "sdc", "fivetran_plan"])
def test_fields_that_are_named_like_those_of_loaders_are_properties(field: str) -> None:
    assert make({field: "x"}) == {field: "x"}


@pytest.mark.parametrize("value", [{"changes": [1]}, [{"change": 1}]])
def test_objects_and_lists_that_loaders_add_are_neither_properties_nor_warned_of(value: Any) -> None:
    warnings: list[str] = []
    assert make({"_airbyte_meta": value, "plan": {"_dlt_id": 1, "name": "x"}}, warnings=warnings) == {"plan.name": "x"}
    assert warnings == []


def test_fields_that_taps_add_to_line_items_are_no_properties_either() -> None:
    mapped = map_event({"items": [{"sku": "a", "_sdc_level_0_id": 0}]})
    assert set_of(mapped).properties == {"sku": "a"}
    assert mapped.rejections == []


# Names


def test_commas_and_colons_in_a_fields_name_become_spaces() -> None:
    assert make({"a,b:c": 1, " plan ": "free"}) == {"a b c": "1", "plan": "free"}


@pytest.mark.parametrize("name", ["_k", "_p", "_n", "_t", "_d", "_ip", " _k", ":_p", "\u200b_t", "\ufeff _n", "_own"])
def test_a_field_can_never_become_a_reserved_parameter(name: str) -> None:
    mapped = map_person({name: "stolen", "plan": "free"})
    assert set_of(mapped).properties == {"plan": "free"}
    assert codes(mapped) == [("reserved-name", name)]
    assert "rename it" in reason(mapped)


@pytest.mark.parametrize("row", [{"_k": {"a": 1}}, {"_k": [1, 2]}, {"_p": {"x": {"y": 1}}}])
def test_an_object_with_a_reserved_name_is_set_aside_too(row: dict[str, Any]) -> None:
    mapped = map_person(row)
    assert mapped.calls == []
    assert [code for code, _ in codes(mapped)] == ["reserved-name"]


@pytest.mark.parametrize("row", [{"": {"_k": 1}}, {" ": {"_k": 1}}, {",": {"": {"_k": 1}}}])
def test_a_reserved_name_is_not_made_of_nothing_and_a_key(row: dict[str, Any]) -> None:
    assert not [name for name in make(row) if name.startswith("_")]


def test_line_items_and_user_attributes_cannot_become_reserved_parameters() -> None:
    mapped = map_event({"items": [{"_p": "bob", "sku": 1}], "traits": {"_k": "key", "plan": "free"}})
    assert [call.properties for call in mapped.calls if not hasattr(call, "event")] == [{"sku": "1"}, {"plan": "free"}]  # type: ignore[union-attr]
    assert sorted(codes(mapped)) == [("reserved-name", "items._p"), ("reserved-name", "traits._k")]


@pytest.mark.parametrize("name", ["", " ", ",", "\u200b"])
def test_a_field_without_a_name_is_set_aside(name: str) -> None:
    mapped = map_person({name: 1})
    assert codes(mapped) == [("no-property-name", name)]


def test_a_reserved_name_with_an_empty_value_is_nothing_to_tell_of() -> None:
    assert map_person({"_k": None, "_p": "", "_t": []}).rejections == []


def test_a_name_past_255_characters_loses_the_property_and_not_the_row() -> None:
    mapped = map_person({"n" * 256: 1, "n" * 255: 2})
    assert set_of(mapped).properties == {"n" * 255: "2"}
    assert codes(mapped) == [("name-too-long", "n" * 256)]


def test_a_too_long_value_loses_the_property_and_not_the_row() -> None:
    mapped = map_person({"long": "\u00e4" * 513, "plan": "free"})
    assert set_of(mapped).properties == {"plan": "free"}
    assert codes(mapped) == [("value-too-long", "long")]
    assert "513 characters" in reason(mapped)


@pytest.mark.parametrize(
    ("value", "code"), [("a\ud800", "bad-text"), (Decimal("NaN"), "bad-number"), ([Decimal("1E+999")], "bad-number")]
)
def test_a_value_that_cannot_be_sent_is_set_aside(value: Any, code: str) -> None:
    mapped = map_person({"a": {"b": value}, "plan": "free"})
    assert set_of(mapped).properties == {"plan": "free"}
    assert codes(mapped) == [(code, "a.b")]


def test_a_field_is_set_aside_in_every_row_and_warned_of_once() -> None:
    warnings: list[str] = []
    mapping = mapping_of(stream_of(("customer_id",), {"kind": "user_attributes"}, warnings=warnings))
    for _ in range(3):
        assert codes(mapping.map({"customer_id": "ann", "_k": 1})) == [("reserved-name", "_k")]
    assert len(warnings) == 1


def test_of_two_fields_that_become_one_name_the_first_wins_and_is_warned_of_once() -> None:
    warnings: list[str] = []
    mapping = mapping_of(stream_of(("customer_id",), {"kind": "user_attributes"}, warnings=warnings))
    for _ in range(3):
        mapped = mapping.map({"customer_id": "ann", "Plan Type": "a", "plan type": "b", "plan:type": "c", "x": 1})
        assert set_of(mapped).properties == {"Plan Type": "a", "x": "1"}
        assert mapped.rejections == []
    assert len(warnings) == 2
    assert "'plan type' is dropped: another field of the row is already property 'plan type'" in warnings[0]


def test_where_the_first_of_two_holds_nothing_the_second_is_sent() -> None:
    assert make({"Plan": None, "plan": "b"}) == {"plan": "b"}
    assert make({"Plan": {}, "plan": "b"}) == {"plan": "b"}


def test_a_dotted_field_and_a_nested_one_are_one_name() -> None:
    assert make({"a.b": 1, "a": {"b": 2}}) == {"a.b": "1"}


def test_what_is_one_name_in_one_row_is_none_in_another() -> None:
    mapping = mapping_of(stream_of(("customer_id",), {"kind": "user_attributes"}))
    assert set_of(mapping.map({"customer_id": "a", "Plan": 1})).properties == {"Plan": "1"}
    assert set_of(mapping.map({"customer_id": "a", "plan": 2})).properties == {"plan": "2"}
    assert set_of(mapping.map({"customer_id": "a", "plan": 2, "Plan": 1})).properties == {"plan": "2"}


def test_objects_nested_without_end_are_set_aside() -> None:
    nested: dict[str, Any] = {"deepest": 1}
    for _ in range(300):
        nested = {"n": nested}
    mapped = map_person({"deep": nested, "plan": "free"})
    assert set_of(mapped).properties == {"plan": "free"}
    assert [code for code, _ in codes(mapped)] == ["too-deep"]


# include, exclude, rename


def test_include_chooses_fields_objects_and_globs() -> None:
    row = {"plan": "free", "context": {"ip": "::1", "page": {"url": "/"}}, "utm_x": 1, "age": 7, "planet": "mars"}
    assert make(row, {"include": ["plan", "utm_*"]}) == {"plan": "free", "utm_x": "1"}
    assert make(row, {"include": ["context"]}) == {"context.ip": "::1", "context.page.url": "/"}
    assert make(row, {"include": ["context.page"]}) == {"context.page.url": "/"}
    assert make(row, {"include": ["context.*p"]}) == {"context.ip": "::1"}
    assert make(row, {"include": ["age", "nothing else"]}) == {"age": "7"}


def test_an_empty_include_chooses_nothing() -> None:
    assert make({"plan": "free"}, {"include": []}) == {}


def test_exclude_leaves_out_fields_objects_and_globs() -> None:
    row = {"plan": "free", "context": {"ip": "::1", "page": {"url": "/"}}, "email": "a@b.c", "planet": "mars"}
    assert make(row, {"exclude": ["email", "context", "plane?"]}) == {"plan": "free"}
    assert make(row, {"exclude": ["context.page", "pla*", "email"]}) == {"context.ip": "::1"}
    assert make(row, {"exclude": ["*"]}) == {}


def test_exclude_counts_for_more_than_include() -> None:
    assert make({"a": {"b": 1, "c": 2}}, {"include": ["a"], "exclude": ["a.c"]}) == {"a.b": "1"}


def test_what_is_excluded_is_not_set_aside() -> None:
    assert map_person({"_k": 1, "long": "x" * 9000, "a": 1}, {"exclude": ["_k", "long"]}).rejections == []


@pytest.mark.parametrize("field", ["customer_id", "timestamp", "event", "device_id"])
def test_ids_time_and_name_that_were_used_are_no_properties_unless_included_by_name(field: str) -> None:
    row = {"device_id": "d1", "plan": "free"}
    assert record_of(map_event(row)).properties == {"plan": "free"}
    assert set(record_of(map_event(row, {"include": ["plan", field]})).properties) == {"plan", field}
    assert record_of(map_event(row, {"include": ["*"]})).properties == {"plan": "free"}


def test_an_id_within_an_object_that_was_used_is_no_property_unless_included_by_name() -> None:
    row = {"user": {"id": 7, "plan": "free"}, "customer_id": None}
    assert make(row, {"customer_id": "user.id"}) == {"user.plan": "free"}
    assert make(row, {"customer_id": "user.id", "include": ["user"]}) == {"user.plan": "free"}
    assert make(row, {"customer_id": "user.id", "include": ["user", "user.id"]}) == {
        "user.id": "7",
        "user.plan": "free",
    }


def test_a_candidate_that_was_not_used_is_a_property() -> None:
    assert make({"user_id": "also"}) == {"user_id": "also"}
    assert make({"last_modified": "x"}) == {"last_modified": "x"}


def test_rename_gives_a_field_its_propertys_name() -> None:
    entry = {"rename": [{"field": "plan", "property": "Plan: Type"}, {"field": "a.b", "property": "AB"}]}
    assert make({"plan": "free", "a": {"b": 1, "c": 2}}, entry) == {"Plan  Type": "free", "AB": "1", "a.c": "2"}


def test_a_reserved_field_can_be_renamed() -> None:
    mapped = map_person({"_k": 1}, {"rename": [{"field": "_k", "property": "K"}]})
    assert set_of(mapped).properties == {"K": "1"}
    assert mapped.rejections == []


def test_rename_reaches_into_line_items_and_user_attributes() -> None:
    entry = {
        "rename": [
            {"field": "items.sku", "property": "Product SKU"},
            {"field": "traits.plan", "property": "Plan"},
        ]
    }
    mapped = map_event({"items": [{"sku": "a"}], "traits": {"plan": "free"}}, entry)
    assert [call.properties for call in mapped.calls[1:]] == [{"Product SKU": "a"}, {"Plan": "free"}]  # type: ignore[union-attr]


def test_a_renamed_field_that_meets_another_is_treated_like_any_two_fields() -> None:
    entry = {"rename": [{"field": "b", "property": "A"}]}
    assert make({"a": 1, "b": 2}, entry) == {"a": "1"}
    assert make({"b": 2, "a": 1}, entry) == {"A": "2"}


def test_a_maker_takes_no_rename_to_a_reserved_name() -> None:
    with pytest.raises(Rejected):
        PropertyMaker(StreamSettings(rename=(("a", " _k"),)), MappingSettings(), {}, print)


@pytest.mark.parametrize(
    ("entry", "warning"),
    [
        ({"exclude": ["emial"]}, "exclude 'emial' matches no field of the stream; did you mean 'email'?"),
        ({"exclude": ["zz*"]}, "exclude 'zz*' matches no field of the stream"),
        (
            {"exclude": ["address.citty"]},
            "exclude 'address.citty' matches no field of the stream; did you mean 'address.city'?",
        ),
        ({"include": ["email", "zzz"]}, "include 'zzz' matches no field of the stream"),
        (
            {"rename": [{"field": "plam", "property": "P"}]},
            "rename 'plam' matches no field of the stream; did you mean 'plan'?",
        ),
    ],
)
def test_a_field_chosen_that_the_stream_does_not_have_is_warned_of(entry: dict[str, Any], warning: str) -> None:
    warnings: list[str] = []
    fields = {"address": {"anyOf": [{"type": "null"}, {"properties": {"city": TEXT}}]}}
    make({"email": "a@b.c", "plan": "free"}, entry, warnings=warnings, fields=fields)
    assert warnings == [warning]


@pytest.mark.parametrize("entry", [{"exclude": ["email", "context.ip", "context.*", "em*"]}, {"include": ["pl?n"]}])
def test_fields_and_globs_that_match_are_not_warned_of(entry: dict[str, Any]) -> None:
    warnings: list[str] = []
    make({"email": "a@b.c", "plan": "free", "context": {}}, entry, warnings=warnings)
    assert warnings == []


# Campaigns

CAMPAIGN = {
    "utm_source": "Campaign Source",
    "utm_medium": "Campaign Medium",
    "utm_campaign": "Campaign Name",
    "utm_term": "Campaign Terms",
    "utm_content": "Campaign Content",
    "referrer": "Referrer",
}


def test_campaign_fields_have_the_names_that_reports_know() -> None:
    row = {field: field.upper() for field in CAMPAIGN}
    expected = {name: field.upper() for field, name in CAMPAIGN.items()}
    assert make(row) == expected
    assert record_of(map_event(row)).properties == expected


@pytest.mark.parametrize("field", ["UTM_SOURCE", "utmSource", "UTM Source", "utm-source"])
def test_campaign_fields_may_be_spelled_otherwise(field: str) -> None:
    assert make({field: "x"}) == {"Campaign Source": "x"}
    assert record_of(map_event({field: "x", "nested": {"a": 1}})).properties == {
        "Campaign Source": "x",
        "nested.a": "1",
    }


def test_of_two_campaign_fields_the_exact_spelling_is_meant_and_the_other_is_a_property() -> None:
    row = {"UTM_SOURCE": "a", "utm_source": "b"}
    assert make(row) == {"UTM_SOURCE": "a", "Campaign Source": "b"}
    assert make({"UTM_SOURCE": "a"}, fields={"utm_source": {}}) == {"UTM_SOURCE": "a"}
    warnings: list[str] = []
    assert make({"UTM_SOURCE": "a", "utmSource": "b"}, warnings=warnings) == {"Campaign Source": "a", "utmSource": "b"}
    assert len(warnings) == 1


def test_the_misspelt_referer_is_the_referrer_too_and_the_first_wins() -> None:
    assert make({"referer": "a"}) == {"Referrer": "a"}
    assert make({"referer": "a", "referrer": "b"}) == {"Referrer": "a"}


def test_without_campaign_properties_campaign_fields_keep_their_names() -> None:
    assert make({"utm_source": "a", "referrer": "b"}, campaign_properties=False) == {"utm_source": "a", "referrer": "b"}


def test_a_campaign_field_that_the_stream_renames_has_that_name() -> None:
    entry = {"rename": [{"field": "utm_source", "property": "Source"}]}
    assert make({"utm_source": "a", "utm_medium": "b"}, entry) == {"Source": "a", "Campaign Medium": "b"}


# Moments


def test_fields_that_the_schema_calls_date_times_are_written_as_the_setting_says() -> None:
    fields = {"at": DATE_TIME, "day": {"type": "string", "format": "date"}, "text": TEXT}
    row = {"at": "2024-01-31T09:00:00+01:00", "day": "2024-01-31", "text": "2024-01-31"}
    assert make(row, fields=fields) == {"at": "1706688000", "day": "1706659200", "text": "2024-01-31"}
    assert make(row, fields=fields, datetime_format="iso8601") == {
        "at": "2024-01-31T08:00:00Z",
        "day": "2024-01-31",
        "text": "2024-01-31",
    }


def test_a_date_time_field_that_holds_none_is_set_aside() -> None:
    mapped = map_person({"at": "soon"}, fields={"at": DATE_TIME})
    assert codes(mapped) == [("bad-datetime", "at")]


def test_where_the_schema_knows_other_texts_too_they_are_sent_as_they_are() -> None:
    fields = {"at": {"anyOf": [DATE_TIME, TEXT]}}
    assert make({"at": "soon"}, fields=fields) == {"at": "soon"}
    assert make({"at": "2024-01-31T08:00:00Z"}, fields=fields) == {"at": "1706688000"}


def test_moments_are_found_wherever_a_schema_can_say_so() -> None:
    schema = {
        "properties": {
            "plain": DATE_TIME,
            "day": {"type": "string", "format": "date"},
            "any": {"anyOf": [DATE_TIME, {"type": "null"}]},
            "one": {"oneOf": [{"type": "null"}, {"type": "string", "format": "date-time"}]},
            "loose": {"anyOf": [DATE_TIME, {"type": "string"}]},
            "list": {"type": "array", "items": DATE_TIME},
            "maybe_list": {"anyOf": [{"type": "array", "items": DATE_TIME}, {"type": "null"}]},
            "object": {"type": "object", "properties": {"at": DATE_TIME, "text": TEXT}},
            "items": {"anyOf": [{"type": "array", "items": {"properties": {"at": DATE_TIME}}}, {"type": "null"}]},
            "time": {"type": "string", "format": "time"},
            "text": TEXT,
            "anything": {},
            "odd": True,
        }
    }
    assert dict(moments(schema)) == {
        "plain": True,
        "day": True,
        "any": True,
        "one": True,
        "loose": False,
        "list": True,
        "maybe_list": True,
        "object.at": True,
        "items.at": True,
    }


@pytest.mark.parametrize(
    "schema", [{}, {"properties": None}, {"properties": []}, {"properties": {"a": {"items": [1]}}}]
)
def test_a_schema_that_says_nothing_has_no_moments(schema: dict[str, Any]) -> None:
    assert list(moments(schema)) == []


def test_dates_of_line_items_are_moments() -> None:
    fields = {"items": {"type": "array", "items": {"type": "object", "properties": {"at": DATE_TIME}}}}
    mapped = map_event({"items": [{"at": "2024-01-31T08:00:00Z"}]}, fields=fields)
    assert set_of(mapped).properties == {"at": "1706688000"}


def test_texts_that_are_full_iso_8601_are_moments_where_the_format_has_no_schema_for_them() -> None:
    maker = PropertyMaker(StreamSettings(), MappingSettings(), {}, print, iso_texts=True)
    rejections: list[Rejection] = []
    row = {"at": "2024-01-31T08:00:00Z", "text": "2024-13-99", "number": "20240131"}
    assert maker.make(row, rejections) == {"at": "1706688000", "text": "2024-13-99", "number": "20240131"}
    assert rejections == []


# Many rows, many columns


def test_ten_thousand_columns_are_ten_thousand_properties() -> None:
    row = {f"c{number}": number for number in range(10_000)}
    assert make(row) == {f"c{number}": str(number) for number in range(10_000)}


def test_more_fields_than_are_remembered_are_still_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(properties_module, "MAX_CACHED_FIELDS", 3)
    row = {"A": 1, **{f"c{number}": number for number in range(10)}, "a": 2, "_k": 3}
    mapping = mapping_of(stream_of(("customer_id",), {"kind": "user_attributes"}))
    for _ in range(3):
        mapped = mapping.map({"customer_id": "ann", **row})
        assert set_of(mapped).properties == {"A": "1", **{f"c{number}": str(number) for number in range(10)}}
        assert codes(mapped) == [("reserved-name", "_k")]


def test_an_object_that_served_as_something_else_is_no_property_of_later_rows_either() -> None:
    maker = PropertyMaker(StreamSettings(), MappingSettings(), {}, print)
    row = {
        "context": {"user": {"name": "Ada"}, "other": {"z": 1}},
        "_sdc_x": {"y": 2},
        "a": {"_deleted": {"x": 1}, "o": {}},
    }
    for _ in range(5):
        made = maker.make(row, [], used=("context.user",))
        assert made == {"context.other.z": "1", "a._deleted.x": "1"}


def test_rows_whose_objects_are_keyed_by_data_have_no_shapes_without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(properties_module, "MAX_SHAPES", 5)
    maker = PropertyMaker(StreamSettings(), MappingSettings(), {}, print)
    for number in range(40):
        row = {"p": {f"a{number % 3}": {f"b{number % 7}": {"c": number}}}}
        assert maker.make(row, []) == {f"p.a{number % 3}.b{number % 7}.c": str(number)}
    assert maker._shapes == 5


def test_what_holds_for_a_field_is_worked_out_once_for_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(text: str) -> str:
        asked.append(text)
        return text

    monkeypatch.setattr(names, "property_name", counted)
    maker = PropertyMaker(StreamSettings(), MappingSettings(), {}, print)
    for number in range(5):
        assert maker.make({"a": number, "b": {"c": 1}}, []) == {"a": str(number), "b.c": "1"}
    assert asked == ["a", "b", "b.c"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals()
    | st.text("aA_,: \u200b", max_size=4)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("aA_,: .", max_size=3), inner, max_size=4),
    max_leaves=12,
)


VALUES = JSON | st.sampled_from([
    "2024-01-31T08:00:00Z", "2024-01-31T24:00:00Z", "soon", "x" * 20, "x" * 301, "\ud800", 10**400, 10**5000,
    Decimal("1.50"), Decimal("NaN"), ["a", 1], [{}], datetime(2024, 1, 31, tzinfo=UTC), "0", 0.0,
])  # fmt: skip
NAMES = st.sampled_from(
    ["a", "A", "b", "b.a", "_b", "_deleted", "at", "Billing Amount", "utm_source", "UTM_Source", "_sdc_x", "x,y"]
)
INNER = st.dictionaries(NAMES, VALUES, max_size=3)
ROW = st.dictionaries(NAMES, VALUES | INNER | st.dictionaries(NAMES, VALUES | INNER, max_size=3), max_size=6)
ENTRIES = [
    StreamSettings(),
    StreamSettings(exclude=("b*",)),
    StreamSettings(include=("a", "b.a", "at")),
    StreamSettings(rename=(("b.a", "B"), ("A", "Other"))),
    StreamSettings(set=(("Const", "{a}"), ("b", "x"))),
]


@given(
    st.lists(ROW, min_size=1, max_size=4),
    st.sampled_from(ENTRIES),
    st.sampled_from([(), ("a",), ("b", "at"), ("b.a",), ("a.b", "b.a")]),
    st.sampled_from([(), ("billing amount",), ("a", "b.a")]),
    st.sampled_from([512, 12]),
    st.sampled_from(["unix", "iso8601"]),
)
def test_rows_of_a_known_shape_have_the_properties_that_a_look_at_each_field_gives(
    rows: list[dict[str, Any]],
    entry: StreamSettings,
    used: tuple[str, ...],
    taken: tuple[str, ...],
    limit: int,
    times: Any,
) -> None:
    settings = MappingSettings(max_value_length=limit, datetime_format=times)
    schema = {"properties": {"at": DATE_TIME, "b": {"properties": {"at": {"anyOf": [DATE_TIME, TEXT]}}}}}
    warnings: list[list[str]] = [[], []]
    by_shape, by_field = (PropertyMaker(entry, settings, schema, warned.append) for warned in warnings)
    by_field._made_by_shape = Mock(side_effect=ValueError)  # type: ignore[method-assign]
    for row in [*rows, *rows, *rows]:
        outcomes: list[tuple[list[tuple[str, str]], list[Rejection]]] = []
        for maker in (by_shape, by_field):
            rejections: list[Rejection] = []
            made = maker.make(row, rejections, used=used, taken=taken)
            outcomes.append((list(made.items()), rejections))
        assert outcomes[0] == outcomes[1]
    assert warnings[0] == warnings[1]


@given(st.lists(st.dictionaries(st.text("aA_,: .\u200b", max_size=4), JSON, max_size=6), min_size=1, max_size=3))
def test_properties_of_any_rows_are_what_kissmetrics_keeps(rows: list[dict[str, Any]]) -> None:
    maker = PropertyMaker(StreamSettings(), MappingSettings(), {}, lambda _: None)
    for row in rows:
        before = copy.deepcopy(row)
        rejections: list[Rejection] = []
        made = maker.make(row, rejections)
        assert repr(row) == repr(before)
        assert len({name.lower() for name in made}) == len(made)
        for name, text in made.items():
            assert name == name.strip() != ""
            assert not name.startswith("_")
            assert not {",", ":"} & set(name)
            assert text.strip()
        assert all(rejection.code and rejection.reason for rejection in rejections)
        # A maker that has seen other rows makes the same of this one as a new one.
        assert made == PropertyMaker(StreamSettings(), MappingSettings(), {}, lambda _: None).make(row, [])


# Constants


SET = {"set": [{"property": "Source", "value": "warehouse"}, {"property": "Full Plan", "value": "{plan} {interval}"}]}


def test_a_property_is_set_to_a_constant_or_a_template() -> None:
    row = {"plan": "gold", "interval": "month", "source": "x"}
    warnings: list[str] = []
    mapped = map_person(row, SET, warnings=warnings)
    # It wins over a field of its name.
    assert set_of(mapped).properties == {
        "plan": "gold", "interval": "month", "Source": "warehouse", "Full Plan": "gold month"
    }  # fmt: skip
    assert record_of(map_event(row, SET)).properties["Full Plan"] == "gold month"


def test_a_template_with_an_empty_field_sets_nothing() -> None:
    properties = set_of(map_person({"plan": "gold", "interval": None}, SET)).properties
    assert properties == {"plan": "gold", "Source": "warehouse"}


def test_a_value_that_cannot_be_sent_is_rejected_alone() -> None:
    mapped = map_person({"plan": "x" * 300, "interval": "y" * 300}, SET)
    assert codes(mapped) == [("value-too-long", "plan")]
    assert "Full Plan" not in set_of(mapped).properties


def test_a_constant_is_set_on_the_event_and_not_on_its_items_and_attributes() -> None:
    mapped = map_event({"items": [{"sku": "a"}], "traits": {"city": "Oslo"}, "plan": "a", "interval": "b"}, SET)
    assert [call.properties.get("Source") for call in mapped.calls] == ["warehouse", None, None]  # type: ignore[union-attr]


def test_the_property_of_revenue_is_not_set_to_a_constant() -> None:
    entry = {"set": [{"property": "billing amount", "value": "5"}]}
    with pytest.raises(ConfigError, match="is the property of revenue"):
        map_event({}, entry)


def test_a_template_of_a_field_that_the_stream_does_not_have_stops_it() -> None:
    with pytest.raises(ConfigError, match=r"set \(Full Plan\): stream 'things' has no field 'interval'"):
        map_person({"plan": "gold"}, SET)
