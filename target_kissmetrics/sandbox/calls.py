"""Reads calls of the tracking API: whose they are, when they took place, and what makes them invalid. Pure.

Source: support.kissmetrics.io, "API specifications"; docs/reference/sandbox.md says what is decided where it leaves a
case open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from target_kissmetrics.sandbox import rules

Path = Literal["/e", "/s", "/a"]  # record an event, set properties, alias two identities

Reason = Literal[  # why something was not kept
    "duplicate-event", "duplicate-property", "too-old", "no-person", "no-event-name", "too-long", "bad-timestamp",
    "over-1000",
]  # fmt: skip

_MAX_PARAMETERS: Final = 100
_MAX_CHARACTERS: Final = 255


class SandboxError(Exception):
    """The sandbox cannot do what it should; the text says in one line what, why, and what to do."""


class NothingKeptError(Exception):
    """Kissmetrics keeps nothing of a call; its argument is the reason."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it arrived, without the API key, however that was spelled."""

    product: str  # the product it writes to, as `rules.product_of` names it
    path: Path
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
