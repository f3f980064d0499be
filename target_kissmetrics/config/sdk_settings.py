"""Checks the settings of the SDK, which accepts values without effect and explains few of those that it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema.exceptions import best_match
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from target_kissmetrics.config.definitions import Schema, check_limits, not_a_choice, wrong_type
from target_kissmetrics.errors import ConfigError

NOT_OFFERED: Mapping[str, Schema] = {
    "flattening_enabled": {"type": ["boolean"]},
    "flattening_max_depth": {"type": ["integer"]},
    "flattening_max_key_length": {"type": ["integer"]},
    "flattening_separator": {"type": ["string"]},
}
"""Settings that targets of the SDK have, and this one does not."""

_MINIMA = {"batch_size_rows": 1}
"""The least values that have an effect; the SDK's schemas have none."""


def without_not_offered(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config without the settings that are not offered, where they have no effect.

    Raises:
        ConfigError: One of them would have an effect.
    """
    for name in NOT_OFFERED:
        if config.get(name) is not None and (name, config[name]) != ("flattening_enabled", False):
            raise ConfigError(name, "is not offered: this target flattens nested objects itself, with '.'; take it out")
    return {name: value for name, value in config.items() if name not in NOT_OFFERED}


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


def _check(name: str, schema: Schema, value: Any) -> None:
    error = best_match(DEFAULT_JSONSCHEMA_VALIDATOR(_fixed(schema)).iter_errors(value))
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
