"""What happens to what is not sent: it is counted and written, and too much of it ends the run."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from target_kissmetrics.errors import InputError, TooManyRejects
from target_kissmetrics.mapping.reject_codes import REASONS, Code, Rejected
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.reporting.counts import StreamCounts, by_code

JUDGED_ROWS = 1000  # `max_reject_ratio` is judged after a stream's first so many, and with each reject from then on
PROBATION_ROWS = 100  # a stream whose first so many were all rejected ends the run
MAX_COPIES = 20
"""A row is written with each of its rejected parts, but no more often than this: a batch of 10,000 events that are all
rejected would fill a disk with copies of itself."""
_TO_DO = "they are in rejects_path: fix the mapping, send them again with target-kissmetrics-replay"


Parts = Sequence[Rejected | Rejection]
"""Properties, or in formats that batch events, events; a `Rejected` is all of the row."""


class RejectSink(Protocol):
    """Where rejected rows and dropped properties go."""

    def write(self, *, record: Mapping[str, Any], with_row: bool = True, **entry: str | None) -> None:
        """Write one of them; `entry` has `stream`, `code`, `reason` and `field`, which is None for a whole row.

        A line without its row follows one with it.
        """

    def note_schema(self, stream: str, message: Mapping[str, Any]) -> None:
        """Write what a replay needs to know of a stream: the tap's SCHEMA message."""

    def flush(self) -> None:
        """Make it durable, before a STATE that covers the rows is emitted."""

    def close(self) -> None:
        """Write what is buffered, and close."""


class LoggedRejects:
    """A dry run's rejects: logged, and written nowhere."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def write(self, *, record: Mapping[str, Any], with_row: bool = True, **entry: str | None) -> None:  # noqa: ARG002
        """Log one of them."""
        what = f"field '{entry['field']}' dropped" if entry["field"] else "row rejected"
        self._logger.warning("stream '%s': %s (%s): %s", entry["stream"], what, entry["code"], entry["reason"])

    def note_schema(self, stream: str, message: Mapping[str, Any]) -> None:
        """Nothing is replayed."""

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(kw_only=True)
class RejectPolicy:
    """Counts, writes and limits rejects. Thread-safe: aliases and names are rejected from the pipeline's thread.

    InputError when `on_invalid_record` is `fail`, TooManyRejects when the run or the stream has too many rejected rows.
    """

    sink: RejectSink
    schemas: Mapping[str, Mapping[str, Any]]  # the tap's SCHEMA messages, by a stream's name after stream maps
    fail: bool = False  # `on_invalid_record` is `fail`: the first one ends the run
    max_rejects: int | None = None  # rejected rows of the run; None for any number
    max_ratio: float | None = None  # the part of a stream's rows that may be rejected; None for any
    probation: bool = True  # a stream whose first rows were all rejected ends the run
    _rejected: int = field(default=0, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)

    def row(self, counts: StreamCounts, rejected: Rejected, record: Mapping[str, Any]) -> None:
        """Reject a row."""
        self._reject(counts, counts.rejected, rejected, record)
        if self.probation and not counts.left_accepted and counts.suspicious.total() >= PROBATION_ROWS:
            code = cast("Code", counts.suspicious.most_common(1)[0][0])
            raise TooManyRejects(
                f"stream '{counts.stream}': the first {counts.all_rejected.total()} rows were all rejected, most often "
                f"as {code} ({REASONS[code].meaning}); they are in rejects_path, their STATE was not emitted: "
                f"{REASONS[code].to_do}, and run again",
            )

    def parts(self, counts: StreamCounts, parts: Parts, record: Mapping[str, Any], *, late: bool = False) -> None:
        """Reject parts of a row, in lines that follow each other; `late` if the row was accepted already."""
        rows, dropped = (counts.late, counts.late_dropped) if late else (counts.rejected, counts.dropped)
        with self._lock:
            for number, part in enumerate(parts):
                with_row = number < MAX_COPIES
                if isinstance(part, Rejected) or part.counts_as_row:
                    if late and isinstance(part, Rejection):
                        counts.late_parts += 1
                    self._reject(counts, rows, part, record, with_row=with_row)
                else:
                    dropped[part.code] += 1
                    self._write(counts, part, record, with_row=with_row)

    def accepted(self, counts: StreamCounts) -> None:
        """Judge a stream by its ratio of rejects, with the row that makes it due."""
        if counts.rows == JUDGED_ROWS:
            self._judge(counts)

    def _reject(
        self,
        counts: StreamCounts,
        counter: Counter[str],
        rejected: Rejected | Rejection,
        record: Mapping[str, Any],
        *,
        with_row: bool = True,
    ) -> None:
        """Reject a row, or the part of one that is a row in other formats."""
        self._check_fail(counts, rejected)
        counter[rejected.code] += 1
        if counter is counts.rejected:
            counts.parts += 1
        self._write(counts, rejected, record, with_row=with_row)
        self._count(counts)

    def _write(
        self, counts: StreamCounts, rejected: Rejected | Rejection, record: Mapping[str, Any], *, with_row: bool
    ) -> None:
        stream, code, reason, at = counts.stream, rejected.code, rejected.reason, rejected.field
        if isinstance(rejected, Rejected):  # no single field, whichever was at fault
            reason, at = f"{at}: {reason}" if at else reason, None
        if stream in self.schemas:
            self.sink.note_schema(stream, self.schemas[stream])
        self.sink.write(stream=stream, code=code, reason=reason, field=at, record=record, with_row=with_row)

    def _check_fail(self, counts: StreamCounts, rejected: Rejected | Rejection) -> None:
        if not self.fail:
            return
        # Numbers name the row: its values do not belong in a log.
        code, where = rejected.code, f", field '{rejected.field}'" if rejected.field else ""
        row = f"stream '{counts.stream}', row {counts.rows}"
        text = (
            f"{REASONS[code].meaning} ({code}); {REASONS[code].to_do}; or set "
            "on_invalid_record to reject: such rows are then written to rejects_path, and the run goes on"
        )
        raise InputError(f"{row}{where}: {text}", without_data=f"{row}: {text}")

    def _count(self, counts: StreamCounts) -> None:
        with self._lock:
            self._rejected += 1
            rejected = self._rejected
        if self.max_rejects is not None and rejected > self.max_rejects:
            raise TooManyRejects(
                f"{rejected} rows of this run were rejected, more than max_rejects ({self.max_rejects}) allows; the "
                f"latest is of stream '{counts.stream}', whose rejects are {by_code(counts.all_rejected)}; {_TO_DO}, "
                "or raise max_rejects, and run again"
            )
        self._judge(counts)

    def _judge(self, counts: StreamCounts) -> None:
        if self.max_ratio is None or counts.rows < JUDGED_ROWS:
            return
        rejected = sum(counts.all_rejected.values())
        if rejected > self.max_ratio * counts.parts:
            raise TooManyRejects(
                f"stream '{counts.stream}': {rejected} of its first {counts.parts} rows were rejected, more than "
                f"max_reject_ratio ({self.max_ratio:g}) allows: {by_code(counts.all_rejected)}; {_TO_DO}, or raise "
                "max_reject_ratio, and run again"
            )
