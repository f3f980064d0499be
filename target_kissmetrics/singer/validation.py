"""Validates rows against their stream's schema with jsonschema, as the SDK's own targets do.

`multipleOf` and `format` are not checked: neither changes what Kissmetrics is sent, and taps write a `multipleOf` of 38
decimal places. Nothing is fetched for a `$ref`.
"""

from __future__ import annotations

import json
from decimal import InvalidOperation
from typing import Any

from jsonschema import Draft4Validator, Draft7Validator, SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from singer_sdk.exceptions import InvalidRecord
from singer_sdk.sinks.core import BaseJSONSchemaValidator

from target_kissmetrics.errors import InputError

_MAX_CHARACTERS = 200
_DRAFTS = [extend(draft, {"multipleOf": None}) for draft in (Draft7Validator, Draft4Validator)]


class RowValidator(BaseJSONSchemaValidator):
    """Validates the rows of a stream.

    Args:
        stream: The stream's name.
        schema: Its schema, of any draft up to 7; in draft 4, which older taps write, `exclusiveMaximum` is a boolean.

    Raises:
        InputError: The schema is invalid.
    """

    def __init__(self, stream: str, schema: dict[str, Any]) -> None:
        super().__init__(schema)
        self._stream = stream
        draft = next((one for one in _DRAFTS if one(one.META_SCHEMA).is_valid(schema)), _DRAFTS[0])
        try:
            draft.check_schema(schema)
        except SchemaError as error:
            raise self._unusable(f"{'.'.join(map(str, error.absolute_path))}: {error.message}") from None
        self._validator = draft(schema, registry=Registry())

    def validate(self, record: dict[str, Any]) -> None:
        """Validate a row.

        Raises:
            InvalidRecord: The row does not fit. The text names the field, not its value.
            InputError: The schema has a reference that leads nowhere.
        """
        try:
            self._validator.validate(record)
        except ValidationError as error:
            raise InvalidRecord(_reason(error), record) from None
        except InvalidOperation:
            raise InvalidRecord("a number cannot be compared with its bounds", record) from None
        except (Unresolvable, RecursionError):
            raise self._unusable("a $ref leads nowhere") from None

    def _unusable(self, problem: str) -> InputError:
        return InputError(
            f"stream '{self._stream}': its schema cannot be used: {' '.join(problem.split())[:_MAX_CHARACTERS]}; fix "
            "the tap or its catalog, or set validate_records to false"
        )


def _reason(error: ValidationError) -> str:
    field = error.json_path.removeprefix("$").removeprefix(".") or "the row"
    if error.validator in {"required", "additionalProperties"}:
        return f"{field}: {error.message}"  # names fields, and holds no value of the row
    rule = json.dumps({error.validator: error.validator_value}, default=float)
    return f"{field} must satisfy {rule[:_MAX_CHARACTERS]}"
