"""Whatever a config holds: the run is a clean one, or one line names the setting and blames neither the tap nor us."""

from __future__ import annotations

import json
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

from hostile import feed
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_hostile_input import EXAMPLES

from target_kissmetrics.config import settings as own_settings
from target_kissmetrics.config.environment import read_environment, variable_of
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.target import TargetKissmetrics

SCHEMAS: dict[str, Any] = {"properties": dict(own_settings.SCHEMA["properties"])}
TargetKissmetrics.append_builtin_config(SCHEMAS)
PATHS = {"rejects_path", "report_path", "files_url", "attribute_store_url"}
"""Settings that a test must not fill with just anything: it would write there."""

ROW = {"id": 1, "user_id": "ada", "event": "Seen", "timestamp": 1704067200, "revenue": 5}
FIELDS: dict[str, Any] = {name: {} for name in ROW}
LINES = [
    {"type": "SCHEMA", "stream": "events", "key_properties": ["id"], "schema": {"properties": FIELDS}},
    {"type": "RECORD", "stream": "events", "record": ROW},
    {"type": "STATE", "value": 1},
]
DATA = b"".join(json.dumps(line).encode() + b"\n" for line in LINES)

TEXTS = [
    "", " ", "x", "é", "a\nb", "a\0b", "\ud83d", "x" * 5000, "[" * 3000, "1", "8.0", "8.5", "1e2", "1e999", "nan",
    "true", "null", "[]", "{", "{event}", "*", "__NULL__", "record", "record['x']", "id", "1/0", "'x'", "x(",
    "lambda: 1", "md5", "http://[::1", "http://é.x", "http://a..b", "http://a:99999", "https://trk.kissmetrics.io/\0",
]  # fmt: skip
KEYS = [
    "__alias__", "__source__", "__filter__", "__key_properties__", "__else__", "__odd__", "events", "id", "x", "", "*",
    "stream", "kind", "storage", "root", "params", "encoding", "format", "index", "count", "seed", "locale",
]  # fmt: skip
ENTRY_KEYS = own_settings.SCHEMA["properties"]["streams"]["items"]["properties"].keys() - {"stream"}

texts, keys = st.sampled_from(TEXTS), st.sampled_from(KEYS)
numbers = st.sampled_from([0, 1, -1, 1.0, 8.5, 1e300, 10**40, float("nan"), float("inf"), True, False])
scalars = st.one_of(st.none(), texts, numbers)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2),
    max_leaves=4,
)
entries = st.fixed_dictionaries(
    {"stream": st.sampled_from(["events", "e*"])}, optional=dict.fromkeys(sorted(ENTRY_KEYS), values)
)
maps = st.dictionaries(keys, values, max_size=2) | st.fixed_dictionaries({"events": st.dictionaries(keys, values)})
configs = st.one_of(
    st.tuples(st.sampled_from(sorted(SCHEMAS["properties"].keys() - PATHS)), values),
    st.tuples(st.just("stream_maps"), maps),
    st.tuples(st.just("streams"), st.lists(entries, max_size=2)),
)


def assert_clean_or_named(name: str, config: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        try:
            error = feed(Path(folder), DATA, **config).error
        except ConfigError as problem:
            error = str(problem)
    if error is not None:
        assert name in error, error
        assert "please report" not in error, error
        assert "fix the tap" not in error, error
        assert "\n" not in error, error


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(configs)
@example(("stream_maps", None))
@example(("stream_maps", {"events": {"__alias__": None}}))
@example(("stream_maps", {"events": {"__alias__": "1/0"}}))
@example(("stream_maps", {"__else__": []}))
@example(("faker_config", {"locale": "x"}))
@example(("batch_size_rows", 100.0))
def test_a_setting_of_any_value_ends_in_a_clean_run_or_one_line_that_names_it(setting: tuple[str, Any]) -> None:
    name, value = setting
    assert_clean_or_named(name, {name: value})


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(SCHEMAS["properties"].keys() - PATHS)), texts)
def test_so_does_a_variable_of_any_text(name: str, text: str) -> None:
    try:
        config = read_environment({variable_of(name): text}, SCHEMAS["properties"])
    except ConfigError as problem:
        config, found = {}, problem.setting
    else:
        found = name
    assert found == name
    assert_clean_or_named(name, config)
