"""Validates rows against their stream's schema: compiled once, microseconds a row.

Schemas of older taps are written to JSON Schema's draft 4, where `exclusiveMaximum: true` changes what `maximum` means;
they are rewritten. `multipleOf` (to 38 decimal places, as some taps have it) and `format` are not checked, as the SDK
does not check formats: neither changes what Kissmetrics is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import fastjsonschema
from singer_sdk.exceptions import InvalidJSONSchema, InvalidRecord
from singer_sdk.sinks.core import BaseJSONSchemaValidator

_NOT_CHECKED = frozenset({"$schema", "$id", "id", "multipleOf", "format", "default"})
_BOUNDS = {"exclusiveMaximum": "maximum", "exclusiveMinimum": "minimum"}
_MAPS_OF_SCHEMAS = frozenset({"properties", "patternProperties", "definitions", "$defs"})


def validation(schema: dict[str, Any], stream: str) -> Callable[[Mapping[str, Any]], str | None]:  # noqa: ARG001
    """Give a function that says what is wrong with a row by its stream's schema, if anything.

    Raises:
        InvalidJSONSchema: The schema cannot be used.
    """
    validator = CompiledValidator(schema)

    def problem(row: Mapping[str, Any]) -> str | None:
        try:
            validator.validate(dict(row))
        except InvalidRecord as invalid:
            return invalid.error_message
        return None

    return problem


class CompiledValidator(BaseJSONSchemaValidator):
    """Validates rows with code made from their schema.

    Args:
        schema: The stream's schema, of any draft up to 7.

    Raises:
        InvalidJSONSchema: It is none.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        super().__init__(schema)
        try:
            self._check = fastjsonschema.compile(
                modern(schema),
                handlers={"http": _not_fetched, "https": _not_fetched},
                use_default=False,
                use_formats=False,
            )
        except Exception as error:  # noqa: BLE001 - a compiler fed with anything raises anything
            raise InvalidJSONSchema(
                f"the schema cannot be used: {error}; mend the tap or its catalog, or set validate_records to false"
            ) from None

    def validate(self, record: dict[str, Any]) -> None:
        """Validate a row.

        Raises:
            InvalidRecord: It does not fit. The text names the field, not its value.
        """
        try:
            self._check(record)
        except fastjsonschema.JsonSchemaValueException as error:
            raise InvalidRecord(str(error.message).replace("data.", "", 1), record) from None


def modern(schema: Any) -> Any:
    """Rewrite a schema of draft 4 as one of draft 7; it is not changed itself."""
    if isinstance(schema, list):
        return [modern(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    rewritten = {word: _modern_word(word, value) for word, value in schema.items() if word not in _NOT_CHECKED}
    for exclusive, inclusive in _BOUNDS.items():
        if isinstance(rewritten.get(exclusive), bool):
            bound = rewritten.get(inclusive)
            if rewritten.pop(exclusive) and bound is not None:
                rewritten[exclusive] = rewritten.pop(inclusive)
    return rewritten


def _modern_word(word: str, value: Any) -> Any:
    if word in _MAPS_OF_SCHEMAS and isinstance(value, Mapping):
        return {name: modern(inner) for name, inner in value.items()}
    return value if word in {"enum", "const"} else modern(value)


def _not_fetched(uri: str) -> Any:
    raise ValueError(f"{uri} is elsewhere, and nothing is fetched for a schema")
