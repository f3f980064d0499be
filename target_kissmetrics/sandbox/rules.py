"""Kissmetrics' rules: what calls say, what makes them invalid, and when names, values and times are the same. Pure.

Sources: support.kissmetrics.io, "API specifications" (limits, `,` and `:`, numbers, the year 2009), and its guide to
imports (the same rules for files); docs/reference/sandbox.md says what is decided where these leave a case open.

A line of an import file becomes up to two calls: an alias when there is a `_p2`, and an event or a set call. It holds
no API key: what is imported is a product of its own, whose key is displayed as `import`.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import unquote_plus

CallPath = Literal["/e", "/s", "/a"]  # record an event, set properties, alias two identities

Reason = Literal[  # why something was not kept
    "duplicate-event", "duplicate-property", "too-old", "no-person", "no-event-name", "too-long", "bad-timestamp",
    "over-1000",
]  # fmt: skip

MAX_NAME: Final = 255  # characters of the name of an event or a property, and of an identity
MAX_VALUE: Final = 512  # characters of a value
MAX_INSTANCES: Final = 1000  # instances of one event, or of one property, that are kept for a person
FIRST_SECOND: Final = 1_230_768_000  # 2009-01-01T00:00:00Z: nothing from before it is kept
LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z. A later time is most often one in milliseconds
EXACT: Final = Context(prec=300)  # adds numbers of 64 digits on either side of the point without rounding
_DIGEST: Final = 16
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,64}(?:\.[0-9]{1,64})?|\.[0-9]{1,64})")
_WHOLE_NUMBER: Final = re.compile(r"([+-]?[0-9]{1,20})(?:\.0{1,20})?")
_TO_SPACES: Final = str.maketrans(",:", "  ")
_MAX_EXPONENT: Final = 3  # characters of an exponent that is written out; a number with a longer one stays as it is


def product_of(key: str) -> str:
    """Return the name of an API key's product: a digest of the key (16 characters) and its first 8 characters."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST] + key[:8]


def label_of(product: str) -> str:
    """Return the part of a product's name that may be displayed: the first 8 characters of its key."""
    return product[_DIGEST:]


def clean(name: str) -> str:
    """Write a name or an identity as Kissmetrics does: `,` and `:` become spaces, surrounding space is cut."""
    return name.translate(_TO_SPACES).strip()


def fold(name: str) -> str:
    """Return the form in which names compare: "Plan Type" is "plan type"."""
    return name.lower()


def is_key(name: str) -> bool:
    """Return whether a decoded parameter holds an API key: `_k`, in capitals, with space, percent-encoded once more."""
    return fold(clean(unquote_plus(unquote_plus(name)))) == "_k"


def is_property(name: str) -> bool:
    """Return whether a cleaned parameter name can be a property: names that start with `_` are reserved."""
    return name != "" and not name.startswith("_")


def number_of(text: str) -> Decimal | None:
    """Read a number in plain decimal notation, of at most 64 digits before and after the point; None for text."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def fold_value(value: str) -> str:
    """Return the form in which values compare: numbers as numbers ("1.0" is "1"), text with regard to case."""
    number = number_of(value)
    return value if number is None else format(EXACT.normalize(number), "f")


def json_value(text: str) -> int | float | str:
    """Write a value for JSON: a number as a number, text and fractions that a float would round as text."""
    number = number_of(text)
    if number is None:
        return text
    if number == number.to_integral_value():
        return int(number)
    nearest = float(number)
    return nearest if Decimal(str(nearest)) == number else text


def second_of(text: str) -> int | None:
    """Read a time in whole seconds since the Unix epoch; None for anything else, and for one past the year 9999."""
    match = _WHOLE_NUMBER.fullmatch(text.strip())
    return int(match[1]) if match is not None and int(match[1]) <= LAST_SECOND else None


IMPORTED_PRODUCT: Final = product_of("import")  # the product that imported lines belong to


class SandboxError(Exception):
    """The sandbox cannot do what it should; the text says in one line what, why, and what to do."""


class NothingKeptError(Exception):
    """Kissmetrics keeps nothing of a call; its argument is the reason."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it arrived, without the API key, however that was spelled."""

    product: str  # the product it writes to, as `product_of` names it
    path: CallPath
    parameters: Mapping[str, str]  # decoded, `_p` and the like among them
    arrived: int  # in seconds since the Unix epoch
    imported: bool = False  # it was read from an import file, where `_t` always counts

    def __post_init__(self) -> None:
        """Cut the key, so that nothing that lists or stores a call can leak it."""
        kept = {name: value for name, value in self.parameters.items() if not is_key(name)}
        object.__setattr__(self, "parameters", kept)


class Reading(NamedTuple):
    """A valid event or set call: `event` is empty for a set call, the properties are pairs of name and value."""

    identity: str
    event: str
    second: int
    properties: list[tuple[str, str]]

    def digest(self) -> bytes:
        """Return a digest that calls share if identity, event name, time, property names and values are the same."""
        properties = sorted((fold(name), fold_value(value)) for name, value in self.properties)
        text = repr((self.identity, fold(self.event), self.second, properties))
        return hashlib.blake2b(text.encode(), digest_size=16).digest()


def read(call: Call) -> Reading:
    """Read an event or a set call; NothingKeptError when it is invalid."""
    identity = _name(call, "_p", "no-person")
    event = _name(call, "_n", "no-event-name") if call.path == "/e" else ""
    properties = [(clean(name), value) for name, value in call.parameters.items() if value != ""]
    return Reading(identity, event, _second(call), [one for one in properties if is_property(one[0])])


def read_alias(call: Call) -> tuple[str, str]:
    """Read the two identities of an alias; NothingKeptError when one is invalid."""
    pair = _name(call, "_p", "no-person"), _name(call, "_n", "no-person")
    if call.imported:
        _second(call)
    return pair


def _name(call: Call, parameter: str, if_empty: Reason) -> str:
    name = clean(call.parameters.get(parameter, ""))
    if name == "":
        raise NothingKeptError(if_empty)
    if len(name) > MAX_NAME:
        raise NothingKeptError("too-long")
    return name


def _second(call: Call) -> int:
    """Return when a call took place: its `_t` with `_d=1`, else the second of its arrival."""
    second: int | None = call.arrived
    if call.imported or call.parameters.get("_d") == "1":
        second = second_of(call.parameters.get("_t", ""))
    if second is None:
        raise NothingKeptError("bad-timestamp")
    if second < FIRST_SECOND:
        raise NothingKeptError("too-old")
    return second


def listed(parameters: Mapping[str, str]) -> dict[str, str]:
    """Copy parameters for a list: 100 at most, long texts shortened."""
    return {_short(name): _short(value) for name, value in list(parameters.items())[:100]}


def _short(text: str) -> str:
    return text if len(text) <= MAX_NAME else text[:MAX_NAME] + "…"


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
    if is_event or other == "" or any(is_property(clean(name)) for name in parameters):
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
