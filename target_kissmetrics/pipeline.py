"""The order in which things happen: rows are planned, sent, remembered, and only then is their STATE passed on.

The caller's thread reads and maps; it adds rows and STATE messages to a chunk that is open. A thread of the pipeline
takes the chunk, plans it against the memory, hands its calls to the delivery, and, once their answers are in, remembers
what they taught and passes on the STATE behind them, part by part, in the order they came. So a STATE is never ahead of
delivery, whatever happens and whenever.

Both sides are bounded: the caller waits when the open chunk is full, the pipeline takes no other chunk while too many
calls are under way.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from target_kissmetrics.kissmetrics.calls import Call
from target_kissmetrics.kissmetrics.delivery import Delivery
from target_kissmetrics.memory.store import Learned, Store
from target_kissmetrics.planner import MappedRow, Part, Planner
from target_kissmetrics.reporting.counts import StreamCounts

CHUNK_ROWS = 1000
"""Rows that are planned together, when they come fast."""

CHUNK_SECONDS = 0.5
"""How long a chunk that does not fill stays open."""

MAX_CALLS_UNDER_WAY = 10_000
"""No other chunk is taken while more are."""

MAX_CALLS_HELD = 10_000
"""What was taken is remembered together with the STATE behind it, so that a run which repeats rows decides as the first
one did; without a STATE for longer than this, it is remembered all the same."""

PATIENCE_SECONDS = 5.0
"""How long a failed run waits for answers that are still on their way."""


class Progress(Protocol):
    """Shows a person how far the run has come."""

    def tick(self, *, under_way: int, retries: int) -> None:
        """Called a few times a second."""


class Flushes(Protocol):
    """Holds rejects that have to be on disk before a STATE that covers them is passed on."""

    def flush(self) -> None:
        """Write them out."""


class Watch(Protocol):
    """Learns what was sent, for a report."""

    def settled(self, calls: Sequence[tuple[StreamCounts, Call]]) -> None:
        """Called with calls that were all taken, each with its stream's counts."""


@dataclass(slots=True)
class _State:
    """A STATE message's value, and the streams that must turn out to be sound before it is passed on."""

    value: Any
    on_probation: tuple[StreamCounts, ...]

    @property
    def waits_for(self) -> list[str]:
        """The same streams' names."""
        return [counts.stream for counts in self.on_probation]


@dataclass(slots=True)
class _UnderWay:
    """A part on its way.

    Attributes:
        part: Its rows were mapped; its calls are planned.
        state: The STATE behind it, if one closed it.
        intents: What to strike out once it was answered, on the last part of a chunk.
        answered: Every call was taken.
    """

    part: Part
    state: _State | None = None
    intents: int | None = None
    answered: bool = False


