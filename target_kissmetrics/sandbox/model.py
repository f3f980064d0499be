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

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from target_kissmetrics.sandbox import rules
from target_kissmetrics.sandbox.people import Instance, Person, Product
from target_kissmetrics.sandbox.rules import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Path = Literal["/e", "/s", "/a"]
"""The tracking API's three calls: record an event, set properties, alias two identities."""

NOT_KEPT_REMEMBERED: Final = 10_000
"""How many of the last things that were not kept can be listed; their count is exact beyond that."""

ARRIVALS_REMEMBERED: Final = 1_000
"""How many of the last calls can be listed as they arrived."""


_MOST_HELD: Final = 10_000
"""Characters of a call's values that are held as they are for the list of arrivals."""

_MOST_PARAMETERS_SHOWN: Final = 100
_LONGEST_SHOWN: Final = 255
_MOST_SHARED_VALUES: Final = 65_536
_SECOND_BITS: Final = 38


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
