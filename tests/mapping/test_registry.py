from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapping_streams import stream_of

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias, Record
from target_kissmetrics.kissmetrics.limits import EARLIEST_TIME, LATEST_TIME
from target_kissmetrics.mapping.detection import resolve
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped


def test_the_entrys_kind_counts_for_more_than_the_fields() -> None:
    understood = resolve(stream_of(("customer_id", "event", "updated_at"), {"kind": "user_attributes"}))
    assert (understood.kind, understood.why) == ("user_attributes", "streams[0] says so")
    assert understood.mapping is not None
    assert "person" in understood.mapping.describe()


def test_a_stream_to_ignore_has_no_mapping_whatever_its_fields() -> None:
    assert resolve(stream_of(("anything",), {"kind": "ignore", "customer_id": "missing"})).mapping is None


def test_a_stream_that_could_be_anything_stops_the_run() -> None:
    with pytest.raises(ConfigError, match="could be anything"):
        resolve(stream_of(("id", "total"), name="orders", key=("id",)))


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("customer_id", "event"),
        ("device_id", "event"),
        ("timestamp", "user_attributes"),
        ("previous_id", "alias"),
        ("line_items", "event"),
        ("user_attributes", "event"),
        ("experiment", "experiment"),
        ("variant", "experiment"),
    ],
)
def test_a_field_named_in_the_entry_that_the_stream_does_not_have_stops_the_run(key: str, kind: str) -> None:
    fields = ("customer_id", "event", "previous_id", "experiment", "variant", "somewhere")
    with pytest.raises(ConfigError, match=rf"streams\[0\].{key}: .*no field 'somwhere'; did you mean 'somewhere'\?"):
        resolve(stream_of(fields, {"kind": kind, key: "somwhere"}))


@pytest.mark.parametrize(
    ("path", "meant"),
    [("order.totl", "order.total"), ("ordr.total", "order.total"), ("order_total", "order.total"), ("PLAN", "plan")],
)
def test_a_slip_in_a_dotted_path_or_in_capitals_stops_the_run(path: str, meant: str) -> None:
    order: dict[str, Any] = {"properties": {"total": {}, "shop": {}}}
    fields: dict[str, Any] = {"customer_id": {}, "event": {}, "plan": {}, "order": order}
    for schema in ({}, {"additionalProperties": True}) if path == "order.totl" else ({},):
        with pytest.raises(ConfigError, match=rf"no field '{path}'; did you mean '{meant}'\?"):
            resolve(stream_of(fields, {"kind": "event", "revenue": path}, schema=schema))


def test_the_error_of_a_field_without_a_near_miss_lists_the_fields() -> None:
    with pytest.raises(ConfigError, match=r"has no field 'zzz' \(its fields: customer_id, event\)"):
        resolve(stream_of(("customer_id", "event"), {"kind": "event", "timestamp": "zzz"}))


@pytest.mark.parametrize(
    ("entry", "schema"),
    [
        ({"kind": "event", "timestamp": "context.at"}, {}),
        ({"kind": "event", "timestamp": "later"}, {"additionalProperties": True}),
        ({"stream": "thing*", "kind": "event", "timestamp": "later"}, {}),
    ],
)
def test_a_field_that_may_still_come_does_not_stop_the_run(entry: dict[str, Any], schema: dict[str, Any]) -> None:
    assert resolve(stream_of(("customer_id", "event", "context"), entry, schema=schema)).mapping is not None


def test_a_key_without_meaning_for_the_kind_that_was_decided_stops_the_run() -> None:
    with pytest.raises(ConfigError, match=r"streams\[0\].revenue: has no meaning for kind user_attributes"):
        resolve(stream_of(("id", "total"), {"revenue": "total"}, name="users", key=("id",)))
    with pytest.raises(ConfigError, match=r"streams\[0\].customer_id: has no meaning for kind segment"):
        resolve(stream_of(("type", "userId"), {"customer_id": "userId"}))


def test_an_entry_for_many_streams_may_hold_keys_for_other_kinds() -> None:
    entry = {"stream": "*", "revenue": "total"}
    assert resolve(stream_of(("id", "total"), entry, name="users", key=("id",))).kind == "user_attributes"


