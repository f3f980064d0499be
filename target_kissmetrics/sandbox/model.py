"""What becomes of a call: Kissmetrics' documented rules as a pure model, without I/O and without a clock.

Sources: support.kissmetrics.io, "API specifications" (what is kept, limits, duplicates), and its guides to identities
(aliases) and to imports. Decided here, where Kissmetrics' pages leave a case open:

- Names are judged after `,` and `:` became spaces and surrounding space was cut.
- Identities compare with regard to case: only names are said to have none.
- A person comes to be with the first event, property or alias that is kept of them, not with a call that left nothing.
- An event that is a duplicate is reported as `duplicate-event`. Its properties are still judged one by one; a property
  that has a value in that second already is reported as `duplicate-property` only when its value is another one, since
  a repeated call loses nothing. For a call that is no duplicate event every such property is reported.
- A call with `_d=1` needs a `_t`: a missing one is a `bad-timestamp`, as one is that is no whole number of seconds.
- An alias has no time: `_t` of `/a` is not looked at. In an import file `_t` is required, for an alias too.
- An alias without its second identity is a `no-person`; an identity's alias with itself changes nothing.
- After two people were joined, what both have of the same name and second stays, and the limit of 1,000 holds for the
  one person they are.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from target_kissmetrics.sandbox import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Path = Literal["/e", "/s", "/a"]
"""The tracking API's three calls: record an event, set properties, alias two identities."""

Reason = Literal[
    "duplicate-event",
    "duplicate-property",
    "too-old",
    "no-person",
    "no-event-name",
    "too-long",
    "bad-timestamp",
    "over-1000",
]
"""Why something was not kept."""

NOT_KEPT_REMEMBERED: Final = 10_000
"""How many of the last things that were not kept can be listed; their count is exact beyond that."""

ARRIVALS_REMEMBERED: Final = 1_000
"""How many of the last calls can be listed as they arrived."""

SECONDS_A_DAY: Final = 86_400

_MOST_HELD: Final = 10_000
"""Characters of a call's values that are held as they are for the list of arrivals."""

_MOST_PARAMETERS_SHOWN: Final = 100
_LONGEST_SHOWN: Final = 255
_MOST_SHARED_VALUES: Final = 65_536
_SECOND_BITS: Final = 38
_SECOND_MASK: Final = (1 << _SECOND_BITS) - 1
_EXACT: Final = Context(prec=256)
"""Holds the sum of any count of numbers of 64 digits on either side of the point, without rounding."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it arrived.

    Attributes:
        product: The product it writes to, as `rules.product_of` names it.
        path: Which of the three calls it is.
        parameters: Its decoded parameters, `_p` and the like among them.
        arrived: When it arrived, in seconds since the Unix epoch.
        imported: It was read from an import file, where `_t` always counts.
    """

    product: str
    path: Path
    parameters: Mapping[str, str]
    arrived: int
    imported: bool = False


@dataclass(frozen=True, slots=True)
class NotKept:
    """Something that was not kept, and why.

    Attributes:
        reason: Why.
        path: The call it came by.
        parameters: The call's parameters without the key. When one property alone was not kept: that property beside
            the reserved parameters. For `over-1000`: the instance that fell out. Long texts are shortened.
        product: The product, as `rules.product_of` names it.
    """

    reason: Reason
    path: Path
    parameters: Mapping[str, str]
    product: str


