"""What the sandbox keeps of people: events and properties in the order of time, bounded as in Kissmetrics."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from target_kissmetrics.sandbox import rules
from target_kissmetrics.sandbox.rules import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SECONDS_A_DAY: Final = 86_400
_SECOND_BITS: Final = 38
_SECOND_MASK: Final = (1 << _SECOND_BITS) - 1
_EXACT: Final = Context(prec=256)
"""Holds the sum of any count of numbers of 64 digits on either side of the point, without rounding."""


class Instance(NamedTuple):
    """An event, or a property's value, in one second. `name` is its number in the product's `Tally`."""

    name: int
    second: int
    value: str


class Instances:
    """All instances of one person's events, or of their properties, in order of name and time.

    A name and its second are one number in a packed array: eight bytes for an event, eight more for a property's value.
    """

    __slots__ = ("_keys", "_values")

    def __init__(self, *, valued: bool) -> None:
        self._keys: array[int] = array("Q")
        self._values: list[str] | None = [] if valued else None

    def __len__(self) -> int:
        """Count them, over all names."""
        return len(self._keys)

    def __iter__(self) -> Iterator[Instance]:
        """Go through them by name, each name's oldest first; an event's value is empty."""
        for at, key in enumerate(self._keys):
            value = "" if self._values is None else self._values[at]
            yield Instance(key >> _SECOND_BITS, key & _SECOND_MASK, value)

    def names(self) -> set[int]:
        """Return the names that have an instance here."""
        return {key >> _SECOND_BITS for key in self._keys}

    def has(self, name: int) -> bool:
        """Tell whether there is an instance of that name."""
        at = bisect_left(self._keys, name << _SECOND_BITS)
        return at < len(self._keys) and self._keys[at] >> _SECOND_BITS == name

    def holds(self, name: int, second: int) -> bool:
        """Tell whether there is an instance of that name in that second."""
        key = name << _SECOND_BITS | second
        at = bisect_left(self._keys, key)
        return at < len(self._keys) and self._keys[at] == key

    def first_from(self, name: int, second: int) -> int | None:
        """Return the second of a name's first instance in that second or later; None when there is none."""
        at = bisect_left(self._keys, name << _SECOND_BITS | second)
        if at == len(self._keys):
            return None
        key = self._keys[at]
        return key & _SECOND_MASK if key >> _SECOND_BITS == name else None

    def values_in(self, name: int, second: int) -> Sequence[str]:
        """Return a property's values in one second: at most one, or more when people were joined."""
        if self._values is None:
            return ()
        key = name << _SECOND_BITS | second
        return self._values[bisect_left(self._keys, key) : bisect_right(self._keys, key)]

    def insert(self, instance: Instance) -> Instance | None:
        """Add an instance, also beside one of the same name and second.

        Returns:
            The oldest one of that name when it had to give way, which may be the new one itself.
        """
        name, second, value = instance
        key = name << _SECOND_BITS | second
        at = bisect_right(self._keys, key)
        fallen = None
        # Not even all names together reach the limit, as a rule.
        if len(self._keys) >= rules.MOST_INSTANCES:
            oldest = bisect_left(self._keys, name << _SECOND_BITS)
            if bisect_left(self._keys, (name + 1) << _SECOND_BITS) - oldest >= rules.MOST_INSTANCES:
                if at == oldest:
                    return instance
                fallen = self._pop(oldest)
                at -= 1
        self._keys.insert(at, key)
        if self._values is not None:
            self._values.insert(at, value)
        return fallen

    def _pop(self, at: int) -> Instance:
        key = self._keys.pop(at)
        value = "" if self._values is None else self._values.pop(at)
        return Instance(key >> _SECOND_BITS, key & _SECOND_MASK, value)


