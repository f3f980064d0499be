"""What happened over time, in a bounded number of points: neighbours become one when there are too many."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_POINTS = 120
"""Between half as many and so many are kept of a long run."""

FIRST_WIDTH_SECONDS = 0.5

_STEPS_PER_DOUBLING = 8
"""Durations are counted in steps of 2 ** (1 / 8): a percentile is a tenth too high at most, never too low."""

_SHORTEST_SECONDS = 1e-5


@dataclass(slots=True)
class Bucket:
    """What happened in one stretch of time.

    Attributes:
        rows: Read.
        calls: Taken.
        answered: Calls whose duration is known.
        longest: The longest of those durations, in seconds.
        durations: How many took about so long, by step.
    """

    rows: int = 0
    calls: int = 0
    answered: int = 0
    longest: float = 0.0
    durations: Counter[int] = field(default_factory=Counter)

    def add(self, other: Bucket) -> None:
        """Take in what happened in another one."""
        self.rows += other.rows
        self.calls += other.calls
        self.answered += other.answered
        self.longest = max(self.longest, other.longest)
        self.durations.update(other.durations)

    def percentile(self, part: float) -> float | None:
        """Give the duration, in seconds, that this part (0.5 is half) of the calls did not pass; None without calls."""
        if not self.answered:
            return None
        wanted, seen = part * self.answered, 0
        for step in sorted(self.durations):
            seen += self.durations[step]
            if seen >= wanted:
                return min(_upper_end(step), self.longest)
        return self.longest


@dataclass(frozen=True, slots=True)
class Point:
    """A bucket in its place.

    Attributes:
        begin: Seconds since the start of the run.
        seconds: How long it is.
        bucket: What happened.
    """

    begin: float
    seconds: float
    bucket: Bucket


class Series:
    """Buckets from the start of the run on, all of one width, which doubles when they would be too many."""

    def __init__(self) -> None:
        self._width = FIRST_WIDTH_SECONDS
        self._buckets: dict[int, Bucket] = {}

    def at(self, moment: float) -> Bucket:
        """Give the bucket of a moment, in seconds since the start of the run."""
        index = max(0, int(moment / self._width))
        if index >= MAX_POINTS:
            self._widen(moment)
            index = int(moment / self._width)
        bucket = self._buckets.get(index)
        if bucket is None:
            bucket = self._buckets[index] = Bucket()
        return bucket

    def count(self, moment: float, *, rows: int, calls: int) -> None:
        """Count rows that were read, and calls that were taken, up to a moment."""
        bucket = self.at(moment)
        bucket.rows += rows
        bucket.calls += calls

    def time(self, moment: float, seconds: float) -> None:
        """Take note of how long a call took that was answered at a moment."""
        bucket = self.at(moment)
        bucket.answered += 1
        bucket.durations[_step(seconds)] += 1
        bucket.longest = max(bucket.longest, seconds)

    def take_in(self, other: Series) -> None:
        """Add what happened in another series of the same run."""
        self._widen_to(other._width)
        for index, bucket in other._buckets.items():
            self.at((index + 0.5) * other._width).add(bucket)

    def total(self) -> Bucket:
        """Give all that happened as one bucket."""
        total = Bucket()
        for bucket in self._buckets.values():
            total.add(bucket)
        return total

    def points(self, seconds: float) -> list[Point]:
        """Give all buckets of a run that took so many seconds, empty ones among them.

        The last one ends with the run; where it is less than half as long as the others, it is part of the one before,
        or a rate would be of a moment.
        """
        if not self._buckets:
            return []
        if seconds / self._width >= MAX_POINTS:
            self._widen(seconds)
        last = max(*self._buckets, int(seconds / self._width))
        end = max(seconds, last * self._width)
        found = [(index * self._width, self._buckets.get(index, Bucket())) for index in range(last + 1)]
        if last and end - last * self._width < self._width / 2:
            rest = found.pop()[1]
            joined = Bucket()
            joined.add(found[-1][1])
            joined.add(rest)
            found[-1] = (found[-1][0], joined)
        ends = [begin for begin, _ in found[1:]] + [end]
        return [Point(begin, max(to - begin, 1e-3), bucket) for (begin, bucket), to in zip(found, ends, strict=True)]

    def _widen(self, moment: float) -> None:
        width = self._width
        while moment / width >= MAX_POINTS:
            width *= 2
        self._widen_to(width)

    def _widen_to(self, width: float) -> None:
        if width <= self._width:
            return
        factor = round(width / self._width)
        before, self._buckets, self._width = self._buckets, {}, width
        for index, bucket in before.items():
            there = self._buckets.get(index // factor)
            if there is None:
                self._buckets[index // factor] = bucket
            else:
                there.add(bucket)


def together(series: Iterable[Series]) -> Series:
    """Give the sum of several series of one run."""
    total = Series()
    for one in series:
        total.take_in(one)
    return total


def _step(seconds: float) -> int:
    return math.ceil(math.log2(max(seconds, _SHORTEST_SECONDS)) * _STEPS_PER_DOUBLING)


def _upper_end(step: int) -> float:
    return float(2.0 ** (step / _STEPS_PER_DOUBLING))
