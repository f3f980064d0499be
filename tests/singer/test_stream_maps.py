"""Stream maps: what is read, expressions that are wrong, and schemas."""

from __future__ import annotations

import io
import json
import logging
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forked import command as command_of
from hostile import SIGNALS

from target_kissmetrics.errors import ConfigError, InputError
from target_kissmetrics.mapping.rules.schemas import moments
from target_kissmetrics.singer.stream_maps import BeforeSchema, StreamMapper
from target_kissmetrics.target import TargetKissmetrics

STREAM = "public-subscriptions"
ROW = {"id": 1, "user_id": "u1", "gross_cents": None, "plan": "s3cret"}
SCHEMA: dict[str, Any] = {"properties": {name: {} for name in ROW}}


def mapper_of(maps: dict[str, Any] | None, *ignored: str, **config: Any) -> StreamMapper:
    return StreamMapper({"stream_maps": maps, **config}, logging.getLogger("test"), lambda name: name in ignored)


def head(schema: Any = SCHEMA, keys: Any = ("id",), stream: str = STREAM) -> dict[str, Any]:
    return {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": keys and list(keys)}


def send(maps: dict[str, Any], row: dict[str, Any]) -> Any:
    mapper = mapper_of(maps)
    mapper.register(head())
    return [one.transform(dict(row)) for one in mapper.stream_maps[STREAM]]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ('flot(record["gross_cents"])/100', "calls an unknown function; see https://sdk.meltano.com/"),
        ("gros_cents / 100", "uses a field that a row lacks; fix the name, or write record.get('x')"),
        ("record['gros']", "uses a field that a row lacks; fix the name, or write record.get('x')"),
        ("float(record['gross_cents'])", "fails (TypeError); see https://"),
        ("float(record['plan'])", "fails (ValueError); see https://"),
        ("1 / 0", "fails (ZeroDivisionError)"),
        ("plan.foo", "fails (AttributeDoesNotExist); see https://sdk"),
        ("lambda: 1", "fails (FeatureNotAvailable); see https://sdk"),
        ("float(", "fails ("),
        (" ", "fails ("),
    ],
)
@pytest.mark.parametrize("field", ["amount", "gross_cents", "__filter__"])
def test_the_message_names_stream_field_and_fix_and_nothing_of_the_row(
    field: str, expression: str, message: str
) -> None:
    with pytest.raises(ConfigError) as problem:
        send({STREAM: {field: expression}}, ROW)
    text = str(problem.value)
    written = expression.strip() or "(empty)"
    assert text.startswith(f"stream_maps: stream '{STREAM}', {field}: the expression {written} {message}")
    assert "s3cret" not in text


def test_an_empty_expression_a_glob_and_an_alias_are_named_too() -> None:
    with pytest.raises(ConfigError, match=r"stream 'public-subscriptions', amount: the expression \(empty\) fails"):
        send({STREAM: {"amount": ""}}, ROW)
    with pytest.raises(ConfigError, match="stream 'public-subscriptions', amount: the expression nope uses a field"):
        send({"public-*": {"__alias__": "subs", "ok": "'x'", "amount": "nope"}}, ROW)


@pytest.mark.parametrize("expression", ["datetime", "md5", "bool", "json", "{1, 2}", "b'x'", "1j"])
def test_an_expression_that_gives_no_value_of_a_row_is_named(expression: str) -> None:
    with pytest.raises(ConfigError, match=f"stream '{STREAM}', made: the expression .* gives no text or number"):
        send({STREAM: {"made": expression}}, ROW)


@pytest.mark.parametrize(
    "expression",
    ["1", "1.5", "'a'", "None", "True", "[1]", "(1, 2)", "{'a': 1}", "record", "datetime.date(2024, 1, 1)"],
)
def test_an_expression_may_give_any_value_of_a_row(expression: str) -> None:
    (row,) = send({STREAM: {"made": expression, "plan": None}}, ROW)
    assert set(row) == {"id", "user_id", "gross_cents", "made"}


def test_an_alias_that_cannot_be_parsed_names_its_stream() -> None:
    with pytest.raises(
        ConfigError, match=rf"stream_maps: stream '{STREAM}', __alias__: the expression 'new' \+ fails \("
    ):
        send({STREAM: {"__alias__": "'new' +"}}, ROW)