class Person:
    """A person of one product: one identity, or several that aliases joined.

    Attributes:
        number: Their place among all people of the model, permanently (of two who were joined, the older one's).
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
        self.events = Instances(valued=False)
        self.properties = Instances(valued=True)

    def size(self) -> int:
        """Measure how much there is to move when two people are joined."""
        return len(self.identities) + len(self.events) + len(self.properties)


class Tally:
    """A product's event names, or its property names, with what is counted of each.

    Attributes:
        names: The names by number, as first written.
        counts: The kept instances of each.
        people: How many people have it.
        days: The kept instances of each by day (days since the Unix epoch), when they are counted so.
        total: The kept instances of all.
    """

    __slots__ = ("_by_day", "_numbers", "counts", "days", "names", "people", "total")

    def __init__(self, *, by_day: bool) -> None:
        self._by_day = by_day
        self.days: list[dict[int, int]] = []
        self._numbers: dict[str, int] = {}
        self.names: list[str] = []
        self.counts: list[int] = []
        self.people: list[int] = []
        self.total = 0

    def number(self, name: str) -> int:
        """Return a cleaned name's number, without regard to case; a new name gets the next one."""
        folded = rules.fold(name)
        number = self._numbers.get(folded)
        if number is None:
            number = self._numbers[folded] = len(self.names)
            self.names.append(name)
            self.counts.append(0)
            self.people.append(0)
            self.days.append({})
        return number

    def is_number_of(self, number: int, folded: str) -> bool:
        """Tell whether a number is that of a name, which is given in the form in which names compare."""
        return self._numbers.get(folded) == number

    def find(self, folded: str) -> int | None:
        """Return the number of a name, which is given in the form in which names compare; None when it is new."""
        return self._numbers.get(folded)

    def folded(self) -> set[str]:
        """Return the names in the form in which they compare."""
        return set(self._numbers)

    def keep(self, instances: Instances, instance: Instance) -> Instance | None:
        """Add an instance to a person's and count it.

        Returns:
            The instance that fell out, which may be the new one itself.
        """
        name = instance.name
        is_first = not instances.has(name)
        fallen = instances.insert(instance)
        if fallen == instance:
            return fallen
        if is_first:
            self.people[name] += 1
        self._count_day(instance, 1)
        if fallen is None:
            self.counts[name] += 1
            self.total += 1
        else:
            self._count_day(fallen, -1)
        return fallen

    def move(self, source: Instances, target: Instances) -> list[Instance]:
        """Add all of one person's instances to another's.

        Returns:
            The instances that fell out.
        """
        for name in source.names():
            if target.has(name):
                self.people[name] -= 1
        fallen = [out for instance in source if (out := target.insert(instance)) is not None]
        for instance in fallen:
            self.counts[instance.name] -= 1
            self._count_day(instance, -1)
        self.total -= len(fallen)
        return fallen

    def _count_day(self, instance: Instance, by: int) -> None:
        if self._by_day:
            days, day = self.days[instance.name], instance.second // SECONDS_A_DAY
            days[day] = days.get(day, 0) + by


class Product:
    """All that is kept for one API key.

    Attributes:
        key: The product, as `rules.product_of` names it.
        people: Its people by each of their identities.
        population: How many people these are.
        events: Its event names.
        properties: Its property names.
        aliases: The distinct pairs that were aliased, each in order.
        revenue: The exact sum of the kept instances of the revenue property.
        revenue_by_day: The same by day (days since the Unix epoch).
        calls: All calls that arrived.
        not_kept: How many things were not kept.
        losses: The same by reason.
    """

    __slots__ = (
        "_revenue_name",
        "aliases",
        "calls",
        "events",
        "key",
        "losses",
        "not_kept",
        "people",
        "population",
        "properties",
        "revenue",
        "revenue_by_day",
    )

    def __init__(self, key: str, revenue_name: str) -> None:
        self.key = key
        self.people: dict[str, Person] = {}
        self.population = 0
        self.events = Tally(by_day=True)
        self.properties = Tally(by_day=False)
        self.aliases: set[tuple[str, str]] = set()
        self.revenue = Decimal(0)
        self.revenue_by_day: dict[int, Decimal] = {}
        self.calls = 0
        self.not_kept = 0
        self.losses: Counter[Reason] = Counter()
        self._revenue_name = revenue_name

    def keep_event(self, person: Person, name: int, second: int) -> Instance | None:
        """Keep an event; return the one that fell out for it, if any."""
        return self.events.keep(person.events, Instance(name, second, ""))

    def keep_property(self, person: Person, name: int, second: int, value: str) -> Instance | None:
        """Keep a property's value; return the instance that fell out for it, if any."""
        instance = Instance(name, second, value)
        fallen = self.properties.keep(person.properties, instance)
        if fallen != instance:
            self._earn(instance, sign=1)
            if fallen is not None:
                self._earn(fallen, sign=-1)
        return fallen

    def join(self, larger: Person, smaller: Person) -> tuple[list[Instance], list[Instance]]:
        """Make one person of two.

        Returns:
            The events and the properties that fell out.
        """
        for identity in smaller.identities:
            self.people[identity] = larger
        larger.identities += smaller.identities
        self.population -= 1
        events = self.events.move(smaller.events, larger.events)
        properties = self.properties.move(smaller.properties, larger.properties)
        for instance in properties:
            self._earn(instance, sign=-1)
        return events, properties

    def _earn(self, instance: Instance, *, sign: int) -> None:
        if not self.properties.is_number_of(instance.name, self._revenue_name):
            return
        amount = rules.number_of(instance.value)
        if amount is not None:
            change = amount if sign > 0 else amount.copy_negate()
            day = instance.second // SECONDS_A_DAY
            self.revenue = _EXACT.add(self.revenue, change)
            self.revenue_by_day[day] = _EXACT.add(self.revenue_by_day.get(day, Decimal(0)), change)
