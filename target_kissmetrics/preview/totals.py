"""Bounded counts of what a stream's calls hold: events, properties, people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.rules.amounts import to_amount

MAX_NAMES = 10_000
"""Names of events, or of properties, that are counted one by one for a stream; the rest are counted together."""

MAX_IDENTITIES = 100_000
"""Identities that are told apart for a stream."""

_EXAMPLES = 3
_SPELLINGS = 5
_EXAMPLE_CHARACTERS = 200


@dataclass(slots=True)
class EventTotal:
    """An event's name.

    Attributes:
        name: As first written.
        count: Its record calls.
        first: The earliest, in seconds since the Unix epoch.
        last: The latest.
        revenue: The sum of its amounts.
        spellings: How it is written, at most 5 ways.
    """

    name: str
    count: int = 0
    first: int = 0
    last: int = 0
    revenue: Decimal = Decimal(0)
    spellings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class PropertyTotal:
    """A property's name.

    Attributes:
        name: As first written.
        count: Calls that hold it.
        examples: Its first different values, at most 3.
        spellings: How it is written, at most 5 ways.
    """

    name: str
    count: int = 0
    examples: list[str] = field(default_factory=list)
    spellings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Totals:
    """What a stream's calls add up to.

    Attributes:
        revenue_key: The property that holds revenue.
        now: The present second: what lies behind it is in the future.
        calls: Calls by type.
        events: By name, folded.
        properties: By name, folded.
        other_events: Calls of event names beyond the first 10,000.
        other_properties: Values of property names beyond the first 10,000.
        identities: Calls' identities with how many rows each has, of the first 100,000.
        more_identities: There are others.
        future: Calls whose time lies in the future.
        senders: Calls beside which the person's address (`_ip`) or user agent (`_ua`) goes out.
    """

    revenue_key: str
    now: int
    calls: Counter[str] = field(default_factory=Counter)
    events: dict[str, EventTotal] = field(default_factory=dict)
    properties: dict[str, PropertyTotal] = field(default_factory=dict)
    other_events: int = 0
    other_properties: int = 0
    identities: Counter[str] = field(default_factory=Counter)
    more_identities: bool = False
    future: int = 0
    senders: Counter[str] = field(default_factory=Counter)

    def add(self, calls: list[Call]) -> None:
        """Count a row's calls."""
        for call in calls:
            if isinstance(call, Alias):
                self.calls["alias"] += 1
                continue
            self.future += call.time > self.now
            if isinstance(call, Record):
                self.calls["record"] += 1
                self._add_event(call)
            else:
                self.calls["set"] += 1
            self.senders.update(name for name, _ in sender(call))
            for name, value in call.properties.items():
                self._add_property(name, value)
        if calls:
            self._add_identity(calls[0].person)

    @property
    def revenue(self) -> Decimal:
        """The sum over all events."""
        return sum((event.revenue for event in self.events.values()), Decimal(0))

    def _add_event(self, call: Record) -> None:
        key = folded(call.event)
        total = self.events.get(key)
        if total is None:
            if len(self.events) >= MAX_NAMES:
                self.other_events += 1
                return
            total = self.events[key] = EventTotal(call.event, first=call.time, last=call.time)
        _spell(total.spellings, call.event)
        total.count += 1
        total.first = min(total.first, call.time)
        total.last = max(total.last, call.time)
        amount = to_amount(call.properties.get(self.revenue_key))
        if amount is not None:
            total.revenue += Decimal(amount)

    def _add_property(self, name: str, value: str) -> None:
        key = folded(name)
        total = self.properties.get(key)
        if total is None:
            if len(self.properties) >= MAX_NAMES:
                self.other_properties += 1
                return
            total = self.properties[key] = PropertyTotal(name)
        _spell(total.spellings, name)
        total.count += 1
        if len(total.examples) < _EXAMPLES and value[:_EXAMPLE_CHARACTERS] not in total.examples:
            total.examples.append(value[:_EXAMPLE_CHARACTERS])

    def _add_identity(self, identity: str) -> None:
        if identity in self.identities or len(self.identities) < MAX_IDENTITIES:
            self.identities[identity] += 1
        else:
            self.more_identities = True


class Partners:
    """Which identities come together in rows, for as many as 100,000 of them.

    Args:
        limit: The most partners that are no cause for worry.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._partners: dict[str, set[int]] = {}

    def add(self, one: str, other: str) -> None:
        """Take note of a pair."""
        for identity, partner in ((one, other), (other, one)):
            known = self._partners.get(identity)
            if known is None:
                if len(self._partners) >= MAX_IDENTITIES:
                    continue
                known = self._partners[identity] = set()
            # One more than the limit says all that is asked.
            if len(known) <= self._limit:
                known.add(hash(partner))

    def shared(self) -> list[str]:
        """Give the identities with more partners than the limit."""
        return [identity for identity, known in self._partners.items() if len(known) > self._limit]


def sender(call: Record | Set) -> list[tuple[str, str]]:
    """Give the person's address and user agent, as far as they go out beside a call, under the names they have then."""
    return [(name, text) for name, text in (("_ip", call.address), ("_ua", call.user_agent)) if text]


def _spell(spellings: list[str], name: str) -> None:
    if name not in spellings and len(spellings) < _SPELLINGS:
        spellings.append(name)
