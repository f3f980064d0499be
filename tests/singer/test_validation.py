"""Rows against their stream's schema: what fits, what is said of a row that does not, and of a schema that is none."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from target_kissmetrics.errors import InputError
from target_kissmetrics.singer import validation


def of_field(field: dict[str, Any], **rest: Any) -> Callable[[Mapping[str, Any]], str | None]:
    return validation.validation({"type": "object", "properties": {"total": field}, **rest}, "orders")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ({"type": "number"}, Decimal("19.99")),
        ({"type": ["null", "integer"]}, Decimal("5.0")),
        ({"type": "integer", "exclusiveMaximum": True, "maximum": 6}, Decimal("5.0")),
        ({"type": ["null", "number"], "minimum": Decimal("1.5"), "maximum": 30}, Decimal("19.99")),
        ({"enum": [Decimal("1.10")]}, Decimal("1.1")),
        ({"type": "number", "multipleOf": Decimal("1e-38")}, Decimal("1e30")),
        ({"type": "number", "multipleOf": 0.01}, Decimal("19.999")),
        ({"type": "string", "format": "date-time"}, "yesterday"),
        ({"type": "number", "exclusiveMaximum": True, "maximum": 5}, Decimal("4.9")),
        ({"type": "number", "exclusiveMaximum": 5}, 4),
        ({"items": [{"type": "string"}]}, ["a", 1]),
        ({"$ref": "#/definitions/money"}, 5),
        ({"type": "string", "maxLength": Decimal("10.0")}, "ten"),
        ({"minimum": float("-inf"), "maximum": Decimal("1e400")}, 5),
        ({"pattern": "^(EUR|USD) [0-9]+$"}, "EUR 5"),
        ({"pattern": "(x|xx)*y"}, "x" * 60),
        ({"pattern": "(a+)+$"}, "a" * 50 + "!"),
        ({"patternProperties": {"^(a+)+$": {"type": "string"}}, "additionalProperties": False}, {"a" * 50 + "!": 5}),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "(a+)+$"}, "a" * 50 + "!"),
        ({"uniqueItems": True}, [{"a": number} for number in range(3000)]),
    ],
)
def test_a_row_that_fits_passes(field: dict[str, Any], value: object) -> None:
    assert of_field(field, definitions={"money": {"type": "number"}})({"total": value}) is None


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ({"type": "integer"}, Decimal("5.5"), """total must satisfy {"type": "integer"}"""),
        ({"type": "integer"}, Decimal("Infinity"), """total must satisfy {"type": "integer"}"""),
        ({"type": "integer"}, True, """total must satisfy {"type": "integer"}"""),
        ({"type": "number"}, "s3cret", """total must satisfy {"type": "number"}"""),
        ({"type": "number", "exclusiveMaximum": True, "maximum": 5}, 5, 'total must satisfy {"maximum": 5}'),
        ({"maximum": Decimal("1.5")}, Decimal("19.99"), 'total must satisfy {"maximum": 1.5}'),
        ({"enum": ["a", "b"]}, "s3cret", 'total must satisfy {"enum": ["a", "b"]}'),
        ({"minimum": Decimal("1.5")}, float("nan"), "a number cannot be compared with its bounds"),
        ({"items": {"properties": {"sku": {"type": "string"}}}}, [{"sku": 5}], 'total[0].sku must satisfy {"type": '),
        ({"required": ["sku"]}, {}, "total: 'sku' is a required property"),
        ({"pattern": "^[A-Z]{3}$"}, "s3cret", 'total must satisfy {"pattern": "^[A-Z]{3}$"}'),
        ({"patternProperties": {"^x_": {"type": "string"}}}, {"x_a": 5}, 'total.x_a must satisfy {"type": "string"}'),
        ({"uniqueItems": True}, [1, 2, 1], 'total must satisfy {"uniqueItems": true}'),
        ({"additionalProperties": False}, {"sku": "s3cret"}, "total: Additional properties are not allowed ('sku' "),
    ],
)
def test_the_reason_names_the_field_and_not_its_value(field: dict[str, Any], value: object, reason: str) -> None:
    problem = of_field(field)({"total": value})
    assert problem is not None
    assert problem.startswith(reason)
    assert "s3cret" not in problem


def test_a_missing_field_of_the_row_is_named() -> None:
    assert of_field({}, required=["total"])({}) == "the row: 'total' is a required property"


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ({"type": "what"}, "properties.total.type: 'what' is not valid"),
        ({"type": ["null", 5]}, "properties.total.type: ['null', 5] is not valid"),
        ({"maxLength": "ten"}, "properties.total.maxLength: 'ten' is not of type 'integer'"),
        ({"minimum": "a"}, "properties.total.minimum: 'a' is not of type 'number'"),
        ({"pattern": "("}, "properties.total.pattern: '(' is not a 'regex'"),
        ({"enum": 5}, "properties.total.enum: 5 is not of type 'array'"),
        (5, "properties.total: 5 is not of type 'object', 'boolean'"),
    ],
)
def test_a_schema_that_cannot_be_used_names_its_stream_and_field(field: Any, problem: str) -> None:
    with pytest.raises(InputError) as raised:
        of_field(field)
    assert str(raised.value).startswith(f"stream 'orders': its schema cannot be used: {problem}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "ref",
    ["#/definitions/none", "http://127.0.0.1:9/schema", "file:///etc/hostname", "other.json", "#/properties/total"],
)
def test_a_reference_that_leads_nowhere_names_the_stream_and_fetches_nothing(ref: str) -> None:
    with pytest.raises(InputError, match=f"stream 'orders': its schema cannot be used: the \\$ref '{ref}'"):
        of_field({"$ref": ref})


def test_a_schema_that_leads_to_itself_is_checked_at_each_level() -> None:
    team = {"properties": {"parent": {"$ref": "#/definitions/team"}, "made": {"type": "string"}}}
    problem = of_field({"$ref": "#/definitions/team"}, definitions={"team": team})
    assert problem({"total": {"parent": {"parent": {"made": "x"}}}}) is None
    wrong = problem({"total": {"parent": {"parent": {"made": 5}}}})
    assert wrong == 'total.parent.parent.made must satisfy {"type": "string"}'


@pytest.mark.parametrize(("keyword", "limit"), [("allOf", validation.MAX_FOLLOWED), ("anyOf", 5000), ("oneOf", 5000)])
def test_references_that_unfold_without_end_end_the_run_in_one_line(
    keyword: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A reference takes longer under the keywords whose errors are collected.
    monkeypatch.setattr(validation, "MAX_FOLLOWED", limit)
    laughs = {f"l{n}": {keyword: [{"$ref": f"#/definitions/l{n - 1}"}] * 10} for n in range(1, 30)}
    problem = of_field({"$ref": "#/definitions/l29"}, definitions={**laughs, "l0": {"type": "string"}})
    with pytest.raises(InputError, match=f"a row takes more than {limit:,} of its references"):
        problem({"total": "x" if keyword == "allOf" else 5})


def nested(levels: int, keyword: str) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {keyword: {"a": schema} if keyword == "properties" else schema}
    return schema


@pytest.mark.parametrize("keyword", ["properties", "items"])
def test_a_schema_of_200_levels_ends_the_run_in_one_line(keyword: str) -> None:
    with pytest.raises(InputError, match="its schema cannot be used: it is nested too deeply"):
        of_field(nested(200, keyword))


def test_a_row_too_deep_for_its_schema_is_a_reason() -> None:
    problem = of_field({}, additionalProperties={"$ref": "#"})
    row: dict[str, Any] = {}
    for _ in range(400):
        row = {"total": {}, "a": row}
    assert problem(row) == "it, or its schema, is nested too deeply to be validated"


def test_nothing_keeps_a_validator_that_is_no_longer_used() -> None:
    validator = of_field({"type": "number"})
    validator({"total": 1})
    gone = weakref.ref(validator)
    del validator
    gc.collect()
    assert gone() is None
