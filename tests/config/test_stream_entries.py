from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.config.stream_entries import check_reachable, read_entry
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.registry import KINDS, check_keys
from target_kissmetrics.mapping.settings import StreamSettings

FIELD_KEYS = (
    "customer_id", "device_id", "timestamp", "event_name", "line_items", "user_attributes", "previous_id", "experiment",
    "variant",
)  # fmt: skip
FLAGS = ("refund", "once", "spread_duplicates")


def read(entry: Any, index: int = 0) -> StreamSettings:
    return read_entry(entry, index)


def mistake(entry: Any) -> str:
    """Give the one line that an entry stops the run with."""
    with pytest.raises(ConfigError) as problem:
        read_entry(entry, 2)
    text = str(problem.value)
    assert text.startswith("streams[2]")
    assert "\n" not in text
    return text


def test_an_entry_of_a_name_alone_leaves_everything_to_the_candidates() -> None:
    entry = read({"stream": "orders"}, 3)
    assert entry == StreamSettings(place="streams[3]", stream="orders")
    assert entry.kind is None
    assert entry.include is None
    assert entry.revenue is None


def test_every_key_is_read() -> None:
    entry = read(
        {
            "stream": "orders",
            "kind": "event",
            **{key: f"the {key}" for key in ("customer_id", "device_id", "timestamp", "line_items", "user_attributes")},
            "event_name": "Bought {what}",
            "include": ["a", "b*"],
            "exclude": ["c"],
            "rename": [{"field": "a", "property": " A: "}],
            "revenue": ["total", "sum"],
            "refund": True,
            "once": True,
            "spread_duplicates": True,
        }
    )
    assert entry == StreamSettings(
        place="streams[0]",
        stream="orders",
        kind="event",
        customer_id=("the customer_id",),
        device_id=("the device_id",),
        timestamp="the timestamp",
        event_name="Bought {what}",
        include=("a", "b*"),
        exclude=("c",),
        rename=(("a", "A"),),
        revenue=("total", "sum"),
        refund=True,
        line_items="the line_items",
        user_attributes="the user_attributes",
        once=True,
        spread_duplicates=True,
    )


def test_null_is_a_key_left_out() -> None:
    keys = [*FIELD_KEYS, *FLAGS, "kind", "include", "exclude", "rename", "revenue", "unheard_of"]
    assert read({"stream": "a", **dict.fromkeys(keys)}) == StreamSettings(place="streams[0]", stream="a")


@pytest.mark.parametrize("entry", ["orders", 5, None, ["orders"], True])
def test_an_entry_is_an_object(entry: Any) -> None:
    assert mistake(entry) == f"streams[2]: must be an object such as {{stream: ...}}, not {entry!r}"


@pytest.mark.parametrize("entry", [{}, {"kind": "event"}, {"stream": None}])
def test_an_entry_without_a_stream_is_a_mistake(entry: Any) -> None:
    assert mistake(entry) == "streams[2].stream: is required; set it to a stream's name or a glob"


@pytest.mark.parametrize("value", ["", " ", 5])
def test_a_streams_name_is_a_string(value: Any) -> None:
    assert mistake({"stream": value}) == f"streams[2].stream: must be a non-empty string, not {value!r}"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("customerid", "customer_id"),
        ("Kind", "kind"),
        ("evnt_name", "event_name"),
        ("excludes", "exclude"),
        ("line_item", "line_items"),
        ("spread_duplicate", "spread_duplicates"),
    ],
)
def test_an_unknown_key_is_named_with_the_likely_one(typed: str, meant: str) -> None:
    assert mistake({"stream": "a", typed: "x"}) == f"streams[2].{typed}: no such key; did you mean {meant!r}?"


@pytest.mark.parametrize("key", ["zzz", "place"])
def test_an_unknown_key_that_is_like_none_is_named(key: str) -> None:
    assert mistake({"stream": "a", key: "x"}).startswith(f"streams[2].{key}: no such key")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_accepted(kind: str) -> None:
    assert read({"stream": "a", "kind": kind}).kind == kind


@pytest.mark.parametrize(
    ("kind", "hint"),
    [("events", "; did you mean 'event'?"), ("user_attribute", "; did you mean 'user_attributes'?"), ("x", "")],
)
def test_an_unknown_kind_is_named_with_the_likely_one(kind: str, hint: str) -> None:
    assert mistake({"stream": "a", "kind": kind}) == (
        f"streams[2].kind: must be one of {', '.join(KINDS)}, not {kind!r}{hint}"
    )


