"""The three calls of Kissmetrics: record an event, set properties, alias two identities; and what delivers them.

Source: support.kissmetrics.io, "API Specifications". The words *distinct* and *once* are those of Kissmetrics' mobile
SDKs (`setDistinct`, `recordOnce`). They say how a call is deduplicated, not how it is written.

msgspec's structs are frozen values like frozen dataclasses, made in a tenth of the time; a call is made for every row.
They hold no cycles, so the garbage collector need not track them (`gc=False`).

Attributes: `person` is one identity, `event` a name, both of at most 255 characters; `time` is in seconds since the
Unix epoch, UTC; `address` and `user_agent` are the person's IP address (`_ip`) and user agent (`_ua`), if they may be
sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

Properties = dict[str, str]
"""Property name -> value, both as Kissmetrics reads them. Holds no name that starts with `_`."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """Record an event, if `once` only once for each person, and set properties of the person at its time."""

    person: str
    event: str
    time: int
    properties: Properties = {}
    address: str | None = None
    user_agent: str | None = None
    once: bool = False


class Set(msgspec.Struct, frozen=True, gc=False):
    """Set properties of a person, at least one; if `distinct`, only where a value differs from the one last set."""

    person: str
    time: int
    properties: Properties
    address: str | None = None
    user_agent: str | None = None
    distinct: bool = False


class Alias(msgspec.Struct, frozen=True, gc=False):
    """Make two identities one person, permanently. Their order does not matter. Only import files carry the time."""

    person: str
    other: str
    time: int
    address: str | None = None
    user_agent: str | None = None


Call = Record | Set | Alias


class Outgoing(NamedTuple):
    """A call to send, and what the caller identifies it by, which is never sent.

    Attributes:
        rows: What to reject if a host refuses the call for its size; without them, such an answer ends the run.
    """

    source: Any
    call: Call
    rows: Sequence[Any] = ()


class Delivery(Protocol):
    """Delivers calls: through the tracking API, as import files, or (a dry run) to the log alone."""

    def send(self, calls: Sequence[Outgoing], acknowledged: Callable[..., None]) -> None:
        """Begin to deliver; `acknowledged` is called once, from any thread, when every call was acknowledged.

        Its argument, if any, is the list of the calls that the host refused for their size.
        """

    def tick(self) -> None:
        """Do what is due by time alone. Called several times a second, from the thread that sends."""

    def close(self, patience: float) -> None:
        """End. Calls still in flight are waited for, up to `patience` seconds, then abandoned."""
