"""The JSON behind the page's views, taken from a model. Pure.

`label` is as in `answers`. Nothing here goes through all events: they are counted as they arrive, and a list has pages.
A funnel and a search go through all people, a part at a time.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Context, Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from target_kissmetrics.sandbox import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from target_kissmetrics.sandbox.model import Model
    from target_kissmetrics.sandbox.people import Person, Product

Bucket = Literal["day", "week", "month"]
Json = dict[str, Any]

MOST_BUCKETS: Final = 400
"""Points in time of one chart; a longer span is counted in longer buckets."""

MOST_STEPS: Final = 10
"""Steps of a funnel."""

PEOPLE_AT_A_TIME: Final = 5_000
"""How many people a funnel or a search looks at before calls that wait get their turn."""

_BUCKETS: Final[tuple[Bucket, ...]] = ("day", "week", "month")
_EPOCH: Final = date(1970, 1, 1)
_EXACT: Final = Context(prec=300)
_MOST_PROPERTIES: Final = 500


def calls(model: Model, label: str = "", *, limit: int = 50, path: str = "") -> Json:
    """List calls as they arrived, the latest first; those of one path when it is given."""
    chosen = (one for one in model.arrivals() if label in ("", rules.label_of(one.product)) and path in ("", one.path))
    return {
        "calls": [
            {
                "number": one.number,
                "path": one.path,
                "arrived": one.arrived,
                "product": rules.label_of(one.product),
                "parameters": one.parameters,
                "not_kept": list(dict.fromkeys(one.reasons)),
            }
            for one in islice(chosen, limit)
        ]
    }


def losses(model: Model, label: str = "") -> dict[str, int]:
    """Count what was not kept by reason, the most frequent first."""
    counted: Counter[str] = Counter()
    for product in model.products(label):
        counted.update(product.losses)
    return dict(counted.most_common())


class _Entry(NamedTuple):
    """A moment of a person's time line. Sorted: by time; in one second properties come with their event, after it."""

    second: int
    kind: Literal["event", "property"]
    name: str
    value: str
    earlier: str | None


def timeline(model: Model, identity: str, label: str = "", *, limit: int = 50, after: int = 0) -> Json | None:
    """Show a person's events and changes of properties, the latest first.

    Args:
        model: The sandbox's.
        identity: Any of the person's identities.
        label: As everywhere.
        limit: Entries of one page.
        after: Entries to pass over: the `next` of the page before.

    Returns:
        `identities`, `properties` (the last value of each, the first 500), `entries`, `total` and `next` (null on the
        last page); None when nobody has the identity.
    """
    name = rules.clean(identity)
    found = [product.people[name] for product in model.products(label) if name in product.people]
    if not found:
        return None
    entries: list[_Entry] = []
    current: dict[str, _Entry] = {}
    for person in found:
        events = person.product.events.names
        entries.extend(_Entry(one.second, "event", events[one.name], "", None) for one in person.events)
        changes = list(_changes(person))
        entries.extend(changes)
        # Each name's oldest value comes first, so that the last one stays.
        current.update((rules.fold(change.name), change) for change in changes)
    entries.sort(key=lambda entry: (-entry.second, entry.kind, entry.name))
    return {
        "identities": list(dict.fromkeys(one for person in found for one in person.identities)),
        "properties": [
            {"name": one.name, "value": rules.json_value(one.value), "timestamp": one.second}
            for one in sorted(current.values(), key=lambda one: one.name.lower())[:_MOST_PROPERTIES]
        ],
        "entries": [_entry_shown(entry) for entry in entries[after : after + limit]],
        "total": len(entries),
        "next": after + limit if after + limit < len(entries) else None,
    }


def _changes(person: Person) -> Iterator[_Entry]:
    """Go through a person's values by name, oldest first, each with the one before it."""
    names = person.product.properties.names
    last_name, last_value = -1, None
    for one in person.properties:
        earlier = last_value if one.name == last_name else None
        yield _Entry(one.second, "property", names[one.name], one.value, earlier)
        last_name, last_value = one.name, one.value


def _entry_shown(entry: _Entry) -> Json:
    shown: Json = {"kind": entry.kind, "name": entry.name, "timestamp": entry.second}
    if entry.kind == "property":
        shown["value"] = rules.json_value(entry.value)
        shown["before"] = None if entry.earlier is None else rules.json_value(entry.earlier)
    return shown


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
    counted = {name: _days(model.products(label), rules.fold(rules.clean(name))) for name in names}
    if not names:
        counted = {"All events": _days(model.products(label), None)}
    days = [day for one in counted.values() for day, count in one.items() if count]
    wanted = _BUCKETS.index(bucket) if bucket in _BUCKETS else 0
    if not days:
        return {"bucket": _BUCKETS[wanted], "starts": [], "events": [{"name": one, "counts": []} for one in counted]}
    for chosen in _BUCKETS[wanted:]:
        starts = _starts(min(days), max(days), chosen)
        if len(starts) <= MOST_BUCKETS:
            break
    starts = starts[-MOST_BUCKETS:]
    place = {start: at for at, start in enumerate(starts)}
    events = []
    for name, by_day in counted.items():
        counts = [0] * len(starts)
        for day, count in by_day.items():
            at = place.get(_start(day, chosen))
            if at is not None:
                counts[at] += count
        events.append({"name": name, "counts": counts})
    return {"bucket": chosen, "starts": [start.isoformat() for start in starts], "events": events}


