"""The three things Kissmetrics can be told: record an event, set properties, alias two identities.

Source: support.kissmetrics.io, "API Specifications". The words *distinct* and *once* are those of Kissmetrics'
mobile SDKs (`setDistinct`, `recordOnce`): they say how a call is to be remembered, not how it is written.

msgspec's structs are frozen values like frozen dataclasses, made in a tenth of the time; and a call is made for every
row. They hold no cycles, so Python need not look for any among them (`gc=False`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

Properties = dict[str, str]
"""Property name -> value, both as Kissmetrics is to read them. Never holds a name that starts with `_`."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """Record an event.

    Attributes:
        person: One identity of the person, at most 255 characters.
        event: The event's name, at most 255 characters.
        time: Seconds since the Unix epoch, UTC.
        properties: Set on the person at the event's time.
        address: The person's IP address (`_ip`), if it may be passed on.
        user_agent: The person's user agent (`_ua`), if it may be passed on.
        once: Recorded once for each person, then never again.
    """

    person: str
    event: str
    time: int
    properties: Properties = {}
    address: str | None = None
    user_agent: str | None = None
    once: bool = False


class Set(msgspec.Struct, frozen=True, gc=False):
    """Set properties of a person.

    Attributes:
        person: One identity of the person, at most 255 characters.
        time: Seconds since the Unix epoch, UTC.
        properties: At least one.
        address: The person's IP address (`_ip`), if it may be passed on.
        user_agent: The person's user agent (`_ua`), if it may be passed on.
        distinct: Set only where the value differs from the one last set.
    """

    person: str
    time: int
    properties: Properties
    address: str | None = None
    user_agent: str | None = None
    distinct: bool = False


class Alias(msgspec.Struct, frozen=True, gc=False):
    """Make two identities one person, permanently. The order does not matter.

    Attributes:
        person: One identity.
        other: The other.
        time: Seconds since the Unix epoch, UTC; only import files carry it.
    """

    person: str
    other: str
    time: int


Call = Record | Set | Alias


class Outgoing(NamedTuple):
    """A call on its way.

    Attributes:
        source: What the caller knows it by; never sent. The target keeps the counts of its stream here.
        call: The call.
    """

    source: Any
    call: Call
