"""Collects what the report of a run tells, at little cost: what delivers leaves a note, the pipeline's thread reads it.

Nothing of a row is kept but names of events and properties, and of those a bounded number.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.series import Series

MAX_NAMES = 1000
"""Names of events, and of properties, that are told apart in a stream: past this they are data."""

MAX_STREAMS = 200
"""Streams of which more than the counts is kept."""

MAX_SLOWEST = 20

MAX_CAUSES = 50
"""Causes of retries that are counted one by one."""

OTHERS = "others"

SAMPLE_SECONDS = 0.5
"""How often rows and calls are counted into the series."""


@dataclass(frozen=True, slots=True, order=True)
class SlowCall:
    """One of the slowest calls.

    Attributes:
        seconds: From the start of its first attempt to the answer of its last one.
        moment: When it was answered, in seconds since the start of the run.
        attempts: Made in all.
        stream: Its stream.
        type: `record`, `set` or `alias`.
        event: A recorded event's name, which may be made from data.
    """

    seconds: float
    moment: float
    attempts: int
    stream: str
    type: str
    event: str | None = field(compare=False)


@dataclass(slots=True)
class StreamDetails:
    """What is known of one stream beside its counts.

    Attributes:
        series: Rows, calls and durations over time.
        retries: Attempts that were made again for calls that were taken in the end.
        first: The earliest time of an event or attribute, in seconds since the Unix epoch.
        last: The latest.
        events: Names of events with how many were sent, `MAX_NAMES` at most.
        other_events: Events of other names.
        properties: Names of properties, about `MAX_NAMES` at most.
    """

    series: Series = field(default_factory=Series)
    retries: int = 0
    first: int | None = None
    last: int | None = None
    events: Counter[str] = field(default_factory=Counter)
    other_events: int = 0
    properties: set[str] = field(default_factory=set)

    def note(self, call: Call) -> None:
        """Take note of a call that was taken."""
        if isinstance(call, Alias):
            return
        if self.first is None or call.time < self.first:
            self.first = call.time
        if self.last is None or call.time > self.last:
            self.last = call.time
        if len(self.properties) <= MAX_NAMES:
            self.properties.update(call.properties)
        if isinstance(call, Record):
            if call.event in self.events or len(self.events) < MAX_NAMES:
                self.events[call.event] += 1
            else:
                self.other_events += 1


class RunRecorder:
    """Watches a run. `taken` and `put_off` may be called from any thread, the rest from one thread at a time.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._answers: deque[tuple[Call, float, int, float]] = deque()
        self._put_off: deque[str] = deque()
        self._of_call: dict[int, tuple[float, int, float]] = {}
        self._sampled_at = float("-inf")
        self._sampled: dict[str, tuple[int, int]] = {}
        self._slowest: list[SlowCall] = []
        self._streams: dict[str, StreamDetails] = {}
        self._spare = StreamDetails()
        self.causes: Counter[str] = Counter()

    # What delivers

    def taken(self, call: Call, seconds: float, attempts: int) -> None:
        """Note that a call was taken."""
        self._answers.append((call, seconds, attempts, self._clock()))

    def put_off(self, why: str) -> None:
        """Note that a call has to be tried again."""
        self._put_off.append(why)

    # The pipeline

    def settled(self, calls: Collection[tuple[StreamCounts, Call]]) -> None:
        """Take note of calls that were all taken, each with its stream's counts."""
        self._read_notes()
        stream, details = "", self._spare
        for counts, call in calls:
            if counts.stream != stream:
                stream = counts.stream
                details = self.details(stream)
            details.note(call)
            answer = self._of_call.pop(id(call), None)
            if answer is not None:
                self._answered(details, stream, call, answer)

    def tick(self, streams: Collection[StreamCounts], *, at_end: bool = False) -> None:
        """Count what the streams have come to, when it is time to."""
        now = self._clock()
        if now - self._sampled_at < SAMPLE_SECONDS and not at_end:
            return
        self._sampled_at = now
        self._read_notes()
        for counts in streams:
            rows, calls = self._sampled.get(counts.stream, (0, 0))
            if (rows, calls) != (counts.rows, counts.calls):
                self._sampled[counts.stream] = (counts.rows, counts.calls)
                series = self.details(counts.stream).series
                series.count(now - self._start, rows=counts.rows - rows, calls=counts.calls - calls)

    # The report

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return self._clock() - self._start

    @property
    def slowest(self) -> Sequence[SlowCall]:
        """The slowest calls, the slowest first."""
        return sorted(self._slowest, reverse=True)

    @property
    def all_series(self) -> Sequence[Series]:
        """The series of all streams: what happened in any is in one of them."""
        return [*(details.series for details in self._streams.values()), self._spare.series]

    def details(self, stream: str) -> StreamDetails:
        """Give a stream's details; streams beyond the first `MAX_STREAMS` share theirs."""
        found = self._streams.get(stream)
        if found is None:
            if len(self._streams) >= MAX_STREAMS:
                return self._spare
            found = self._streams[stream] = StreamDetails()
        return found

    def has_details(self, stream: str) -> bool:
        """Tell whether a stream has details of its own."""
        return stream in self._streams

    def _read_notes(self) -> None:
        while self._answers:
            call, seconds, attempts, moment = self._answers.popleft()
            # The call lives until its part is settled: until then no other one has its id.
            self._of_call[id(call)] = (seconds, attempts, moment - self._start)
        while self._put_off:
            why = self._put_off.popleft()
            self.causes[why if why in self.causes or len(self.causes) < MAX_CAUSES else OTHERS] += 1

    def _answered(self, details: StreamDetails, stream: str, call: Call, answer: tuple[float, int, float]) -> None:
        seconds, attempts, moment = answer
        details.retries += attempts - 1
        details.series.time(moment, seconds)
        if len(self._slowest) < MAX_SLOWEST or seconds > self._slowest[0].seconds:
            event = call.event if isinstance(call, Record) else None
            slow = SlowCall(seconds, moment, attempts, stream, type(call).__name__.lower(), event)
            push = heapq.heappush if len(self._slowest) < MAX_SLOWEST else heapq.heapreplace
            push(self._slowest, slow)
