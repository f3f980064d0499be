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
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from typing import Final, Literal, NamedTuple

from target_kissmetrics.sandbox import rules
from target_kissmetrics.sandbox.calls import Call, Path, Reading, Reason, listed, read, read_alias
from target_kissmetrics.sandbox.instances import Instance, Instances, Name

Duplicates = Literal["current", "legacy"]
"""Which of the two published rules for duplicates holds."""

REVENUE_PROPERTY: Final = "Billing Amount"
"""The property that holds revenue, unless another one is named."""

NOT_KEPT_LISTED: Final = 10_000
"""How many of the last things that were not kept can be listed; their count is exact beyond that."""

ARRIVALS_LISTED: Final = 1_000
"""How many of the last calls can be listed."""


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

    def is_new(self, reading: Reading) -> bool:
        """Return whether a call repeats none that was passed here before, by the rule `current`."""
        count = len(self.digests)
        self.digests.add(reading.digest())
        return len(self.digests) > count


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
        losses = self._alias(product, call) if call.path == "/a" else self._record(product, call)
        reasons = tuple(loss.reason for loss in losses)
        product.losses.update(reasons)
        self._not_kept += losses
        self._arrivals.append(Arrival(self._calls, replace(call, parameters=listed(call.parameters)), reasons))
        return losses

    def _record(self, product: Product, call: Call) -> list[NotKept]:
        reading = read(call)
        if not isinstance(reading, Reading):
            return [_not_kept(reading, call)]
        if not self._is_legacy and not product.is_new(reading):
            return [_not_kept("duplicate-event" if reading.event else "duplicate-property", call)]
        person = product.people.get(reading.identity) or Person(product, [reading.identity])
        losses = []
        is_duplicate = False
        if reading.event:
            name = product.name(product.events, reading.event)
            is_duplicate = self._is_legacy and person.events.has(name, reading.second)
            if is_duplicate:
                losses.append(_not_kept("duplicate-event", call))
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
            return [_not_kept("too-long", call, {text: value})]
        name = person.product.name(person.product.properties, text)
        if self._is_legacy and person.properties.has(name, second):
            is_lost = not (is_repeated and person.properties.has(name, second, value))
            return [_not_kept("duplicate-property", call, {text: value})] if is_lost else []
        return _dropped(person, person.properties.add(name, Instance(second, sys.intern(value))))

    def _alias(self, product: Product, call: Call) -> list[NotKept]:
        pair = read_alias(call)
        if isinstance(pair, str):
            return [_not_kept(pair, call)]
        if pair[0] == pair[1]:
            return []
        product.aliases.add((min(pair), max(pair)))
        for identity in pair:
            if identity not in product.people:
                self._add(Person(product, [identity]))
        one, other = product.people[pair[0]], product.people[pair[1]]
        return self._join(one, other) if one is not other else []

    def _join(self, one: Person, other: Person) -> list[NotKept]:
        older, younger = (one, other) if one.number < other.number else (other, one)
        self._people[younger.number] = None
        older.product.population -= 1
        older.product.people.update(dict.fromkeys(younger.identities, older))
        older.identities += younger.identities
        dropped = older.events.join(younger.events) + older.properties.join(younger.properties)
        return _dropped(older, dropped)

    def _add(self, person: Person) -> None:
        person.number = len(self._people)
        self._people.append(person)
        person.product.people[person.identities[0]] = person
        person.product.population += 1


def _not_kept(reason: Reason, call: Call, lost: Mapping[str, str] | None = None) -> NotKept:
    """Describe a call of which nothing was kept, or the one property of it that was not."""
    parameters = call.parameters
    if lost is not None:
        reserved = {name: parameters[name] for name in ("_p", "_n", "_t", "_d") if name in parameters}
        parameters = {**reserved, **lost}
    return NotKept(reason, call.path, listed(parameters), call.product)


def _dropped(person: Person, instances: Sequence[tuple[Name, Instance]]) -> list[NotKept]:
    """Describe instances that were dropped since there were more than 1,000. Only an event's has no value."""
    losses = []
    for name, (second, value) in instances:
        what = {name.text: value} if value else {"_n": name.text}
        parameters = listed({"_p": person.identities[0], "_t": str(second), **what})
        losses.append(NotKept("over-1000", "/s" if value else "/e", parameters, person.product.key))
    return losses
