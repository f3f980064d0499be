"""The events and the properties of people: their instances, with counts of each name. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice, takewhile
from operator import itemgetter
from typing import Final, NamedTuple

from target_kissmetrics.sandbox import rules

_SECONDS_A_DAY: Final = 86_400
_SECOND: Final = itemgetter(0)


class Instance(NamedTuple):
    """An event, whose value is empty, or a property's value since a second."""

    second: int
    value: str = ""


@dataclass(slots=True, eq=False)
class Name:
    """The name of an event or a property of a product, with counts of the instances that are kept of it.

    `text` is the name as first written. `days` counts instances, and `revenue` sums up the numbers of the revenue
    property exactly, by day (days since the Unix epoch).
    """

    text: str
    is_revenue: bool = False
    count: int = 0
    people: int = 0
    days: Counter[int] = field(default_factory=Counter)
    revenue: dict[int, Decimal] = field(default_factory=dict)

    def add(self, instance: Instance, sign: int = 1) -> None:
        """Count an instance; with a sign of -1, one that is dropped."""
        day = instance.second // _SECONDS_A_DAY
        self.count += sign
        self.days[day] += sign
        if self.is_revenue and (amount := rules.number_of(instance.value)) is not None:
            change = amount if sign > 0 else amount.copy_negate()
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

    def has(self, name: Name, second: int, value: str | None = None) -> bool:
        """Return whether there is an instance in a second, of this value if one is given."""
        there = takewhile(lambda one: one.second == second, self._from(name, second))
        return any(value is None or rules.fold_value(one.value) == rules.fold_value(value) for one in there)

    def first_from(self, name: Name, second: int) -> int | None:
        """Return the second of a name's first instance in that second or later; None when there is none."""
        return next((one.second for one in self._from(name, second)), None)

    def add(self, name: Name, instance: Instance) -> list[tuple[Name, Instance]]:
        """Add an instance; return the oldest one, maybe the new one, if it is dropped: there were 1,000 before."""
        instances = self._of(name)
        insort_right(instances, instance, key=_SECOND)
        name.add(instance)
        return self._drop(name, instances)

    def join(self, other: Instances) -> list[tuple[Name, Instance]]:
        """Take over the instances of another person; return those that are dropped, as with `add`."""
        dropped = []
        for name, instances in other._by_name.items():
            own = self._of(name)
            name.people -= 1
            own += instances
            own.sort(key=_SECOND)
            dropped += self._drop(name, own)
        return dropped

    def _from(self, name: Name, second: int) -> Iterator[Instance]:
        instances = self._by_name.get(name, [])
        return islice(instances, bisect_left(instances, second, key=_SECOND), None)

    def _of(self, name: Name) -> list[Instance]:
        if name not in self._by_name:
            self._by_name[name] = []
            name.people += 1
        return self._by_name[name]

    def _drop(self, name: Name, instances: list[Instance]) -> list[tuple[Name, Instance]]:
        dropped = instances[: -rules.MAX_INSTANCES]
        del instances[: len(dropped)]
        for instance in dropped:
            name.add(instance, sign=-1)
        return [(name, instance) for instance in dropped]