@pytest.mark.parametrize(
    ("maps", "error", "problem"),
    [
        ({STREAM: {"amount": 5}}, ConfigError, f"stream_maps: stream '{STREAM}': Unexpected type 'int'"),
        ({STREAM: {"id": None}}, ConfigError, f"stream_maps: stream '{STREAM}': "),
    ],
)
def test_an_invalid_map_names_its_stream(maps: dict[str, Any], error: type[Exception], problem: str) -> None:
    with pytest.raises(error, match=problem):
        send(maps, ROW)


@pytest.mark.parametrize("alias", ["1 / 0", "5", "''", "[]", "'a' + "])
def test_an_alias_that_gives_no_name_is_named(alias: str) -> None:
    with pytest.raises(ConfigError, match=f"^stream_maps: stream '{STREAM}', __alias__: "):
        send({STREAM: {"__alias__": alias}}, ROW)


@pytest.mark.parametrize("maps", [None, {}, {STREAM: {"__alias__": None, "__source__": None, "__filter__": None}}])
def test_a_null_in_stream_maps_is_left_out(maps: dict[str, Any] | None) -> None:
    mapper = mapper_of(maps, stream_map_config=None, faker_config=None)
    mapper.register(head())
    (stream_map,) = mapper.stream_maps[STREAM]
    assert (stream_map.stream_alias, stream_map.transform(dict(ROW))) == (STREAM, ROW)


def test_an_unknown_option_of_stream_maps_names_the_setting() -> None:
    with pytest.raises(ConfigError, match=r"^stream_maps: Option '__filter__:x' is not expected"):
        mapper_of({"__filter__": "x"})


@pytest.mark.parametrize(
    ("maps", "ignored"),
    [
        ({STREAM: None}, ()),
        ({"public-*": "__NULL__"}, ()),
        ({"__else__": None, "other": {}}, ()),
        ({}, (STREAM,)),
        ({STREAM: {"amount": "flot("}}, (STREAM,)),
        ({STREAM: {"__alias__": "junk", "amount": "flot("}}, ("junk",)),
        ({STREAM: {"__alias__": "junk"}, "more": {"__source__": STREAM, "id": None}}, ("junk", "more")),
        ({STREAM: None, "more": {"__source__": STREAM}}, ("more",)),
    ],
)
def test_a_stream_that_is_not_read_is_not_looked_at(maps: dict[str, Any], ignored: tuple[str, ...]) -> None:
    odd: dict[str, Any] = {"type": "SCHEMA", "stream": STREAM, "schema": 5, "key_properties": "x"}
    for messages in ([{"type": "RECORD", "stream": STREAM}], [{"type": "SCHEMA", "stream": STREAM}, odd]):
        mapper = mapper_of(maps, *ignored, validate_records=True)
        for message in messages:
            assert not (message["type"] == "SCHEMA" and mapper.register(message))
            assert mapper.maps(message) == []
            assert mapper.problem(STREAM, {}) is None


def test_of_several_streams_made_of_one_those_that_are_read_are_made() -> None:
    maps = {STREAM: None, "orders": {"__source__": STREAM, "plan": None}, "junk": {"__source__": STREAM, "x": "y("}}
    mapper = mapper_of(maps, "junk")
    assert mapper.register(head())
    assert [made.stream_alias for made in mapper.maps(head())] == ["orders"]


def test_a_row_before_the_schema_of_a_stream_that_is_read_is_an_error() -> None:
    with pytest.raises(BeforeSchema, match=f"stream '{STREAM}': RECORD before SCHEMA"):
        mapper_of({"other": None}).maps({"type": "RECORD", "stream": STREAM})


def test_a_schema_is_registered_again_when_it_has_changed() -> None:
    mapper = mapper_of({STREAM: {"plan": None}})
    assert [mapper.register(head()) for _ in range(2)] == [True, False]
    assert mapper.register(head(keys=["user_id"]))
    assert mapper.register(head({"properties": {}}, keys=None))


@pytest.mark.parametrize(
    "schema", [{}, {"type": "object"}, {"properties": {}}, {"properties": []}, {"properties": None}]
)
@pytest.mark.parametrize(
    ("fields", "listed"),
    [({}, set()), ({"amount": "1"}, set()), ({"id": "id", "a": "1", "__else__": None}, {"id", "a"})],
)
def test_a_schema_without_properties_lists_no_fields(schema: Any, fields: dict[str, Any], listed: set[str]) -> None:
    mapper = mapper_of({STREAM: fields})
    mapper.register(head(schema))
    (made,) = mapper.stream_maps[STREAM]
    assert set(made.transformed_schema["properties"]) == listed
    assert made.transform({"id": 1}) == {"id": 1, **{field: 1 for field in fields if not field.startswith("__")}}