@pytest.mark.parametrize("given", [{"exclude": ["email"]}, {"include": ["title"]}])
def test_but_none_that_chooses_fields_of_a_message_format_which_sends_them_all(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"no meaning for kind kissmetrics; .* an entry of their own, before it"):
        resolve(stream_of(("_p", "_t"), {"stream": "*", **given}))


FIELD_NAMES = st.sampled_from(
    [
        "customer_id", "device_id", "event", "timestamp", "updated_at", "revenue", "items", "traits", "previous_id",
        "experiment", "variant", "utm_source", "Billing Amount", "billing amount", "_k", "_p", "_n", "_t", "_d", " _p",
        "\u200b_k", "_sdc_batched_at", "a", "A", "a.b", "a,b", "", " ", ".", ":",
    ]
) | st.text(max_size=300)  # fmt: skip
TEXTS = st.sampled_from(
    ["ann", "d1", "guest", "2024-01-31T08:00:00Z", "1706688000", "$1,234.50", "12 pcs", "_k", " ", "\ud800", "x" * 9000]
) | st.text(max_size=300)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.decimals() | st.floats() | TEXTS | st.datetimes() | st.dates()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELD_NAMES, inner, max_size=4),
    max_leaves=8,
)
ROWS = st.dictionaries(FIELD_NAMES, VALUES, max_size=8)
PEOPLE = {"customer_id": "ann", "device_id": "d1"}
ENTRIES: dict[str, dict[str, Any]] = {
    "event": {"spread_duplicates": True, "refund": True, "rename": [{"field": "a", "property": "B"}]},
    "user_attributes": {"include": ["*", "customer_id", "_*"], "exclude": ["variant"]},
    "alias": {},
    "experiment": {},
}
TIMES = st.sampled_from([1706688000000, "2024-01-31T08:00:00Z", 1706688000, None]) | SCALARS
OBJECTS = ROWS | VALUES
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["identify", "track", "page", "screen", "group", "alias", "Track", "x"]) | VALUES,
        "userId": TEXTS, "anonymousId": VALUES, "previousId": TEXTS, "event": TEXTS, "name": VALUES, "category": VALUES,
        "groupId": VALUES, "timestamp": TIMES, "traits": OBJECTS,
        "properties": st.fixed_dictionaries({}, optional={"products": VALUES, "revenue": TEXTS}) | OBJECTS,
        "context": st.fixed_dictionaries(
            {}, optional={"campaign": OBJECTS, "page": OBJECTS, "ip": VALUES, "userAgent": TEXTS, "traits": OBJECTS}
        ) | OBJECTS,
    },
)  # fmt: skip
EVENT_DATA = st.fixed_dictionaries(
    {},
    optional={
        "timestamp_unixtime_ms": TIMES, "event_name": TEXTS, "screen_name": VALUES, "custom_attributes": OBJECTS,
        "user_attribute_name": TEXTS, "new": VALUES, "deleted": st.booleans(),
        "product_action": st.fixed_dictionaries(
            {"action": st.sampled_from(["purchase", "refund", "add_to_cart"]) | VALUES},
            optional={"total_amount": VALUES, "coupon_code": VALUES, "products": st.lists(ROWS, max_size=3) | VALUES},
        ) | OBJECTS,
        "promotion_action": st.fixed_dictionaries({"action": TEXTS, "promotions": VALUES}) | OBJECTS,
        "product_impressions": st.lists(st.fixed_dictionaries({"products": VALUES}), max_size=2) | VALUES,
    },
)  # fmt: skip
BATCH_EVENTS = st.fixed_dictionaries(
    {
        "event_type": st.sampled_from(
            ["custom_event", "screen_view", "commerce_event", "user_attribute_change", "session_start"]
        )
        | VALUES,
        "data": EVENT_DATA | VALUES,
    }
)
BATCHES = st.fixed_dictionaries(
    {"mp_deviceid": TEXTS},
    optional={
        "events": st.lists(BATCH_EVENTS | VALUES, max_size=3) | VALUES, "user_identities": OBJECTS,
        "user_attributes": OBJECTS, "deleted_user_attributes": st.lists(TEXTS, max_size=2) | VALUES, "ip": VALUES,
        "device_info": OBJECTS, "mpid": SCALARS, "timestamp_unixtime_ms": TIMES,
    },
)  # fmt: skip
LINES = st.fixed_dictionaries(
    {"_p": TEXTS, "_t": TIMES}, optional={"_n": VALUES, "_p2": TEXTS, "_ip": VALUES, "_k": TEXTS, "a": VALUES}
)
MESSAGE_ROWS = {"segment": MESSAGES, "mparticle": BATCHES, "kissmetrics": LINES}