class Pipeline:
    """Takes mapped rows and STATE messages from one thread.

    Args:
        planner: Decides what is sent.
        store: The memory.
        delivery: Makes the delivery, given what to call when it fails.
        pass_on: Writes a STATE message's value for the tap's next run.
        rejects: Flushed before a STATE is passed on.
        progress: Shown how far the run is.
        failed: Called, from any thread, when the run cannot go on: the caller may be waiting for input.
        chunk_rows: Rows that are planned together.
        watch: Told of calls that were taken.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        *,
        planner: Planner,
        store: Store,
        delivery: Callable[[Callable[[BaseException], None]], Delivery],
        pass_on: Callable[[Any], None],
        rejects: Flushes,
        progress: Progress,
        failed: Callable[[], None],
        chunk_rows: int = CHUNK_ROWS,
        watch: Watch | None = None,
    ) -> None:
        self._planner = planner
        self._store = store
        self._pass_on = pass_on
        self._rejects = rejects
        self._progress = progress
        self._watch = watch
        self._told_failed = failed
        self._chunk_rows = max(1, chunk_rows)
        self._changed = threading.Condition()
        self._open: list[_UnderWay] = []
        self._open_rows = 0
        self._open_since = 0.0
        self._closed = False
        self._complete = False
        self._failure: BaseException | None = None
        self._under_way: deque[_UnderWay] = deque()
        self._calls_under_way = 0
        self._held: deque[_UnderWay] = deque()
        self._calls_held = 0
        self._to_strike: list[int] = []
        self._states: deque[_State] = deque()
        self._is_settling = False
        self._delivery = delivery(self.fail)
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self._thread.start()

    # From the caller's thread

    @property
    def calls_under_way(self) -> int:
        """How many calls were handed to the delivery and are not known to be taken."""
        return self._calls_under_way

    def add(self, row: MappedRow) -> None:
        """Take a row; waits while the chunk is full.

        Raises:
            Exception: Whatever ended the run meanwhile.
        """
        with self._changed:
            while self._open_rows >= self._chunk_rows and self._failure is None:
                self._changed.wait()
            self._raise_failure()
            self._part().part.rows.append(row)
            self._open_rows += 1
            if self._open_rows >= self._chunk_rows:
                self._changed.notify_all()

    def state(self, value: Any, on_probation: tuple[StreamCounts, ...] = ()) -> None:
        """Take a STATE message's value: it is passed on once all that came before it was delivered.

        Args:
            value: As it came.
            on_probation: Streams whose rows were all rejected so far: until one is accepted, or the input ends, the
                value stays here.

        Raises:
            Exception: Whatever ended the run meanwhile.
        """
        with self._changed:
            self._raise_failure()
            self._part().state = _State(value, on_probation)

    def finish(self, *, complete: bool) -> None:
        """Deliver all that was taken, pass on the last STATE that was earned, and end.

        Args:
            complete: The input came to its end, so that streams on probation have had their say.

        Raises:
            Exception: Whatever ended the run before that; the STATE messages that were earned are out.
        """
        self._end(complete=complete)
        self._raise_failure()

    def abandon(self) -> None:
        """End after a failure elsewhere: deliver what was taken, pass on the STATE that was earned. Does not raise."""
        self._end(complete=False)

    def fail(self, error: BaseException) -> None:
        """Let the run end with this error, unless it is ending with another one already. From any thread."""
        with self._changed:
            first = self._failure is None
            if first:
                self._failure = error
            self._changed.notify_all()
        if first:
            self._told_failed()

    def _part(self) -> _UnderWay:
        """Give the part that rows are added to; a STATE ends it."""
        if not self._open:
            self._open_since = time.monotonic()
        if not self._open or self._open[-1].state is not None:
            self._open.append(_UnderWay(Part()))
        return self._open[-1]

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _end(self, *, complete: bool) -> None:
        with self._changed:
            self._closed = True
            self._complete = complete
            self._changed.notify_all()
        self._thread.join()

    # From the pipeline's thread

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
            self.fail(error)
        try:
            self._strike_out()
            self._delivery.close(PATIENCE_SECONDS)
            if self._failure is not None and not self._is_settling:
                self._settle()
                self._strike_out()
        except BaseException as error:  # noqa: BLE001 - likewise
            self.fail(error)

    def _strike_out(self) -> None:
        """Strike out what was noted, now that the last STATE is out."""
        if self._to_strike and not self._states and not self._is_settling:
            self._store.remember(Learned(), self._to_strike)
            self._to_strike = []

    def _step(self) -> bool:
        """Do what is due; false when nothing is left to do."""
        with self._changed:
            if not self._due() and not self._answered_first() and not self._over():
                self._changed.wait(CHUNK_SECONDS / 2)
            if self._failure is not None or self._over():
                return False
            chunk = self._take() if self._due() else []
        if chunk:
            self._send(chunk)
        self._settle()
        self._progress.tick(under_way=self._calls_under_way, retries=self._delivery.retries)
        return True

    def _due(self) -> bool:
        if not self._open or self._calls_under_way > MAX_CALLS_UNDER_WAY:
            return False
        waited = time.monotonic() - self._open_since
        return self._closed or self._open_rows >= self._chunk_rows or waited >= CHUNK_SECONDS

    def _answered_first(self) -> bool:
        return bool(self._under_way) and self._under_way[0].answered

    def _over(self) -> bool:
        if self._failure is not None:
            return True
        waiting = self._complete and (self._states or self._held)
        return self._closed and not self._open and not self._under_way and not waiting

    def _take(self) -> list[_UnderWay]:
        chunk, self._open, self._open_rows = self._open, [], 0
        self._changed.notify_all()
        return chunk

    def _send(self, chunk: list[_UnderWay]) -> None:
        chunk[-1].intents = self._planner.plan([entry.part for entry in chunk])
        for entry in chunk:
            self._calls_under_way += len(entry.part.calls)
            entry.part.rows = []  # they were planned: what waits for an answer is small
            self._under_way.append(entry)
        for entry in chunk:
            self._delivery.send([call for _, call in entry.part.calls], self._when_answered(entry))

    def _when_answered(self, entry: _UnderWay) -> Callable[[], None]:
        def answered() -> None:
            with self._changed:
                entry.answered = True
                if self._under_way and entry is self._under_way[0]:
                    self._changed.notify_all()

        return answered

    def _settle(self) -> None:
        """Remember what was answered, and pass on the STATE behind it.

        What fails here in the middle ends the run, and no later STATE is passed on: it would cover what was not
        remembered, or rejects that are on no disk.
        """
        self._is_settling = True
        while self._answered_first():
            self._hold(self._under_way.popleft())
        settled = self._due_to_be_remembered()
        if settled:
            self._rejects.flush()
            self._remember(settled)
        state: _State | None = None
        while self._states and self._sound(self._states[0]):
            state = self._states.popleft()
        if state is not None:
            self._rejects.flush()
            self._pass_on(state.value)
        self._is_settling = False

    def _hold(self, entry: _UnderWay) -> None:
        self._held.append(entry)
        self._calls_held += len(entry.part.calls)
        self._calls_under_way -= len(entry.part.calls)
        for counts, call in entry.part.calls:
            counts.delivered(call)
        if self._watch is not None:
            self._watch.settled(entry.part.calls)

    def _due_to_be_remembered(self) -> list[_UnderWay]:
        """Give all parts up to the last one with a STATE behind it; all there are at the end, or when they are many."""
        at_end = self._closed and self._complete and not self._open and not self._under_way
        count = len(self._held)
        if not at_end and self._calls_held <= MAX_CALLS_HELD:
            while count and self._held[count - 1].state is None:
                count -= 1
        due = [self._held.popleft() for _ in range(count)]
        self._calls_held -= sum(len(entry.part.calls) for entry in due)
        return due

    def _remember(self, settled: list[_UnderWay]) -> None:
        learned = Learned()
        for entry in settled:
            learned.update(entry.part.learned)
        # Only those whose STATE is out already: until then, they tell a run that repeats rows what the first one did.
        struck = [] if self._states else self._to_strike
        if learned or struck:
            self._store.remember(learned, struck)
        kept = self._to_strike if self._states else []
        self._to_strike = [*kept, *(entry.intents for entry in settled if entry.intents is not None)]
        for entry in settled:
            self._planner.remembered(entry.part)
            if entry.state is not None:
                self._wait_with(entry.state)

    def _wait_with(self, state: _State) -> None:
        """Let a STATE wait, in the place of one that waits for the very same streams: a stream may be on probation for
        as long as a run takes."""
        if self._states and self._states[-1].waits_for == state.waits_for:
            self._states.pop()
        self._states.append(state)

    def _sound(self, state: _State) -> bool:
        return self._complete or not any(counts.on_probation for counts in state.on_probation)
