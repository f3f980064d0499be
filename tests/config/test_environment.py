"""Settings that Meltano makes flat in the environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from forked import command as command_of

from target_kissmetrics.config import settings as own_settings
from target_kissmetrics.config.environment import read_environment, unflattened, variable_of
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.sandbox.running import running
from target_kissmetrics.target import TargetKissmetrics

ROW = {"id": 7, "user_id": "ada", "cents": 1250, "day": "2024-01-02", "secret": "s3cret"}
SCHEMA = {
    "type": "SCHEMA",
    "stream": "public-sales",
    "key_properties": ["id"],
    "schema": {"properties": {name: {} for name in ROW}},
}
ENTRY = {"stream": "sales", "kind": "event", "customer_id": "user_id", "event_name": "Sold", "timestamp": "day"}

FLAT = {
    "public-sales.amount": "float(record['cents'])/100",
    "public-sales.secret": None,
    "public-sales.__alias__": "sales",
    "public-sales.__key_properties__": ["id"],
    "gone": None,
    "__else__": None,
}
"""As Meltano 4.4 writes it for `WHOLE`."""

WHOLE = {
    "public-sales": {
        "amount": "float(record['cents'])/100",
        "secret": None,
        "__alias__": "sales",
        "__key_properties__": ["id"],
    },
    "gone": None,
    "__else__": None,
}


SCHEMAS: dict[str, Any] = {"properties": dict(own_settings.SCHEMA["properties"])}
TargetKissmetrics.append_builtin_config(SCHEMAS)


def test_an_empty_variable_is_a_setting_left_out() -> None:
    assert read_environment(dict.fromkeys(map(variable_of, SCHEMAS["properties"]), ""), SCHEMAS["properties"]) == {}


@pytest.mark.parametrize(
    ("text", "number"),
    [("8", 8), ("8.0", 8), ("1e2", 100), ("-3", -3), ("8.5", "8.5"), ("1e999", "1e999"), ("nan", "nan"), ("x", "x"),
     ("1_0", "1_0"), ("\u0661", "\u0661")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["max_connections", "batch_size_rows"])
def test_a_whole_number_is_an_integer_however_it_is_written(name: str, text: str, number: object) -> None:
    assert read_environment({variable_of(name): text}, SCHEMAS["properties"]) == {name: number}


@pytest.mark.parametrize("text", ["8.5", "1_0"])
@pytest.mark.parametrize("name", ["max_connections", "batch_size_rows"])
def test_another_number_is_one_clear_line(name: str, text: str) -> None:
    config = read_environment({variable_of(name): text}, SCHEMAS["properties"])
    with pytest.raises(ConfigError, match=f"^{name}: must be an integer, not '{text}'$"):
        own_settings.read_settings({"api_key": "k-e-y", **config}, SCHEMAS["properties"])


def test_a_setting_that_is_not_offered_is_read_so_that_it_can_be_refused() -> None:
    assert read_environment({variable_of("flattening_enabled"): "true"}, {}) == {"flattening_enabled": True}
    assert read_environment({variable_of("flattening_max_depth"): "3"}, {}) == {"flattening_max_depth": 3}
    assert read_environment({variable_of("flattening_separator"): "__"}, {}) == {"flattening_separator": "__"}


def test_stream_maps_are_unflattened() -> None:
    # Whether a null is a field's or a stream's cannot be told: both ways are kept, and one of them finds nothing.
    assert unflattened("stream_maps", FLAT) == {**WHOLE, "public-sales.secret": None}


@pytest.mark.parametrize(
    ("flat", "whole"),
    [
        (WHOLE, WHOLE),
        ({"a.b.total": "x"}, {"a.b": {"total": "x"}}),
        ({"a.b": {"total": "x"}}, {"a.b": {"total": "x"}}),
        ({"a": {"x": "1"}, "a.y": "2"}, {"a": {"x": "1", "y": "2"}}),
        ({"a.y": "2", "a": {"x": "1"}}, {"a": {"x": "1", "y": "2"}}),
        ({"a.b": "__NULL__"}, {"a.b": None, "a": {"b": "__NULL__"}}),
        ({"a": None, "a.b": "x"}, {"a": None}),
        ({"a.b": None, "a.b.c": "x"}, {"a.b": {"c": "x"}, "a": {"b": None}}),
        ({"a.b.c": "x", "a.b": None}, {"a.b": {"c": "x"}, "a": {"b": None}}),
    ],
)
def test_a_streams_name_is_all_up_to_the_last_dot(flat: Any, whole: Any) -> None:
    assert unflattened("stream_maps", flat) == whole


def test_other_objects_are_put_together_at_each_dot() -> None:
    flat = {"encoding.format": "jsonl", "storage.root": "file:///x"}
    assert unflattened("batch_config", flat) == {"encoding": {"format": "jsonl"}, "storage": {"root": "file:///x"}}
    assert unflattened("stream_map_config", {"a.b": 1, "a.c": 2, "d": 3}) == {"a": {"b": 1, "c": 2}, "d": 3}
    assert unflattened("batch_config", {"a": 1, "a.b": 2}) == {"a": 1, "a.b": 2}
    assert unflattened("revenue_fields", ["a.b"]) == ["a.b"]
    assert unflattened("stream_maps", [1]) == [1]


def command(module: str, folder: Path, *arguments: str, stdin: bytes = b"", **settings: Any) -> tuple[int, str, str]:
    texts = {f"TARGET_KISSMETRICS_{name.upper()}": value for name, value in settings.items()}
    variables = {name: value if isinstance(value, str) else json.dumps(value) for name, value in texts.items()}
    done = subprocess.run(
        [*command_of(module), "--config", "ENV", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        cwd=folder,
        env={**os.environ, **variables},
        timeout=60,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_preview_target_and_replay_take_the_environment_as_meltano_writes_it(tmp_path: Path) -> None:
    lines = [SCHEMA, {"type": "RECORD", "stream": "public-sales", "record": ROW}]
    stdin = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    code, out, told = command(
        "target_kissmetrics.preview.cli", tmp_path, stdin=stdin, streams=[ENTRY], stream_maps=FLAT
    )
    assert (code, told) == (0, "")
    assert "amount = 12.5" in out
    assert "s3cret" not in out
    warned = [line for line in out.splitlines() if line.startswith("! ")]
    assert warned == ["! stream_maps: 'gone' matches no stream of the input"]
    with running() as sandbox:
        settings: dict[str, Any] = {
            "api_key": "k-e-y",
            "tracking_url": sandbox.url,
            "streams": [ENTRY],
            "stream_maps": FLAT,
        }
        code, _, told = command("target_kissmetrics", tmp_path, stdin=stdin, **settings, blocked_identities=["ada"])
        assert code == 0, told
        assert sandbox.summary()["calls"] == 0
        rejects = "target-kissmetrics-rejects.jsonl"
        code, _, told = command("target_kissmetrics.commands.replay", tmp_path, rejects, **settings)
        assert code == 0, told
        assert "0 lines are left" in told
        ada = sandbox.person("ada")
        assert ada is not None
        assert ada["properties"]["amount"][0]["value"] in {12.5, "12.5"}
        assert "secret" not in ada["properties"]
