"""The settings that the SDK reads, checked before it does: it takes what makes no sense, and says little of what it
does not take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from target_kissmetrics.errors import ConfigError

_LEAST = {"batch_size_rows": 1, "flattening_max_depth": 0, "flattening_max_key_length": 1}
"""Least values that mean anything; the SDK's schema has none."""

_TYPES = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "array": "a list",
    "object": "an object",
}


def check_sdk_settings(schemas: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Check the SDK's own settings.

    Args:
        schemas: The SDK's schema of each.
        config: The config; what is not among the schemas is passed over.

    Raises:
        ConfigError: The first mistake.
    """
    given = {name: value for name, value in config.items() if name in schemas and value is not None}
    for name, value in given.items():
        _check(name, schemas[name], value)
    if given.get("load_method") == "overwrite":
        raise ConfigError("load_method", "'overwrite' cannot be, Kissmetrics deletes nothing; take it out")
    if given.get("flattening_enabled") and "flattening_max_depth" not in given:
        raise ConfigError(
            "flattening_max_depth",
            "is needed with flattening_enabled; set it, or take flattening_enabled out: nested objects become "
            "properties without it",
        )


def _check(name: str, schema: Mapping[str, Any], value: Any) -> None:
    error = next(iter(DEFAULT_JSONSCHEMA_VALIDATOR(_mended(schema)).iter_errors(value)), None)
    if error is not None:
        where = ".".join([name, *(str(step) for step in error.absolute_path)])
        raise ConfigError(where, _told(str(error.validator), error.validator_value, error.instance))
    least = _LEAST.get(name)
    if least is not None and value < least:
        raise ConfigError(name, f"must be at least {least}, not {value}; take it out for the default")


def _told(rule: str, wanted: Any, value: Any) -> str:
    """Say what would be right, in the words of this target's own settings."""
    shown = repr(value)[:80]
    if rule == "type":
        kinds = [wanted] if isinstance(wanted, str) else list(wanted)
        return f"must be {' or '.join(_TYPES[kind] for kind in kinds if kind in _TYPES)}, not {shown}"
    if rule == "enum":
        return f"must be one of {', '.join(str(getattr(choice, 'value', choice)) for choice in wanted)}, not {shown}"
    return f"cannot be {shown}; write it as https://sdk.meltano.com/en/latest/ has it, or take it out"


def _mended(schema: Any) -> Any:
    """Take out what is no schema: the SDK (0.54) has a bare `null` among the alternatives of `__else__`."""
    if isinstance(schema, list):
        return [_mended(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    mended = {word: _mended(value) for word, value in schema.items()}
    if "anyOf" in mended:
        mended["anyOf"] = [choice for choice in mended["anyOf"] if isinstance(choice, Mapping)]
    return mended