@pytest.mark.parametrize("kind", [5, [], {}, True, ["event"]])
def test_a_kind_is_a_text(kind: Any) -> None:
    assert mistake({"stream": "a", "kind": kind}).startswith("streams[2].kind: must be one of")


@pytest.mark.parametrize("key", [key for key in FIELD_KEYS if key not in {"timestamp", "customer_id", "device_id"}])
@pytest.mark.parametrize("value", ["", "  ", 5, True, False, [], ["a"], {}])
def test_a_key_that_names_a_field_is_a_text(key: str, value: Any) -> None:
    assert mistake({"stream": "a", key: value}) == f"streams[2].{key}: must be a non-empty string, not {value!r}"


@pytest.mark.parametrize("value", ["", 5, True, [], {}])
def test_a_time_is_nothing_else(value: Any) -> None:
    assert mistake({"stream": "a", "timestamp": value}).startswith("streams[2].timestamp: must be a ")


def test_a_time_is_a_field_or_false() -> None:
    assert not read({"stream": "a", "timestamp": False}).timestamp
    assert read({"stream": "a", "timestamp": False}).timestamp is not None


@pytest.mark.parametrize("key", FLAGS)
@pytest.mark.parametrize("value", ["true", 1, 0, "", []])
def test_a_switch_is_true_or_false(key: str, value: Any) -> None:
    assert mistake({"stream": "a", key: value}) == f"streams[2].{key}: must be true or false, not {value!r}"


@pytest.mark.parametrize("key", ["include", "exclude"])
@pytest.mark.parametrize("value", ["a", 5, True, {}, [5], [""], [" "], ["a", None], [["a"]]])
def test_include_and_exclude_are_lists_of_strings(key: str, value: Any) -> None:
    told = mistake({"stream": "a", key: value})
    assert told.startswith(f"streams[2].{key}: must be a list")
    assert told.endswith(f", not {value!r}")


def test_an_empty_include_is_not_one_left_out() -> None:
    assert read({"stream": "a", "include": []}).include == ()


@pytest.mark.parametrize("value", ["a", 5, {}, {"a": "b"}, True])
def test_rename_is_a_list(value: Any) -> None:
    assert mistake({"stream": "a", "rename": value}) == f"streams[2].rename: must be a list, not {value!r}"


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (5, ": must be an object such as {field: ..., property: ...}, not 5"),
        (None, ": must be an object such as {field: ..., property: ...}, not None"),
        ([], ": must be an object such as {field: ..., property: ...}, not []"),
        ({}, ".field: is required; write {field: ..., property: ...}"),
        ({"field": "a"}, ".property: is required; write {field: ..., property: ...}"),
        ({"field": None, "property": "b"}, ".field: is required; write {field: ..., property: ...}"),
        ({"feild": "a", "property": "b"}, ".feild: no such key; did you mean 'field'?"),
        ({"field": "a", "property": "b", "x": 1}, ".x: no such key; remove it (keys are field, property)"),
        ({"field": "", "property": "b"}, ".field: must be a non-empty string, not ''"),
        ({"field": "a", "property": 5}, ".property: must be a non-empty string, not 5"),
    ],
)
def test_each_rename_is_a_field_and_a_property(item: Any, told: str) -> None:
    assert mistake({"stream": "a", "rename": [{"field": "x", "property": "y"}, item]}) == f"streams[2].rename[1]{told}"


@pytest.mark.parametrize("name", ["_k", " _p", "\u200b_n", ",", "x" * 256, "a\ud800"])
def test_a_rename_to_what_is_no_propertys_name_stops_before_any_record(name: str) -> None:
    text = mistake({"stream": "a", "rename": [{"field": "a", "property": name}]})
    assert text.startswith("streams[2].rename[0].property: ")


def test_a_field_is_renamed_once() -> None:
    rename = [{"field": "a", "property": "b"}, {"field": "a", "property": "c"}]
    assert mistake({"stream": "a", "rename": rename}) == (
        "streams[2].rename[1]: field 'a' is renamed twice; take one of the two out"
    )


@pytest.mark.parametrize("name", [",", "\u200b", "x" * 256, "a\ud800"])
def test_a_constant_that_is_no_events_name_stops_before_any_record(name: str) -> None:
    assert mistake({"stream": "a", "event_name": name}).startswith("streams[2].event_name: ")


@pytest.mark.parametrize(
    ("value", "fields"), [("total", ("total",)), (["a", "b.c"], ("a", "b.c")), (False, ()), (None, None)]
)
def test_revenue_is_a_field_a_list_of_fields_or_false(value: Any, fields: Any) -> None:
    assert read({"stream": "a", "revenue": value}).revenue == fields


