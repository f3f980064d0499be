from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from preview_streams import NOW, plan, previewed, schema_of

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.preview.explaining import MappedRow
from target_kissmetrics.preview.preview import Preview
from target_kissmetrics.preview.stream import SAMPLED_ROWS, SUGGESTED
from target_kissmetrics.preview.totals import Totals
from target_kissmetrics.reporting import display as shown

EVENTS = {"stream": "e", "kind": "event", "customer_id": "user_id", "timestamp": "time", "event_name": "{event}"}


def event(number: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": number, "user_id": f"u{number}", "event": "Paid", "time": 1_700_000_000 + number, **more}


def becomes(row: MappedRow) -> dict[str, tuple[str, str]]:
    return {field.name: (field.role, field.text) for field in row.fields}


def test_each_field_is_told_what_became_of_it() -> None:
    row = event(
        revenue="$5", plan="Gold", empty="", _sdc_batched_at="x", secret="s", tags=[[1]], Plan="dup", device_id="d1",
        context={"a": 1, "b": {"c": 2}}, utm_source="mail", products=[{"sku": 1}, {"sku": 2}], _bad=1,
    )  # fmt: skip
    made = previewed("e", [row], {**EVENTS, "exclude": ["secret"]}, use_customer_id=True)
    told = becomes(made.streams["e"].first[0])
    assert told["user_id"] == ("identity", "identity")
    assert told["event"] == ("event", "event name")
    assert told["time"] == ("time", "time")
    assert told["revenue"] == ("revenue", "revenue = $5; Billing Amount = 5")
    assert told["plan"] == ("property", "plan = Gold")
    assert told["empty"][1] == "not sent: null or empty"
    assert "metadata of the tap" in told["_sdc_batched_at"][1]
    assert told["secret"][1] == "not sent: in streams[0].exclude"
    assert "list of objects" in told["tags"][1]
    assert told["Plan"][1].startswith("not used: another field comes first or has its name")
    assert told["context"] == ("property", "context.a = 1; context.b.c = 2")
    assert told["utm_source"] == ("property", "Campaign Source = mail")
    assert told["products"] == ("calls", "2 set calls: sku = 1; sku = 2")
    assert told["_bad"][0] == "dropped"
    assert "reserved-name" in told["_bad"][1]


def test_a_field_that_stands_in_for_another_is_not_laid_to_its_charge() -> None:
    rows = [{"user_id": "u", "event": "Paid", "timestamp": 1_700_000_000, "created_at": 1_700_000_100}]
    told = becomes(previewed("e", rows).streams["e"].first[0])
    assert told["timestamp"] == ("time", "time")
    assert told["created_at"] == ("property", "created_at = 1700000100")


def test_rejected_rows_show_the_field_at_fault_and_what_to_do() -> None:
    made = previewed("e", [event(time="soon"), event(user_id=None), event()], EVENTS)
    stream = made.streams["e"]
    assert {code: loss.count for code, loss in stream.rejected.items()} == {"bad-timestamp": 1, "no-identity": 1}
    assert becomes(stream.first[0])["time"][0] == "rejected"
    assert isinstance(stream.first[0].outcome, Rejected)
    assert "set customer_id or device_id" in stream.rejected["no-identity"].reason


def test_a_stream_that_would_stop_the_run_goes_on_with_the_suggestion() -> None:
    rows = [{"id": n, "user_id": f"u{n}", "ordered_on": "2024-01-01", "total": 2} for n in range(SAMPLED_ROWS + 50)]
    stream = previewed("orders", rows, key=["id"]).streams["orders"]
    assert stream.problem is not None
    assert "could be anything" in stream.problem
    assert stream.suggestion is not None
    assert stream.entry.place == SUGGESTED
    assert (stream.kind, stream.counts.rows, stream.counts.accepted) == ("event", SAMPLED_ROWS + 50, SAMPLED_ROWS + 50)
    assert stream.totals.calls["record"] == SAMPLED_ROWS + 50
    assert str(stream.totals.revenue) == str(2 * (SAMPLED_ROWS + 50))
    assert [row.number for row in stream.first] == [1, 2, 3]


def test_a_mistake_in_an_entry_does_not_stop_the_preview_either() -> None:
    made = previewed("e", [event()], {**EVENTS, "timestamp": "tiem"})
    assert "did you mean 'time'" in str(made.streams["e"].problem)
    assert made.streams["e"].totals.calls["record"] == 1
    assert [one.entry["timestamp"] for one in made.suggestions()] == ["time"]


def test_new_entries_come_before_globs_which_would_take_their_streams() -> None:
    other, glob = {"stream": "other", "kind": "ignore"}, {"stream": "*", "exclude": ["x"]}
    made = previewed("e", [{"user_id": "u", "event": "Paid", "time": NOW}], glob, other)
    assert [one.entry["stream"] for one in made.suggestions()] == ["e", "*", "other"], "a run lets the glob have other"
    made = previewed("e", [{"user_id": "u", "event": "Paid", "time": NOW}], other, glob)
    assert [one.entry["stream"] for one in made.suggestions()] == ["other", "e", "*"]


def test_events_that_kissmetrics_takes_for_one_are_counted() -> None:
    rows = [event(1), event(1, id=2), event(1), event(3)]
    stream = previewed("e", rows, EVENTS, key=["id"]).streams["e"]
    assert stream.counts.collisions == 1
    assert any("event name 'Paid' and second" in text and "spread_duplicates: true" in text for text in stream.warnings)
    spread = previewed("e", rows, {**EVENTS, "spread_duplicates": True}, key=["id"]).streams["e"]
    assert (spread.counts.collisions, spread.warnings) == (0, [])


def test_amounts_of_which_kissmetrics_keeps_one_are_counted() -> None:
    rows = [event(1, amount=5), event(1, amount=7, event="Renewed"), event(1, event="Viewed"), event(2, amount=5)]
    entry = {**EVENTS, "revenue": "amount"}
    stream = previewed("e", rows, entry).streams["e"]
    assert (stream.counts.collisions, stream.counts.amount_collisions) == (0, 1)
    assert any("an amount in the same second" in text and "spread_duplicates" in text for text in stream.warnings)
    spread = previewed("e", rows, {**entry, "spread_duplicates": True}).streams["e"]
    assert not any("amount" in text for text in spread.warnings)


def test_rows_that_are_just_like_another_one_are_told_of_where_there_is_no_key() -> None:
    rows = [event(1), event(1), event(2), event(1)]
    (told,) = [text for text in previewed("e", rows, EVENTS).streams["e"].warnings if "equal to another" in text]
    assert told.startswith("2 rows equal to another one")
    keyed = previewed("e", [{**row, "id": 1} for row in rows], EVENTS, key=["id"]).streams["e"]
    assert not any("equal to another" in text for text in keyed.warnings)


def test_names_that_differ_by_case_are_told_over_all_streams() -> None:
    made = Preview(plan(EVENTS, {**EVENTS, "stream": "f"}))
    for name, row in (("e", event(Plan="x")), ("f", event(event="PAID", plan="y"))):
        made.stream(name).schema(schema_of([row]), [])
        made.stream(name).row(row, None)
    made.finish()
    assert any("'Paid', 'PAID'" in text for text in made.warnings)
    assert any("'Plan', 'plan'" in text for text in made.warnings)


@pytest.mark.parametrize(("names", "warned"), [(200, False), (201, True)])
def test_more_than_200_event_names_are_told(names: int, warned: bool) -> None:
    made = previewed("e", [event(n, event=f"Order {n}") for n in range(names)], EVENTS)
    assert any("different names of events" in text for text in made.warnings) is warned


def test_identities_that_many_share_are_told() -> None:
    rows = [event(n, device_id="kiosk") for n in range(11)]
    made = previewed("e", rows, {**EVENTS, "device_id": "device_id"}, alias_identities=True).streams["e"]
    assert any("1 identities come with more than 10 others (kiosk)" in text for text in made.warnings)
    rows = [event(n, user_id="x" if n % 2 else f"u{n}") for n in range(200)]
    assert any("identity 'x'" in text for text in previewed("e", rows, EVENTS).streams["e"].warnings)


def test_nothing_but_rejects_is_told() -> None:
    rejected = previewed("e", [event(user_id="") for _ in range(100)], EVENTS).streams["e"]
    assert any("would stop after the first 100" in text for text in rejected.warnings)


def test_deleted_rows_and_rows_against_their_schema_are_no_calls() -> None:
    made = Preview(plan(EVENTS))
    stream = made.stream("e")
    stream.schema({"properties": {}}, [])
    for row in (event(_sdc_deleted_at="2024-01-01"), event(id="x"), event()):
        stream.row(row, None, "id must be a number" if row["id"] == "x" else None)
    made.finish()
    assert (stream.counts.deleted, stream.counts.accepted, list(stream.rejected)) == (1, 1, ["schema"])


def test_a_stream_without_a_name_takes_no_entry_and_stops_nothing() -> None:
    made = previewed(" ", [{"a": 1}])
    assert "could be anything" in str(made.streams[" "].problem)
    assert made.suggestions() == []


def test_a_field_that_the_stream_lacks_is_found_anew() -> None:
    made = previewed("e", [event()], {"stream": "e", "kind": "event", "customer_id": "gone", "timestamp": "time"})
    assert made.streams["e"].totals.calls["record"] == 1
    assert any("without customer_id" in reason for reason in made.suggestions()[0].why)


def test_ignored_streams_count_rows_alone() -> None:
    stream = previewed("e", [event(), event(2)], {"stream": "e", "kind": "ignore"}).streams["e"]
    assert (stream.kind, stream.counts.rows, stream.first, stream.totals.calls.total()) == ("ignore", 2, [], 0)


def test_totals_are_bounded_and_still_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("target_kissmetrics.preview.totals.MAX_NAMES", 5)
    monkeypatch.setattr("target_kissmetrics.preview.totals.MAX_IDENTITIES", 4)
    totals = Totals("Money")
    for n in range(20):
        calls: list[Call] = [
            Record(f"p{n}", f"e{n}", 1, {f"x{n}": "1"}),
            Set(f"p{n}", 1, {"y": "2"}),
            Alias("a", "b", 1),
        ]
        totals.add(Mapped(calls=calls), has_key=True)
    assert totals.calls == {"record": 20, "set": 20, "alias": 20}
    assert len(totals.events.known) + totals.events.others == 20
    assert sum(one.count for one in totals.properties.known.values()) + totals.properties.others == 40
    assert len(totals.identities) == 4


def test_identities_count_different_partners() -> None:
    totals = Totals("Money", 2)
    for other in "xxxyyz":
        totals.add(Mapped(calls=[Alias("a", other, 1)]), has_key=True)
    warning, _ = totals.warnings(6)
    assert warning.startswith("1 identities come with more than 2 others (a)")


@given(st.text())
def test_what_is_shown_is_one_line_that_steers_nothing(text: str) -> None:
    written = shown.line(text)
    assert written.isprintable()
    assert len(written.splitlines()) <= 1
    if text.isprintable() and len(text) <= shown.SHOWN_CHARACTERS:
        assert written == text


def test_values_are_shown_as_what_they_are() -> None:
    values = [1, True, None, "a\x1b[31m\u202e", {"a": [1.5]}]
    assert [shown.value(value) for value in values] == ["1", "true", "null", "a\\x1b[31m\\u202e", '{"a": [1.5]}']
    assert re.fullmatch(r"x{120}…", shown.value("x" * 500))


def test_values_of_an_event_and_its_first_item_are_told_of() -> None:
    entry = {"stream": "orders", "kind": "event", "customer_id": "user_id", "event_name": "Purchased"}
    row = {"user_id": "u", "time": "2024-01-01T00:00:00Z", "total": 9, "items": [{"total": 3}, {"total": 6}]}
    told = previewed("orders", [row], entry).streams["orders"].warnings
    assert [text for text in told if text.startswith("an event and its first line item have different values")]
    renamed = {**entry, "rename": [{"field": "items.total", "property": "Item total"}]}
    assert not [text for text in previewed("orders", [row], renamed).streams["orders"].warnings if "item" in text]


def test_identities_that_differ_in_case_alone_are_warned_of() -> None:
    rows = [event(1, user_id="Ada@x.org"), event(2, user_id="ada@x.org"), event(3, user_id="bob")]
    (warning,) = [text for text in previewed("e", rows, EVENTS).streams["e"].warnings if "in case alone" in text]
    assert "2 identities" in warning
    assert "lowercase_identities: true" in warning
    lowered = previewed("e", rows, EVENTS, lowercase_identities=True).streams["e"].warnings
    assert not any("in case alone" in text for text in lowered)


def test_a_configured_revenue_without_any_amount_is_warned_of() -> None:
    entry = {**EVENTS, "revenue": "total"}
    warnings = previewed("e", [event(n, total=None) for n in range(3)], entry).streams["e"].warnings
    assert any("revenue 'total' held no amount, or 0, in each of 3 rows" in text for text in warnings)


def test_a_row_without_its_key_is_rejected_as_in_a_run() -> None:
    made = previewed("e", [event(1), {"user_id": "u"}], EVENTS, key=("id",)).streams["e"]
    assert made.problem is None
    assert made.rejected["no-key"].count == 1


@pytest.mark.parametrize(
    ("bad", "good", "stops"),
    [({"user_id": ""}, 5, True), ({"time": 1_000_000_000}, 0, False), ({"user_id": ""}, 0, True)],
)
def test_a_run_that_would_stop_for_its_first_rows_is_warned_of(bad: dict[str, Any], good: int, stops: bool) -> None:
    rows = [*(event(n, **bad) for n in range(100)), *map(event, range(good))]
    warnings = previewed("e", rows, EVENTS).streams["e"].warnings
    assert any("would stop after the first 100" in text for text in warnings) is stops
