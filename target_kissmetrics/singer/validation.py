"""Validates rows against their stream's schema with jsonschema, as the SDK's own targets do.

`multipleOf` and `format` are not checked: neither changes what Kissmetrics is sent, and taps write a `multipleOf` of 38
decimal places. Nothing but the schema itself is read for a `$ref`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from jsonschema import Draft4Validator, Draft7Validator, SchemaError, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from target_kissmetrics.errors import InputError
from target_kissmetrics.singer.schemas import unfolded

_MAX_CHARACTERS = 200
Validate = Callable[[Mapping[str, Any]], str | None]
"""Returns what is wrong with a row by its tap's schema, if anything."""


def _is_integer(_: object, value: object) -> bool:
    if isinstance(value, Decimal):  # 5.0, as the reader reads it
        return value.is_finite() and value == value.to_integral_value()
    return bool(Draft7Validator.TYPE_CHECKER.is_type(value, "integer"))


_DRAFTS = [
    extend(draft, {"multipleOf": None}, type_checker=draft.TYPE_CHECKER.redefine("integer", _is_integer))
    for draft in (Draft7Validator, Draft4Validator)
]


def validates(config: Mapping[str, Any]) -> bool:
    """Return whether rows are validated: only with `validate_records: true`. The mapping checks each value it uses."""
    return config.get("validate_records") is True


def validation(schema: dict[str, Any], stream: str) -> Validate:
    """Return a function that says what is wrong with a row, None for a row that fits; it names fields, not values.

    Args:
        schema: Of any draft up to 7; in draft 4, which older taps write, `exclusiveMaximum` is a boolean.
        stream: The stream's name.

    Raises:
        InputError: The schema is invalid, or has a reference that does not lead to a part of it.
    """
    for ref in unfolded(schema).not_followed:
        raise _unusable(stream, f"the $ref {ref!r} leads to nothing in it, and no other is read")
    draft = next((one for one in _DRAFTS if one(one.META_SCHEMA).is_valid(schema)), _DRAFTS[0])
    try:
        draft.check_schema(schema)
    except SchemaError as error:
        raise _unusable(stream, f"{'.'.join(map(str, error.absolute_path))}: {error.message}") from None
    validator = draft(schema, registry=Registry())

    def problem(row: Mapping[str, Any]) -> str | None:
        try:
            error = best_match(validator.iter_errors(row))
        except InvalidOperation:
            return "a number cannot be compared with its bounds"
        except (Unresolvable, RecursionError):
            raise _unusable(stream, "a $ref of it leads to nothing in it, or to itself") from None
        return None if error is None else _reason(error)

    return problem


def _unusable(stream: str, problem: str) -> InputError:
    text = " ".join(problem.split())[:_MAX_CHARACTERS]
    to_do = "fix the tap or its catalog, or set validate_records to false"
    return InputError(f"stream '{stream}': its schema cannot be used: {text}; {to_do}")


def _reason(error: ValidationError) -> str:
    field = error.json_path.removeprefix("$").removeprefix(".") or "the row"
    if error.validator in {"required", "additionalProperties"}:
        return f"{field}: {error.message}"  # names fields, and holds no value of the row
    rule = json.dumps({error.validator: error.validator_value}, default=float)
    return f"{field} must satisfy {rule[:_MAX_CHARACTERS]}"
