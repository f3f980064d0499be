"""Whatever comes in is sent right, rejected with a reason, or ends the run in one clear line."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hostile import check, feed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from singer_sdk.singerlib.json import serialize_json

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "60"))

EVENTS: dict[str, Any] = {
    "type": "SCHEMA",
    "stream": "events",
    "key_properties": ["id"],
    "schema": {"type": "object", "properties": {"id": {}, "user_id": {}, "event": {}, "timestamp": {}, "revenue": {}}},
}
USERS: dict[str, Any] = {
    "type": "SCHEMA",
    "stream": "users",
    "key_properties": ["id"],
    "schema": {"type": "object", "properties": {"id": {}, "plan": {}, "updated_at": {"format": "date-time"}}},
}
RTL = "\u202eevil\u202c"

# Tokens of JSON that a tap can write, some of which JSON has no word for.
TOKENS = [
    "NaN", "Infinity", "-Infinity", "1e999999", "-1e-999999", "1" * 5000, "-" + "9" * 400, "0." + "1" * 500, "1e308",
    '"\\ud800"', '"\\u0000"', f'"{RTL}"', '"' + "x" * 10_000 + '"', '"[object Object]"', '"12 pcs"', '"2024-02-30"',
    '"9999-99-99T99:99:99Z"', "1e3", "-0", "true", "null", '""', '" "', "[]", "{}", "[[[[]]]]", '{"": {"": ""}}',
    "[" * 90 + "]" * 90, '{"a":' * 60 + "1" + "}" * 60, "1704067200", "1704067200000", '"2024-01-01"', '"ada"', "1.10",
]  # fmt: skip
NAMES = [
    "user_id",
    "event",
    "timestamp",
    "revenue",
    "id",
    "plan",
    "_k",
    "_p",
    " _t",
    "a,b:c",
    "",
    "x" * 300,
    RTL,
    "\x00",
]
NAMES += ["products", "traits", "_sdc_deleted_at", "device_id", "user_id.x", "\ud800"]

token = st.sampled_from(TOKENS)
field = st.tuples(st.sampled_from(NAMES), token)


def as_object(fields: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in fields) + "}"


@st.composite
def records(draw: st.DrawFn) -> str:
    stream = draw(st.sampled_from(["events", "events", "users", "never", ""]))
    usual = [("id", draw(st.sampled_from(['"1"', "2", "3.0"])))]
    if draw(st.booleans()):
        usual += [("user_id", '"ada"'), ("event", '"E"'), ("timestamp", "1704067200")]
    row = as_object([*usual, *draw(st.lists(field, max_size=6))])
    return f'{{"type":"RECORD","stream":{json.dumps(stream)},"record":{row}}}'


schemas = st.sampled_from(
    [
        json.dumps(EVENTS),
        json.dumps(USERS),
        json.dumps({**EVENTS, "key_properties": []}),
        json.dumps({**EVENTS, "key_properties": None}),
        json.dumps({**EVENTS, "schema": {**EVENTS["schema"], "additionalProperties": False}}),
        json.dumps({**USERS, "schema": {"properties": {"id": {"type": "string"}, "x": {"type": ["null", "object"]}}}}),
        json.dumps({**EVENTS, "schema": {}}),
        json.dumps({**EVENTS, "schema": {"properties": []}}),
        json.dumps({**EVENTS, "schema": {"properties": {"id": {"type": "what"}}}}),
        json.dumps({**EVENTS, "schema": {"properties": {"id": {"$ref": "#/definitions/none"}}}}),
        json.dumps({**EVENTS, "schema": {"properties": {"id": {"$ref": "http://127.0.0.1:9/schema"}}}}),
        json.dumps({"type": "SCHEMA", "stream": "events"}),
        json.dumps({**EVENTS, "stream": 5}),
        json.dumps({**EVENTS, "schema": "text"}),
        json.dumps({**EVENTS, "key_properties": "id"}),
        json.dumps({**EVENTS, "key_properties": [1]}),
    ]
)
others = st.sampled_from(
    [
        '{"type":"STATE","value":{"bookmarks":{"events":1}}}',
        '{"type":"STATE","value":null}',
        '{"type":"STATE"}',
        '{"type":"ACTIVATE_VERSION","stream":"events","version":1}',
        '{"type":"ACTIVATE_VERSION","stream":"never","version":null}',
        '{"type":"ACTIVATE_VERSION"}',
        '{"type":"BATCH","stream":"events"}',
        '{"type":"BATCH","stream":"never","encoding":{"format":"jsonl","compression":"gzip"},"manifest":[]}',
        '{"type":"BATCH","stream":"events","encoding":{"format":"what"},"manifest":["file:///no/such"]}',
        '{"type":"BATCH","stream":"events","encoding":{"format":"jsonl"},"manifest":["file:///no/such"]}',
        '{"type":"BATCH","stream":"events","encoding":{"format":"jsonl"},"manifest":"text"}',
        '{"type":"RECORD","stream":"events"}',
        '{"type":"RECORD","stream":["events"],"record":{}}',
        '{"type":"RECORD","stream":"events","record":null}',
        '{"type":"RECORD","stream":"events","record":{"id":1},"time_extracted":"never"}',
        '{"type":"RECORD","stream":"events","record":{"id":1},"time_extracted":{"a":1}}',
        '{"type":5}',
        "[]",
        "null",
        "",
        "\ufeff{}",
        "{",
    ]
)


@st.composite
def inputs(draw: st.DrawFn) -> bytes:
    start = draw(st.sampled_from([[json.dumps(EVENTS), json.dumps(USERS)], [json.dumps(EVENTS)], []]))
    usual = records() if draw(st.booleans()) else st.one_of(records(), schemas, others)
    lines = [*start, *draw(st.lists(usual, max_size=12))]
    data = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")
    cut = draw(st.integers(0, 40))
    return data[:-cut] if cut > 30 else data


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(inputs(), st.booleans())
def test_whatever_comes_is_sent_set_aside_or_ends_the_run_in_one_line(data: bytes, validated: bool) -> None:
    with TemporaryDirectory() as folder:
        check(feed(Path(folder), data, validate_records=validated))


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_end_the_run_in_one_line(lines: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        check(feed(Path(folder), json.dumps(EVENTS).encode() + b"\n" + b"\n".join(lines)))


def event(**fields: Any) -> dict[str, Any]:
    row = {"id": 1, "user_id": "ada", "event": "E", "timestamp": 1704067200, **fields}
    return {"type": "RECORD", "stream": "events", "record": row}


def lines(*messages: Any) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def test_a_schema_of_100_000_fields_is_read_in_seconds(tmp_path: Path) -> None:
    fields = {f"c{number}_at": {"type": ["null", "string"], "format": "date-time"} for number in range(100_000)}
    schema = {**EVENTS, "schema": {"properties": {**EVENTS["schema"]["properties"], **fields}}}
    began = time.process_time()
    ended = feed(tmp_path, lines(schema, event(c5_at="2024-01-01")))
    check(ended)
    assert (len(ended.calls), ended.error) == (1, None)
    assert time.process_time() - began < 20


@pytest.mark.parametrize("depth", [400, 600, 995, 100_000])
@pytest.mark.parametrize("bracket", ["[]", "{}"])
@pytest.mark.parametrize("in_file", [False, True])
def test_a_row_of_any_depth_is_sent_without_what_is_too_deep(
    tmp_path: Path, depth: int, bracket: str, in_file: bool
) -> None:
    opening = '{"a":' if bracket == "{}" else "["
    note = opening * depth + "1" + bracket[1] * depth
    row = json.dumps(event(note="@")["record"]).replace('"@"', note)
    path = tmp_path / "batch.jsonl"
    path.write_text(f"{row}\n", encoding="utf-8")
    batch = {"type": "BATCH", "stream": "events", "encoding": {"format": "jsonl"}, "manifest": [path.as_uri()]}
    line = json.dumps(batch) if in_file else f'{{"type":"RECORD","stream":"events","record":{row}}}'
    ended = feed(tmp_path, lines(EVENTS) + line.encode() + b"\n" + lines({"type": "STATE", "value": 1}))
    check(ended)
    assert (len(ended.calls), ended.states, ended.error) == (1, [1], None)
    assert [line["code"] for line in ended.rejects] == (["too-deep"] if bracket == "{}" else [])


@pytest.mark.parametrize("number", ["1e9999999999999999999", "-1e-9999999999999999999", "1" * 5000, "1e999999999"])
@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("note", "bad-number"),
        ("user_id", "bad-identity"),
        ("timestamp", "bad-timestamp"),
        ("revenue", "bad-amount"),
        ("event", "no-event-name"),
    ],
)
def test_a_number_of_any_size_is_rejected_where_it_stands(tmp_path: Path, number: str, field: str, code: str) -> None:
    line = json.dumps(event(**{field: "@"})).replace('"@"', number)
    ended = feed(tmp_path, lines(EVENTS) + line.encode() + b"\n" + lines({"type": "STATE", "value": 1}))
    check(ended)
    assert (ended.states, ended.error) == ([1], None)
    assert code in {line["code"] for line in ended.rejects}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("1e9999999999999999999", "has the number 1e9999999999999999999, whose exponent is too large"),
        ("[" * 100_000 + "]" * 100_000, "is nested 100,002 deep, where 500 is the limit"),
    ],
)
def test_a_state_that_cannot_be_emitted_as_it_is_names_its_line(tmp_path: Path, value: str, problem: str) -> None:
    state = '{"type": "STATE", "value": {"a": ' + value + "}}\n"
    ended = feed(tmp_path, lines(EVENTS, event()) + state.encode())
    assert ended.error == f"line 3 of the input: STATE {problem}, and cannot be emitted as it is; fix the tap"
    assert (len(ended.calls), ended.states) == (1, [])


@pytest.mark.parametrize("value", ["1" * 5000, '"\\ud800"', '"\\u0000"', "1.10", "[" * 400 + "]" * 400])
def test_a_state_is_emitted_with_all_that_it_holds(tmp_path: Path, value: str) -> None:
    state = '{"type": "STATE", "value": ' + value + "}\n"
    ended = feed(tmp_path, lines(EVENTS, event()) + state.encode())
    assert ended.error is None
    assert [serialize_json(state) for state in ended.states] == [value]


def test_a_row_of_10_000_columns_is_sent(tmp_path: Path) -> None:
    columns = {f"c{number}": number for number in range(10_000)}
    schema = {**EVENTS, "schema": {"properties": {**EVENTS["schema"]["properties"], **{name: {} for name in columns}}}}
    ended = feed(tmp_path, lines(schema, event(**columns)), max_property_names=20_000)
    check(ended)
    assert ended.error is None
    assert len(ended.calls[0].properties) == 10_001  # type: ignore[union-attr]


def test_a_value_of_a_megabyte_is_set_aside_and_an_identity_of_one_rejects_the_row(tmp_path: Path) -> None:
    long = "\u00e9" * 1_000_000
    schema = {**EVENTS, "schema": {"properties": {**EVENTS["schema"]["properties"], "note": {}, long: {}}}}
    ended = feed(tmp_path, lines(schema, event(note=long), event(user_id=long), event(event=long), event(**{long: 1})))
    check(ended)
    assert ended.error is None
    codes = {line["code"] for line in ended.rejects}
    assert codes == {"value-too-long", "identity-too-long", "event-name-too-long", "name-too-long"}


def test_what_goes_from_right_to_left_and_nul_are_sent_as_they_came(tmp_path: Path) -> None:
    schema = {**EVENTS, "schema": {"properties": {**EVENTS["schema"]["properties"], "note": {}, "nul": {}}}}
    ended = feed(tmp_path, lines(schema, event(note=RTL, nul="a\x00b")))
    check(ended)
    (call,) = ended.calls
    assert call.properties["note"] == RTL  # type: ignore[union-attr]
    assert call.properties["nul"] == "a\x00b"  # type: ignore[union-attr]


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("mistake", [b"", b'{"id": 2, "user', b"[]\n", b'{"id": NaN, "event": "\\ud800"}\n', b"\xff\n"])
def test_a_batch_file_is_read_and_its_mistakes_end_the_run_in_one_line(
    tmp_path: Path, compression: str, mistake: bytes
) -> None:
    path = tmp_path / "batch.jsonl"
    rows = [event(id=n, timestamp=1704067200 + n)["record"] for n in range(3)]
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows) + mistake
    path.write_bytes(gzip.compress(data) if compression == "gzip" else data)
    batch = {"type": "BATCH", "stream": "events", "encoding": {"format": "jsonl", "compression": compression}}
    ended = feed(tmp_path, lines(EVENTS, {**batch, "manifest": [path.as_uri()]}, {"type": "STATE", "value": 1}))
    check(ended)
    if not mistake:
        assert (len(ended.calls), ended.states, ended.error) == (3, [1], None)


def test_a_row_before_its_schema_and_a_batch_before_it_name_the_tap(tmp_path: Path) -> None:
    batch = {"type": "BATCH", "stream": "events", "encoding": {"format": "jsonl"}, "manifest": []}
    for message in (event(), batch):
        ended = feed(tmp_path, lines(message))
        assert ended.error is not None
        assert "before SCHEMA; this is a bug in the tap" in ended.error


def _hostile_processes() -> Iterator[bytes]:
    row = b'{"type":"RECORD","stream":"events","record":{"id":'
    yield (
        lines(EVENTS)
        + b'{"type":"RECORD","stream":"events","record":{"id":'
        + b"[" * 100_000
        + b"]" * 100_000
        + b"}}\n"
    )
    yield lines(EVENTS, event(note="x" * 5_000_000))
    yield lines(EVENTS) + row + b"9" * 1_000_000 + b"}}\n"
    yield lines(EVENTS, event()) + b'{"type":"RECORD","stream":"ev'
    yield b"\x00" * 1000
    yield "\ufeff".encode() + lines(EVENTS)
    yield lines({"type": "BATCH", "stream": "events", "encoding": {"format": "jsonl"}, "manifest": ["file:///none"]})


@pytest.mark.parametrize("number", range(len(list(_hostile_processes()))))
def test_a_real_process_ends_by_itself_without_a_traceback(tmp_path: Path, number: int) -> None:
    data = list(_hostile_processes())[number]
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"api_key": "k", "dry_run": True}), encoding="utf-8")
    command = [sys.executable, "-m", "target_kissmetrics", "--config", str(config)]
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode in {0, 1}
    assert b"Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if b"| ERROR" in line]
    assert len(errors) == done.returncode
    assert b"please report" not in done.stderr
