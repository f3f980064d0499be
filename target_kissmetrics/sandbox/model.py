"""What Kissmetrics keeps of calls, by its documented rules: people, their aliases, events and properties. Pure.

Sources: support.kissmetrics.io, "API specifications" (what is kept, limits), its guides to identities (aliases) and to
imports, and both pages named "Detecting Duplicates", of which nobody knows which one holds:

- `current` (support.kissmetrics.io): a call is a duplicate if its identity, event name, time, property names and values
  are those of an earlier call. Any other call is kept beside the earlier ones.
- `legacy` (oldsupport.kissmetrics.com): an event is a duplicate by person, event name and second, a property by person,
  name and second, whatever its value. The first one is kept.

Decided here, where these leave a case open (more in `calls`):

- Identities compare with regard to case: only names are said to have none.
- A person comes to be with the first event, property or alias that is kept of them.
- `legacy` judges the properties of a `duplicate-event` one by one. One that has a value in that second already is a
  `duplicate-property` only if its value differs, since a repeated call loses nothing. For any other call it always is.
- An identity's alias with itself changes nothing.
- After two people were joined, what both have of the same name and second stays, and the limit of 1,000 holds for the
  one person they are.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice, takewhile
from operator import itemgetter
from typing import Final, Literal, NamedTuple

from target_kissmetrics.sandbox import rules
from target_kissmetrics.sandbox.calls import Call, NothingKeptError, Path, Reason, listed, read, read_alias

Duplicates = Literal["current", "legacy"]
"""Which of the two published rules for duplicates holds."""

REVENUE_PROPERTY: Final = "Billing Amount"  # the property that holds revenue, unless another one is named
NOT_KEPT_LISTED: Final = 10_000  # the last things that were not kept, in lists; their count is exact beyond that
ARRIVALS_LISTED: Final = 1_000  # the last calls, in lists

_SECONDS_A_DAY: Final = 86_400
_SECOND: Final = itemgetter(0)


class Instance(NamedTuple):
    """An event, whose value is empty, or a property's value since a second."""

    second: int
    value: str = ""


@dataclass(slots=True, eq=False)
class Name:
    """The name of an event or a property of a product, with counts of the instances that are kept of it.

    `text` is the name as first written. `days` counts instances, and `revenue` sums up the numbers of the revenue
    property exactly, by day (days since the Unix epoch).
    """

    text: str
    is_revenue: bool = False
    count: int = 0
    people: int = 0
    days: Counter[int] = field(default_factory=Counter)
    revenue: dict[int, Decimal] = field(default_factory=dict)

    def add(self, instance: Instance, sign: int = 1) -> None:
        """Count an instance; with a sign of -1, one that is dropped."""
        day = instance.second // _SECONDS_A_DAY
        self.count += sign
        self.days[day] += sign
        if self.is_revenue and (amount := rules.number_of(instance.value)) is not None:
            change = amount if sign > 0 else amount.copy_negate()
            self.revenue[day] = rules.EXACT.add(self.revenue.get(day, Decimal(0)), change)


class Instances:
    """The instances of one person's events, or of their properties: by name, oldest first, at most 1,000 of a name."""

    __slots__ = ("_by_name",)

    def __init__(self) -> None:
        self._by_name: dict[Name, list[Instance]] = {}

    def __len__(self) -> int:
        """Count the instances of all names."""
        return sum(map(len, self._by_name.values()))

    def __iter__(self) -> Iterator[tuple[Name, Instance]]:
        """Iterate by name, each name's oldest first."""
        return ((name, instance) for name, instances in self._by_name.items() for instance in instances)

    def since(self, name: Name, second: int) -> Iterator[Instance]:
        """Iterate over a name's instances in that second or later."""
        instances = self._by_name.get(name, [])
        return islice(instances, bisect_left(instances, second, key=_SECOND), None)

    def values_at(self, name: Name, second: int) -> set[str]:
        """Return the values in that second, in the form in which they compare; empty without an instance."""
        there = takewhile(lambda one: one.second == second, self.since(name, second))
        return {rules.fold_value(one.value) for one in there}

    def add(self, name: Name, instance: Instance) -> list[tuple[Name, Instance]]:
        """Add an instance; return the oldest one, maybe the new one, if it is dropped: there were 1,000 before."""
        name.add(instance)
        return self._merge(name, [instance])

    def join(self, other: Instances) -> list[tuple[Name, Instance]]:
        """Take over the instances of another person; return those that are dropped, as with `add`."""
        dropped = []
        for name, instances in other._by_name.items():
            name.people -= 1
            dropped += self._merge(name, instances)
        return dropped

    def _merge(self, name: Name, instances: Sequence[Instance]) -> list[tuple[Name, Instance]]:
        if name not in self._by_name:
            self._by_name[name] = []
            name.people += 1
        own = self._by_name[name]
        own += instances
        own.sort(key=_SECOND)
        dropped = own[: -rules.MAX_INSTANCES]
        del own[: len(dropped)]
        for instance in dropped:
            name.add(instance, sign=-1)
        return [(name, instance) for instance in dropped]


