"""How many rows may be rejected before the run fails: a mapping that rejects most of them is wrong."""

from __future__ import annotations

import threading

from target_kissmetrics.errors import TooManyRejects
from target_kissmetrics.reporting.counts import StreamCounts, by_code

JUDGED_ROWS = 1000
"""A stream's ratio is judged after its first so many rows, and with each reject from then on."""

_TO_DO = "they are in rejects_path: mend the mapping, send them again with target-kissmetrics-replay"


class RejectLimits:
    """Counts the rejects of a run. Thread-safe.

    Args:
        most: `max_rejects`; None: any number.
        ratio: `max_reject_ratio`; None: any.
    """

    def __init__(self, most: int | None = None, ratio: float | None = None) -> None:
        self._most = most
        self._ratio = ratio
        self._rejected = 0
        self._lock = threading.Lock()

    def count(self, counts: StreamCounts) -> None:
        """Take note of a reject that the stream's counts hold already.

        Raises:
            TooManyRejects: It is one too many.
        """
        with self._lock:
            self._rejected += 1
            rejected = self._rejected
        if self._most is not None and rejected > self._most:
            raise TooManyRejects(
                f"{rejected} rows of this run were rejected, more than max_rejects ({self._most}) allows; the "
                f"latest is of stream '{counts.stream}', whose rejects are {by_code(counts.all_rejected)}; {_TO_DO}, "
                "or raise max_rejects, and run again"
            )
        self.judge(counts)

    def judge(self, counts: StreamCounts) -> None:
        """Hold a stream's rejects against its rows, if it had enough of them.

        Raises:
            TooManyRejects: They are too many of them.
        """
        if self._ratio is None or counts.rows < JUDGED_ROWS:
            return
        rejected = sum(counts.all_rejected.values())
        if rejected > self._ratio * counts.parts:
            raise TooManyRejects(
                f"stream '{counts.stream}': {rejected} of its first {counts.parts} rows were rejected, more than "
                f"max_reject_ratio ({self._ratio:g}) allows: {by_code(counts.all_rejected)}; {_TO_DO}, or raise "
                "max_reject_ratio, and run again"
            )
