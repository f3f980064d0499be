"""Validates rows against their stream's schema with jsonschema, as the SDK's own targets do.

`multipleOf` and `format` are not checked: neither changes what Kissmetrics is sent, and taps write a `multipleOf` of 38
decimal places. Nor are patterns that may take Python forever, and `uniqueItems` of long lists. Nothing but the schema
itself is read for a `$ref`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from jsonschema import Draft4Validator, Draft7Validator, FormatChecker, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from target_kissmetrics.errors import InputError
from target_kissmetrics.singer.schemas import unfolded

MAX_FOLLOWED = 100_000  # references, for one row: those of a few lines can unfold to more than a machine can follow
MAX_UNIQUE_ITEMS = 1000  # each is compared with all others
MAX_STEPS = 10_000_000  # of matching one pattern, roughly: a second. Python's `re` backtracks, and cannot be stopped
MAX_COUNTED = 20  # a repetition of at most so many is counted by the ways in which it may match; one of more is open
_PATTERNS = FormatChecker(["regex"])
_MAX_CHARACTERS = 200
Validate = Callable[[Mapping[str, Any]], str | None]  # what is wrong with a row by its tap's schema, if anything


def _is_integer(_: object, value: object) -> bool:
    if isinstance(value, Decimal):  # 5.0, as the reader reads it
        return value.is_finite() and value == value.to_integral_value()
    return bool(Draft7Validator.TYPE_CHECKER.is_type(value, "integer"))


def is_quick(pattern: str, text: str) -> bool:
    """Return whether matching a text takes at most `MAX_STEPS`. A pattern that Python cannot read is never quick."""
    effort = _effort(pattern)
    return effort is not None and (len(text) + 1) ** (effort[0] + 1) * effort[1] <= MAX_STEPS


@lru_cache(maxsize=1000)
def _effort(pattern: str) -> tuple[int, int] | None:
    """Return how many open repetitions a pattern has, and in how many ways the rest may match; None if unbounded."""
    try:
        return _effort_of(re._parser.parse(pattern))  # type: ignore[attr-defined]  # noqa: SLF001
    except (re.error, OverflowError, RecursionError, _UnboundedError):
        return None


class _UnboundedError(Exception):
    """A part that matches in several ways is repeated without a limit, or refers to another part."""


def _effort_of(parts: Any) -> tuple[int, int]:
    loops, ways = 0, 1
    for operator, argument in parts:
        name = str(operator)
        if name.startswith("GROUPREF"):
            raise _UnboundedError
        if name == "BRANCH":
            inner = [_effort_of(part) for part in argument[1]]
            loops, ways = loops + max(one for one, _ in inner), ways * sum(one for _, one in inner)
        elif name.endswith("_REPEAT"):
            least, most, (inner_loops, inner_ways) = argument[0], argument[1], _effort_of(argument[-1])
            is_open = most > MAX_COUNTED
            if is_open and (inner_loops or inner_ways > 1):
                raise _UnboundedError
            loops += 1 if is_open else inner_loops * most
            ways *= 1 if is_open else inner_ways**most * (most - least + 1)
        elif name == "SUBPATTERN" or name.startswith(("ASSERT", "ATOMIC")):
            inner_loops, inner_ways = _effort_of(argument if name.startswith("ATOMIC") else argument[-1])
            loops, ways = loops + inner_loops, ways * inner_ways
        if ways > MAX_STEPS or loops > MAX_COUNTED:
            raise _UnboundedError
    return loops, ways


def _where_quick(keyword: str) -> Callable[..., Iterator[ValidationError]]:
    """Return the check of a keyword, left out where its patterns, or a long list, may take Python forever."""
    check = Draft7Validator.VALIDATORS[keyword]

    def checked(validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
        patterns = [value] if keyword == "pattern" else schema.get("patternProperties", ())
        texts = instance if isinstance(instance, Mapping) else [instance] if isinstance(instance, str) else ()
        is_long = keyword == "uniqueItems" and isinstance(instance, list) and len(instance) > MAX_UNIQUE_ITEMS
        if not is_long and all(is_quick(pattern, text) for pattern in patterns for text in texts):
            yield from check(validator, value, instance, schema)

    return checked


_MAYBE_SLOW = ("pattern", "patternProperties", "additionalProperties", "uniqueItems")
_CHECKS = {"multipleOf": None, "format": None, **{name: _where_quick(name) for name in _MAYBE_SLOW}}
_DRAFTS = [
    extend(draft, _CHECKS, type_checker=draft.TYPE_CHECKER.redefine("integer", _is_integer))
    for draft in (Draft7Validator, Draft4Validator)
]


def validation(schema: dict[str, Any], stream: str) -> Validate:
    """Return a function that says what is wrong with a row, None for a row that fits; it names fields, not values.

    A schema that is invalid in drafts 4 and 7, or has a reference that does not lead to a part of it, is an InputError.
    """
    for ref in unfolded(schema).not_followed:
        raise _unusable(stream, f"the $ref {ref!r} leads to nothing in it, and no other is read")
    schema, draft = _draft_of(schema, stream)
    followed = 0

    def follow(validator: Any, *arguments: Any) -> Iterator[Any]:
        nonlocal followed
        followed += 1
        if followed > MAX_FOLLOWED:
            raise _unusable(stream, f"a row takes more than {MAX_FOLLOWED:,} of its references")
        yield from draft.VALIDATORS["$ref"](validator, *arguments)

    validator = extend(draft, {"$ref": follow})(schema, registry=Registry())

    def problem(row: Mapping[str, Any]) -> str | None:
        nonlocal followed
        followed = 0
        try:
            error = best_match(validator.iter_errors(row))
        except InvalidOperation:
            return "a number cannot be compared with its bounds"
        except RecursionError:
            return "it, or its schema, is nested too deeply to be validated"
        except Unresolvable:
            raise _unusable(stream, "a $ref of it leads to nothing in it") from None
        return None if error is None else _reason(error)

    return problem


def _draft_of(schema: dict[str, Any], stream: str) -> tuple[dict[str, Any], Any]:
    """Return a schema without `$schema`, and the draft that it is written in."""
    errors = []
    try:
        schema = _without_dialect(schema)
        for draft in _DRAFTS:
            meta = extend(draft, {"format": Draft7Validator.VALIDATORS["format"]})
            checker = meta(_without_dialect(draft.META_SCHEMA), format_checker=_PATTERNS)
            error = next(checker.iter_errors(schema), None)
            if error is None:
                return schema, draft
            errors.append(error)
    except RecursionError:
        raise _unusable(stream, "it is nested too deeply") from None
    raise _unusable(stream, f"{'.'.join(map(str, errors[0].absolute_path))}: {errors[0].message}")


def _without_dialect(part: Any) -> Any:
    """Remove `$schema`, which would make jsonschema go on with another class than that of this module."""
    if isinstance(part, list):
        return [_without_dialect(one) for one in part]
    if isinstance(part, Mapping):
        return {name: _without_dialect(one) for name, one in part.items() if name != "$schema"}
    return part


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
