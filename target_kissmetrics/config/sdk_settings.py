"""Checks the settings of the SDK, which accepts values without effect and explains few of those that it refuses."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from target_kissmetrics.config.definitions import Schema, not_a_choice, wrong_type
from target_kissmetrics.errors import ConfigError


def without_flattening(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config without the SDK's settings of flattening, which must have no effect: they are not offered."""
    for name, value in config.items():
        if name.startswith("flattening_") and value is not None and (name, value) != ("flattening_enabled", False):
            raise ConfigError(name, "is not offered: this target flattens nested objects itself, with '.'; remove it")
    return {name: value for name, value in config.items() if not name.startswith("flattening_")}


def check_sdk_settings(schemas: Mapping[str, Schema], config: Mapping[str, Any]) -> None:
    """Check the settings of the SDK, by its JSON Schema of each, in a config that may hold others."""
    for name in (name for name in config if name in schemas and config[name] is not None):
        error = best_match(_VALIDATOR(schemas[name]).iter_errors(config[name]))
        if error is not None:
            raise ConfigError(".".join([name, *map(str, error.absolute_path)]), _problem(error))
    if config.get("load_method") == "overwrite":
        raise ConfigError("load_method", "must not be 'overwrite': Kissmetrics deletes nothing; remove it")
    if (rows := config.get("batch_size_rows")) is not None and rows < 1:
        raise ConfigError("batch_size_rows", f"must be at least 1, not {rows}")


def _problem(error: ValidationError) -> str:
    wanted = error.validator_value
    if error.validator == "type":
        return wrong_type([wanted] if isinstance(wanted, str) else wanted, error.instance)
    if error.validator == "enum":
        return not_a_choice(wanted, error.instance)
    return f"must not be {error.instance!r}; see https://sdk.meltano.com/en/latest/, or remove it"


def _any_of(validator: Any, choices: list[Any], value: Any, schema: Schema) -> Iterator[ValidationError]:
    # The SDK (0.54) has a bare `null`, which is no schema, among the alternatives of `__else__`.
    schemas = [choice for choice in choices if isinstance(choice, Mapping)]
    yield from DEFAULT_JSONSCHEMA_VALIDATOR.VALIDATORS["anyOf"](validator, schemas, value, schema)


_VALIDATOR = extend(DEFAULT_JSONSCHEMA_VALIDATOR, {"anyOf": _any_of})
