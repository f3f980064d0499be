"""What Kissmetrics keeps of calls, by its documented rules: people, their aliases, events and properties. Pure.

Sources: support.kissmetrics.io, "API specifications" (what is kept, limits, duplicates), and its guides to identities
(aliases) and to imports. Decided here, where these leave a case open (more in `calls`):

- Identities compare with regard to case: only names are said to have none.
- A person comes to be with the first event, property or alias that is kept of them.
- The properties of a `duplicate-event` are judged one by one. One that has a value in that second already is a
  `duplicate-property` only if its value differs, since a repeated call loses nothing. For any other call it always is.
- An identity's alias with itself changes nothing.
- After two people were joined, what both have of the same name and second stays, and the limit of 1,000 holds for the
  one person they are.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from target_kissmetrics.sandbox import rules
from target_kissmetrics.sandbox.calls import Call, NotKept, Path, Reading, Reason, listed, read, read_alias
from target_kissmetrics.sandbox.instances import Instance, Instances, Name

NOT_KEPT_LISTED: Final = 10_000
"""How many of the last things that were not kept can be listed; their count is exact beyond that."""

ARRIVALS_LISTED: Final = 1_000
"""How many of the last calls can be listed."""


class Arrival(NamedTuple):
    """A call in the list of calls: its number among all calls of the model, and why parts of it were not kept."""

    number: int
    path: Path
    parameters: Mapping[str, str]
    arrived: int
    product: str
    reasons: tuple[Reason, ...]


@dataclass(slots=True, eq=False)
class Person:
    """A person of one product: one identity, or several that aliases joined.

    Attributes:
        number: Their permanent place among all people of the model; of two who were joined, the older one's.
    """

    product: Product
    identities: list[str]
    number: int = -1
    events: Instances = field(default_factory=Instances)
    properties: Instances = field(default_factory=Instances)

    def size(self) -> int:
        """Return how much there is to move when this person is joined to another."""
        return len(self.identities) + len(self.events) + len(self.properties)


@dataclass(slots=True, eq=False)
class Product:
    """All that is kept for one API key.

    Attributes:
        key: The product, as `rules.product_of` names it.
        revenue_name: The revenue property, in the form in which names compare.
        people: Its people by each of their identities.
        population: How many people these are.
        events: Its event names, by the form in which names compare.
        properties: Its property names, likewise.
        aliases: The distinct pairs that were aliased, each in order.
        calls: All calls that arrived.
        losses: How much was not kept, by reason.
    """

    key: str
    revenue_name: str
    people: dict[str, Person] = field(default_factory=dict)
    population: int = 0
    events: dict[str, Name] = field(default_factory=dict)
    properties: dict[str, Name] = field(default_factory=dict)
    aliases: set[tuple[str, str]] = field(default_factory=set)
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
    calls and of what was not kept.

    Args:
        revenue_property: The property whose numbers are summed up as revenue.
    """

    def __init__(self, revenue_property: str = "Billing Amount") -> None:
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
        for number in range(after + 1, len(self._people)):
            person = self._people[number]
            if person is not None and person.product in products:
                yield person

    def not_kept(self, label: str = "") -> Iterator[NotKept]:
        """Iterate over the last 10,000 things that were not kept, the latest first."""
        return (one for one in reversed(self._not_kept) if label in ("", rules.label_of(one.product)))

    def arrivals(self, label: str = "") -> Iterator[Arrival]:
        """Iterate over the last 1,000 calls, the latest first."""
        return (one for one in reversed(self._arrivals) if label in ("", rules.label_of(one.product)))

    def take(self, call: Call) -> list[NotKept]:
        """Keep of a call what Kissmetrics would keep.

        Returns:
            What was not kept of it, or was dropped for it; empty when all of it was kept.
        """
        product = self._products.setdefault(call.product, Product(call.product, self._revenue_name))
        product.calls += 1
        self._calls += 1
        losses = list(self._alias(product, call) if call.path == "/a" else self._record(product, call))
        reasons = tuple(loss.reason for loss in losses)
        product.losses.update(reasons)
        self._not_kept.extend(losses)
        parameters = listed(call.parameters)
        self._arrivals.append(Arrival(self._calls, call.path, parameters, call.arrived, call.product, reasons))
        return losses

    def _record(self, product: Product, call: Call) -> Iterator[NotKept]:
        reading = read(call)
        if not isinstance(reading, Reading):
            yield _loss(reading, call)
            return
        identity, event, second = reading
        person = product.people.get(identity) or Person(product, [identity])
        is_repeated = False
        if call.path == "/e":
            name = product.name(product.events, event)
            is_repeated = bool(person.events.in_second(name, second))
            if is_repeated:
                yield _loss("duplicate-event", call)
            else:
                yield from _dropped(person, "/e", person.events.add(name, Instance(second)))
        for parameter, value in call.parameters.items():
            text = rules.clean(parameter)
            if value == "" or not rules.is_property(text):
                continue
            if len(text) > rules.MAX_NAME or rules.is_too_large(value):
                yield _loss("too-long", call, parameter)
                continue
            name = product.name(product.properties, text)
            known = person.properties.in_second(name, second)
            if not known:
                instance = Instance(second, sys.intern(value))
                yield from _dropped(person, "/s", person.properties.add(name, instance))
            elif not (is_repeated and any(rules.is_same_value(value, one.value) for one in known)):
                yield _loss("duplicate-property", call, parameter)
        if person.number < 0 and (len(person.events) or len(person.properties)):
            self._add(person)

    def _alias(self, product: Product, call: Call) -> Iterable[NotKept]:
        pair = read_alias(call)
        if isinstance(pair, str):
            return [_loss(pair, call)]
        if pair[0] == pair[1]:
            return []
        product.aliases.add((min(pair), max(pair)))
        for identity in pair:
            if identity not in product.people:
                self._add(Person(product, [identity]))
        one, other = product.people[pair[0]], product.people[pair[1]]
        return self._join(one, other) if one is not other else []

    def _join(self, one: Person, other: Person) -> Iterable[NotKept]:
        larger, smaller = (one, other) if one.size() >= other.size() else (other, one)
        first, last = sorted((one.number, other.number))
        self._people[first], self._people[last] = larger, None
        larger.number = first
        larger.product.population -= 1
        larger.product.people.update(dict.fromkeys(smaller.identities, larger))
        larger.identities += smaller.identities
        events, properties = larger.events.join(smaller.events), larger.properties.join(smaller.properties)
        return [*_dropped(larger, "/e", events), *_dropped(larger, "/s", properties)]

    def _add(self, person: Person) -> None:
        person.number = len(self._people)
        self._people.append(person)
        person.product.people[person.identities[0]] = person
        person.product.population += 1


def _loss(reason: Reason, call: Call, parameter: str | None = None) -> NotKept:
    """Describe a call of which nothing was kept, or the one property of it that was not."""
    parameters = call.parameters
    if parameter is not None:
        parameters = {name: parameters[name] for name in ("_p", "_n", "_t", "_d", parameter) if name in parameters}
    return NotKept(reason, call.path, listed(parameters), call.product)


def _dropped(person: Person, path: Path, instances: Iterable[tuple[Name, Instance]]) -> Iterator[NotKept]:
    """Describe instances that were dropped since there were more than 1,000."""
    for name, instance in instances:
        known = {"_p": person.identities[0], "_t": str(instance.second)}
        one = {"_n": name.text} if path == "/e" else {name.text: instance.value}
        yield NotKept("over-1000", path, listed({**known, **one}), person.product.key)
