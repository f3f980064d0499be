"""The JSON that the sandbox's API answers, as docs/reference/sandbox.md describes it. Pure.

Everywhere, `label` is the first 8 characters of a product's key, or empty for all products together. Together, counts
are added up, a name is one name without regard to case, and the same identity in two products is two people; only a
look at one identity shows what all products have of it. A `timestamp` is in seconds since the Unix epoch.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from target_kissmetrics.sandbox import rules
from target_kissmetrics.sandbox.model import Instance, Model

Json = dict[str, Any]

MAX_OF_A_PERSON: Final = 500  # items of one page


def summary(model: Model, label: str = "") -> Json:
    """Count what is kept, by the rule for `duplicates`. `revenue` is an exact sum as text."""
    products, people = model.products(label), list(model.people(label))
    return {
        "people": len(people),
        "events": sum(len(instances) for one in people for instances in one.events.values()),
        "event_names": len({name for product in products for name in product.events}),
        "property_names": len({name for product in products for name in product.properties}),
        "aliases": sum(len(product.aliases) for product in products),
        "revenue": format(reduce(rules.EXACT.add, (amount for _, amount in _amounts(model, label)), Decimal(0)), "f"),
        "calls": sum(product.calls for product in products),
        "not_kept": sum(product.losses.total() for product in products),
        "duplicates": model.duplicates,
    }


def people(model: Model, label: str = "", *, text: str = "", limit: int = 100, after: int = -1) -> Json:
    """List people past number `after`, the oldest first; `next` is the `after` of the next page, null on the last.

    With a `text`, those of whom an identity holds it, without regard to case.
    """
    wanted = text.strip().lower()
    everyone = model.people(label, after)
    chosen = (one for one in everyone if not wanted or any(wanted in name.lower() for name in one.identities))
    found = list(islice(chosen, limit + 1))
    page = found[:limit]
    listed = [{"identities": one.identities, "events": sum(map(len, one.events.values()))} for one in page]
    return {"people": listed, "next": page[-1].number if page and len(found) > limit else None}


def person(model: Model, identity: str, label: str = "", *, limit: int | None = None, after: int = 0) -> Json | None:
    """Return what is kept of one person, oldest first, by any of their identities; None when nobody has it.

    Of the events and values of properties, `after` are skipped and `limit` returned, all when None; so of the
    identities. When there are more items, `next` is the `after` of the next page.
    """
    key = rules.clean(identity)
    found = [product.people[key] for product in model.products(label) if key in product.people]
    if not found:
        return None
    # Products may write a name in different ways: the oldest product's way counts.
    names = {name: text for one in reversed(found) for name, text in one.product.properties.items()}
    kept: list[tuple[int, str, str]] = []
    for one in found:
        for name, instances in one.events.items():
            kept += [(second, one.product.events[name], "") for second, _ in instances]
        for name, instances in one.properties.items():
            kept += [(second, names[name], value) for second, value in instances]
    kept.sort(key=itemgetter(0))
    identities = list(dict.fromkeys(name for one in found for name in one.identities))
    events: list[Json] = []
    properties: dict[str, list[Json]] = {}
    end = len(kept) if limit is None else after + limit
    for second, name, value in kept[after:end]:
        if value == "":  # only an event's is
            events.append({"name": name, "timestamp": second})
        else:
            properties.setdefault(name, []).append({"value": rules.json_value(value), "timestamp": second})
    answer = {"identities": identities[:limit], "events": events, "properties": properties}
    return {**answer, "next": end} if end < len(kept) else answer


def events(model: Model, label: str = "") -> list[Json]:
    """List event names with the `count` of their instances and of `people`, the most frequent first."""
    found = _kept_events(model, label).values()
    listed = [{"name": text, "count": sum(map(len, kept)), "people": len(kept)} for text, kept in found]
    return sorted(listed, key=lambda event: -event["count"])


def query_products(model: Model, *, offset: int = 0, limit: int = 50) -> Json:
    """List products as Kissmetrics' Query API does; a product's ID is its label."""
    labels = dict.fromkeys(rules.label_of(product.key) for product in model.products())
    listed = [{"id": label, "account_id": "sandbox", "name": label, "timezone": "Etc/UTC"} for label in labels]
    return {"data": listed[offset : offset + limit]}


def query_events(model: Model, product_id: str, *, offset: int = 0, limit: int = 50) -> Json:
    """List a product's events as Kissmetrics' Query API does, by when they took place; a product begins without."""
    listed: list[Json] = []
    for name, (text, kept) in _kept_events(model, product_id).items():
        moments = min(instances[0].second for instances in kept), max(instances[-1].second for instances in kept)
        first, last = (f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}" for second in moments)
        used = {"first_used_at": first, "last_used_at": last, "first_sent_at": first, "last_sent_at": last}
        event = {"id": name, "product_id": product_id, "name": text, "visible": True, "total": sum(map(len, kept))}
        listed.append(event | used)
    return {"events": listed[offset : offset + limit]}


def not_kept(model: Model, label: str = "", *, limit: int = 100, reason: str = "") -> list[Json]:
    """List what was not kept, the latest first; for one reason alone when it is given."""
    labelled = (one for one in reversed(model.not_kept) if label in ("", rules.label_of(one.product)))
    chosen = (one for one in labelled if reason in ("", one.reason))
    return [{"reason": one.reason, "path": one.path, "parameters": one.parameters} for one in islice(chosen, limit)]


def losses(model: Model, label: str = "") -> dict[str, int]:
    """Count what was not kept by reason, the most frequent first."""
    return dict(sum((product.losses for product in model.products(label)), Counter[str]()).most_common())


def calls(model: Model, label: str = "", *, limit: int = 50, path: str = "") -> list[Json]:
    """List calls as they arrived, the latest first; those of one path when it is given."""
    labelled = (one for one in reversed(model.arrivals) if label in ("", rules.label_of(one[0].product)))
    chosen = ((call, set(reasons)) for call, reasons in labelled if path in ("", call.path))
    return [
        {"path": call.path, "arrived": call.arrived, "parameters": call.parameters, "not_kept": sorted(reasons)}
        for call, reasons in islice(chosen, limit)
    ]


def months(model: Model, label: str = "") -> list[Json]:
    """Count events, and sum up the revenue property exactly, by the months that have some."""
    events: Counter[str] = Counter()
    revenue: dict[str, Decimal] = {}
    for one in model.people(label):
        events.update(_month(second) for instances in one.events.values() for second, _ in instances)
    for second, amount in _amounts(model, label):
        revenue[_month(second)] = rules.EXACT.add(revenue.get(_month(second), Decimal(0)), amount)
    return [
        {"month": month, "events": events[month], "revenue": format(revenue.get(month, Decimal(0)), "f")}
        for month in sorted({*events, *revenue})
    ]


def _amounts(model: Model, label: str) -> Iterator[tuple[int, Decimal]]:
    """Iterate over all that was set of the revenue property, with its seconds."""
    for one in model.people(label):
        for second, value in one.properties.get(model.revenue_name, ()):
            if (amount := rules.number_of(value)) is not None:
                yield second, amount


def _month(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m}"


def _kept_events(model: Model, label: str) -> dict[str, tuple[str, list[list[Instance]]]]:
    """Return of each event's name, as it compares, the oldest way to write it and the instances of each person."""
    found: dict[str, tuple[str, list[list[Instance]]]] = {}
    for product in model.products(label):
        for name, text in product.events.items():
            found.setdefault(name, (text, []))
    for one in model.people(label):
        for name, instances in one.events.items():
            found[name][1].append(instances)
    return found
