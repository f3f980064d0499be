"""The JSON behind the page's time lines, charts, funnel and search. Pure.

`label` is as in `answers`. Events are counted by day as they arrive; a time line has pages; a funnel and a search go
through all people and give calls that wait their turn.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from typing import Final, Literal, NamedTuple

from target_kissmetrics.sandbox import rules
from target_kissmetrics.sandbox.answers import Json, identities, with_identity
from target_kissmetrics.sandbox.instances import Name
from target_kissmetrics.sandbox.model import Model, Person, Product

MAX_BUCKETS: Final = 400
"""Points in time of one chart; a longer span is counted in longer buckets."""

MAX_STEPS: Final = 10
"""Steps of a funnel."""

_PEOPLE_AT_A_TIME: Final = 5_000
_MAX_PROPERTIES: Final = 500
_EPOCH: Final = date(1970, 1, 1)


class _Entry(NamedTuple):
    """A moment of a person's time line. Sorted by time; in one second properties come with their event, after it."""

    second: int
    kind: Literal["event", "property"]
    name: str
    value: str = ""
    before: str | None = None


def timeline(model: Model, identity: str, label: str = "", *, limit: int = 50, after: int = 0) -> Json | None:
    """Return a person's events and changes of properties, the latest first.

    Args:
        model: The sandbox's.
        identity: Any of the person's identities.
        label: As everywhere.
        limit: Entries of one page.
        after: Entries to skip: the `next` of the page before.

    Returns:
        `identities`, `properties` (the last value of each, the first 500), `entries`, `total` and `next` (null on the
        last page); None when nobody has the identity.
    """
    found = with_identity(model, identity, label)
    if not found:
        return None
    entries: list[_Entry] = []
    last: dict[str, _Entry] = {}
    for person in found:
        entries += [_Entry(event.second, "event", name.text) for name, event in person.events]
        before: tuple[Name | None, str] = (None, "")
        for name, instance in person.properties:
            earlier = before[1] if before[0] is name else None
            entry = _Entry(instance.second, "property", name.text, instance.value, earlier)
            entries.append(entry)
            last[rules.fold(name.text)] = entry
            before = (name, instance.value)
    entries.sort(key=lambda entry: (-entry.second, entry.kind, entry.name))
    return {
        "identities": identities(found),
        "properties": [
            {"name": one.name, "value": rules.json_value(one.value), "timestamp": one.second}
            for one in sorted(last.values(), key=lambda one: one.name.lower())[:_MAX_PROPERTIES]
        ],
        "entries": [_entry_json(entry) for entry in entries[after : after + limit]],
        "total": len(entries),
        "next": after + limit if after + limit < len(entries) else None,
    }


def _entry_json(entry: _Entry) -> Json:
    common = {"kind": entry.kind, "name": entry.name, "timestamp": entry.second}
    if entry.kind == "event":
        return common
    before = None if entry.before is None else rules.json_value(entry.before)
    return {**common, "value": rules.json_value(entry.value), "before": before}


_STARTS: Final[dict[str, Callable[[date], date]]] = {
    "day": lambda day: day,
    "week": lambda day: day - timedelta(days=day.weekday()),
    "month": lambda day: day.replace(day=1),
}
"""The first day of a day's bucket."""

_NEXT: Final[dict[str, Callable[[date], date]]] = {
    "day": lambda start: start + timedelta(days=1),
    "week": lambda start: start + timedelta(days=7),
    "month": lambda start: (start + timedelta(days=31)).replace(day=1),
}


def events_over_time(model: Model, names: Sequence[str], bucket: str = "day", label: str = "") -> Json:
    """Count events over time.

    Args:
        model: The sandbox's.
        names: Events' names, without regard to case; none: all events together.
        bucket: `day`, `week` (from Monday) or `month`; a longer one is taken when there would be more than 400.
        label: As everywhere.

    Returns:
        `bucket`, `starts` (the first day of each) and `events`, each with a count for each bucket.
    """
    products = model.products(label)
    by_name = {name: _days(products, rules.fold(rules.clean(name))) for name in names}
    if not names:
        by_name = {"All events": _days(products, None)}
    days = [day for counts in by_name.values() for day, count in counts.items() if count]
    sizes = list(_STARTS)
    starts: list[date] = []
    for size in sizes[sizes.index(bucket) if bucket in sizes else 0 :]:
        starts = _starts(days, size)
        if len(starts) <= MAX_BUCKETS:
            break
    starts = starts[-MAX_BUCKETS:]
    events = []
    for name, counts in by_name.items():
        counted = Counter[date]()
        for day, count in counts.items():
            counted[_STARTS[size](_date(day))] += count
        events.append({"name": name, "counts": [counted[start] for start in starts]})
    return {"bucket": size, "starts": [start.isoformat() for start in starts], "events": events}


def _days(products: Sequence[Product], folded: str | None) -> Counter[int]:
    """Count the instances of one event, or of all, by day."""
    counted = Counter[int]()
    for product in products:
        for name in product.events.values() if folded is None else filter(None, [product.events.get(folded)]):
            counted.update(name.days)
    return counted


def _date(day: int) -> date:
    return _EPOCH + timedelta(days=day)


def _starts(days: Sequence[int], size: str) -> list[date]:
    """Return all buckets from the first day's to the last day's, also those without events."""
    if not days:
        return []
    starts, last = [_STARTS[size](_date(min(days)))], _STARTS[size](_date(max(days)))
    while starts[-1] < last:
        starts.append(_NEXT[size](starts[-1]))
    return starts


def revenue_by_month(model: Model, label: str = "") -> list[Json]:
    """Sum up the revenue property by month, exactly, months without any in between included."""
    sums: dict[date, Decimal] = {}
    days = {day for product in model.products(label) for day in product.revenue_by_day}
    for product in model.products(label):
        for day, amount in product.revenue_by_day.items():
            month = _STARTS["month"](_date(day))
            sums[month] = rules.EXACT.add(sums.get(month, Decimal(0)), amount)
    months = _starts(sorted(days), "month")
    return [{"month": f"{month:%Y-%m}", "revenue": format(sums.get(month, Decimal(0)), "f")} for month in months]


async def funnel(model: Model, steps: Sequence[str], label: str = "") -> list[Json]:
    """Count the people who did some events one after the other, in any stretch of time.

    A step counts from the second of the step before it on; when both are the same event, after it.

    Returns:
        Each step's `name`, and how many `people` came that far.
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

    Returns:
        `people` (an identity that is the very text comes first), `events`, `properties`, `more_people`.
    """
    wanted = text.strip().lower()
    products = model.products(label)
    found = [text.strip()] if with_identity(model, text, label) else []
    async for person in _people(model, label):
        found += [identity for identity in person.identities if wanted in identity.lower()]
        if len(found) > limit + 1:  # one may be there twice
            break

    def matching(names: Sequence[dict[str, Name]]) -> list[str]:
        texts = (name.text for one in names for folded, name in one.items() if wanted in folded)
        return list(islice(dict.fromkeys(texts), limit))

    people = list(dict.fromkeys(found))
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
