"""Lines of a Kissmetrics export or import file, sent again as they stand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapping_messages import rejected
from mapping_streams import NOW, SECONDS, aliases_of, codes, mapping_of, record_of, set_of, slot_of, stream_of

from target_kissmetrics.kissmetrics.calls import Alias, Record, Set
from target_kissmetrics.kissmetrics.wire import as_import_line
from target_kissmetrics.mapping.detection import resolve
from target_kissmetrics.mapping.result import Mapped

DATED = {"_p": {}, "_t": {}, "signed_up_at": {"type": "string", "format": "date-time"}}


def line(row: dict[str, Any], fields: Any = ("_p", "_t"), **about: Any) -> Mapped:
    return mapping_of(stream_of(fields, {"kind": "kissmetrics"}, **about)).map({"_p": "ann", "_t": SECONDS, **row})


def test_a_line_with_a_name_is_an_event() -> None:
    assert line({"_n": "Purchased", "Billing Amount": Decimal("19.90"), "new": True}).calls == [
        Record("ann", "Purchased", SECONDS, {"Billing Amount": "19.9", "new": "true"})
    ]


@pytest.mark.parametrize("name", [None, "", " "])
def test_a_line_without_one_sets_properties_whatever_was_sent_before(name: str | None) -> None:
    assert line({"_n": name, "plan": "Gold"}).calls == [Set("ann", SECONDS, {"plan": "Gold"})]


def test_a_line_with_a_second_identity_is_an_alias() -> None:
    assert line({"_p2": 5}).calls == [Alias("ann", "5", SECONDS)]
    assert line({"_p2": " ann "}).calls == []
    assert line({"_p2": None, "a": 1}).calls == [Set("ann", SECONDS, {"a": "1"})]


def test_a_line_that_is_both_loses_nothing() -> None:
    mapped = line({"_p2": "bob", "_n": "Joined", "a": 1})
    assert mapped.calls == [Record("ann", "Joined", SECONDS, {"a": "1"}), Alias("ann", "bob", SECONDS)]
    assert mapped.alias_field == "_p2"


def test_names_and_texts_stay_as_they_are_whatever_the_schema_and_the_settings_say() -> None:
    row = {"signed_up_at": "2024-01-31T08:00:00Z", "utm_source": "news", "revenue": "$5", "Referrer": "r"}
    mapped = line(row, DATED, prefix_properties=True)
    assert set_of(mapped).properties == row


def test_address_and_user_agent_go_out_unless_they_must_not() -> None:
    row = {"_n": "E", "_ip": "203.0.113.7", "_ua": "Mozilla/5.0"}
    assert line(row).calls == [Record("ann", "E", SECONDS, {}, "203.0.113.7", "Mozilla/5.0")]
    assert line(row, send_ip_and_user_agent=False).calls == [Record("ann", "E", SECONDS, {})]


def test_unknown_names_that_start_with_an_underscore_are_set_aside() -> None:
    mapped = line({"_n": "E", "_d": 1, "_k": "secret", "_c": 5, " _x": 1, "_sdc_batched_at": "x", "ok": 1})
    assert record_of(mapped).properties == {"ok": "1"}
    assert codes(mapped) == [("reserved-name", " _x")]


def test_what_kissmetrics_and_its_clients_add_is_dropped_without_a_word() -> None:
    mapped = line({"_n": "E", "_c": "x", "_u": "y", "_server_timestamp": SECONDS, "_d": 1, "_k": "z"})
    assert (record_of(mapped).properties, mapped.rejections) == ({}, [])


def test_octal_escapes_are_the_letters_they_stand_for() -> None:
    row = {"_p": r"j\303\266rg", "_n": r"Caf\303\251", r"Stra\303\237e": r"\302\243 20", "raw": r"C:\101 \303 \777"}
    record = record_of(line(row))
    assert (record.person, record.event) == ("jörg", "Café")
    assert record.properties == {"Straße": "£ 20", "raw": r"C:\101 \303 \777"}


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"_p": None}, "no-identity", "_p"),
        ({"_p": {"a": 1}}, "bad-identity", "_p"),
        ({"_p": "anonymous"}, "blocked-identity", "_p"),
        ({"_p2": "null"}, "blocked-identity", "_p2"),
        ({"_t": None}, "no-timestamp", "_t"),
        ({"_t": "soon"}, "bad-timestamp", "_t"),
        ({"_t": 1}, "too-old", "_t"),
        ({"_n": ["E"]}, "no-event-name", "_n"),
        ({"_n": "x" * 256}, "event-name-too-long", "_n"),
    ],
)
def test_a_line_that_kissmetrics_would_not_keep_is_rejected(row: dict[str, Any], code: str, field: str) -> None:
    found = rejected(line, row)
    assert found[:2] == (code, field)
    assert found[2]


@pytest.mark.parametrize("flags", [{"use_customer_id": True}, {"identity_fallback": False}])
def test_the_person_is_the_lines_whatever_the_settings_say_of_ids(flags: dict[str, bool]) -> None:
    assert record_of(line({"_n": "E"}, **flags)).person == "ann"


def test_lines_are_told_from_others_by_what_they_hold() -> None:
    assert slot_of(line({"_n": "E", "a": 1})).row == slot_of(line({"a": 1, "_n": "E"})).row
    assert slot_of(line({"_n": "E", "a": 1})).row != slot_of(line({"_n": "E", "a": 2})).row


NAMES = st.text("abcXYZ 019-.", min_size=1, max_size=20).filter(lambda name: name.strip() == name)
VALUES = st.text(min_size=1, max_size=30).filter(lambda text: bool(text.strip()) and text.isprintable())


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.none() | NAMES, st.integers(SECONDS, NOW))
def test_what_an_import_file_says_is_what_is_sent(properties: dict[str, str], name: str | None, time: int) -> None:
    properties = {key.lower(): value for key, value in properties.items()}
    given_line = {"_p": "ann", "_t": time, **({"_n": name} if name else {}), **properties}
    calls = line(given_line).calls
    assert [as_import_line(call) for call in calls] == ([given_line] if name or properties else [])


def test_the_line_a_stream_starts_with() -> None:
    assert mapping_of(stream_of(("_p", "_t"))).describe().startswith("lines of an export or import file")


def test_an_alias_needs_no_alias_identities() -> None:
    assert aliases_of(line({"_p2": "bob"}, alias_identities=False)) == [("ann", "bob")]


def test_the_known_names_may_be_in_capitals_and_others_stay_as_they_are() -> None:
    row = {"_P": "ann", "_T": SECONDS, "_N": "Joined", "_D": 1, "_K": "key", "_IP": "203.0.113.7", "PLAN": "Gold"}
    resolved = resolve(stream_of(row, name="EXPORT"))
    assert (resolved.kind, resolved.why) == ("kissmetrics", "it has '_P' and '_T'")
    assert resolved.mapping is not None
    mapped = resolved.mapping.map(row)
    assert mapped.calls == [Record("ann", "Joined", SECONDS, {"PLAN": "Gold"}, "203.0.113.7")]
    assert mapped.rejections == []
