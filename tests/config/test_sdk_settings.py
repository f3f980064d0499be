from __future__ import annotations

from typing import Any

import pytest

from target_kissmetrics.config import settings as own_settings
from target_kissmetrics.config.sdk_settings import check_sdk_settings
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
            "load_method: must not be 'overwrite': Kissmetrics deletes nothing; take it out",
        ),
        ({"load_method": "x"}, "load_method: must be one of append-only, upsert, overwrite, not 'x'"),
        ({"flattening_enabled": True}, "flattening_max_depth: is required with flattening_enabled; set it, or take"),
        ({"flattening_max_depth": -1}, "flattening_max_depth: must be at least 0, not -1"),
        ({"flattening_max_key_length": 0}, "flattening_max_key_length: must be at least 1, not 0"),
        ({"stream_maps": [1]}, "stream_maps: must be an object, not [1]"),
        ({"stream_maps": {"a": 5}}, "stream_maps.a: must not be 5; see https://sdk.meltano.com"),
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
        {"flattening_enabled": True, "flattening_max_depth": 0},
        {"flattening_enabled": False},
        {"stream_maps": {"a": None, "b": "__NULL__", "__else__": "__NULL__"}},
        {"stream_maps": {"a": {"x": "record['y']", "__filter__": "bool(x)", "__else__": "__NULL__"}}},
        {"api_key": 5, "unknown": 1},
    ],
)
def test_what_makes_sense_passes(config: dict[str, Any]) -> None:
    check_sdk_settings(
        {**SCHEMAS["properties"]}, {key: config[key] for key in config if key not in own_settings.SCHEMA}
    )
