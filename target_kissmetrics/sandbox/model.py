"""What Kissmetrics keeps of calls, by its documented rules: people, their aliases, events and properties. Pure.

Sources: those of `rules`, and both pages named "Detecting Duplicates", of which nobody knows which one holds:

- `current` (support.kissmetrics.io): a call is a duplicate if its identity, event name, time, property names and values
  are those of an earlier call. Any other call is kept beside the earlier ones.
- `legacy` (oldsupport.kissmetrics.com): an event is a duplicate by person, event name and second, a property by person,
  name and second, whatever its value. The first one is kept.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import itemgetter
from typing import Final, Literal, NamedTuple

from target_kissmetrics.sandbox import rules
from target_kissmetrics.sandbox.rules import Call, CallPath, NothingKeptError, Reason, listed, read, read_alias

Duplicates = Literal["current", "legacy"]  # which of the two published rules for duplicates holds

REVENUE_PROPERTY: Final = "Billing Amount"  # the property that holds revenue, unless another one is named
NOT_KEPT_LISTED: Final = 10_000  # the last things that were not kept, in lists; their count is exact beyond that
ARRIVALS_LISTED: Final = 1_000  # the last calls, in lists


class Instance(NamedTuple):
    """An event, whose value is empty, or a property's value since a second."""

    second: int
    value: str = ""


Instances = dict[str, list[Instance]]
"""One person's events, or their properties, by name as it compares: of each the oldest first, at most 1,000."""


class NotKept(NamedTuple):
    """A call of which nothing was kept, a property of one that was not kept, or an instance that was dropped."""

    reason: Reason
    path: CallPath
    parameters: Mapping[str, str]
    product: str


@dataclass(slots=True, eq=False)
class Person:
    """A person of one product: one identity, or several that aliases joined."""

    product: Product
    identities: list[str]
    number: int = -1  # their permanent place among all people of the model, from the oldest on
    events: Instances = field(default_factory=dict)
    properties: Instances = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Product:
    """All that is kept for one API key, which `rules.product_of` made `key` of.

    `people` are listed by each of their identities. `events` and `properties` have each name as it compares, and as it
    was first written. `digests` are those of all event and set calls, for the rule `current`.
    """

    key: str
    people: dict[str, Person] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    aliases: set[tuple[str, str]] = field(default_factory=set)
    digests: set[bytes] = field(default_factory=set)
    calls: int = 0
    losses: Counter[Reason] = field(default_factory=Counter)


class Model:
    """All products of a sandbox. The same calls in the same order lead to the same model.

    A call that is repeated changes nothing but the counts of calls and of what was not kept.
    """

    def __init__(self, revenue_property: str = REVENUE_PROPERTY, duplicates: Duplicates = "current") -> None:
        self.duplicates: Final = duplicates
        self.revenue_name: Final = rules.fold(rules.clean(revenue_property))
        self.not_kept: Final = deque[NotKept](maxlen=NOT_KEPT_LISTED)
        self.arrivals: Final = deque[tuple[Call, list[Reason]]](maxlen=ARRIVALS_LISTED)
        self._is_legacy = duplicates == "legacy"
        self._products: dict[str, Product] = {}
        self._people: list[Person | None] = []

    def products(self, label: str = "") -> list[Product]:
        """Return the products whose key starts with these 8 characters (all of them when empty), oldest first."""
        return [product for key, product in self._products.items() if label in ("", rules.label_of(key))]

    def people(self, label: str = "", after: int = -1) -> Iterator[Person]:
        """Iterate over the people of these products whose number is greater than `after`, by number."""
        products = set(self.products(label))
        people = islice(self._people, after + 1, None)
        return (person for person in people if person is not None and person.product in products)

    def take(self, call: Call) -> list[NotKept]:
        """Keep of a call what Kissmetrics would keep; return what was not kept of it, or was dropped for it."""
        product = self._products.setdefault(call.product, Product(call.product))
        product.calls += 1
        try:
            losses = self._alias(product, call) if call.path == "/a" else self._record(product, call)
        except NothingKeptError as error:
            losses = [_lost(error.args[0], call, call.parameters)]
        reasons = [loss.reason for loss in losses]
        product.losses.update(reasons)
        self.not_kept.extend(losses)
        self.arrivals.append((replace(call, parameters=listed(call.parameters)), reasons))
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
            name = rules.fold(reading.event)
            product.events.setdefault(name, reading.event)
            is_duplicate = self._is_legacy and bool(_values_at(person.events, name, reading.second))
            if is_duplicate:
                losses.append(_lost("duplicate-event", call, call.parameters))
            else:
                losses += _merge(person, person.events, name, [Instance(reading.second)])
        for text, value in reading.properties:
            losses += self._set(person, call, text, Instance(reading.second, value), is_repeated=is_duplicate)
        if person.number < 0 and (person.events or person.properties):
            self._add(person)
        return losses

    def _set(self, person: Person, call: Call, text: str, instance: Instance, *, is_repeated: bool) -> list[NotKept]:
        """Set a property; a call whose event `is_repeated` loses nothing where it repeats the value too."""
        second, value = instance
        reserved = {name: call.parameters[name] for name in ("_p", "_n", "_t", "_d") if name in call.parameters}
        if len(text) > rules.MAX_NAME or len(value) > rules.MAX_VALUE:
            return [_lost("too-long", call, {**reserved, text: value})]
        name = rules.fold(text)
        person.product.properties.setdefault(name, text)
        if self._is_legacy and (values := _values_at(person.properties, name, second)):
            is_lost = not is_repeated or rules.fold_value(value) not in values
            return [_lost("duplicate-property", call, {**reserved, text: value})] if is_lost else []
        return _merge(person, person.properties, name, [Instance(second, sys.intern(value))])

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
        product.people.update(dict.fromkeys(younger.identities, older))
        older.identities += younger.identities
        losses = []
        for own, others in ((older.events, younger.events), (older.properties, younger.properties)):
            for name, instances in others.items():
                losses += _merge(older, own, name, instances)
        return losses

    def _add(self, person: Person) -> None:
        person.number = len(self._people)
        self._people.append(person)
        person.product.people[person.identities[0]] = person


def _lost(reason: Reason, call: Call, parameters: Mapping[str, str]) -> NotKept:
    return NotKept(reason, call.path, listed(parameters), call.product)


def _values_at(instances: Instances, name: str, second: int) -> set[str]:
    """Return the values in that second, in the form in which they compare; empty without an instance."""
    of_name = instances.get(name, [])
    start, end = (find(of_name, second, key=itemgetter(0)) for find in (bisect_left, bisect_right))
    return {rules.fold_value(one.value) for one in of_name[start:end]}


def _merge(person: Person, instances: Instances, name: str, more: Sequence[Instance]) -> list[NotKept]:
    """Add instances of a name, and drop the oldest, maybe new ones, when there are more than 1,000."""
    own = instances.setdefault(name, [])
    own += more
    own.sort(key=itemgetter(0))
    losses = []
    product = person.product
    for second, value in own[: -rules.MAX_INSTANCES]:
        what = {product.properties[name]: value} if value else {"_n": product.events[name]}
        parameters = listed({"_p": person.identities[0], "_t": str(second), **what})
        losses.append(NotKept("over-1000", "/s" if value else "/e", parameters, product.key))
    del own[: len(losses)]
    return losses
