"""Bounded counts of what a stream's calls hold: events, properties, people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.rules.amounts import to_amount

MAX_NAMES = 10_000
"""Names of events, or of properties, that are counted one by one; the rest are counted together."""

MAX_IDENTITIES = 100_000
"""Identities that are counted one by one."""

_EXAMPLES = 3
_SPELLINGS = 5
_EXAMPLE_CHARACTERS = 200


@dataclass(slots=True)
class NameTotal:
    """The calls with one name: spellings and example values, at most a few; times in seconds since the Unix epoch."""

    name: str
    count: int = 0
    spellings: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    first: int = 0
    last: int = 0
    revenue: Decimal = Decimal(0)


@dataclass(slots=True)
class Names:
    """Totals by folded name, of the first 10,000 names, and the number of calls with other names."""

    known: dict[str, NameTotal] = field(default_factory=dict)
    others: int = 0

    def add(self, name: str) -> NameTotal:
        """Count a name and give its totals."""
        key = folded(name)
        if key not in self.known and len(self.known) >= MAX_NAMES:
            self.others += 1
            return NameTotal(name)
        total = self.known.setdefault(key, NameTotal(name))
        total.count += 1
        if name not in total.spellings and len(total.spellings) < _SPELLINGS:
            total.spellings.append(name)
        return total


@dataclass(slots=True)
class Totals:
    """What a stream's calls add up to.

    Attributes:
        revenue_key: The property that holds revenue.
        now: The present second.
        calls: Calls by type.
        events: Names of events.
        properties: Names of properties.
        identities: Identities with the rows that each has, of the first 100,000.
        more_identities: There are others.
        future: Calls whose time is in the future.
        senders: Calls with a person's address (`_ip`) or user agent (`_ua`).
    """

    revenue_key: str
    now: int
    calls: Counter[str] = field(default_factory=Counter)
    events: Names = field(default_factory=Names)
    properties: Names = field(default_factory=Names)
    identities: Counter[str] = field(default_factory=Counter)
    more_identities: bool = False
    future: int = 0
    senders: Counter[str] = field(default_factory=Counter)

    def add(self, calls: list[Call]) -> None:
        """Count a row's calls."""
        self.calls.update(type(call).__name__.lower() for call in calls)
        for call in calls:
            if isinstance(call, Alias):
                continue
            self.future += call.time > self.now
            if isinstance(call, Record):
                event = self.events.add(call.event)
                event.first = min(event.first or call.time, call.time)
                event.last = max(event.last, call.time)
                event.revenue += Decimal(to_amount(call.properties.get(self.revenue_key)) or 0)
            self.senders.update(name for name, _ in sender(call))
            for name, value in call.properties.items():
                examples = self.properties.add(name).examples
                if len(examples) < _EXAMPLES and value[:_EXAMPLE_CHARACTERS] not in examples:
                    examples.append(value[:_EXAMPLE_CHARACTERS])
        if calls:
            person = calls[0].person
            is_counted = person in self.identities or len(self.identities) < MAX_IDENTITIES
            self.more_identities = self.more_identities or not is_counted
            self.identities.update([person] if is_counted else [])

    @property
    def revenue(self) -> Decimal:
        """The sum over all events."""
        return sum((event.revenue for event in self.events.known.values()), Decimal(0))


def sender(call: Record | Set) -> list[tuple[str, str]]:
    """Give the person's address and user agent, where a call has them, under the names that they are sent with."""
    return [(name, text) for name, text in (("_ip", call.address), ("_ua", call.user_agent)) if text]
