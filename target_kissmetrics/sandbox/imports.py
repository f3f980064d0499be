"""Reads Kissmetrics' JSON import files as calls.

One JSON object a line: `_p` and `_t` (seconds, UTC), `_n` for an event, `_p2` for an alias, every other name a property
(support.kissmetrics.io, the guide to imports; Kissmetrics' own data export writes the same lines).

A line becomes up to two calls: an alias when there is a `_p2`, and an event or a set call. An import file holds no API
key: what is imported is a product of its own, whose key is displayed as `import`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from target_kissmetrics.sandbox import rules
from target_kissmetrics.sandbox.calls import Call, SandboxError

IMPORTED_PRODUCT: Final = rules.product_of("import")  # the product that imported lines belong to
_MAX_EXPONENT: Final = 3  # characters of an exponent that is written out; a number with a longer one stays as it is


def calls_of_file(path: Path, arrived: int) -> Iterator[Call]:
    """Read an import file in UTF-8, line by line, without empty lines. `arrived` is the time of the import.
    SandboxError when the file cannot be read, or one of its lines is broken; the text names it.
    """
    number = 0
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield from calls_of_line(line.decode("utf-8-sig" if number == 1 else "utf-8"), arrived)
    except OSError as error:
        raise SandboxError(f"cannot read {path}: {error.strerror or error}; check its path") from error
    except (ValueError, SandboxError) as error:
        raise SandboxError(f"{path}, line {number}: {error}; fix or remove the line") from error


def calls_of_line(line: str, arrived: int) -> list[Call]:
    """Read one line as an alias, an event or a set call, or an alias and one of these. Numbers keep all their digits.

    SandboxError when it is no JSON object, or holds a value that is an object or a list.
    """
    try:
        parsed = json.loads(line, parse_int=str, parse_float=_plain)
    except (ValueError, RecursionError) as error:
        raise SandboxError(f"not a JSON object: {error}") from error
    if not isinstance(parsed, dict):
        raise SandboxError("not a JSON object")
    parameters = {_text(name): _value(name, value) for name, value in parsed.items()}
    calls: list[Call] = []
    other = parameters.pop("_p2", "")
    if other != "":
        pair = {"_p": parameters.get("_p", ""), "_n": other, "_t": parameters.get("_t", "")}
        calls.append(Call(IMPORTED_PRODUCT, "/a", pair, arrived, imported=True))
    is_event = parameters.get("_n", "") != ""
    if is_event or other == "" or any(rules.is_property(rules.clean(name)) for name in parameters):
        calls.append(Call(IMPORTED_PRODUCT, "/e" if is_event else "/s", parameters, arrived, imported=True))
    return calls


def _value(name: str, value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    raise SandboxError(f"{_text(name)!r} is an object, a list or NaN; a value is a string or a number")


def _text(text: str) -> str:
    """Replace unpaired UTF-16 surrogates, which JSON can spell and UTF-8 cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _plain(number: str) -> str:
    """Write a JSON number without exponent, with the digits it came with."""
    exponent = number.lower().partition("e")[2]
    return number if exponent == "" or len(exponent) > _MAX_EXPONENT else format(Decimal(number), "f")
