"""What a stream's calls add up to, in bounded memory, and what Kissmetrics would merge or drop of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.amounts import to_amount
from target_kissmetrics.mapping.rules.identity import Person
from target_kissmetrics.reporting import display
from target_kissmetrics.sync.collisions import Collisions

MAX_NAMES = 10_000
"""Names of events, or of properties, that are counted one by one; the rest are counted together."""

MAX_IDENTITIES = 100_000
"""Identities that are counted one by one."""

_EXAMPLES = 3
_SPELLINGS = 5
_EXAMPLE_CHARACTERS = 200
_LISTED = 5
_SHORT = 40


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
        max_aliases: More IDs than this together with one ID are a risk.
        identities: Identities with the rows that each has, of the first 100,000; `more_identities`: there are others.
        future: Calls whose time is in the future.
        senders: Calls with a person's address (`_ip`) or user agent (`_ua`).
        collisions: Events that share person, name and second with another row's.
        amount_collisions: Other events that share person and second with another row's amount.
    """

    revenue_key: str
    now: int
    max_aliases: int = 10
    calls: Counter[str] = field(default_factory=Counter)
    events: Names = field(default_factory=Names)
    properties: Names = field(default_factory=Names)
    identities: Counter[str] = field(default_factory=Counter)
    more_identities: bool = False
    future: int = 0
    senders: Counter[str] = field(default_factory=Counter)
    collisions: int = 0
    amount_collisions: int = 0
    _events: Collisions = field(default_factory=Collisions)
    _amounts: Collisions = field(default_factory=Collisions)
    _may_spread: bool = True
    _colliding: Counter[str] = field(default_factory=Counter)
    _overwritten: Counter[str] = field(default_factory=Counter)
    _partners: dict[str, set[int]] = field(default_factory=dict)

    def add(self, mapped: Mapped) -> None:
        """Count a row's calls."""
        self.calls.update(map(type_of, mapped.calls))
        kept: dict[tuple[str, int, str], str] = {}
        for call in mapped.calls:
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
                if kept.setdefault((call.person, call.time, folded(name)), value) != value:
                    _count(self._overwritten, name)
        if mapped.calls:
            person = mapped.calls[0].person
            is_counted = person in self.identities or len(self.identities) < MAX_IDENTITIES
            self.more_identities = self.more_identities or not is_counted
            self.identities.update([person] if is_counted else [])
        self._add_collisions(mapped)

    def _add_collisions(self, mapped: Mapped) -> None:
        for slot in mapped.slots:
            call = mapped.calls[slot.record]
            if not isinstance(call, Record) or call.once:
                continue
            if self._events.seen(call.person, folded(call.event), call.time, slot.row):
                self.collisions += 1
                _count(self._colliding, call.event)
                self._may_spread = slot.may_spread
            elif slot.revenue_property and self._amounts.seen(call.person, "", call.time, slot.row):
                self.amount_collisions += 1
                self._may_spread = slot.may_spread

    def add_person(self, person: Person) -> None:
        """Watch which IDs come together."""
        for identity, partner in ((person.identity, person.other), (person.other, person.identity)):
            if identity is None or partner is None:
                return
            if identity in self._partners or len(self._partners) < MAX_IDENTITIES:
                partners = self._partners.setdefault(identity, set())
                # One more than the limit is enough to know.
                if len(partners) <= self.max_aliases:
                    partners.add(hash(partner))

    @property
    def revenue(self) -> Decimal:
        """The sum over all events."""
        return sum((event.revenue for event in self.events.known.values()), Decimal(0))

    def warnings(self, rows: int, *, spreads: bool) -> Iterator[str]:
        """Give what to warn of; `rows` were mapped, `spreads` says that the entry has `spread_duplicates`."""
        if self.future:
            yield f"{display.plural(self.future, 'call')} with a time in the future; check its zone and unit"
        if self._overwritten:
            values = display.plural(self._overwritten.total(), "value")
            yield (
                f"{values} would be lost ({_counted(self._overwritten)}): an event and its first item share a "
                "second, and Kissmetrics keeps one value of a property for it; give "
                "the items' another name with rename: [{field: ITEMS.FIELD, property: NAME}], or exclude one of the two"
            )
        yield from self._about_collisions(spreads=spreads)
        yield from self._about_identities(rows)
        if self.calls["alias"]:
            yield f"{display.plural(self.calls['alias'], 'alias call')}: Kissmetrics never undoes an alias"

    def _about_identities(self, rows: int) -> Iterator[str]:
        shared = [identity for identity, partners in self._partners.items() if len(partners) > self.max_aliases]
        if shared:
            yield (
                f"{len(shared)} identities come with more than {self.max_aliases} others ({_some(shared)}); they look "
                "like shared devices or accounts; max_aliases_per_identity limits their aliases"
            )
        lowered = Counter(identity.lower() for identity in self.identities)
        alike = [identity for identity in self.identities if lowered[identity.lower()] > 1]
        if alike:
            yield (
                f"{len(alike)} identities differ from another one in case alone ({_some(alike)}); to Kissmetrics they "
                "are different people; if they are not, set lowercase_identities: true"
            )
        for identity, count in self.identities.most_common(_LISTED):
            if count >= 50 and count * 5 >= rows and len(self.identities) >= 10:
                what = f"{count} of {rows} rows have the identity {display.line(identity, _SHORT)!r}"
                yield f"{what}; if it is not one person, add it to blocked_identities"

    def about_equal_rows(self) -> Iterator[str]:
        """Warn of equal rows of a stream without a key."""
        if self._events.repeated:
            yield (
                f"{display.plural(self._events.repeated, 'row')} equal to another one, and the stream has no key; "
                "Kissmetrics keeps one event of them; to keep all, give the tap the table's key (key_properties)"
            )

    def _about_collisions(self, *, spreads: bool) -> Iterator[str]:
        action = "set spread_duplicates: true in the stream's entry"
        if not self._may_spread:
            action = "spread_duplicates, which gives each its own second, is for kind event"
        events, amounts = display.plural(self.collisions, "event"), display.plural(self.amount_collisions, "amount")
        names = _counted(self._colliding)
        if self.collisions and spreads:
            same = f"{'has' if self.collisions == 1 else 'have'} the person, name and second of another row's"
            yield f"{events} {same}; spread_duplicates moves them to seconds of their own ({names})"
        elif self.collisions:
            yield f"{events} would be lost ({names}): another row has the same person, name and second; {action}"
        if self.amount_collisions and not spreads:
            yield f"{amounts} would be lost: Kissmetrics keeps one amount of a person for a second; {action}"


def sender(call: Record | Set) -> list[tuple[str, str]]:
    """Give the person's address and user agent, where a call has them, under the names that they are sent with."""
    return [(name, text) for name, text in (("_ip", call.address), ("_ua", call.user_agent)) if text]


def type_of(call: Call) -> str:
    """Give `record`, `set` or `alias`."""
    return type(call).__name__.lower()


def _count(counts: Counter[str], name: str) -> None:
    if name in counts or len(counts) < _LISTED:
        counts[name] += 1


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{display.line(name, _SHORT)} {count}" for name, count in counts.most_common())


def _some(identities: list[str]) -> str:
    return ", ".join(display.line(identity, _SHORT) for identity in identities[:_LISTED])
