from __future__ import annotations

from typing import Any

import pytest

from target_kissmetrics.config import settings as own_settings
from target_kissmetrics.config.sdk_settings import check_sdk_settings, without_flattening
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.target import TargetKissmetrics

SCHEMAS: dict[str, Any] = {"properties": {}}
TargetKissmetrics.append_builtin_config(SCHEMAS)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"batch_size_rows": 0}, "batch_size_rows: must be at least 1, not 0"),
        ({"batch_size_rows": -5}, "batch_size_rows: must be at least 1, not -5"),
        ({"batch_size_rows": 1.5}, "batch_size_rows: must be an integer, not 1.5"),
        ({"batch_size_rows": True}, "batch_size_rows: must be an integer, not True"),
        ({"validate_records": "yes"}, "validate_records: must be true or false, not 'yes'"),
        (
            {"load_method": "overwrite"},
            "load_method: must not be 'overwrite': Kissmetrics deletes nothing; remove it",
        ),
        ({"load_method": "x"}, "load_method: must be one of append-only, upsert, overwrite, not 'x'"),
        ({"stream_maps": [1]}, "stream_maps: must be an object, not [1]"),
        ({"stream_maps": {"a": 5}}, "stream_maps.a: must not be 5; see https://sdk.meltano.com"),
        ({"stream_maps": {"a": {"x": 5}}}, "stream_maps.a.x: must not be 5; see https://sdk.meltano.com"),
        ({"stream_maps": {"a": {"__filter__": 5}}}, "stream_maps.a.__filter__: must be a non-empty string, not 5"),
        ({"stream_maps": {"a": {"__key_properties__": "id"}}}, "stream_maps.a.__key_properties__: must be a list, not"),
        ({"stream_maps": {"__else__": []}}, "stream_maps.__else__: must not be []; see"),
        ({"stream_maps": {"__else__": "x"}}, "stream_maps.__else__: must not be 'x'; see"),
        ({"faker_config": {"seed": [1]}}, "faker_config.seed: must not be [1]; see"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as problem:
        check_sdk_settings(SCHEMAS["properties"], config)
    assert str(problem.value).startswith(told)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"batch_size_rows": 1, "load_method": "append-only", "validate_records": False},
        {"load_method": "upsert", "add_record_metadata": True},
        {"batch_size_rows": None, "load_method": None},
        {"stream_maps": None, "stream_map_config": None},
        {"stream_maps": {"a": {"__alias__": None, "__source__": None, "__filter__": None}}},
        {"stream_maps": {"a": None, "b": "__NULL__", "__else__": "__NULL__"}},
        {"stream_maps": {"a": {"x": "record['y']", "__filter__": "bool(x)", "__else__": "__NULL__"}}},
        {"api_key": 5, "unknown": 1},
    ],
)
def test_what_makes_sense_passes(config: dict[str, Any]) -> None:
    check_sdk_settings(
        {**SCHEMAS["properties"]}, {key: config[key] for key in config if key not in own_settings.SCHEMA}
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flattening_enabled", True),
        ("flattening_enabled", "false"),
        ("flattening_max_depth", 0),
        ("flattening_max_key_length", 10),
        ("flattening_separator", "__"),
    ],
)
def test_a_setting_of_flattening_is_not_offered(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name}: is not offered: this target flattens nested objects itself"):
        own_settings.read_settings({"api_key": "k-e-y", name: value}, SCHEMAS["properties"])


def test_flattening_that_is_off_counts_as_left_out() -> None:
    config = {"flattening_enabled": False, "flattening_max_depth": None, "flattening_separator": None}
    assert without_flattening({"api_key": "k-e-y", **config}) == {"api_key": "k-e-y"}