def test_what_a_map_makes_may_be_any_text_where_the_tap_sends_a_date() -> None:
    date = {"type": "string", "format": "date-time"}
    copies = {"copy": "made", "same": "record['made']", "got": '_.get("made")', "kept": "text"}
    mapper = mapper_of({STREAM: {"made": "record['made'][:4]", **copies}})
    mapper.register(
        head({"properties": {"id": {}, "made": date, "kept": date, "other": date, "text": {"type": "string"}}})
    )
    (made,) = mapper.stream_maps[STREAM]
    dates = {"copy": True, "same": True, "got": True, "other": True}
    assert dict(moments(made.transformed_schema)) == {"made": False, **dates}


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"schema": None}, "SCHEMA whose schema is not an object"),
        ({"schema": []}, "SCHEMA whose schema is not an object"),
        ({"key_properties": "id"}, "SCHEMA whose key_properties is not a list of fields"),
        ({"key_properties": [["id"]]}, "SCHEMA whose key_properties is not a list of fields"),
        ({"stream": None}, "SCHEMA whose stream is not a name"),
        ({"stream": 5}, "SCHEMA whose stream is not a name"),
    ],
)
def test_a_schema_message_that_is_none_is_named(message: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        mapper_of({}).register({**head(), **message})


@pytest.mark.parametrize("schema", [{"properties": []}, {"properties": {"id": 5}}])
def test_with_validation_a_schema_that_cannot_be_used_names_its_stream(tmp_path: Path, schema: dict[str, Any]) -> None:
    config = {"api_key": "k-e-y", "attribute_store_url": f"sqlite:///{tmp_path}/s", "validate_records": True}
    target = TargetKissmetrics(config=config)
    with pytest.raises(InputError, match=f"stream '{STREAM}'"):
        target.listen(io.StringIO(json.dumps(head(schema))))


def test_validation_looks_at_the_row_before_the_map() -> None:
    schema = {"properties": {"cents": {"type": "integer"}}}
    mapper = mapper_of({STREAM: {"cents": "'made'"}}, validate_records=True)
    mapper.register(head(schema, ()))
    assert mapper.problem(STREAM, {"cents": 5}) is None
    assert mapper.problem(STREAM, {"cents": "five"}) == 'cents must satisfy {"type": "integer"}'
    mapper.register(head({"properties": {"cents": {}}}, ()))
    assert mapper.problem(STREAM, {"cents": "five"}) is None


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Restore the handlers that a target replaces."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_the_right_one_of_several_is_named() -> None:
    with pytest.raises(ConfigError, match=f"stream '{STREAM}', second: the expression 1/0 fails"):
        send({STREAM: {"first": "1/1", "second": "1/0", "third": "x"}}, ROW)


def test_a_valid_map_is_applied() -> None:
    (row,) = send({STREAM: {"amount": "float(gross_cents or 0) / 100", "plan": None}}, ROW)
    assert row == {"id": 1, "user_id": "u1", "gross_cents": None, "amount": 0.0}


@pytest.mark.parametrize(
    "module", ["target_kissmetrics", "target_kissmetrics.preview.cli", "target_kissmetrics.commands.replay"]
)
def test_each_command_ends_in_one_line(tmp_path: Path, module: str) -> None:
    line = {"type": "RECORD", "stream": STREAM, "record": ROW}
    config = {
        "api_key": "k-e-y",
        "streams": [{"stream": STREAM, "kind": "user_attributes", "customer_id": "user_id"}],
        "stream_maps": {STREAM: {"amount": "flot(record['gross_cents'])/100"}},
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    reject = {"time": "2024-05-01T00:00:00Z", "stream": STREAM, "code": "x", "reason": "x", "field": None}
    (tmp_path / "r.jsonl").write_text(json.dumps({**reject, "record": ROW}) + "\n", encoding="utf-8")
    file = ["r.jsonl"] if module == "target_kissmetrics.commands.replay" else []
    done = subprocess.run(
        [*command_of(module), *file, "--config", "config.json"],
        input=f"{json.dumps(head())}\n{json.dumps(line)}\n".encode(),
        capture_output=True,
        check=False,
        cwd=tmp_path,
        timeout=60,
    )
    log = done.stderr.decode().splitlines()
    assert done.returncode == 1
    problem = "the expression flot(record['gross_cents'])/100 calls an unknown function"
    assert f"stream_maps: stream '{STREAM}', amount: {problem}" in log[-1]
    if module == "target_kissmetrics.preview.cli":
        assert "stream public-subscriptions" in done.stdout.decode()
    assert "Traceback" not in done.stderr.decode()
