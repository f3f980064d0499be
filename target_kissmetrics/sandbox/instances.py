"""The events and the properties of people: their instances, with counts of each name. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort_right
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Final, NamedTuple

from target_kissmetrics.sandbox import rules

SECONDS_A_DAY: Final = 86_400


class Instance(NamedTuple):
    """An event, whose value is empty, or a property's value since a second."""

    second: int
    value: str = ""


_SECOND: Final = itemgetter(0)


class Name:
    """The name of an event or a property of a product, with counts of what is kept under it.

    Attributes:
        text: The name as first written.
        count: Its instances.
        people: How many people have one.
        days: Its instances by day (days since the Unix epoch).
        revenue: For the revenue property, the exact sum of its numbers by day.
    """

    __slots__ = ("_is_revenue", "count", "days", "people", "revenue", "text")

    def __init__(self, text: str, *, is_revenue: bool = False) -> None:
        self.text = text
        self.count = 0
        self.people = 0
        self.days: Counter[int] = Counter()
        self.revenue: dict[int, Decimal] = {}
        self._is_revenue = is_revenue

    def add(self, instance: Instance) -> None:
        """Count an instance that is kept."""
        self._count(instance, 1)

    def remove(self, instance: Instance) -> None:
        """Count an instance that is kept no longer."""
        self._count(instance, -1)

    def _count(self, instance: Instance, by: int) -> None:
        day = instance.second // SECONDS_A_DAY
        self.count += by
        self.days[day] += by
        if self._is_revenue and (amount := rules.number_of(instance.value)) is not None:
            change = amount if by > 0 else amount.copy_negate()
            self.revenue[day] = rules.EXACT.add(self.revenue.get(day, Decimal(0)), change)


class Instances:
    """The instances of one person's events, or of their properties: by name, oldest first, at most 1,000 of a name."""

    __slots__ = ("_by_name",)

    def __init__(self) -> None:
        self._by_name: dict[Name, list[Instance]] = {}

    def __len__(self) -> int:
        """Count the instances of all names."""
        return sum(map(len, self._by_name.values()))

    def __iter__(self) -> Iterator[tuple[Name, Instance]]:
        """Iterate by name, each name's oldest first."""
        return ((name, instance) for name, instances in self._by_name.items() for instance in instances)

    def in_second(self, name: Name, second: int) -> Sequence[Instance]:
        """Return a name's instances in one second: at most one, or more when people were joined."""
        instances = self._by_name.get(name, [])
        return instances[bisect_left(instances, second, key=_SECOND) : bisect_right(instances, second, key=_SECOND)]

    def first_from(self, name: Name, second: int) -> int | None:
        """Return the second of a name's first instance in that second or later; None when there is none."""
        instances = self._by_name.get(name, [])
        at = bisect_left(instances, second, key=_SECOND)
        return instances[at].second if at < len(instances) else None

    def add(self, name: Name, instance: Instance) -> list[tuple[Name, Instance]]:
        """Add an instance, also beside one of the same name and second.

        Returns:
            The oldest instance when there are more than 1,000 now: it is dropped, and may be the new one.
        """
        instances = self._of(name)
        insort_right(instances, instance, key=_SECOND)
        name.add(instance)
        return self._limit(name)

    def join(self, other: Instances) -> list[tuple[Name, Instance]]:
        """Add all instances of another person, who is no longer one.

        Returns:
            The oldest instances of names that have more than 1,000 now: they are dropped.
        """
        dropped = []
        for name, instances in other._by_name.items():
            own = self._of(name)
            name.people -= 1
            own += instances
            own.sort(key=_SECOND)
            dropped += self._limit(name)
        return dropped

    def _of(self, name: Name) -> list[Instance]:
        instances = self._by_name.get(name)
        if instances is None:
            instances = self._by_name[name] = []
            name.people += 1
        return instances

    def _limit(self, name: Name) -> list[tuple[Name, Instance]]:
        instances = self._by_name[name]
        dropped = instances[: -rules.MAX_INSTANCES]
        if dropped:
            del instances[: -rules.MAX_INSTANCES]
            for instance in dropped:
                name.remove(instance)
        return [(name, instance) for instance in dropped]
