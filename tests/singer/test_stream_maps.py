"""Expressions in stream maps that are wrong."""

from __future__ import annotations

import json
import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest
from forked import command as command_of
from singer_sdk.mapper import PluginMapper

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.singer.stream_maps import reading_stream_maps, transformed

STREAM = "public-subscriptions"
ROW = {"id": 1, "user_id": "u1", "gross_cents": None, "plan": "s3cret"}
SCHEMA: dict[str, Any] = {"properties": {name: {} for name in ROW}}


def send(maps: dict[str, Any], row: dict[str, Any]) -> Any:
    mapper = PluginMapper({"stream_maps": maps}, logging.getLogger("test"))
    with reading_stream_maps(STREAM):
        mapper.register_raw_stream_schema(STREAM, SCHEMA, ["id"])
    return [transformed(one, dict(row)) for one in mapper.stream_maps[STREAM]]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ('flot(record["gross_cents"])/100', "calls flot(), which is no function; mend it: https://sdk.meltano.com/"),
        ("gros_cents / 100", "names gros_cents, which a row lacks; mend the name, or write record.get('gros_cents')"),
        ("record['gros']", "names a field that a row lacks; mend the name, or write record.get('x')"),
        ("float(record['gross_cents'])", "fails for a row (TypeError); mend it, or guard it against rows without a"),
        ("float(record['plan'])", "fails for a row (ValueError); mend it, or guard it"),
        ("1 / 0", "fails for a row (ZeroDivisionError); mend it"),
        ("plan.foo", "cannot be worked out (AttributeDoesNotExist); mend it: https://sdk"),
        ("lambda: 1", "cannot be worked out (FeatureNotAvailable); mend it: https://sdk"),
        ("float(", "cannot be read; mend it: https://sdk"),
        (" ", "cannot be read; mend it: https://sdk"),
    ],
)
@pytest.mark.parametrize("field", ["amount", "gross_cents", "__filter__"])
def test_stream_field_and_what_to_do_are_told_and_nothing_of_the_row(field: str, expression: str, told: str) -> None:
    with pytest.raises(ConfigError) as problem:
        send({STREAM: {field: expression}}, ROW)
    text = str(problem.value)
    written = expression.strip() or "(empty)"
    assert text.startswith(f"stream_maps: stream '{STREAM}', {field}: the expression {written} {told}")
    assert "s3cret" not in text


def test_an_empty_expression_a_glob_and_another_name_are_told_too() -> None:
    with pytest.raises(ConfigError, match=r"stream 'public-subscriptions', amount: the expression \(empty\) cannot be"):
        send({STREAM: {"amount": ""}}, ROW)
    with pytest.raises(ConfigError, match="stream 'public-subscriptions', amount: the expression nope names nope"):
        send({"public-*": {"__alias__": "subs", "ok": "'x'", "amount": "nope"}}, ROW)


def test_an_alias_that_cannot_be_read_is_told_with_its_stream() -> None:
    with pytest.raises(ConfigError, match=f"stream_maps: stream '{STREAM}': what its map says of the stream itself"):
        send({STREAM: {"__alias__": "'new' +"}}, ROW)


def test_the_right_one_of_several_is_named() -> None:
    with pytest.raises(ConfigError, match=f"stream '{STREAM}', second: the expression 1/0 fails"):
        send({STREAM: {"first": "1/1", "second": "1/0", "third": "x"}}, ROW)


def test_what_is_right_goes_through() -> None:
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
    assert (
        f"stream_maps: stream '{STREAM}', amount: the expression flot(record['gross_cents'])/100 calls flot()"
        in (log[-1])
    )
    if module == "target_kissmetrics.preview.cli":
        assert "stream public-subscriptions" in done.stdout.decode()
    assert "Traceback" not in done.stderr.decode()
