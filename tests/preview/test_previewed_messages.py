"""Messages and batches: what a preview tells of them that rows of tables do not have."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import pytest
from preview_streams import plan, previewed, schema_of, written

from target_kissmetrics.preview.preview import Preview
from target_kissmetrics.preview.text import as_page as as_html

MS = 1_700_000_000_000
BATCH = {"stream": "m", "kind": "mparticle"}
MESSAGE = {"stream": "s", "kind": "segment"}
LINE = {"stream": "k", "kind": "kissmetrics"}


def custom(name: object = "Clicked", at: int = MS, **data: Any) -> dict[str, Any]:
    return {"event_type": "custom_event", "data": {"event_name": name, "timestamp_unixtime_ms": at, **data}}


def batch(*events: Any, **more: Any) -> dict[str, Any]:
    return {"timestamp_unixtime_ms": MS, "user_identities": {"customer_id": "c1"}, "events": list(events), **more}


def message(**more: Any) -> dict[str, Any]:
    row = {"type": "track", "userId": "u1", "event": "Paid", "timestamp": "2024-01-31T08:00:00Z", "properties": {}}
    return {**row, **more}


def as_page(made: Preview) -> str:
    return " ".join(as_html(made).split())


def becomes(made: Preview, name: str) -> dict[str, tuple[str, str]]:
    return {field.name: (field.role, field.text) for field in made.streams[name].first[0].fields}


def test_two_events_of_one_batch_in_one_second_are_told() -> None:
    row = batch(custom(event_id=1), custom(event_id=2), custom("Other", event_id=3))
    stream = previewed("m", [row], BATCH).streams["m"]
    assert stream.counts.collisions == 1
    assert any("event name 'Clicked' and second" in text for text in stream.warnings)


@pytest.mark.parametrize(
    ("entry", "rows", "has_key"),
    [
        (BATCH, [batch(custom(event_id=n)) for n in range(2)], True),
        (MESSAGE, [message(messageId=f"m{n}") for n in range(2)], True),
        (LINE, [{"_p": "p", "_n": "Paid", "_t": 1_700_000_000, "n": n} for n in range(2)], False),
    ],
)
def test_no_key_is_advised_that_the_kind_does_not_have(
    entry: dict[str, str], rows: list[dict[str, Any]], has_key: bool
) -> None:
    stream = previewed(entry["stream"], rows, entry).streams[entry["stream"]]
    (told,) = [text for text in stream.warnings if "and second; " in text]
    assert ("set spread_duplicates" in told) is has_key
    assert ("kind kissmetrics has no spread_duplicates" in told) is not has_key


def test_a_message_that_comes_twice_has_no_twin() -> None:
    assert (
        previewed("s", [message(messageId="m1"), message(messageId="m1")], MESSAGE).streams["s"].counts.collisions == 0
    )


def test_a_batchs_address_is_shown_as_it_goes_out() -> None:
    made = previewed("m", [batch(custom(), ip="203.0.113.7")], BATCH)
    assert becomes(made, "m")["ip"] == ("property", "_ip = 203.0.113.7")
    assert "     _ip = 203.0.113.7" in written(made)
    assert "_ip = 203.0.113.7" in as_page(made)
    kept = previewed("m", [batch(custom(), ip="203.0.113.7")], BATCH, send_ip_and_user_agent=False)
    assert becomes(kept, "m")["ip"][1].startswith("not used")
    assert "_ip" not in written(kept)


def test_a_messages_address_and_user_agent_are_shown_before_what_is_cut_off() -> None:
    campaign = {"name": "a", "source": "b", "medium": "c", "term": "d", "content": "e"}
    context = {"campaign": campaign, "ip": "203.0.113.7", "userAgent": "Agent/1"}
    made = previewed("s", [message(context=context, properties={"plan": "Gold"})], MESSAGE)
    role, text = becomes(made, "s")["context"]
    assert role == "property"
    assert text.startswith("_ip = 203.0.113.7; _ua = Agent/1; ")
    assert "     _ip = 203.0.113.7; _ua = Agent/1; plan = Gold" in written(made)
    assert "_ua = Agent/1" in as_page(made)


def test_a_dropped_property_does_not_hide_what_is_sent_beside_it() -> None:
    context = {"campaign": {"name": "a" * 9000}, "ip": "203.0.113.7"}
    role, text = becomes(previewed("s", [message(context=context)], MESSAGE), "s")["context"]
    assert role == "dropped"
    assert "(value-too-long)" in text
    assert text.endswith("; the rest: _ip = 203.0.113.7")


def test_a_deleted_attribute_is_told_to_be_forgotten() -> None:
    row = batch(custom(), deleted_user_attributes=["Old Plan"], user_attributes={"Plan": "Gold"})
    made = previewed("m", [row, row], BATCH)
    role, text = becomes(made, "m")["deleted_user_attributes"]
    assert role == "deleted"
    assert text.startswith("Old Plan = deleted at the source")
    assert made.streams["m"].counts.deleted_attributes == 2
    for told in (written(made), as_page(made)):
        assert "Old Plan = deleted at the source" in told
        assert "2 attributes deleted at the source" in told


def test_an_attribute_deleted_by_an_event_is_told_beside_what_its_batch_sends() -> None:
    change = {"event_type": "user_attribute_change", "data": {"user_attribute_name": "Old Plan", "deleted": True}}
    made = previewed("m", [batch(change)], BATCH)
    assert becomes(made, "m")["events"][0] == "deleted"
    assert becomes(made, "m")["events"][1].startswith("Old Plan = deleted at the source")


def test_types_that_are_ignored_are_counted() -> None:
    started = {"event_type": "session_start", "data": {}}
    odd = {"event_type": "<b>odd</b>\x1b[2J", "data": {}}
    made = previewed("m", [batch(started, custom(), odd), batch(started)], BATCH)
    assert made.streams["m"].counts.left_out == {"session_start": 2, "<b>odd</b>\x1b[2J": 1}
    text, page = written(made), as_page(made)
    assert "skipped, by type: 3 (2 session_start, 1 <b>odd</b>\\x1b[2J)" in text
    assert "\x1b" not in text
    assert "<b>odd" not in page


def test_types_that_are_ignored_are_bounded() -> None:
    rows = [batch({"event_type": f"type {n}", "data": {}}) for n in range(70)]
    ignored = previewed("m", rows, BATCH).streams["m"].counts.left_out
    assert (len(ignored), ignored["others"], ignored.total()) == (51, 20, 70)


def test_rejected_events_of_a_batch_are_among_the_rejected() -> None:
    made = previewed(
        "m", [batch(custom(), custom(name=7), None), batch(custom(at=MS + 1000, custom_attributes={"_x": 1}))], BATCH
    )
    stream = made.streams["m"]
    assert {code: loss.count for code, loss in stream.rejected.items()} == {"no-event-name": 1, "bad-message": 1}
    assert stream.rejected["no-event-name"].field == "events[1].data.event_name"
    assert list(stream.dropped) == ["reserved-name"]
    assert stream.totals.calls["record"] == 2
    role, text = becomes(made, "m")["events"]
    assert role == "rejected"
    assert text.startswith("rejected (no-event-name) at events[1].data.event_name: ")
    assert text.endswith("and 1 more; the rest: 1 record call")
    for told in (written(made), as_page(made)):
        assert "Rejected rows, and rejected events of batches" in told
        assert "events[1].data.event_name" in told


def test_a_batchs_events_are_calls_and_not_its_time() -> None:
    made = previewed("m", [batch(custom(custom_attributes={"a": "b"}), custom("Other", MS + 5000))], BATCH)
    assert becomes(made, "m")["events"] == ("calls", "2 record calls: a = b")
    with_set = previewed("m", [batch(custom(at=MS + 5000), user_attributes={"Plan": "Gold"})], BATCH)
    assert becomes(with_set, "m")["events"] == ("calls", "1 record call")
    assert becomes(with_set, "m")["user_attributes"] == ("calls", "1 set call: Plan = Gold")


def test_a_messages_type_is_what_it_is() -> None:
    assert becomes(previewed("s", [message()], MESSAGE), "s")["type"] == ("event", "type of the message")


def previewed_lines(*messages: Any, entries: Sequence[Any] = (), **config: Any) -> Preview:
    made = Preview(plan(*entries))
    made.read(io.StringIO("".join(json.dumps(line) + "\n" for line in messages)), config)
    made.finish()
    return made


def test_a_stream_that_is_not_read_is_listed_and_not_looked_at() -> None:
    made = previewed_lines(
        {"type": "SCHEMA", "stream": "junk", "schema": 5},
        {"type": "RECORD", "stream": "junk"},
        {"type": "BATCH", "stream": "junk", "manifest": ["file:///nowhere"]},
        {"type": "SCHEMA", "stream": "gone"},
        {"type": "RECORD", "stream": "gone"},
        entries=[{"stream": "junk", "kind": "ignore"}],
        stream_maps={"gone": None},
    )
    assert {name: (stream.kind, stream.problem) for name, stream in made.streams.items()} == {"junk": ("ignore", None)}
    assert made.warnings == []


def test_a_row_is_validated_before_the_map_and_a_schema_that_cannot_be_used_is_a_warning() -> None:
    head = {"type": "SCHEMA", "stream": "s", "key_properties": []}
    schema = {"properties": {"cents": {"type": "integer"}, "user_id": {}, "event": {}, "timestamp": {}}}
    row = {"user_id": "u", "event": "Paid", "timestamp": MS}
    rows = [{"type": "RECORD", "stream": "s", "record": {**row, "cents": cents}} for cents in (5, "five")]
    settings: dict[str, Any] = {"stream_maps": {"s": {"cents": "str(record['cents'] / 1)"}}, "validate_records": True}
    made = previewed_lines({**head, "schema": schema}, *rows, **settings)
    assert (made.streams["s"].counts.accepted, list(made.streams["s"].rejected)) == (1, ["schema"])
    refers = {"properties": {**schema["properties"], "more": {"$ref": "file:///etc/hostname"}}}
    made = previewed_lines({**head, "schema": refers}, rows[0], **settings)
    assert made.streams["s"].counts.accepted == 1
    assert ["file:///etc/hostname" in warning for warning in made.warnings] == [True, True]
    assert "a run stops" in made.warnings[1]


def test_rows_that_a_filter_removes_are_counted_in_each_stream_that_they_were_for() -> None:
    fields: dict[str, Any] = {"user_id": {}, "event": {}, "timestamp": {"format": "date-time"}, "n": {}}
    maps = {"s": {"__filter__": "n > 1"}, "copy": {"__source__": "s", "__filter__": "n > 2"}}
    made = previewed_lines(
        {"type": "SCHEMA", "stream": "s", "key_properties": [], "schema": {"properties": fields}},
        *(
            {"type": "RECORD", "stream": "s", "record": {"user_id": "u", "event": "Paid", "timestamp": MS, "n": n}}
            for n in range(4)
        ),
        stream_maps=maps,
    )
    counts = {name: stream.counts for name, stream in made.streams.items()}
    assert {name: (one.rows, one.filtered, one.accepted) for name, one in counts.items()} == {
        "s": (4, 2, 2),
        "copy": (4, 3, 1),
    }
    assert made.streams["copy"].first[0].number == 4
    for text in (written(made), as_page(made)):
        assert "2 filtered" in text
        assert "3 filtered" in text


ALIASED = {"a": {"__alias__": "'orders'"}, "b": {"__alias__": "'orders'"}}


@pytest.mark.parametrize(
    ("columns", "entries", "stops"),
    [
        ({"event": "Paid"}, [], True),
        ({}, [], True),
        ({}, [{"stream": "orders", "kind": "event", "event_name": "Paid"}], True),
        ({"event": "Paid"}, [{"stream": "orders", "send_once_per_row": True}], False),
        ({"event": "Paid"}, [{"stream": "orders", "send_once_per_row": False}], False),
    ],
)
def test_two_streams_that_stream_maps_make_one_stop_it_as_they_stop_a_run(
    columns: dict[str, Any], entries: Sequence[Any], stops: bool
) -> None:
    row = {"id": 1, "user_id": "u", "created_at": "2024-03-01T10:00:00Z", "revenue": 5, **columns}
    heads = [
        {"type": "SCHEMA", "stream": name, "key_properties": ["id"], "schema": schema_of([row])} for name in ALIASED
    ]
    rows = [{"type": "RECORD", "stream": name, "record": row} for name in ALIASED]
    made = previewed_lines(*heads, *rows, entries=entries, stream_maps=ALIASED)
    why = "stream maps make 'a' and 'b' one stream, 'orders'"
    text = written(made)
    assert (why in text) is stops
    assert (why in "".join(reason for one in made.suggestions() for reason in one.why)) is stops
    assert made.streams["orders"].totals.calls["record"] == 2
