"""Derives the JSON Schema of settings and their checked values from the dataclasses that define them.

`mapping.settings.setting` defines one setting as a field of such a dataclass.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import Field, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from target_kissmetrics.errors import ConfigError, did_you_mean

Schema = Mapping[str, Any]

_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", tuple: "array", frozenset: "array", Mapping: "object"}

_TYPES: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "boolean": ("true or false", (bool,)), "integer": ("an integer", ()), "number": ("a number", ()),
    "string": ("a non-empty string", (str,)), "array": ("a list", (list, tuple)), "object": ("an object", (Mapping,)),
}  # fmt: skip
"""JSON type -> its name in messages, and its Python types. `_number` reads numbers."""


@cache
def schema_of(settings: type, *, with_defaults: bool = True) -> dict[str, Any]:
    """Return the JSON Schema of an object that holds the settings which a dataclass defines."""
    hints = get_type_hints(settings)
    defined = sorted(_defined(settings), key=lambda one: not one.metadata["required"])
    properties = {one.name: _property_schema(one, hints[one.name], with_defaults=with_defaults) for one in defined}
    return {
        "type": "object",
        "properties": properties,
        "required": [one.name for one in defined if one.metadata["required"]],
        "additionalProperties": False,
    }


def _defined(settings: type) -> Iterator[Field[Any]]:
    return (one for one in fields(settings) if one.metadata)


def _property_schema(setting: Field[Any], hint: Any, *, with_defaults: bool) -> dict[str, Any]:
    choices = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    kind = next(choice for choice in choices if choice is not NoneType)
    origin, of = get_origin(kind) or kind, setting.metadata["of"]
    name = _JSON_TYPES.get(origin, "object" if of else "string")
    schema: dict[str, Any] = {"type": [name] if setting.metadata["required"] else [name, "null"]}
    if name == "array":
        schema["items"] = schema_of(of, with_defaults=False) if of else {"type": ["string"]}
    elif of:
        schema = schema_of(of, with_defaults=False) | schema
    elif origin is Literal:
        schema["enum"] = list(get_args(kind))
    if with_defaults and setting.metadata["default"] is not None:
        schema["default"] = setting.metadata["default"]
    keywords = {name: value() if callable(value) else value for name, value in setting.metadata["keywords"].items()}
    return {**schema, **keywords}


MAX_DEPTH = 50  # of lists and objects in a config


def check_texts(given: object, place: str = "", depth: int = 0) -> None:
    """Check a config, or what it has at a place: no setting may hold what could neither be written nor sent.

    ConfigError if a text has a NUL or an unpaired surrogate, or lists and objects are nested too deeply.
    """
    if depth > MAX_DEPTH:
        raise ConfigError(re.split(r"[.[]", place)[0], f"is nested more than {MAX_DEPTH} deep; write it flatter")
    if isinstance(given, str):
        if "\0" in given or any("\ud800" <= char <= "\udfff" for char in given):
            raise ConfigError(place, "contains a NUL or an unpaired UTF-16 surrogate; retype it")
    elif isinstance(given, Mapping):
        for name, value in given.items():
            inner = f"{place}.{name}" if depth else str(name)
            check_texts(name, inner)
            check_texts(value, inner, depth + 1)
    elif isinstance(given, (list, tuple)):
        for index, value in enumerate(given):
            check_texts(value, f"{place}[{index}]", depth + 1)


def read_object(settings: type, given: object, place: str = "", known: Collection[str] = ()) -> Any:
    """Read an object that holds settings into their dataclass. A null is a setting that is missing.

    `place` is its name in messages: `streams[2]`; empty for the config itself, which may also hold the `known` names;
    somebody else reads them. A ConfigError is the first mistake.
    """
    schema = schema_of(settings)
    defined = {one.name: one for one in _defined(settings)}
    if not isinstance(given, Mapping):
        example = ", ".join(f"{name}: ..." for name in schema["required"])
        raise ConfigError(place, f"must be an object such as {{{example}}}, not {given!r}")
    prefix = f"{place}." if place else ""
    for name, value in given.items():
        if name not in defined and name not in known and (value is not None or not place):
            raise ConfigError(f"{prefix}{name}", _unknown(name, [*defined, *known], "key" if place else "setting"))
    own = {one.name for one in fields(settings)}
    values: dict[str, Any] = {"place": place} if "place" in own else {}
    for name, setting in defined.items():
        value, required = given.get(name), setting.metadata["required"]
        if value is not None:
            values[name] = _read(setting, schema["properties"][name], f"{prefix}{name}", value)
        elif required:
            raise ConfigError(f"{prefix}{name}", f"is required; {required}")
    if "given" in own:
        values["given"] = frozenset(values) - {"place"}
    return settings(**values)


def _unknown(name: object, known: Collection[str], what: str) -> str:
    likely = did_you_mean(str(name), sorted(known))
    every = "target-kissmetrics --about lists all settings" if what == "setting" else f"keys are {', '.join(known)}"
    return f"no such {what}{likely or f'; remove it ({every})'}"


def _read(setting: Field[Any], schema: Schema, place: str, given: object) -> Any:
    value = _checked(place, schema, given)
    of, read = setting.metadata["of"], setting.metadata["read"]
    if of and isinstance(value, tuple):
        value = tuple(read_object(of, item, f"{place}[{index}]") for index, item in enumerate(value))
    elif of:
        value = read_object(of, value, place)
    return read(place, value) if read else value


def _checked(place: str, schema: Schema, given: Any) -> Any:
    """Check the type, the choices and the limits. Digits in a string count as a number, a list becomes a tuple."""
    kinds = [kind for kind in schema["type"] if kind != "null"]
    if "enum" in schema:
        if given not in schema["enum"]:
            raise ConfigError(place, not_a_choice(schema["enum"], given))
        return given
    if kinds[0] in {"integer", "number"}:
        return _number(place, schema, kinds[0], given)
    is_blank = isinstance(given, str) and not given.strip()
    if is_blank or not isinstance(given, tuple(kind for name in kinds for kind in _TYPES[name][1])):
        problem = f"must be {_TYPES[kinds[0]][0]}" if schema.get("secret") else wrong_type(kinds, given)
        raise ConfigError(place, problem)
    if not isinstance(given, (list, tuple)):
        return given
    is_of_texts = "properties" not in schema.get("items", ())
    if is_of_texts and not all(isinstance(item, str) and item.strip() for item in given):
        raise ConfigError(place, f"must be a list of non-empty strings, not {given!r}")
    return tuple(given)


def _number(place: str, schema: Schema, kind: str, given: Any) -> int | float:
    try:
        value = math.nan if isinstance(given, bool) or "_" in str(given) else float(given)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value) or (kind == "integer" and not value.is_integer()):
        raise ConfigError(place, wrong_type([kind], given))
    number: int | float = int(value) if kind == "integer" else value
    if number < schema.get("minimum", number):
        raise ConfigError(place, f"must be at least {schema['minimum']}, not {number}")
    if number > schema.get("maximum", number):
        raise ConfigError(place, f"must be at most {schema['maximum']}, not {number}")
    if number <= schema.get("exclusiveMinimum", -math.inf):
        raise ConfigError(place, f"must be more than {schema['exclusiveMinimum']}, not {number}")
    return number


def wrong_type(kinds: Collection[str], value: object) -> str:
    """Return the message for a value that has none of the JSON types."""
    return f"must be {' or '.join(_TYPES[kind][0] for kind in kinds if kind in _TYPES)}, not {value!r}"


def not_a_choice(choices: Collection[Any], value: object) -> str:
    """Return the message for a value that is none of the choices."""
    names = [str(getattr(choice, "value", choice)) for choice in choices]
    return f"must be one of {', '.join(names)}, not {value!r}{did_you_mean(str(value), names)}"
