"""Calls, and how they are read: whose they are, when they took place, what makes them invalid; and import files.

Sources: support.kissmetrics.io, "API specifications" and the guide to imports; docs/reference/sandbox.md says what is
decided where these leave a case open.

An import file has one JSON object a line: `_p` and `_t` (seconds, UTC), `_n` for an event, `_p2` for an alias, every
other name a property. A line becomes up to two calls: an alias when there is a `_p2`, and an event or a set call. It
holds no API key: what is imported is a product of its own, whose key is displayed as `import`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from target_kissmetrics.sandbox import rules

CallPath = Literal["/e", "/s", "/a"]  # record an event, set properties, alias two identities

Reason = Literal[  # why something was not kept
    "duplicate-event", "duplicate-property", "too-old", "no-person", "no-event-name", "too-long", "bad-timestamp",
    "over-1000",
]  # fmt: skip

IMPORTED_PRODUCT: Final = rules.product_of("import")  # the product that imported lines belong to

_MAX_PARAMETERS: Final = 100
_MAX_CHARACTERS: Final = 255
_MAX_EXPONENT: Final = 3  # characters of an exponent that is written out; a number with a longer one stays as it is


class SandboxError(Exception):
    """The sandbox cannot do what it should; the text says in one line what, why, and what to do."""


class NothingKeptError(Exception):
    """Kissmetrics keeps nothing of a call; its argument is the reason."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it arrived, without the API key, however that was spelled."""

    product: str  # the product it writes to, as `rules.product_of` names it
    path: CallPath
    parameters: Mapping[str, str]  # decoded, `_p` and the like among them
    arrived: int  # in seconds since the Unix epoch
    imported: bool = False  # it was read from an import file, where `_t` always counts

    def __post_init__(self) -> None:
        """Cut the key, so that nothing that lists or stores a call can leak it."""
        kept = {name: value for name, value in self.parameters.items() if not rules.is_key(name)}
        object.__setattr__(self, "parameters", kept)


class Reading(NamedTuple):
    """A valid event or set call: `event` is empty for a set call, the properties are pairs of name and value."""

    identity: str
    event: str
    second: int
    properties: list[tuple[str, str]]

    def digest(self) -> bytes:
        """Return a digest that calls share if identity, event name, time, property names and values are the same."""
        properties = sorted((rules.fold(name), rules.fold_value(value)) for name, value in self.properties)
        text = repr((self.identity, rules.fold(self.event), self.second, properties))
        return hashlib.blake2b(text.encode(), digest_size=16).digest()


def read(call: Call) -> Reading:
    """Read an event or a set call; NothingKeptError when it is invalid."""
    identity = _identity(call, "_p")
    event = rules.clean(call.parameters.get("_n", "")) if call.path == "/e" else ""
    if call.path == "/e" and event == "":
        raise NothingKeptError("no-event-name")
    if len(event) > rules.MAX_NAME:
        raise NothingKeptError("too-long")
    properties = [(rules.clean(name), value) for name, value in call.parameters.items() if value != ""]
    return Reading(identity, event, _second(call), [one for one in properties if rules.is_property(one[0])])


def read_alias(call: Call) -> tuple[str, str]:
    """Read the two identities of an alias; NothingKeptError when one is invalid."""
    pair = _identity(call, "_p"), _identity(call, "_n")
    if call.imported:
        _second(call)
    return pair


def _identity(call: Call, parameter: str) -> str:
    identity = rules.clean(call.parameters.get(parameter, ""))
    if identity == "":
        raise NothingKeptError("no-person")
    if len(identity) > rules.MAX_NAME:
        raise NothingKeptError("too-long")
    return identity


def _second(call: Call) -> int:
    """Return when a call took place: its `_t` with `_d=1`, else the second of its arrival."""
    second: int | None = call.arrived
    if call.imported or call.parameters.get("_d") == "1":
        second = rules.second_of(call.parameters.get("_t", ""))
    if second is None:
        raise NothingKeptError("bad-timestamp")
    if second < rules.FIRST_SECOND:
        raise NothingKeptError("too-old")
    return second


def listed(parameters: Mapping[str, str]) -> dict[str, str]:
    """Copy parameters for a list: 100 at most, long texts shortened."""

    def short(text: str) -> str:
        return text if len(text) <= _MAX_CHARACTERS else text[:_MAX_CHARACTERS] + "…"

    return {short(name): short(parameters[name]) for name in list(parameters)[:_MAX_PARAMETERS]}


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