@pytest.mark.parametrize("value", [True, 5, 0, "", " ", [], [5], [""], {}])
def test_revenue_is_nothing_else(value: Any) -> None:
    assert mistake({"stream": "a", "revenue": value}).startswith("streams[2].revenue: must be a")


PERSON = {"customer_id", "device_id", "timestamp"}
PROPERTIES = {"include", "exclude", "rename", "set"}
EVENT = {
    "event_name",
    "events",
    "revenue",
    "revenue_divide_by",
    "refund",
    "line_items",
    "user_attributes",
    "once",
    "spread_duplicates",
}
MESSAGE = {"include", "exclude", "rename", "revenue", "revenue_divide_by", "spread_duplicates", "events"}
KEYS_OF_KIND = {
    "event": PERSON | PROPERTIES | EVENT,
    "user_attributes": PERSON | PROPERTIES,
    "alias": PERSON | {"previous_id"},
    "experiment": PERSON | {"experiment", "variant"},
    "segment": MESSAGE,
    "mparticle": MESSAGE,
    "kissmetrics": set(),
    "ignore": PERSON | PROPERTIES | EVENT | {"previous_id", "experiment", "variant"},
}
VALUES: dict[str, Any] = {
    **dict.fromkeys(FIELD_KEYS, "field"),
    **dict.fromkeys(FLAGS, True),
    "include": [],
    "exclude": ["a"],
    "rename": [{"field": "a", "property": "b"}],
    "revenue": False,
    "revenue_divide_by": 100,
    "events": [{"event_name": "E"}],
    "set": [{"property": "a", "value": "b"}],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", VALUES)
def test_a_key_is_for_the_kinds_of_the_manual_and_no_others(kind: str, key: str) -> None:
    entry = {"stream": "a", "kind": kind, key: VALUES[key]}
    if key in KEYS_OF_KIND[kind]:
        assert read(entry).kind == kind
    else:
        assert mistake(entry).startswith(f"streams[2].{key}: has no meaning for kind {kind}")


def test_keys_can_be_checked_once_the_kind_is_decided() -> None:
    entry = read({"stream": "a", "once": True})
    check_keys(entry, "event")
    with pytest.raises(ConfigError, match=r"streams\[0\].once: has no meaning for kind alias"):
        check_keys(entry, "alias")


@pytest.mark.parametrize(("stream", "is_glob"), [("a", False), ("a-*", True), ("a?", True), ("[a]", False)])
def test_an_entry_for_many_streams_is_a_glob(stream: str, is_glob: bool) -> None:
    assert read({"stream": stream}).is_glob is is_glob


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["field", "property"]), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["stream", "kind", *VALUES]) | st.text(max_size=5), JSON, max_size=4) | JSON)
def test_any_entry_is_read_or_stops_with_one_line_that_names_it(entry: Any) -> None:
    try:
        told = read_entry(entry, 2).place
    except ConfigError as problem:
        told = problem.setting
    assert told.startswith("streams[2]")


@pytest.mark.parametrize(
    ("streams", "problem"),
    [
        (("orders", "orders"), "streams[1].stream: 'orders' has an entry already, streams[0]"),
        (("*", "orders"), "streams[1].stream: streams[0] ('*') comes first and matches"),
        (("a", "o?ders", "b", "orders"), "streams[3].stream: streams[1] ('o?ders') comes first and matches"),
        (("a*", "ab*"), "streams[1].stream: streams[0] ('a*') comes first and matches"),
        (("a*", "a?c"), "streams[1].stream: streams[0] ('a*') comes first and matches"),
        (("a?", "ab"), "streams[1].stream: streams[0] ('a?') comes first and matches"),
    ],
)
def test_an_entry_that_an_earlier_one_leaves_no_stream_is_refused(streams: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_reachable([read({"stream": stream}, index) for index, stream in enumerate(streams)])
    assert str(refused.value).startswith(problem)


@pytest.mark.parametrize(
    "streams", [("orders", "*"), ("a?", "ab*"), ("ab*", "a*"), ("a", "b"), ("a*c", "a*"), ("*.x", "y")]
)
def test_entries_that_leave_others_a_stream_are_fine(streams: tuple[str, ...]) -> None:
    check_reachable([read({"stream": stream}, index) for index, stream in enumerate(streams)])


@pytest.mark.parametrize("field", ["plan*", "pl?n"])
def test_rename_takes_no_glob(field: str) -> None:
    text = mistake(
        {"stream": "a", "rename": [{"field": "city", "property": "City"}, {"field": field, "property": "P"}]}
    )
    assert text == f"streams[2].rename[1].field: {field!r} is a glob; rename takes one field each"


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"exclude": ["plan"]}, "'plan' has no effect, since exclude leaves it out; change exclude, or"),
        ({"exclude": ["pl*"]}, "'plan' has no effect, since exclude leaves it out; change exclude, or"),
        ({"include": ["email"]}, "'plan' has no effect, since include does not name it; change include, or"),
    ],
)
def test_a_rename_of_a_field_that_is_left_out_is_an_error(chosen: dict[str, Any], problem: str) -> None:
    rename = [{"field": "plan", "property": "Plan"}]
    entry = {"stream": "people", "kind": "user_attributes", "customer_id": "id", "rename": rename, **chosen}
    with pytest.raises(ConfigError) as error:
        read_entry(entry, 2)
    assert str(error.value).startswith(f"streams[2].rename[0]: {problem}")


