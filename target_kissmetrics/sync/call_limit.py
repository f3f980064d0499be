"""Ends a run at `max_calls`: rows are sent in their order, until the calls of the next one would go beyond it.

A row is sent whole or not at all, so a run may end a few calls short of the limit. STATE behind a row that is not sent
is not emitted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate, takewhile

from target_kissmetrics.store.update import StoreUpdate
from target_kissmetrics.sync.batch import Batch, BatchRow


class CallLimit:
    """Counts the calls of one run, from the thread that sends.

    Args:
        max_calls: The most calls; None for any number.

    Attributes:
        calls: Calls that were sent.
        has_state: A STATE stands behind some of their rows.
        is_reached: A row did not fit; nothing behind it is sent.
        unsent: Rows that were read and are not sent.
    """

    def __init__(self, max_calls: int | None) -> None:
        self._max = math.inf if max_calls is None else max_calls
        self.calls = 0
        self.has_state = False
        self.is_reached = False
        self.unsent: list[BatchRow] = []

    @property
    def ending(self) -> str:
        """Say, once it is reached, where the run ends and the next one begins."""
        return (
            f"max_calls: {self.calls:,} calls were sent, and the next row would go beyond {self._max:,}; "
            f"{len(self.unsent):,} rows that were read are not sent; "
            + ("the next run resumes here" if self.has_state else "no STATE was emitted; raise max_calls")
        )

    def parts(self, batches: list[Batch]) -> Iterator[list[Batch]]:
        """Give the batches in parts, each to be planned and counted before the next one.

        What turns out to be unchanged leaves room for the rows behind it.
        """
        is_endless = self._max == math.inf
        calls = 0 if is_endless else sum(len(row.mapped.calls) for batch in batches for row in batch.rows)
        if self.calls + calls <= self._max and not self.is_reached:
            yield batches
            return
        for batch in batches:
            while not self.is_reached:
                totals = accumulate((len(row.mapped.calls) for row in batch.rows), initial=self.calls)
                fitting = sum(1 for _ in takewhile(lambda total: total <= self._max, totals)) - 1
                if fitting == len(batch.rows):
                    yield [batch]
                    break
                self.is_reached = not fitting
                if fitting:
                    first, batch.rows = Batch(batch.rows[:fitting]), batch.rows[fitting:]
                    yield [first]
            if self.is_reached:
                self.unsent += batch.rows

    def count(self, part: Sequence[Batch]) -> None:
        """Count the planned calls of a part.

        Values that move to seconds of their own may become more calls than their row had. Calls beyond the limit are
        cut; the next run repeats these rows as after a kill.
        """
        for batch in part:
            if self.is_reached or self.calls + len(batch.calls) > self._max:
                self.is_reached = True
                self.unsent += batch.rows
                batch.calls, batch.update = batch.calls[: int(self._max) - self.calls], StoreUpdate()
                batch.intents, batch.state = [], None
            self.calls += len(batch.calls)
            self.has_state |= batch.state is not None
