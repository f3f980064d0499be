"""The JSON that the sandbox's API answers, taken from a model. Pure.

Everywhere, `label` is the first 8 characters of a product's key, or empty for all products together. Together, counts
are added up, a name is one name without regard to case, and the same identity in two products is two people; only a
look at one identity shows what all products have of it.
"""

from __future__ import annotations

from decimal import Context, Decimal
from itertools import islice
from typing import TYPE_CHECKING, Final, TypedDict

from target_kissmetrics.sandbox import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_kissmetrics.sandbox.model import Model
    from target_kissmetrics.sandbox.people import Person

_EXACT: Final = Context(prec=300)


class Summary(TypedDict):
    """`GET /api/summary`. `revenue` is an exact sum as text; everything else counts."""

    people: int
    events: int
    event_names: int
    property_names: int
    aliases: int
    revenue: str
    calls: int
    not_kept: int


class PersonListed(TypedDict):
    """A person in `GET /api/people`, with the number of their events."""

    identities: list[str]
    events: int


class PeoplePage(TypedDict):
    """`GET /api/people`. `next` is the `after` of the next page, and null on the last one."""

    people: list[PersonListed]
    next: int | None


class EventShown(TypedDict):
    """An event of a person; `timestamp` is in seconds since the Unix epoch."""

    name: str
    timestamp: int


class ValueShown(TypedDict):
    """A property's value since some second; numbers are numbers."""

    value: int | float | str
    timestamp: int


class PersonShown(TypedDict):
    """`GET /api/people/{identity}`, oldest first."""

    identities: list[str]
    events: list[EventShown]
    properties: dict[str, list[ValueShown]]


class EventListed(TypedDict):
    """An event name in `GET /api/events`: its kept instances, and how many people have it."""

    name: str
    count: int
    people: int


class NotKeptShown(TypedDict):
    """Something in `GET /api/not-kept`."""

    reason: str
    path: str
    parameters: Mapping[str, str]


def summary(model: Model, label: str = "") -> Summary:
    """Count what is kept."""
    products = model.products(label)
    revenue = Decimal(0)
    for product in products:
        revenue = _EXACT.add(revenue, product.revenue)
    return {
        "people": sum(product.population for product in products),
        "events": sum(product.events.total for product in products),
        "event_names": len(set[str]().union(*(product.events.folded() for product in products))),
        "property_names": len(set[str]().union(*(product.properties.folded() for product in products))),
        "aliases": sum(len(product.aliases) for product in products),
        "revenue": format(revenue, "f"),
        "calls": sum(product.calls for product in products),
        "not_kept": sum(product.not_kept for product in products),
    }


def people(model: Model, label: str = "", *, limit: int = 100, after: int = -1) -> PeoplePage:
    """List people in the order in which they came to be, `limit` of them past the number `after`."""
    found = list(islice(_people_of(model, label, after), limit + 1))
    shown = found[:limit]
    return {
        "people": [{"identities": person.identities, "events": len(person.events)} for person in shown],
        "next": shown[-1].number if shown and len(found) > limit else None,
    }


def person(model: Model, identity: str, label: str = "") -> PersonShown | None:
    """Show all that is kept of one person, by any of their identities; None when nobody has it."""
    name = rules.clean(identity)
    found = [product.people[name] for product in model.products(label) if name in product.people]
    if not found:
        return None
    events = [event for one in found for event in _events_of(one)]
    properties: dict[str, list[ValueShown]] = {}
    for shown, values in _by_folded_name(found).values():
        properties[shown] = sorted(values, key=lambda value: value["timestamp"])
    return {
        # A dictionary, since two products may know the same identities: each is named once.
        "identities": list(dict.fromkeys(one for person in found for one in person.identities)),
        "events": sorted(events, key=lambda event: event["timestamp"]),
        "properties": properties,
    }


def events(model: Model, label: str = "") -> list[EventListed]:
    """List event names, the most frequent first."""
    listed: dict[str, EventListed] = {}
    for product in model.products(label):
        tally = product.events
        for name, count, population in zip(tally.names, tally.counts, tally.people, strict=True):
            event = listed.setdefault(rules.fold(name), {"name": name, "count": 0, "people": 0})
            event["count"] += count
            event["people"] += population
    return sorted(listed.values(), key=lambda event: -event["count"])


def not_kept(model: Model, label: str = "", *, limit: int = 100, reason: str = "") -> list[NotKeptShown]:
    """List what was not kept, the latest first; for one reason alone when it is given."""
    chosen = (
        one for one in model.not_kept() if label in ("", rules.label_of(one.product)) and reason in ("", one.reason)
    )
    return [
        {"reason": one.reason, "path": one.path, "parameters": one.parameters} for one in islice(chosen, max(limit, 0))
    ]


def _people_of(model: Model, label: str, after: int) -> Iterator[Person]:
    chosen = {product.key for product in model.products(label)}
    return (person for person in model.people(after) if person.product.key in chosen)


def _events_of(one: Person) -> list[EventShown]:
    return [{"name": one.product.events.names[instance.name], "timestamp": instance.second} for instance in one.events]


def _by_folded_name(found: list[Person]) -> dict[str, tuple[str, list[ValueShown]]]:
    """Gather property values by name; a name is shown as the oldest product first wrote it."""
    gathered: dict[str, tuple[str, list[ValueShown]]] = {}
    for one in found:
        for instance in one.properties:
            name = one.product.properties.names[instance.name]
            _, values = gathered.setdefault(rules.fold(name), (name, []))
            values.append({"value": rules.json_value(instance.value), "timestamp": instance.second})
    return gathered
