"""The order in which things happen: rows are planned, sent, stored, and only then is their STATE emitted.

The reading thread maps rows; it queues them and STATE messages, without a lock, as a deque allows. The pipeline's
thread takes what is queued as batches, plans them against the store, and sends their calls. Once the calls of a batch
are acknowledged, it commits the batch's store update and emits the STATE behind the batch, in the order the batches
came. So STATE is never ahead of delivery.

Every queue is bounded: the reading thread waits while its queue is full, and nothing is taken while too many calls or
batches are in flight.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from target_kissmetrics.kissmetrics.calls import Delivery, Outgoing
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.monitor import Monitor
from target_kissmetrics.reporting.reject_policy import RejectSink
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.store.update import StoreUpdate
from target_kissmetrics.sync.batch import Batch, BatchRow, State
from target_kissmetrics.sync.call_limit import CallLimit
from target_kissmetrics.sync.planner import Planner

BATCH_ROWS = 1000
"""Rows that are planned together, when they come fast."""

BATCH_SECONDS = 0.5
"""How long rows that come slowly are queued, to be planned together."""

MAX_CALLS_IN_FLIGHT = 10_000
MAX_BATCHES_IN_FLIGHT = 2000
"""No other batch is sent while more are in flight."""

MAX_CALLS_UNCOMMITTED = 10_000
MAX_BATCHES_UNCOMMITTED = 2000
"""Acknowledged batches are committed together with the STATE behind them, so that a run which repeats rows decides as
the first one did. Without a STATE for longer than this, they are committed all the same."""

CLOSE_SECONDS = 5.0
"""How long a failed run waits for answers that are still on their way."""


class Pipeline:
    """Delivers the rows and STATE messages of the reading thread.

    Attributes:
        calls_in_flight: How many calls were sent and are not known to be acknowledged.

    Args:
        planner: Decides what is sent.
        store: What was sent.
        delivery: Makes the delivery, given what to call when it fails.
        emit: Writes a STATE message's value for the tap's next run.
        rejects: Flushed before a STATE is emitted.
        monitor: Called several times a second, and with the calls of each acknowledged batch.
        interrupt: Called, from any thread, when the run cannot go on: the reading thread may wait for input.
        limit: The most calls of the run.
        batch_rows: Rows that are planned together.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        *,
        planner: Planner,
        store: SqlStore,
        delivery: Callable[[Callable[[BaseException], None]], Delivery],
        emit: Callable[[Any], None],
        rejects: RejectSink,
        monitor: Monitor,
        interrupt: Callable[[], None],
        limit: CallLimit | None = None,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._planner = planner
        self._store = store
        self._emit = emit
        self._rejects = rejects
        self._monitor = monitor
        self._interrupt = interrupt
        self._limit = limit or CallLimit(None)
        self._batch_rows = max(1, batch_rows)
        self._changed = threading.Condition()
        self._queue: deque[BatchRow | State] = deque()
        self._queued_since: float | None = None
        self._closed = False
        self._complete = False
        self._failure: BaseException | None = None
        self._in_flight: deque[Batch] = deque()
        self.calls_in_flight = 0
        self._uncommitted: deque[Batch] = deque()
        self._calls_uncommitted = 0
        self._intents_to_clear: list[int] = []
        self._states: deque[State] = deque()
        self._is_committing = False
        self._delivery = delivery(self.fail)
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self._thread.start()

    # From the reading thread

    def add(self, row: BatchRow) -> None:
        """Add a row; waits while the queue is full.

        Raises:
            Exception: Whatever ended the run meanwhile.
        """
        queue = self._queue
        if self._failure is not None or len(queue) >= self._batch_rows:
            self._wait_for_room()
        queue.append(row)
        if len(queue) == self._batch_rows:
            with self._changed:
                self._changed.notify_all()

    def state(self, value: Any, on_probation: tuple[StreamCounts, ...] = ()) -> None:
        """Add a STATE message: its value is emitted once every row before it is delivered. Waits like `add`.

        Args:
            value: As it came.
            on_probation: Streams whose rows were all rejected so far: until one is accepted, or the input ends, the
                value is not emitted.

        Raises:
            Exception: Whatever ended the run meanwhile.
        """
        state = State(value, on_probation)
        with self._changed:
            self._raise_failure()
            last = self._queue[-1] if self._queue else None
            if isinstance(last, State) and last.on_probation == on_probation:
                self._queue.pop()  # the new one covers every row that this one covers
            elif not isinstance(last, BatchRow):
                self._wait_for_room()
            self._queue.append(state)
            if self._is_full():
                self._changed.notify_all()

    def finish(self, *, complete: bool) -> None:
        """Deliver every row, emit STATE for what was delivered, and end.

        Args:
            complete: The input came to its end, so that no stream is on probation any more.

        Raises:
            Exception: Whatever ended the run before that; STATE is emitted for what was delivered.
        """
        self._end(complete=complete)
        self._raise_failure()

    def abandon(self) -> None:
        """End after a failure elsewhere: deliver every row, emit STATE for them. Does not raise."""
        self._end(complete=False)

    def fail(self, error: BaseException) -> None:
        """Let the run end with this error, unless it is ending with another one already. From any thread."""
        with self._changed:
            first = self._failure is None
            if first:
                self._failure = error
            self._changed.notify_all()
        if first:
            self._interrupt()

    def _wait_for_room(self) -> None:
        with self._changed:
            while self._failure is None and self._is_full():
                self._changed.wait()
        self._raise_failure()

    def _is_full(self) -> bool:
        return len(self._queue) >= self._batch_rows

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
        except BaseException as error:  # noqa: BLE001 - it is raised again in the reading thread
            self.fail(error)
        try:
            self._clear_intents()
            self._delivery.close(CLOSE_SECONDS)
            if self._failure is not None and not self._is_committing:
                self._commit_acknowledged()
                self._clear_intents()
        except BaseException as error:  # noqa: BLE001 - likewise
            self.fail(error)

    def _clear_intents(self) -> None:
        """Clear the intents of committed batches, once the last STATE is emitted."""
        if self._intents_to_clear and not self._states and not self._is_committing:
            self._store.commit(StoreUpdate(), self._intents_to_clear)
            self._intents_to_clear = []

    def _step(self) -> bool:
        """Do what is due; false when nothing is left to do."""
        with self._changed:
            if not self._is_due() and not self._is_first_acknowledged() and not self._is_over():
                self._changed.wait(BATCH_SECONDS / 2)
            if self._failure is not None or self._is_over():
                return False
            batches = self._take_queued() if self._is_due() else []
        if batches:
            self._send(batches)
        self._commit_acknowledged()
        self._delivery.tick()
        self._monitor.tick(in_flight=self.calls_in_flight)
        return True

    def _is_due(self) -> bool:
        if not self._queue or self.calls_in_flight > MAX_CALLS_IN_FLIGHT:
            return False
        if len(self._in_flight) > MAX_BATCHES_IN_FLIGHT:
            return False
        now = time.monotonic()
        self._queued_since = self._queued_since or now
        return self._closed or self._is_full() or now - self._queued_since >= BATCH_SECONDS

    @property
    def _is_complete(self) -> bool:
        return self._complete and not self._limit.is_reached

    def _is_first_acknowledged(self) -> bool:
        return bool(self._in_flight) and self._in_flight[0].acknowledged

    def _is_over(self) -> bool:
        if self._failure is not None:
            return True
        waits_for_more = self._uncommitted or (self._states and not self._limit.is_reached)
        has_more = waits_for_more and (self._complete or self._limit.is_reached)
        return self._closed and not self._queue and not self._in_flight and not has_more

    def _take_queued(self) -> list[Batch]:
        """Take what is queued as batches, each up to a STATE."""
        batches = [Batch()]
        for _ in range(len(self._queue)):
            item = self._queue.popleft()
            if isinstance(item, State):
                batches[-1].state = item
                batches.append(Batch())
            else:
                batches[-1].rows.append(item)
        self._queued_since = None
        self._changed.notify_all()
        return batches if batches[-1].rows else batches[:-1]

    def _send(self, batches: list[Batch]) -> None:
        for part in self._limit.parts(batches):
            self._planner.plan(part)
            self._limit.count(part)
            for batch in part:
                self.calls_in_flight += len(batch.calls)
                batch.rows = []  # planned: what waits for an answer is small
                self._in_flight.append(batch)
            for batch in part:
                self._delivery.send(batch.calls, partial(self._acknowledged, batch))
        if self._limit.is_reached:
            self._interrupt()

    def _acknowledged(self, batch: Batch, refused: Sequence[Outgoing] = ()) -> None:
        with self._changed:
            batch.refused = refused
            batch.acknowledged = True
            if self._is_first_acknowledged():
                self._changed.notify_all()

    def _commit_acknowledged(self) -> None:
        """Commit the batches that are acknowledged, and emit the STATE behind them.

        An error half-way ends the run, and no later STATE is emitted: it would cover what was not stored, or rejects
        that are on no disk.
        """
        self._is_committing = True
        while self._is_first_acknowledged():
            self._count(self._in_flight.popleft())
        due = self._take_due()
        if due:
            self._rejects.flush()
            self._commit(due)
        state: State | None = None
        while self._states and self._may_emit(self._states[0]):
            state = self._states.popleft()
        if state is not None:
            self._rejects.flush()
            self._emit(state.value)
        self._is_committing = False

    def _count(self, batch: Batch) -> None:
        """Count an acknowledged batch; it is committed later."""
        self.calls_in_flight -= len(batch.calls)
        for outgoing in batch.refused:
            batch.calls.remove(outgoing)
            self._planner.refused(batch, outgoing)
        for outgoing in batch.calls:
            outgoing.source.delivered(outgoing.call)
        self._monitor.batch_acknowledged(batch.calls)
        self._uncommitted.append(batch)
        self._calls_uncommitted += len(batch.calls)
        batch.sent, batch.calls = len(batch.calls), []

    def _take_due(self) -> list[Batch]:
        """Take all batches up to the last one with a STATE; every batch at the end, or when they are many."""
        at_end = self._closed and not self._queue and not self._in_flight
        are_many = self._calls_uncommitted > MAX_CALLS_UNCOMMITTED or len(self._uncommitted) > MAX_BATCHES_UNCOMMITTED
        count = len(self._uncommitted)
        if not (at_end and self._is_complete) and not are_many:
            while count and self._uncommitted[count - 1].state is None:
                count -= 1
        if not count and at_end and self._limit.is_reached:
            count = len(self._uncommitted)
            for batch in self._uncommitted:
                batch.intents = []  # they stay pending for the next run, which repeats these rows
        due = [self._uncommitted.popleft() for _ in range(count)]
        self._calls_uncommitted -= sum(batch.sent for batch in due)
        return due

    def _commit(self, batches: list[Batch]) -> None:
        update = StoreUpdate()
        for batch in batches:
            update.update(batch.update)
        # Only those whose STATE is emitted: until then, intents tell a run that repeats rows what the first one did.
        cleared = [] if self._states else self._intents_to_clear
        if update or cleared:
            self._store.commit(update, cleared)
        kept = self._intents_to_clear if self._states else []
        self._intents_to_clear = [*kept, *(number for batch in batches for number in batch.intents)]
        for batch in batches:
            self._planner.committed(batch)
            if batch.state is not None:
                self._queue_state(batch.state)

    def _queue_state(self, state: State) -> None:
        """Queue a STATE, in the place of one that waits for the very same streams: a stream may be on probation for as
        long as a run takes."""
        if self._states and self._states[-1].on_probation == state.on_probation:
            self._states.pop()
        self._states.append(state)

    def _may_emit(self, state: State) -> bool:
        return self._is_complete or not any(counts.on_probation for counts in state.on_probation)
