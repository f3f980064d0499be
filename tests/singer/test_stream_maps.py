"""Expressions in stream maps that are wrong."""

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
from singer_sdk.mapper import PluginMapper

from target_kissmetrics.errors import ConfigError, InputError
from target_kissmetrics.singer.stream_maps import reading_schema, transformed
from target_kissmetrics.target import TargetKissmetrics

STREAM = "public-subscriptions"
ROW = {"id": 1, "user_id": "u1", "gross_cents": None, "plan": "s3cret"}
SCHEMA: dict[str, Any] = {"properties": {name: {} for name in ROW}}


def send(maps: dict[str, Any], row: dict[str, Any]) -> Any:
    mapper = PluginMapper({"stream_maps": maps}, logging.getLogger("test"))
    with reading_schema(STREAM):
        mapper.register_raw_stream_schema(STREAM, SCHEMA, ["id"])
    return [transformed(one, dict(row)) for one in mapper.stream_maps[STREAM]]


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


def test_an_alias_that_cannot_be_parsed_names_its_stream() -> None:
    with pytest.raises(
        ConfigError, match=f"stream_maps: stream '{STREAM}': Failed to evaluate simpleeval expressions 'new'"
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


@pytest.mark.parametrize("schema", [{"properties": []}, {"properties": {"id": 5}}, {}])
def test_an_invalid_schema_names_its_stream(tmp_path: Path, schema: dict[str, Any]) -> None:
    config = {"api_key": "k-e-y", "attribute_store_url": f"sqlite:///{tmp_path}/s", "validate_records": True}
    target = TargetKissmetrics(config=config)
    message = {"type": "SCHEMA", "stream": STREAM, "key_properties": ["id"], "schema": schema}
    with pytest.raises(InputError, match=f"stream '{STREAM}'"):
        target.listen(io.StringIO(json.dumps(message)))


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
    head = {"type": "SCHEMA", "stream": STREAM, "key_properties": ["id"], "schema": SCHEMA}
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
        input=f"{json.dumps(head)}\n{json.dumps(line)}\n".encode(),
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