class NotKept(NamedTuple):
    """A call of which nothing was kept, a property of one that was not kept, or an instance that was dropped."""

    reason: Reason
    path: Path
    parameters: Mapping[str, str]
    product: str


class Arrival(NamedTuple):
    """A call in the list of calls: its number among all calls of the model, and why parts of it were not kept."""

    number: int
    call: Call
    reasons: tuple[Reason, ...]


@dataclass(slots=True, eq=False)
class Person:
    """A person of one product: one identity, or several that aliases joined."""

    product: Product
    identities: list[str]
    number: int = -1
    """Their permanent place among all people of the model, from the oldest on."""
    events: Instances = field(default_factory=Instances)
    properties: Instances = field(default_factory=Instances)


@dataclass(slots=True, eq=False)
class Product:
    """All that is kept for one API key, which `rules.product_of` made `key` of.

    `people` are listed by each of their identities; `population` counts them. Names are in the form in which they
    compare, the pairs of `aliases` in order. `digests` are those of all event and set calls, for the rule `current`.
    """

    key: str
    revenue_name: str
    people: dict[str, Person] = field(default_factory=dict)
    population: int = 0
    events: dict[str, Name] = field(default_factory=dict)
    properties: dict[str, Name] = field(default_factory=dict)
    aliases: set[tuple[str, str]] = field(default_factory=set)
    digests: set[bytes] = field(default_factory=set)
    calls: int = 0
    losses: Counter[Reason] = field(default_factory=Counter)

    @property
    def revenue_by_day(self) -> Mapping[int, Decimal]:
        """The exact sum of the kept values of the revenue property by day (days since the Unix epoch)."""
        name = self.properties.get(self.revenue_name)
        return name.revenue if name is not None else {}

    def name(self, names: dict[str, Name], text: str) -> Name:
        """Return one of `events` or `properties`; a new one on first use."""
        folded = rules.fold(text)
        if folded not in names:
            names[folded] = Name(text, is_revenue=names is self.properties and folded == self.revenue_name)
        return names[folded]


