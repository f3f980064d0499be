"""The JSON that the sandbox's API answers, as docs/reference/sandbox.md describes it. Pure.

Everywhere, `label` is the first 8 characters of a product's key, or empty for all products together. Together, counts
are added up, a name is one name without regard to case, and the same identity in two products is two people; only a
look at one identity shows what all products have of it. A `timestamp` is in seconds since the Unix epoch.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from functools import reduce
from itertools import islice
from operator import itemgetter
from typing import Any

from target_kissmetrics.sandbox import rules
from target_kissmetrics.sandbox.model import Model, Person

Json = dict[str, Any]


def summary(model: Model, label: str = "") -> Json:
    """Count what is kept, by the rule for `duplicates`. `revenue` is an exact sum as text."""
    products = model.products(label)
    amounts = (amount for product in products for amount in product.revenue_by_day.values())
    return {
        "people": sum(product.population for product in products),
        "events": sum(name.count for product in products for name in product.events.values()),
        "event_names": len({name for product in products for name in product.events}),
        "property_names": len({name for product in products for name in product.properties}),
        "aliases": sum(len(product.aliases) for product in products),
        "revenue": format(reduce(rules.EXACT.add, amounts, Decimal(0)), "f"),
        "calls": sum(product.calls for product in products),
        "not_kept": sum(product.losses.total() for product in products),
        "duplicates": model.duplicates,
    }


def people(model: Model, label: str = "", *, limit: int = 100, after: int = -1) -> Json:
    """List people past number `after`, the oldest first; `next` is the `after` of the next page, null on the last."""
    found = list(islice(model.people(label, after), limit + 1))
    page = found[:limit]
    return {
        "people": [{"identities": person.identities, "events": len(person.events)} for person in page],
        "next": page[-1].number if page and len(found) > limit else None,
    }


def with_identity(model: Model, identity: str, label: str = "") -> list[Person]:
    """Return who has an identity: at most one person of each product."""
    name = rules.clean(identity)
    return [product.people[name] for product in model.products(label) if name in product.people]


def identities(found: list[Person]) -> list[str]:
    """Return all identities of these people; two products may have the same."""
    return list(dict.fromkeys(identity for person in found for identity in person.identities))


def person(model: Model, identity: str, label: str = "") -> Json | None:
    """Return all that is kept of one person, oldest first, by any of their identities; None when nobody has it."""
    found = with_identity(model, identity, label)
    if not found:
        return None
    events = [{"name": name.text, "timestamp": instance.second} for person in found for name, instance in person.events]
    properties: dict[str, list[Json]] = {}
    names: dict[str, str] = {}  # products may write a name in different ways: the oldest product's way counts
    for name, instance in (one for person in found for one in person.properties):
        values = properties.setdefault(names.setdefault(rules.fold(name.text), name.text), [])
        values.append({"value": rules.json_value(instance.value), "timestamp": instance.second})
    for listed in (events, *properties.values()):
        listed.sort(key=itemgetter("timestamp"))
    return {"identities": identities(found), "events": events, "properties": properties}


def events(model: Model, label: str = "") -> list[Json]:
    """List event names with the `count` of their instances and of `people`, the most frequent first."""
    listed: dict[str, Json] = {}
    for product in model.products(label):
        for folded, name in product.events.items():
            event = listed.setdefault(folded, {"name": name.text, "count": 0, "people": 0})
            event["count"] += name.count
            event["people"] += name.people
    return sorted(listed.values(), key=lambda event: -event["count"])


def not_kept(model: Model, label: str = "", *, limit: int = 100, reason: str = "") -> list[Json]:
    """List what was not kept, the latest first; for one reason alone when it is given."""
    chosen = (one for one in model.not_kept(label) if reason in ("", one.reason))
    return [
        {"reason": one.reason, "path": one.path, "parameters": one.parameters} for one in islice(chosen, max(limit, 0))
    ]


def losses(model: Model, label: str = "") -> dict[str, int]:
    """Count what was not kept by reason, the most frequent first."""
    return dict(sum((product.losses for product in model.products(label)), Counter[str]()).most_common())


def calls(model: Model, label: str = "", *, limit: int = 50, path: str = "") -> Json:
    """List calls as they arrived, the latest first; those of one path when it is given."""
    chosen = (one for one in model.arrivals(label) if path in ("", one.call.path))
    return {
        "calls": [
            {
                "number": number,
                "path": call.path,
                "arrived": call.arrived,
                "product": rules.label_of(call.product),
                "parameters": call.parameters,
                "not_kept": list(dict.fromkeys(reasons)),
            }
            for number, call, reasons in islice(chosen, limit)
        ]
    }
