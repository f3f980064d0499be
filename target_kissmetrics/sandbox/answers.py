"""The JSON that the sandbox's API answers, as docs/reference/sandbox.md describes it. Pure.

Everywhere, `label` is the first 8 characters of a product's key, or empty for all products together. Together, counts
are added up, a name is one name without regard to case, and the same identity in two products is two people; only a
look at one identity shows what all products have of it. A `timestamp` is in seconds since the Unix epoch.

Counts are kept as calls arrive; a funnel and a search go through all people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import reduce
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from target_kissmetrics.sandbox import rules
from target_kissmetrics.sandbox.model import Model, Name, since

Json = dict[str, Any]

MAX_OF_A_PERSON: Final = 500  # items of one page
MAX_NAMES: Final = 10  # steps of a funnel, lines of a chart
_EPOCH: Final = date(1970, 1, 1)


def summary(model: Model, label: str = "") -> Json:
    """Count what is kept, by the rule for `duplicates`. `revenue` is an exact sum as text."""
    products = model.products(label)
    amounts = (amount for product in products for amount in product.revenue.values())
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
    listed = [{"identities": one.identities, "events": sum(map(len, one.events.values()))} for one in page]
    return {"people": listed, "next": page[-1].number if page and len(found) > limit else None}


def person(model: Model, identity: str, label: str = "", *, limit: int | None = None, after: int = 0) -> Json | None:
    """Return what is kept of one person, oldest first, by any of their identities; None when nobody has it.

    Of the events and values of properties, `after` are skipped and `limit` returned, all when None; so of the
    identities. When there are more items, `next` is the `after` of the next page.
    """
    identities, items = _kept(model, identity, label)
    if not identities:
        return None
    # Products may write a name in different ways: the oldest product's way counts.
    names = {rules.fold(name.text): name.text for _, name, _ in reversed(items)}
    events: list[Json] = []
    properties: dict[str, list[Json]] = {}
    end = len(items) if limit is None else after + limit
    for second, name, value in sorted(items, key=itemgetter(0))[after:end]:
        if value == "":  # only an event's is
            events.append({"name": name.text, "timestamp": second})
        else:
            values = properties.setdefault(names[rules.fold(name.text)], [])
            values.append({"value": rules.json_value(value), "timestamp": second})
    answer = {"identities": identities[:limit], "events": events, "properties": properties}
    return {**answer, "next": end} if end < len(items) else answer


def events(model: Model, label: str = "") -> list[Json]:
    """List event names with the `count` of their instances and of `people`, the most frequent first."""
    listed: dict[str, Json] = {}
    for product in model.products(label):
        for folded, name in product.events.items():
            event = listed.setdefault(folded, {"name": name.text, "count": 0, "people": 0})
            event["count"] += name.count
            event["people"] += name.people
    return sorted(listed.values(), key=lambda event: -event["count"])


def query_products(model: Model, *, offset: int = 0, limit: int = 50) -> Json:
    """List products as Kissmetrics' Query API does; a product's ID is its label."""
    labels = dict.fromkeys(rules.label_of(product.key) for product in model.products())
    listed = [{"id": label, "account_id": "sandbox", "name": label, "timezone": "Etc/UTC"} for label in labels]
    return {"data": listed[offset : offset + limit]}


def query_events(model: Model, product_id: str, *, offset: int = 0, limit: int = 50) -> Json:
    """List a product's events as Kissmetrics' Query API does, with days for times; a product begins without calls."""
    listed: list[Json] = []
    names = (item for product in model.products(product_id) for item in product.events.items() if item[1].count)
    for folded, name in names:
        days = [day for day, count in name.days.items() if count]
        first, last = (f"{_EPOCH + timedelta(days=day)}T00:00:00Z" for day in (min(days), max(days)))
        times = {"first_used_at": first, "last_used_at": last, "first_sent_at": first, "last_sent_at": last}
        event = {"id": folded, "product_id": product_id, "name": name.text, "visible": True, "total": name.count}
        listed.append(event | times)
    return {"events": listed[offset : offset + limit]}


def not_kept(model: Model, label: str = "", *, limit: int = 100, reason: str = "") -> list[Json]:
    """List what was not kept, the latest first; for one reason alone when it is given."""
    labelled = (one for one in reversed(model.not_kept) if label in ("", rules.label_of(one.product)))
    chosen = (one for one in labelled if reason in ("", one.reason))
    return [{"reason": one.reason, "path": one.path, "parameters": one.parameters} for one in islice(chosen, limit)]


def losses(model: Model, label: str = "") -> dict[str, int]:
    """Count what was not kept by reason, the most frequent first."""
    return dict(sum((product.losses for product in model.products(label)), Counter[str]()).most_common())


def calls(model: Model, label: str = "", *, limit: int = 50, path: str = "") -> Json:
    """List calls as they arrived, the latest first; those of one path when it is given."""
    labelled = (one for one in reversed(model.arrivals) if label in ("", rules.label_of(one.call.product)))
    chosen = (one for one in labelled if path in ("", one.call.path))
    listed = [
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
    return {"calls": listed}


def events_by_month(model: Model, names: Sequence[str], label: str = "") -> list[Json]:
    """Count the events of these names, without regard to case, by `months` that have some; without names, all events."""
    listed: list[Json] = []
    for shown in names[:MAX_NAMES] or ["All events"]:
        counts = Counter[str]()
        for product in model.products(label):
            folded = {rules.fold(rules.clean(shown))} if names else product.events.keys()
            for name in folded & product.events.keys():
                for day, count in product.events[name].days.items():
                    counts[_month(day)] += count
        listed.append({"name": shown, "months": {month: count for month, count in sorted(counts.items()) if count}})
    return listed


def revenue_by_month(model: Model, label: str = "") -> list[Json]:
    """Sum up the revenue property, exactly, by the months that have some."""
    sums: dict[str, Decimal] = {}
    for product in model.products(label):
        for day, amount in product.revenue.items():
            sums[_month(day)] = rules.EXACT.add(sums.get(_month(day), Decimal(0)), amount)
    return [{"month": month, "revenue": format(amount, "f")} for month, amount in sorted(sums.items())]


def _month(day: int) -> str:
    return f"{_EPOCH + timedelta(days=day):%Y-%m}"


def funnel(model: Model, names: Sequence[str], label: str = "") -> list[Json]:
    """Count the `people` who did some events, 10 at most, one after the other, by the step they came to.

    A step counts from the second of the step before it on; when both are the same event, after it.
    """
    steps = [rules.fold(rules.clean(name)) for name in names[:MAX_NAMES]]
    reached = [0] * len(steps)
    for person in model.people(label):
        second, before = 0, None
        for number, step in enumerate(steps):
            name = person.product.events.get(step)
            earliest = second + 1 if step == before else second
            first = None if name is None else next(since(person.events, name, earliest), None)
            if first is None:
                break
            reached[number] += 1
            second, before = first.second, step
    return [{"name": name, "people": people} for name, people in zip(names, reached, strict=False)]


def search(model: Model, text: str = "", label: str = "", *, limit: int = 20) -> Json:
    """Find a text in identities, events' and properties' names, without regard to case, `limit` of each kind.

    Of `people`, an identity that is the very text comes first.
    """
    wanted = text.strip().lower()
    found = dict.fromkeys([text.strip()] if _kept(model, text, label)[0] else [])
    for person in model.people(label):
        found.update(dict.fromkeys(identity for identity in person.identities if wanted in identity.lower()))
        if len(found) > limit:
            break
    products = model.products(label)
    events = {name.text: None for one in products for folded, name in one.events.items() if wanted in folded}
    properties = {name.text: None for one in products for folded, name in one.properties.items() if wanted in folded}
    listed = {"people": list(found), "events": list(events), "properties": list(properties)}
    return {kind: names[:limit] for kind, names in listed.items()} | {"more_people": len(found) > limit}


def _kept(model: Model, identity: str, label: str) -> tuple[list[str], list[tuple[int, Name, str]]]:
    """Return the identities of whom an identity is, in all products, and second, name and value of what they have."""
    key = rules.clean(identity)
    found = [product.people[key] for product in model.products(label) if key in product.people]
    kinds = (kind for person in found for kind in (person.events, person.properties))
    items = [(second, name, value) for kind in kinds for name, of_name in kind.items() for second, value in of_name]
    return list(dict.fromkeys(one for person in found for one in person.identities)), items
