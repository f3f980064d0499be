from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from mapping_streams import stream_of

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.detection import Detected, detect
from target_kissmetrics.mapping.kinds.people import named_for_people
from target_kissmetrics.mapping.rules.identity import CUSTOMER_ID_CANDIDATES, DEVICE_ID_CANDIDATES


def decided(
    *fields: str, name: str = "things", key: Sequence[str] = (), entry: dict[str, Any] | None = None
) -> Detected:
    return detect(stream_of(fields, entry, name=name, key=key))


def undecided(*fields: str, **about: Any) -> str:
    with pytest.raises(ConfigError) as problem:
        decided(*fields, **about)
    assert problem.value.setting == "streams"
    return str(problem.value)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (("type", "userId"), "segment"),
        (("type", "anonymousId"), "segment"),
        (("type", "messageId"), "segment"),
        (("events", "user_identities"), "mparticle"),
        (("events", "device_info"), "mparticle"),
        (("events", "mpid"), "mparticle"),
        (("_p", "_t"), "kissmetrics"),
        (("customer_id", "previous_id"), "alias"),
        (("device_id", "previousId"), "alias"),
        (("user_id", "experiment", "variant"), "experiment"),
        (("user_id", "experiment_name", "variation"), "experiment"),
        (("user_id", "test", "group"), "experiment"),
        (("customer_id", "event_name"), "event"),
        (("visitor_id", "event"), "event"),
        (("userId", "eventName"), "event"),
        (("device_id", "screen_name"), "event"),
    ],
)
def test_the_kind_is_told_from_the_fields_and_the_reason_names_them(fields: tuple[str, ...], kind: str) -> None:
    found = decided(*fields)
    assert found.kind == kind
    assert all(repr(field) in found.why for field in fields)


@pytest.mark.parametrize("identity", [*CUSTOMER_ID_CANDIDATES, *DEVICE_ID_CANDIDATES])
def test_each_id_candidate_is_an_identity(identity: str) -> None:
    assert decided(identity, "event").kind == "event"
    assert decided(identity, "name", key=(identity,)).kind == "user_attributes"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (("type", "userId", "events", "mpid", "_p", "_t", "previousId", "event"), "segment"),
        (("events", "mpid", "_p", "_t", "user_id", "event"), "mparticle"),
        (("_p", "_t", "user_id", "previous_id", "event"), "kissmetrics"),
        (("anonymous_id", "received_at", "sent_at", "event_text", "previous_id"), "segment"),
        (("user_id", "previous_id", "experiment", "variant", "event"), "alias"),
        (("user_id", "experiment", "variant", "event"), "experiment"),
        (("user_id", "event"), "event"),
    ],
)
def test_the_first_kind_of_the_list_wins(fields: tuple[str, ...], kind: str) -> None:
    assert decided(*fields, name="users", key=("user_id",)).kind == kind


def test_an_identity_that_is_the_only_key_is_a_person() -> None:
    found = decided("user_id", "plan", key=("user_id",))
    assert found == ("user_attributes", "'user_id', an identity, is its only key")


@pytest.mark.parametrize(
    "name",
    [
        "users", "user", "customers", "customer", "contacts", "contact", "people", "person", "profiles", "profile",
        "members", "member", "visitors", "visitor", "leads", "lead", "Users", "CUSTOMERS", "public-users",
        "public-Customers", "crm.contacts", "my-db-public-people", "dbo/leads",
    ],
)  # fmt: skip
def test_a_stream_named_for_people_with_an_identity_or_one_key_is_one_of_people(name: str) -> None:
    assert decided("user_id", "plan", name=name, key=("a", "b")).kind == "user_attributes"
    assert decided("id", "plan", name=name, key=("id",)).kind == "user_attributes"
    assert "its name is one for people" in decided("id", "plan", name=name, key=("id",)).why


@pytest.mark.parametrize(
    "name",
    ["orders", "products", "user_events", "usersettings", "leaderboard", "users-archive", "customer-orders", "", "-"],
)
def test_other_names_are_not_for_people(name: str) -> None:
    assert not named_for_people(name)


@pytest.mark.parametrize(
    ("fields", "name", "key"),
    [
        (("id", "plan"), "orders", ("id",)),
        (("id", "customer_id", "total"), "orders", ("id",)),
        (("user_id", "sku"), "baskets", ("user_id", "sku")),
        (("id", "plan"), "users", ()),
        (("id", "region"), "users", ("id", "region")),
        (("event", "at"), "log", ()),
        (("previous_id", "next_id"), "moves", ("next_id",)),
        (("experiment", "variant"), "tests", ()),
        (("type", "user_id"), "messages", ()),
        (("events", "user_id"), "batches", ()),
        (("_p", "_n"), "lines", ()),
        (("customer_id", "alias"), "names", ()),
        ((), "nothing", ()),
    ],
)
def test_everything_else_stops_the_run(fields: tuple[str, ...], name: str, key: tuple[str, ...]) -> None:
    text = undecided(*fields, name=name, key=key)
    assert text.startswith(f"streams: stream {name!r} could be anything")
    assert ", ".join(fields) in text
    assert "\n" not in text


@pytest.mark.parametrize("kind", ["event", "user_attributes", "alias", "experiment", "ignore"])
def test_the_error_shows_the_entries_to_choose_from(kind: str) -> None:
    assert f"{{stream: orders, kind: {kind}" in undecided("id", "total", name="orders", key=("id",))


def test_the_error_shows_so_many_fields_and_counts_the_rest() -> None:
    text = undecided(*(f"c{number}" for number in range(100)), name="wide")
    assert "c39 and 60 more" in text
    assert "c40" not in text


@pytest.mark.parametrize(
    ("fields", "entry", "kind"),
    [
        (("email", "event"), {"customer_id": "email"}, "event"),
        (("cookie", "event"), {"device_id": "cookie"}, "event"),
        (("user_id", "what"), {"event_name": "Did {what}"}, "event"),
        (("user_id",), {"event_name": "Purchased"}, "event"),
        (("user_id", "old"), {"previous_id": "old"}, "alias"),
        (("user_id", "flag", "on"), {"experiment": "flag", "variant": "on"}, "experiment"),
        (("email", "plan"), {"customer_id": "email"}, None),
    ],
)
def test_what_the_entry_names_counts_as_found(fields: tuple[str, ...], entry: dict[str, Any], kind: str | None) -> None:
    if kind is None:
        assert decided(*fields, key=("email",), entry=entry).kind == "user_attributes"
        undecided(*fields, entry=entry)
    else:
        assert decided(*fields, entry=entry).kind == kind


def test_what_an_entry_for_many_streams_names_counts_where_the_stream_has_it() -> None:
    entry = {"stream": "shop*", "customer_id": "email", "previous_id": "old"}
    assert decided("email", "event", name="shop_a", entry=entry).kind == "event"
    assert decided("user_id", "event", name="shop_b", entry=entry).kind == "event"
    undecided("event", name="shop_c", entry=entry)
