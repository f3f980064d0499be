"""Counts and writes rejects; too many of them end the run."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from target_kissmetrics.errors import InputError, TooManyRejects
from target_kissmetrics.mapping.reject_codes import REASONS, Code, Rejected
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.reporting.counts import StreamCounts, by_code

JUDGED_ROWS = 1000  # `max_reject_ratio` is judged after this many rows of a stream, and with each reject from then on
PROBATION_ROWS = 100  # a stream ends the run if this many rows came and all were rejected
MAX_COPIES = 20  # of a row, in the lines of its parts: one of 10,000 rejected events would fill a disk
_TO_DO = "they are in rejects_path: fix the mapping, send them again with target-kissmetrics-replay"

Parts = Sequence[Rejected | Rejection]  # properties, or events of a batch; a `Rejected` is all of the row


class RejectSink:
    """Where rejected rows and dropped properties go; this one needs no schemas, and keeps nothing open."""

    def write(self, *, record: Mapping[str, Any], with_row: bool = True, **entry: Any) -> None:
        """Write one, by `stream`, `code`, `reason` and `field` (None for a whole row); one with the row comes first."""
        raise NotImplementedError

    def note_schema(self, stream: str, message: str) -> None:
        """Write what a replay needs to know of a stream: the tap's SCHEMA message, as JSON."""

    def flush(self) -> None:
        """Make it durable, before a STATE that covers the rows is emitted."""

    def close(self) -> None:
        """Write what is buffered, and close."""


@dataclass(kw_only=True)
class RejectPolicy:
    """Counts, writes and limits rejects. Thread-safe: aliases and names are rejected from the pipeline's thread."""

    sink: RejectSink
    schemas: dict[str, str] = field(default_factory=dict)  # the tap's SCHEMA messages (JSON), by name after stream maps
    fail: bool = False  # `on_invalid_record` is `fail`: the first one ends the run
    max_rejects: int | None = None  # rejected rows of the run; None for any number
    max_ratio: float | None = None  # the part of a stream's rows that may be rejected; None for any
    probation: bool = True  # a stream whose first rows were all rejected ends the run
    _rejected: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def row(self, counts: StreamCounts, rejected: Rejected, record: Mapping[str, Any]) -> None:
        """Reject a row."""
        self.parts(counts, [rejected], record)

    def _judge_probation(self, counts: StreamCounts) -> None:
        if self.probation and not counts.still_accepted and counts.suspicious.total() >= PROBATION_ROWS:
            code = cast("Code", counts.suspicious.most_common(1)[0][0])
            raise TooManyRejects(
                f"stream '{counts.stream}': the first {counts.rejected.total()} rows were all rejected, most often "
                f"as {code} ({REASONS[code].meaning}); they are in rejects_path, their STATE was not emitted: "
                f"{REASONS[code].to_do}, and run again",
            )

    def parts(
        self,
        counts: StreamCounts,
        parts: Parts,
        record: Mapping[str, Any],
        *,
        late: bool = False,
        time: int | None = None,
    ) -> None:
        """Reject parts of a row, in lines that follow each other; `late` if the row was accepted already.

        `time` (in seconds since the Unix epoch, now by default) stands in the lines for a time that the row lacks.
        """
        with self._lock:
            for number, part in enumerate(parts):
                is_row = isinstance(part, Rejected) or part.counts_as_row  # or is one in other formats
                if is_row and self.fail:
                    raise _first_reject(counts, part, late=late)
                (counts.rejected if is_row else counts.set_aside)[part.code] += 1
                if late and isinstance(part, Rejected):
                    counts.late += 1
                elif is_row and not late:
                    counts.parts += 1
                self._write(counts, part, record, with_row=number < MAX_COPIES, time=time)
                if is_row:
                    self._judge_probation(counts)
                    self._judge_run(counts)
                    self._judge(counts)

    def accepted(self, counts: StreamCounts) -> None:
        """Judge a stream by its ratio of rejects, with the row that makes it due (`JUDGED_ROWS`)."""
        self._judge(counts)

    def _write(
        self, counts: StreamCounts, rejected: Rejected | Rejection, record: Mapping[str, Any], **line: Any
    ) -> None:
        stream, code, reason, at = counts.stream, rejected.code, rejected.reason, rejected.field
        if isinstance(rejected, Rejected):  # no single field, whichever was at fault
            reason, at = f"{at}: {reason}" if at else reason, None
        if stream in self.schemas:
            self.sink.note_schema(stream, self.schemas[stream])
        self.sink.write(stream=stream, code=code, reason=reason, field=at, record=record, **line)

    def _judge_run(self, counts: StreamCounts) -> None:
        self._rejected += 1
        if self.max_rejects is not None and self._rejected > self.max_rejects:
            raise TooManyRejects(
                f"{self._rejected} rows of this run were rejected, more than max_rejects ({self.max_rejects}) allows; "
                f"the latest is of stream '{counts.stream}', whose rejects are {by_code(counts.rejected)}; "
                f"{_TO_DO}, or raise max_rejects, and run again"
            )

    def _judge(self, counts: StreamCounts) -> None:
        rejected = counts.rejected.copy()
        if self.max_ratio is None or counts.rows < JUDGED_ROWS or rejected.total() <= self.max_ratio * counts.parts:
            return
        raise TooManyRejects(
            f"stream '{counts.stream}': {rejected.total()} of its first {counts.parts} rows were rejected, more than "
            f"max_reject_ratio ({self.max_ratio:g}) allows: {by_code(rejected)}; {_TO_DO}, or raise max_reject_ratio, "
            "and run again"
        )


def _first_reject(counts: StreamCounts, rejected: Rejected | Rejection, *, late: bool) -> InputError:
    # Numbers name the row: its values do not belong in a log.
    where = f", field '{rejected.field}'" if rejected.field else ""
    row = f"stream '{counts.stream}'" if late else f"stream '{counts.stream}', row {counts.rows}"
    text = (
        f"{REASONS[rejected.code].meaning} ({rejected.code}); "
        f"{REASONS[rejected.code].to_do}; or set on_invalid_record to reject: such rows are "
        "then written to rejects_path, and the run goes on"
    )
    return InputError(f"{row}{where}: {text}", without_data=f"{row}: {text}")