def _days(products: Sequence[Product], folded: str | None) -> Counter[int]:
    counted: Counter[int] = Counter()
    for product in products:
        tally = product.events
        number = None if folded is None else tally.find(folded)
        if folded is None:
            for days in tally.days:
                counted.update(days)
        elif number is not None:
            counted.update(tally.days[number])
    return counted


def _start(day: int, bucket: Bucket) -> date:
    of_day = _EPOCH + timedelta(days=day)
    if bucket == "week":
        return of_day - timedelta(days=of_day.weekday())
    return of_day.replace(day=1) if bucket == "month" else of_day


def _starts(first: int, last: int, bucket: Bucket) -> list[date]:
    """Give all buckets from the first day's to the last day's, also those without events."""
    if bucket == "month":
        one, other = _start(first, bucket), _start(last, bucket)
        months = (other.year - one.year) * 12 + other.month - one.month
        return [
            date(one.year + (one.month - 1 + at) // 12, (one.month - 1 + at) % 12 + 1, 1) for at in range(months + 1)
        ]
    step = 7 if bucket == "week" else 1
    one = _start(first, bucket)
    return [one + timedelta(days=at) for at in range(0, (_start(last, bucket) - one).days + 1, step)]


def revenue_by_month(model: Model, label: str = "") -> list[Json]:
    """Sum up the revenue property by month, exactly, months without any in between included."""
    sums: dict[date, Decimal] = {}
    for product in model.products(label):
        for day, amount in product.revenue_by_day.items():
            month = _start(day, "month")
            sums[month] = _EXACT.add(sums.get(month, Decimal(0)), amount)
    if not sums:
        return []
    first, last = ((month - _EPOCH).days for month in (min(sums), max(sums)))
    months = _starts(first, last, "month")
    return [{"month": f"{month:%Y-%m}", "revenue": format(sums.get(month, Decimal(0)), "f")} for month in months]


class Funnel:
    """Counts the people who did some events one after the other, in any stretch of time.

    A step counts from the second of the step before it on; when both are the same event, after it.

    Args:
        model: The sandbox's.
        steps: The events' names.
        label: As everywhere.
    """

    def __init__(self, model: Model, steps: Sequence[str], label: str = "") -> None:
        self._people = model.people()
        folded = [rules.fold(rules.clean(step)) for step in steps]
        self._numbers: Mapping[str, list[int | None]] = {
            product.key: [product.events.find(name) for name in folded] for product in model.products(label)
        }
        self._steps = list(steps)
        self._reached = [0] * len(steps)

    def go_on(self) -> bool:
        """Look at some more people; false when there are none left."""
        some = list(islice(self._people, PEOPLE_AT_A_TIME))
        for person in some:
            numbers = self._numbers.get(person.product.key)
            if numbers is not None:
                self._follow(person, numbers)
        return bool(some)

    def _follow(self, person: Person, numbers: Sequence[int | None]) -> None:
        second, before = 0, None
        for at, number in enumerate(numbers):
            if number is None:
                return
            found = person.events.first_from(number, second + 1 if number == before else second)
            if found is None:
                return
            self._reached[at] += 1
            second, before = found, number

    def answer(self) -> list[Json]:
        """Give each step's name, and how many people came that far."""
        return [{"name": name, "people": people} for name, people in zip(self._steps, self._reached, strict=True)]


class Search:
    """Finds a text in identities, events' and properties' names, without regard to case.

    Args:
        model: The sandbox's.
        text: What to look for.
        label: As everywhere.
        limit: How many of each kind are listed.
    """

    def __init__(self, model: Model, text: str, label: str = "", *, limit: int = 20) -> None:
        self._text = text.strip().lower()
        self._limit = limit
        self._products = model.products(label)
        labels = {product.key for product in self._products}
        self._people = (one for one in model.people() if one.product.key in labels)
        self._exact = [text.strip()] if any(rules.clean(text) in product.people for product in self._products) else []
        self._found: list[str] = []

    def go_on(self) -> bool:
        """Look at some more people; false when there are none left, or enough were found."""
        some = list(islice(self._people, PEOPLE_AT_A_TIME))
        for person in some:
            self._found.extend(one for one in person.identities if self._text in one.lower())
        return bool(some) and len(self._found) <= self._limit

    def answer(self) -> Json:
        """Give what was found: an identity that is the very text comes first."""
        people = list(dict.fromkeys([*self._exact, *self._found]))
        return {
            "people": people[: self._limit],
            "events": self._names(lambda product: product.events.names),
            "properties": self._names(lambda product: product.properties.names),
            "more_people": len(people) > self._limit,
        }

    def _names(self, names_of: Callable[[Product], Sequence[str]]) -> list[str]:
        names = (name for product in self._products for name in names_of(product) if self._text in name.lower())
        return list(islice(dict.fromkeys(names), self._limit))
