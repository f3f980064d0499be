"""Checks the settings of the SDK, which accepts values without effect and explains few of those that it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from target_kissmetrics.config.definitions import Schema, check_limits, not_a_choice, wrong_type
from target_kissmetrics.errors import ConfigError

_MINIMA = {"batch_size_rows": 1, "flattening_max_depth": 0, "flattening_max_key_length": 1}
"""The least values that have an effect; the SDK's schemas have none."""


def check_sdk_settings(schemas: Mapping[str, Schema], config: Mapping[str, Any]) -> None:
    """Check the settings of the SDK.

    Args:
        schemas: The SDK's JSON Schema of each.
        config: The config, which may hold other settings.

    Raises:
        ConfigError: The first mistake.
    """
    given = {name: value for name, value in config.items() if name in schemas and value is not None}
    for name, value in given.items():
        _check(name, schemas[name], value)
    if given.get("load_method") == "overwrite":
        raise ConfigError("load_method", "must not be 'overwrite': Kissmetrics deletes nothing; take it out")
    if given.get("flattening_enabled") and "flattening_max_depth" not in given:
        raise ConfigError(
            "flattening_max_depth",
            "is required with flattening_enabled; set it, or take flattening_enabled out: nested objects become "
            "properties without it",
        )


def _check(name: str, schema: Schema, value: Any) -> None:
    error = next(iter(DEFAULT_JSONSCHEMA_VALIDATOR(_fixed(schema)).iter_errors(value)), None)
    if error is None:
        if name in _MINIMA:
            check_limits(name, {"minimum": _MINIMA[name]}, value)
        return
    place = ".".join([name, *(str(step) for step in error.absolute_path)])
    if error.validator == "type":
        kinds = error.validator_value
        raise ConfigError(place, wrong_type([kinds] if isinstance(kinds, str) else kinds, error.instance))
    if error.validator == "enum":
        raise ConfigError(place, not_a_choice(error.validator_value, error.instance))
    raise ConfigError(place, f"must not be {error.instance!r}; see https://sdk.meltano.com/en/latest/, or take it out")


def _fixed(schema: Any) -> Any:
    """Remove what is no schema: the SDK (0.54) has a bare `null` among the alternatives of `__else__`."""
    if isinstance(schema, list):
        return [_fixed(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    fixed = {word: _fixed(value) for word, value in schema.items()}
    if "anyOf" in fixed:
        fixed["anyOf"] = [choice for choice in fixed["anyOf"] if isinstance(choice, Mapping)]
    return fixed
