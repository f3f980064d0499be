from __future__ import annotations

from typing import Any

import pytest
from mapping_streams import ISO, NOW, SECONDS, aliases_of, map_person, mapping_of, set_of, stream_of

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias, Set
from target_kissmetrics.mapping.reject_codes import Rejected

USERS = {"kind": "user_attributes"}


def test_a_row_becomes_one_change_tracked_set() -> None:
    mapped = map_person({"plan": "free", "address": {"city": "Ulm"}, "utm_source": "x"})
    assert mapped.calls == [
        Set("ann", SECONDS, {"plan": "free", "address.city": "Ulm", "Campaign Source": "x"}, distinct=True)
    ]
    assert mapped.rejections == []
    assert mapped.alias_field is None


def test_a_row_without_attributes_is_no_call() -> None:
    assert map_person({}).calls == []
    assert map_person({"plan": None}).calls == []


def test_both_ids_are_aliased_when_asked_for_also_without_attributes() -> None:
    mapped = map_person({"device_id": "d1"}, alias_identities=True)
    assert mapped.calls == [Alias("d1", "ann", SECONDS)]
    assert mapped.alias_field == "customer_id"
    assert aliases_of(map_person({"device_id": "d1", "plan": 1})) == []


def test_the_only_key_property_identifies_last_of_all() -> None:
    mapping = mapping_of(stream_of(("id", "customer_id", "plan", "updated_at"), USERS, key=("id",)))
    row = {"id": 7, "plan": "free", "updated_at": ISO}
    assert mapping.map(row).calls == [Set("7", SECONDS, {"plan": "free"}, distinct=True)]
    other = set_of(mapping.map({**row, "customer_id": "ann"}))
    assert other.person == "ann"
    assert other.properties == {"plan": "free", "id": "7"}


def test_the_key_property_that_identifies_is_a_property_when_included_by_name() -> None:
    mapping = mapping_of(stream_of(("id", "plan"), {**USERS, "include": ["id", "plan"]}, key=("id",)))
    assert set_of(mapping.map({"id": 7, "plan": "free"})).properties == {"id": "7", "plan": "free"}


def test_one_of_several_key_properties_does_not_identify() -> None:
    with pytest.raises(ConfigError, match=r"streams\[0\].customer_id"):
        mapping_of(stream_of(("id", "region", "plan"), USERS, key=("id", "region")))


def test_the_key_property_does_not_identify_where_the_entry_names_an_id() -> None:
    mapping = mapping_of(stream_of(("id", "email"), {**USERS, "customer_id": "email"}, key=("id",)))
    assert set_of(mapping.map({"id": 7, "email": "a@b.c"})).person == "a@b.c"
    with pytest.raises(Rejected):
        mapping.map({"id": 7, "email": None})


def test_a_key_property_that_is_the_device_id_is_not_a_customer_id_too() -> None:
    mapping = mapping_of(stream_of(("device_id", "a"), USERS, key=("device_id",), alias_identities=True))
    assert mapping.map({"device_id": "d1", "a": 1}, ISO).calls == [Set("d1", SECONDS, {"a": "1"}, distinct=True)]


def test_the_key_property_identifies_an_event_no_more_than_any_field() -> None:
    with pytest.raises(ConfigError, match="customer_id"):
        mapping_of(stream_of(("id", "event", "timestamp"), {"kind": "event"}, key=("id",)))


def test_attributes_were_set_when_their_row_was_updated_never_when_it_was_made() -> None:
    mapping = mapping_of(stream_of(("customer_id", "created_at", "updated_at", "plan"), USERS))
    row = {"customer_id": "ann", "created_at": "2010-01-01", "plan": "free"}
    assert set_of(mapping.map({**row, "updated_at": ISO})).time == SECONDS
    assert set_of(mapping.map(row, "2025-01-01")).time == 1735689600
    assert set_of(mapping.map(row)).time == NOW
    assert set_of(mapping.map(row)).properties == {"created_at": "2010-01-01", "plan": "free"}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"customer_id": ""}, "no-identity"),
        ({"customer_id": "Guest "}, "blocked-identity"),
        ({"updated_at": "2001-01-01"}, "too-old"),
        ({"updated_at": "soon"}, "bad-timestamp"),
    ],
)
def test_a_row_that_kissmetrics_would_not_keep_is_rejected(row: dict[str, Any], code: str) -> None:
    with pytest.raises(Rejected) as problem:
        map_person({"plan": "free", **row})
    assert problem.value.code == code


def test_revenue_and_line_items_mean_nothing_to_a_person() -> None:
    mapped = map_person({"revenue": "$5", "items": [{"sku": 1}], "traits": {"a": 1}}, prefix_properties=True)
    assert set_of(mapped).properties == {"revenue": "$5", "traits.a": "1"}


def test_the_stream_is_described_by_what_is_read_as_what() -> None:
    mapping = mapping_of(stream_of(("id", "device_id", "updated_at"), USERS, key=("id",)))
    assert mapping.describe() == "person: device_id, else id; time: updated_at, else time_extracted, else now"
