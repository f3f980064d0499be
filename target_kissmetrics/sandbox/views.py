"""The JSON behind the page's time lines, charts, funnel and search. Pure.

`label` is as in `answers`. Events are counted by day as they arrive; a time line has pages; a funnel and a search go
through all people and give calls that wait their turn.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from typing import Final

from target_kissmetrics.sandbox import rules
from target_kissmetrics.sandbox.answers import Json, identities, with_identity
from target_kissmetrics.sandbox.instances import Name
from target_kissmetrics.sandbox.model import Model, Person

MAX_BUCKETS: Final = 400
"""Points in time of one chart; a longer span is counted in longer buckets."""

MAX_STEPS: Final = 10
"""Steps of a funnel."""

_PEOPLE_AT_A_TIME: Final = 5_000
_EPOCH: Final = date(1970, 1, 1)
_BUCKETS: Final = {"day": 1, "week": 7, "month": 31}
"""The longest that one lasts, in days."""


def timeline(model: Model, identity: str, label: str = "", *, limit: int = 50, after: int = 0) -> Json | None:
    """Return a person's events and changes of properties, the latest first; None when nobody has the identity.

    `after` entries are skipped: the `next` of the page before, which is null on the last one. `properties` are the last
    value of each, 500 at most. In one second, the properties of an event come after it.
    """
    found = with_identity(model, identity, label)
    if not found:
        return None
    entries: list[Json] = []
    last: dict[str, Json] = {}
    for person in found:
        entries += [{"kind": "event", "name": name.text, "timestamp": event.second} for name, event in person.events]
        before: dict[Name, int | float | str] = {}
        for name, (second, text) in person.properties:
            value = rules.json_value(text)
            property_ = {"name": name.text, "value": value, "timestamp": second}
            entries.append({"kind": "property", **property_, "before": before.get(name)})
            before[name] = value
            last[rules.fold(name.text)] = property_
    entries.sort(key=lambda entry: (-entry["timestamp"], entry["kind"], entry["name"]))
    return {
        "identities": identities(found),
        "properties": [last[name] for name in sorted(last)[:500]],
        "entries": entries[after : after + limit],
        "total": len(entries),
        "next": after + limit if after + limit < len(entries) else None,
    }


def events_over_time(model: Model, names: Sequence[str], bucket: str = "day", label: str = "") -> Json:
    """Count the events of these names, without regard to case, over time; all events together if there are none.

    The answer counts by `bucket`: `day`, `week` (from Monday) or `month`, a longer one than was asked for when there
    would be more than 400. `starts` are the first days of each, and each of `events` has as many counts.
    """
    days: dict[str, Counter[int]] = {name: Counter() for name in names or ["All events"]}
    for product in model.products(label):
        for name, counts in days.items():
            folded = rules.fold(rules.clean(name))
            for one in filter(None, [product.events.get(folded)] if names else product.events.values()):
                counts.update(one.days)
    sizes = list(_BUCKETS)
    used = [day for counts in days.values() for day, count in counts.items() if count]
    for bucket in sizes[sizes.index(bucket) if bucket in sizes else 0 :]:  # noqa: B020, PLR1704 - answered
        starts = _starts(used, bucket)
        if len(starts) <= MAX_BUCKETS:
            break
    starts = starts[-MAX_BUCKETS:]
    events = []
    for name, counts in days.items():
        summed = Counter[date]()
        for day, count in counts.items():
            summed[_start(_EPOCH + timedelta(days=day), bucket)] += count
        events.append({"name": name, "counts": [summed[start] for start in starts]})
    return {"bucket": bucket, "starts": [start.isoformat() for start in starts], "events": events}


def revenue_by_month(model: Model, label: str = "") -> list[Json]:
    """Sum up the revenue property by month, exactly, months without any in between included."""
    sums: dict[date, Decimal] = {}
    days: set[int] = set()
    for product in model.products(label):
        days.update(product.revenue_by_day)
        for day, amount in product.revenue_by_day.items():
            month = _start(_EPOCH + timedelta(days=day), "month")
            sums[month] = rules.EXACT.add(sums.get(month, Decimal(0)), amount)
    months = _starts(days, "month")
    return [{"month": f"{month:%Y-%m}", "revenue": format(sums.get(month, Decimal(0)), "f")} for month in months]


def _start(day: date, bucket: str) -> date:
    """Return the first day of a day's bucket."""
    if bucket == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if bucket == "month" else day


def _starts(days: Collection[int], bucket: str) -> list[date]:
    """Return the starts of all buckets from the first day's to the last day's, also of those without events."""
    starts: list[date] = []
    if days:
        first, last = _EPOCH + timedelta(days=min(days)), _EPOCH + timedelta(days=max(days))
        starts.append(_start(first, bucket))
        while (following := _start(starts[-1] + timedelta(days=_BUCKETS[bucket]), bucket)) <= last:
            starts.append(following)
    return starts


async def funnel(model: Model, steps: Sequence[str], label: str = "") -> list[Json]:
    """Count the `people` who did some events one after the other, by the step they came to, in any stretch of time.

    A step counts from the second of the step before it on; when both are the same event, after it.
    """
    folded = [rules.fold(rules.clean(step)) for step in steps]
    reached = [0] * len(steps)
    async for person in _people(model, label):
        second, before = 0, None
        for number, step in enumerate(folded):
            name = person.product.events.get(step)
            first = None if name is None else person.events.first_from(name, second + 1 if step == before else second)
            if first is None:
                break
            reached[number] += 1
            second, before = first, step
    return [{"name": name, "people": people} for name, people in zip(steps, reached, strict=True)]


async def search(model: Model, text: str, label: str = "", *, limit: int = 20) -> Json:
    """Find a text in identities, events' and properties' names, without regard to case, `limit` of each kind.

    Of `people`, an identity that is the very text comes first.
    """
    wanted = text.strip().lower()
    found = [text.strip()] if with_identity(model, text, label) else []
    async for person in _people(model, label):
        found += [identity for identity in person.identities if wanted in identity.lower()]
        if len(found) > limit + 1:  # one may be there twice
            break

    def matching(names: Sequence[Mapping[str, Name]]) -> list[str]:
        texts = (name.text for one in names for folded, name in one.items() if wanted in folded)
        return list(islice(dict.fromkeys(texts), limit))

    people = list(dict.fromkeys(found))
    products = model.products(label)
    return {
        "people": people[:limit],
        "events": matching([product.events for product in products]),
        "properties": matching([product.properties for product in products]),
        "more_people": len(people) > limit,
    }


async def _people(model: Model, label: str) -> AsyncIterator[Person]:
    """Iterate over people; calls that wait get their turn now and then."""
    for number, person in enumerate(model.people(label), start=1):
        yield person
        if number % _PEOPLE_AT_A_TIME == 0:
            await asyncio.sleep(0)