@pytest.mark.parametrize("kind", MESSAGE_ROWS)
@given(data=st.data(), extracted=st.none() | TEXTS, flag=st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_message_is_rejected_or_becomes_calls_that_kissmetrics_keeps(
    kind: str, data: st.DataObject, extracted: str | None, flag: bool
) -> None:
    row = data.draw(MESSAGE_ROWS[kind])
    stream = stream_of((), {"kind": kind}, prefix_properties=flag, alias_identities=flag, use_customer_id=not flag)
    mapping = resolve(stream).mapping
    assert mapping is not None
    before = repr(copy.deepcopy(row))
    rejection = ("x", "x")
    mapped = Mapped()
    try:
        mapped = mapping.map(row, extracted)
    except Rejected as problem:
        rejection = (problem.code, problem.reason)
    assert repr(row) == before
    assert all(rejection)
    for call in mapped.calls:
        _check_call(call, stream.settings.blocked_identities)
    assert all(rejection.code and rejection.reason and rejection.field for rejection in mapped.rejections)
    assert all(isinstance(mapped.calls[slot.record], Record) for slot in mapped.slots)
    assert all(1 <= len(deletion.name) <= 255 for deletion in mapped.deletions)


@pytest.mark.parametrize("kind", ENTRIES)
@given(
    rows=st.lists(st.tuples(ROWS, st.booleans()), min_size=1, max_size=3),
    extracted=st.none() | TEXTS,
    flag=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_row_is_rejected_or_becomes_calls_that_kissmetrics_keeps(
    kind: str, rows: list[tuple[dict[str, Any], bool]], extracted: str | None, flag: bool
) -> None:
    # No schema, so that every candidate is tried in every row.
    stream = stream_of(
        (),
        {"kind": kind, **ENTRIES[kind]},
        prefix_properties=flag,
        alias_identities=flag,
        use_customer_id=not flag,
        datetime_format="unix" if flag else "iso8601",
    )
    mapping = resolve(stream).mapping
    assert mapping is not None
    for row, with_person in rows:
        whole = {**row, **PEOPLE, "event": "x", "experiment": "y", "variant": "z"} if with_person else row
        before = copy.deepcopy(whole)
        rejection = ("", "")
        mapped: Mapped | None
        try:
            mapped = mapping.map(whole, extracted)
        except Rejected as problem:
            rejection, mapped = (problem.code, problem.reason), None
        assert repr(whole) == repr(before)
        if mapped is None:
            assert all(rejection)
            continue
        for call in mapped.calls:
            _check_call(call, stream.settings.blocked_identities)
        assert all(rejection.code and rejection.reason for rejection in mapped.rejections)
        if with_person and kind != "alias":
            assert {call.person for call in mapped.calls} <= {"d1" if flag else "ann"}


def _check_call(call: Any, blocked: frozenset[str]) -> None:
    people = [call.person, call.other] if isinstance(call, Alias) else [call.person]
    for person in people:
        assert 1 <= len(person) <= 255
        assert person.lower() not in blocked
        assert not {",", ":"} & set(person)
    assert EARLIEST_TIME <= call.time < LATEST_TIME
    if isinstance(call, Alias):
        assert call.person != call.other
        return
    if hasattr(call, "event"):
        assert 1 <= len(call.event) <= 255
        call.event.encode()
    else:
        assert call.properties
    assert len({name.lower() for name in call.properties}) == len(call.properties)
    for name, value in call.properties.items():
        assert 1 <= len(name) <= 255
        assert not name.startswith("_")
        assert name == name.strip()
        assert not {",", ":"} & set(name)
        assert 1 <= len(value) <= 512
        assert value.strip()
        name.encode()


@given(st.lists(st.text(max_size=12), max_size=6), st.lists(st.text(max_size=12), max_size=2), st.text(max_size=12))
def test_any_schema_is_understood_or_stops_the_run_in_one_line(fields: list[str], key: list[str], name: str) -> None:
    told = ""
    try:
        told = resolve(stream_of(fields, name=name, key=key)).why
    except ConfigError as problem:
        told = problem.setting
    assert told
