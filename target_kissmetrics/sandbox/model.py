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
    """A call in the list of calls.

    Attributes:
        number: Its place among all calls of the model, from 1.
        path: Which of the three calls it is.
        parameters: As in `NotKept`.
        arrived: When, in seconds since the Unix epoch.
        product: The product, as `rules.product_of` names it.
        reasons: Why parts of it, or what it displaced, were not kept.
    """

    number: int
    path: Path
    parameters: Mapping[str, str]
    arrived: int
    product: str
    reasons: tuple[Reason, ...]


class Person:
    """A person of one product: one identity, or several that aliases joined.

    Attributes:
        number: Their permanent place among all people of the model; of two who were joined, the older one's.
        product: The product they are a person of.
        identities: Their identities.
        events: The instances of their events.
        properties: The instances of their properties.
    """

    __slots__ = ("events", "identities", "number", "product", "properties")

    def __init__(self, product: Product, identity: str) -> None:
        self.number = -1
        self.product = product
        self.identities = [identity]
        self.events = Instances()
        self.properties = Instances()

    def size(self) -> int:
        """Return how much there is to move when this person is joined to another."""
        return len(self.identities) + len(self.events) + len(self.properties)


class Product:
    """All that is kept for one API key.

    Attributes:
        key: The product, as `rules.product_of` names it.
        people: Its people by each of their identities.
        population: How many people these are.
        events: Its event names, in the form in which names compare.
        properties: Its property names, likewise.
        aliases: The distinct pairs that were aliased, each in order.
        calls: All calls that arrived.
        losses: How much was not kept, by reason.
    """

    def __init__(self, key: str, revenue_name: str) -> None:
        self.key = key
        self.people: dict[str, Person] = {}
        self.population = 0
        self.events: dict[str, Name] = {}
        self.properties: dict[str, Name] = {}
        self.aliases: set[tuple[str, str]] = set()
        self.calls = 0
        self.losses: Counter[Reason] = Counter()
        self._revenue_name = revenue_name

    @property
    def revenue_by_day(self) -> Mapping[int, Decimal]:
        """The exact sum of the kept instances of the revenue property by day (days since the Unix epoch)."""
        name = self.properties.get(self._revenue_name)
        return name.revenue if name is not None else {}

    def event_name(self, name: str) -> Name:
        """Return an event's name; a new one on first use."""
        folded = rules.fold(name)
        return self.events.get(folded) or self.events.setdefault(folded, Name(name))

    def property_name(self, name: str) -> Name:
        """Return a property's name; a new one on first use."""
        folded = rules.fold(name)
        return self.properties.get(folded) or self.properties.setdefault(
            folded, Name(name, is_revenue=folded == self._revenue_name)
        )


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
        product = self._products.get(call.product)
        if product is None:
            product = self._products[call.product] = Product(call.product, self._revenue_name)
        product.calls += 1
        self._calls += 1
        losses = self._alias(product, call) if call.path == "/a" else self._record(product, call)
        reasons = tuple(loss.reason for loss in losses)
        if losses:
            product.losses.update(reasons)
            self._not_kept.extend(losses)
        parameters = listed(call.parameters)
        self._arrivals.append(Arrival(self._calls, call.path, parameters, call.arrived, call.product, reasons))
        return losses

    def _record(self, product: Product, call: Call) -> list[NotKept]:
        reading = read(call)
        if not isinstance(reading, Reading):
            return [_loss(reading, call)]
        identity, event, second = reading
        person = product.people.get(identity) or Person(product, identity)
        losses: list[NotKept] = []
        is_repeated = False
        if call.path == "/e":
            name = product.event_name(event)
            is_repeated = bool(person.events.in_second(name, second))
            if is_repeated:
                losses.append(_loss("duplicate-event", call))
            else:
                losses += _dropped(person, "/e", person.events.add(name, Instance(second)))
        for parameter, value in call.parameters.items():
            if value != "" and rules.is_property(name_text := rules.clean(parameter)):
                losses += _keep_property(person, call, parameter, name_text, Instance(second, sys.intern(value)), is_repeated)
        if person.number < 0 and (len(person.events) or len(person.properties)):
            self._welcome(person)
        return losses

    def _alias(self, product: Product, call: Call) -> list[NotKept]:
        pair = read_alias(call)
        if isinstance(pair, str):
            return [_loss(pair, call)]
        one, other = pair
        if one == other:
            return []
        product.aliases.add((min(pair), max(pair)))
        return self._join(self._person(product, one), self._person(product, other))

    def _join(self, one: Person, other: Person) -> list[NotKept]:
        if one is other:
            return []
        larger, smaller = (one, other) if one.size() >= other.size() else (other, one)
        first, last = sorted((one.number, other.number))
        self._people[first], self._people[last] = larger, None
        larger.number = first
        product = larger.product
        product.population -= 1
        product.people.update(dict.fromkeys(smaller.identities, larger))
        larger.identities += smaller.identities
        events, properties = larger.events.join(smaller.events), larger.properties.join(smaller.properties)
        return [*_dropped(larger, "/e", events), *_dropped(larger, "/s", properties)]

    def _person(self, product: Product, identity: str) -> Person:
        person = product.people.get(identity)
        if person is None:
            person = Person(product, identity)
            self._welcome(person)
        return person

    def _welcome(self, person: Person) -> None:
        person.number = len(self._people)
        self._people.append(person)
        person.product.people[person.identities[0]] = person
        person.product.population += 1


def _keep_property(
    person: Person, call: Call, parameter: str, text: str, instance: Instance, is_repeated: bool
) -> Iterable[NotKept]:
    """Keep a property's value; return what is not kept of it, or is dropped for it."""
    if len(text) > rules.MAX_NAME or rules.is_too_large(instance.value):
        return [_property_loss("too-long", call, parameter)]
    name = person.product.property_name(text)
    known = person.properties.in_second(name, instance.second)
    if not known:
        return _dropped(person, "/s", person.properties.add(name, instance))
    if is_repeated and any(rules.is_same_value(instance.value, one.value) for one in known):
        return []
    return [_property_loss("duplicate-property", call, parameter)]


def _loss(reason: Reason, call: Call) -> NotKept:
    return NotKept(reason, call.path, listed(call.parameters), call.product)


def _property_loss(reason: Reason, call: Call, parameter: str) -> NotKept:
    names = [name for name in ("_p", "_n", "_t", "_d") if name in call.parameters]
    parameters = {name: call.parameters[name] for name in (*names, parameter)}
    return NotKept(reason, call.path, listed(parameters), call.product)


def _dropped(person: Person, path: Path, instances: Iterable[tuple[Name, Instance]]) -> Iterator[NotKept]:
    """Describe instances that were dropped since there were more than 1,000."""
    for name, instance in instances:
        known = {"_p": person.identities[0], "_t": str(instance.second)}
        one = {"_n": name.text} if path == "/e" else {name.text: instance.value}
        yield NotKept("over-1000", path, listed({**known, **one}), person.product.key)