@pytest.mark.parametrize("chosen", [{"include": ["pl*"]}, {"include": ["plan"], "exclude": ["other"]}, {}])
def test_a_rename_of_a_field_that_is_sent_is_none(chosen: dict[str, Any]) -> None:
    rename = [{"field": "plan", "property": "Plan"}, {"field": "items.sku", "property": "SKU"}]
    assert read_entry({"stream": "people", "kind": "event", "rename": rename, **chosen}, 0).rename


@pytest.mark.parametrize("key", ["customer_id", "device_id"])
def test_a_key_of_ids_is_a_field_or_a_list_of_fields(key: str) -> None:
    assert getattr(read({"stream": "a", key: "b"}), key) == ("b",)
    assert getattr(read({"stream": "a", key: ["b", "c.d"]}), key) == ("b", "c.d")
    wrong: tuple[Any, ...] = ("", " ", 5, True, {})
    for value in wrong:
        expected = f"streams[2].{key}: must be a non-empty string or a list, not {value!r}"
        assert mistake({"stream": "a", key: value}) == expected
    assert (
        mistake({"stream": "a", key: []}) == f"streams[2].{key}: must be a field or a list of fields, not an empty list"
    )


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("timezone", "Europe/Berlinn", "'Europe/Berlinn' is no time zone; did you mean 'Europe/Berlin'?"),
        ("timezone", "../../etc/passwd", "'../../etc/passwd' is no time zone; write an IANA name"),
        ("timezone", "Nowhere at all", "'Nowhere at all' is no time zone; write an IANA name"),
        ("when", {}, "is empty, so it has no effect"),
        ("when", "status", "must be an object, not 'status'"),
        ("when", {"status": []}, ".status: must be a text, a number, true, false, null, or a list of them, not []"),
        ("when", {"status": {"a": 1}}, ".status: must be a text, a number, true, false, null, or a list of them"),
        ("unwrap", "properties", "must be a list, not 'properties'"),
        ("unwrap", [""], "must be a list of non-empty strings, not ['']"),
        ("revenue_divide_by", 0, "must be at least 1, not 0"),
        ("revenue_divide_by", 2.5, "must be an integer, not 2.5"),
        ("set", [{"property": "a"}], "[0].value: is required; write {property: ..., value: ...}"),
        ("set", [{"property": "_a", "value": "b"}], "[0].property: '_a'"),
        ("set", [{"property": "a", "value": "1"}, {"property": "A", "value": "2"}], "[1]: property 'A' is set twice"),
    ],
)
def test_a_value_of_a_newer_key_is_checked(key: str, value: Any, problem: str) -> None:
    separator = "" if problem[0] in ".[" else ": "
    assert mistake({"stream": "a", key: value}).startswith(f"streams[2].{key}{separator}{problem}")


@pytest.mark.parametrize("kind", ["segment", "mparticle"])
@pytest.mark.parametrize(("key", "value"), [("timestamp", "a"), ("when", {"a": 1}), ("line_items", "a")])
def test_items_of_messages_have_no_keys_that_name_fields_of_rows(kind: str, key: str, value: Any) -> None:
    entry = {"stream": "a", "kind": kind, "events": [{"event_name": "E", key: value}]}
    assert mistake(entry) == f"streams[2].events[0].{key}: has no meaning for kind {kind}; remove it"


def test_items_of_events_ignore_none() -> None:
    entry = {"stream": "a", "kind": "event", "events": [{"event_name": "E", "ignore": True}]}
    assert mistake(entry) == "streams[2].events[0].ignore: has no meaning for kind event; remove it"