class Arrival(NamedTuple):
    """A call as it is listed.

    Attributes:
        number: Its place among all calls of the model, from 1.
        path: Which of the three calls it is.
        parameters: As in `NotKept`.
        arrived: When, in seconds since the Unix epoch.
        product: The product, as `rules.product_of` names it.
        reasons: Why something of it, or for it, was not kept; none when all was.
    """

    number: int
    path: Path
    parameters: Mapping[str, str]
    arrived: int
    product: str
    reasons: tuple[Reason, ...]


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
        number: Their place among all people of the model, for ever (of two who were joined, the older one's).
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


class _Reading(NamedTuple):
    """What an event's or a set call's reserved parameters say, once they passed."""

    identity: str
    event: str
    second: int
    is_repeated: bool = False


class Model:
    """All products of a sandbox.

    The same calls in the same order lead to the same model, and a call that is taken again changes nothing but the
    counts of calls and of what was not kept.
    """

    def __init__(self, revenue_property: str = "Billing Amount") -> None:
        """Start empty.

        Args:
            revenue_property: The property whose numbers are summed up as revenue.
        """
        self._revenue_name = rules.fold(rules.clean(revenue_property))
        self._products: dict[str, Product] = {}
        self._people: list[Person | None] = []
        self._not_kept: deque[NotKept] = deque(maxlen=NOT_KEPT_REMEMBERED)
        self._arrivals: deque[Arrival] = deque(maxlen=ARRIVALS_REMEMBERED)
        self._calls = 0
        self._values: dict[str, str] = {}

    def products(self, label: str = "") -> list[Product]:
        """Return the products whose key starts with these 8 characters (all of them when empty), oldest first."""
        return [product for key, product in self._products.items() if label in ("", rules.label_of(key))]

    def people(self, after: int = -1) -> Iterator[Person]:
        """Go through the people of all products whose number is past `after`, in the order of their numbers."""
        for number in range(after + 1, len(self._people)):
            person = self._people[number]
            if person is not None:
                yield person

    def not_kept(self) -> Iterator[NotKept]:
        """Go through what was not kept, the latest first: the last 10,000."""
        return reversed(self._not_kept)

    def arrivals(self) -> Iterator[Arrival]:
        """Go through the calls as they arrived, the latest first: the last 1,000."""
        return (one._replace(parameters=_shown(one.parameters)) for one in reversed(self._arrivals))

    def take(self, call: Call) -> list[NotKept]:
        """Take a call: keep of it what Kissmetrics would keep.

        Returns:
            What was not kept of it, or had to give way for it; empty when all of it was kept.
        """
        product = self._products.get(call.product)
        if product is None:
            product = self._products[call.product] = Product(call.product, self._revenue_name)
        product.calls += 1
        losses = self._alias(product, call) if call.path == "/a" else self._record(product, call)
        self._calls += 1
        reasons = tuple(loss.reason for loss in losses)
        if losses:
            product.not_kept += len(losses)
            product.losses.update(reasons)
            self._not_kept.extend(losses)
        # Shortening waits until somebody looks, but for what is too large to be held a thousand times.
        given = call.parameters
        parameters = given if sum(map(len, given.values())) <= _MOST_HELD else _shown(given)
        self._arrivals.append(Arrival(self._calls, call.path, parameters, call.arrived, call.product, reasons))
        return losses

    def _record(self, product: Product, call: Call) -> list[NotKept]:
        reading = _read(call)
        if isinstance(reading, str):
            return [_whole_call(reading, call)]
        person = product.people.get(reading.identity) or Person(product, reading.identity)
        losses: list[NotKept] = []
        if call.path == "/e":
            reading = reading._replace(is_repeated=not _keep_event(person, reading, call, losses))
        for parameter, value in call.parameters.items():
            name = rules.clean(parameter)
            if value != "" and rules.is_property(name):
                reason = self._keep_property(person, reading, name, value, losses)
                if reason is not None:
                    losses.append(_one_property(reason, call, parameter, value))
        if person.number < 0 and (len(person.events) or len(person.properties)):
            self._welcome(person)
        return losses

    def _keep_property(
        self, person: Person, reading: _Reading, name: str, value: str, losses: list[NotKept]
    ) -> Reason | None:
        """Keep a property's value, and report what it cost; return why not when it is not kept."""
        if len(name) > rules.LONGEST_NAME or rules.is_too_large(value):
            return "too-long"
        number = person.product.properties.number(name)
        there = person.properties.values_in(number, reading.second)
        if there:
            is_lost = not (reading.is_repeated and any(rules.same_value(value, one) for one in there))
            return "duplicate-property" if is_lost else None
        fallen = person.product.keep_property(person, number, reading.second, self._shared(value))
        if fallen is not None:
            losses.append(_fallen_property(person, fallen))
        return None

    def _alias(self, product: Product, call: Call) -> list[NotKept]:
        one, other = rules.clean(call.parameters.get("_p", "")), rules.clean(call.parameters.get("_n", ""))
        fault = _fault_of_identity(one) or _fault_of_identity(other)
        if fault is None and call.imported:
            second = _second(call)
            fault = second if isinstance(second, str) else None
        if fault is not None:
            return [_whole_call(fault, call)]
        if one == other:
            return []
        product.aliases.add((one, other) if one < other else (other, one))
        return self._join(self._person(product, one), self._person(product, other))

    def _join(self, one: Person, other: Person) -> list[NotKept]:
        if one is other:
            return []
        larger, smaller = (one, other) if one.size() >= other.size() else (other, one)
        first, last = sorted((one.number, other.number))
        self._people[last] = None
        self._people[first] = larger
        larger.number = first
        events, properties = larger.product.join(larger, smaller)
        return [_fallen_event(larger, instance) for instance in events] + [
            _fallen_property(larger, instance) for instance in properties
        ]

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

    def _shared(self, value: str) -> str:
        """Return one object for values that are equal, so that "true" is held once and not a million times."""
        if len(self._values) < _MOST_SHARED_VALUES:
            return self._values.setdefault(value, value)
        return self._values.get(value, value)


def _read(call: Call) -> _Reading | Reason:
    identity = rules.clean(call.parameters.get("_p", ""))
    fault = _fault_of_identity(identity)
    if fault is not None:
        return fault
    event = ""
    if call.path == "/e":
        event = rules.clean(call.parameters.get("_n", ""))
        if event == "":
            return "no-event-name"
        if len(event) > rules.LONGEST_NAME:
            return "too-long"
    second = _second(call)
    return second if isinstance(second, str) else _Reading(identity, event, second)


def _fault_of_identity(identity: str) -> Reason | None:
    if identity == "":
        return "no-person"
    return "too-long" if len(identity) > rules.LONGEST_IDENTITY else None


def _second(call: Call) -> int | Reason:
    """Return when a call took place: its `_t` with `_d=1`, else the second of its arrival."""
    if call.imported or call.parameters.get("_d") == "1":
        second = rules.second_of(call.parameters.get("_t", ""))
        if second is None:
            return "bad-timestamp"
    else:
        second = call.arrived
    return second if second >= rules.FIRST_SECOND else "too-old"


def _keep_event(person: Person, reading: _Reading, call: Call, losses: list[NotKept]) -> bool:
    """Keep an event unless it is there already, and report what it cost; return whether it was not."""
    name = person.product.events.number(reading.event)
    if person.events.holds(name, reading.second):
        losses.append(_whole_call("duplicate-event", call))
        return False
    fallen = person.product.keep_event(person, name, reading.second)
    if fallen is not None:
        losses.append(_fallen_event(person, fallen))
    return True


def _whole_call(reason: Reason, call: Call) -> NotKept:
    return NotKept(reason, call.path, _shown(call.parameters), call.product)


def _one_property(reason: Reason, call: Call, parameter: str, value: str) -> NotKept:
    around = {name: call.parameters[name] for name in ("_p", "_n", "_t", "_d") if name in call.parameters}
    return NotKept(reason, call.path, _shown({**around, parameter: value}), call.product)


def _fallen_event(person: Person, instance: Instance) -> NotKept:
    name = person.product.events.names[instance.name]
    parameters = {"_p": person.identities[0], "_n": name, "_t": str(instance.second)}
    return NotKept("over-1000", "/e", parameters, person.product.key)


def _fallen_property(person: Person, instance: Instance) -> NotKept:
    name = person.product.properties.names[instance.name]
    parameters = {"_p": person.identities[0], "_t": str(instance.second), name: instance.value}
    return NotKept("over-1000", "/s", _shown(parameters), person.product.key)


def _shown(parameters: Mapping[str, str]) -> dict[str, str]:
    """Copy parameters for the list of what was not kept: without the key, and never more than a list can bear."""
    names = [name for name in parameters if rules.fold(rules.clean(name)) != "_k"][:_MOST_PARAMETERS_SHOWN]
    return {_shortened(name): _shortened(parameters[name]) for name in names}


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