class Model:
    """All products of a sandbox.

    The same calls in the same order lead to the same model. A call that is repeated changes nothing but the counts of
    calls and of what was not kept. The numbers of the revenue property are summed up.
    """

    def __init__(self, revenue_property: str = REVENUE_PROPERTY, duplicates: Duplicates = "current") -> None:
        self.duplicates: Final = duplicates
        self._is_legacy = duplicates == "legacy"
        self._revenue_name = rules.fold(rules.clean(revenue_property))
        self._products: dict[str, Product] = {}
        self._people: list[Person | None] = []
        self._not_kept: deque[NotKept] = deque(maxlen=NOT_KEPT_LISTED)
        self._arrivals: deque[Arrival] = deque(maxlen=ARRIVALS_LISTED)
        self._calls = 0

    def products(self, label: str = "") -> list[Product]:
        """Return the products whose key starts with these 8 characters (all of them when empty), oldest first."""
        return [product for key, product in self._products.items() if label in ("", rules.label_of(key))]

    def people(self, label: str = "", after: int = -1) -> Iterator[Person]:
        """Iterate over the people of these products whose number is greater than `after`, by number."""
        products = set(self.products(label))
        people = islice(self._people, after + 1, None)
        return (person for person in people if person is not None and person.product in products)

    def not_kept(self, label: str = "") -> Iterator[NotKept]:
        """Iterate over the last 10,000 things that were not kept, the latest first."""
        return (one for one in reversed(self._not_kept) if label in ("", rules.label_of(one.product)))

    def arrivals(self, label: str = "") -> Iterator[Arrival]:
        """Iterate over the last 1,000 calls, the latest first."""
        return (one for one in reversed(self._arrivals) if label in ("", rules.label_of(one.call.product)))

    def take(self, call: Call) -> list[NotKept]:
        """Keep of a call what Kissmetrics would keep; return what was not kept of it, or was dropped for it."""
        product = self._products.setdefault(call.product, Product(call.product, self._revenue_name))
        product.calls += 1
        self._calls += 1
        try:
            losses = self._alias(product, call) if call.path == "/a" else self._record(product, call)
        except NothingKeptError as error:
            losses = [NotKept(error.reason, call.path, listed(call.parameters), call.product)]
        reasons = tuple(loss.reason for loss in losses)
        product.losses.update(reasons)
        self._not_kept += losses
        self._arrivals.append(Arrival(self._calls, replace(call, parameters=listed(call.parameters)), reasons))
        return losses

    def _record(self, product: Product, call: Call) -> list[NotKept]:
        reading = read(call)
        if not self._is_legacy:
            digest = reading.digest()
            if digest in product.digests:
                raise NothingKeptError("duplicate-event" if reading.event else "duplicate-property")
            product.digests.add(digest)
        person = product.people.get(reading.identity) or Person(product, [reading.identity])
        losses = []
        is_duplicate = False
        if reading.event:
            name = product.name(product.events, reading.event)
            is_duplicate = self._is_legacy and bool(person.events.values_at(name, reading.second))
            if is_duplicate:
                losses.append(NotKept("duplicate-event", call.path, listed(call.parameters), call.product))
            else:
                losses += _dropped(person, person.events.add(name, Instance(reading.second)))
        for text, value in reading.properties:
            losses += self._set(person, call, text, Instance(reading.second, value), is_repeated=is_duplicate)
        if person.number < 0 and (len(person.events) or len(person.properties)):
            self._add(person)
        return losses

    def _set(self, person: Person, call: Call, text: str, instance: Instance, *, is_repeated: bool) -> list[NotKept]:
        """Set a property; a call whose event `is_repeated` loses nothing where it repeats the value too."""
        second, value = instance
        if len(text) > rules.MAX_NAME or len(value) > rules.MAX_VALUE:
            return [_lost("too-long", call, text, value)]
        name = person.product.name(person.product.properties, text)
        if self._is_legacy and (values := person.properties.values_at(name, second)):
            is_lost = not is_repeated or rules.fold_value(value) not in values
            return [_lost("duplicate-property", call, text, value)] if is_lost else []
        return _dropped(person, person.properties.add(name, Instance(second, sys.intern(value))))

    def _alias(self, product: Product, call: Call) -> list[NotKept]:
        pair = read_alias(call)
        if pair[0] == pair[1]:
            return []
        product.aliases.add((min(pair), max(pair)))
        for identity in pair:
            if identity not in product.people:
                self._add(Person(product, [identity]))
        older, younger = sorted((product.people[identity] for identity in pair), key=lambda person: person.number)
        if older is younger:
            return []
        self._people[younger.number] = None
        product.population -= 1
        product.people.update(dict.fromkeys(younger.identities, older))
        older.identities += younger.identities
        dropped = older.events.join(younger.events) + older.properties.join(younger.properties)
        return _dropped(older, dropped)

    def _add(self, person: Person) -> None:
        person.number = len(self._people)
        self._people.append(person)
        person.product.people[person.identities[0]] = person
        person.product.population += 1


def _lost(reason: Reason, call: Call, name: str, value: str) -> NotKept:
    """Describe a property that was not kept of a call."""
    reserved = {name: call.parameters[name] for name in ("_p", "_n", "_t", "_d") if name in call.parameters}
    return NotKept(reason, call.path, listed({**reserved, name: value}), call.product)


def _dropped(person: Person, instances: Sequence[tuple[Name, Instance]]) -> list[NotKept]:
    """Describe instances that were dropped since there were more than 1,000. Only an event's has no value."""
    losses = []
    for name, (second, value) in instances:
        what = {name.text: value} if value else {"_n": name.text}
        parameters = listed({"_p": person.identities[0], "_t": str(second), **what})
        losses.append(NotKept("over-1000", "/s" if value else "/e", parameters, person.product.key))
    return losses
