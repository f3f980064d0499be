"""What happens to what is not sent: it is counted and written, and too much of it ends the run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from target_kissmetrics.errors import InputError, TooManyRejects
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.dry_run import LoggedRejects
from target_kissmetrics.reporting.reject_policy import (
    JUDGED_ROWS,
    MAX_COPIES,
    PROBATION_ROWS,
    RejectPolicy,
    RejectSink,
)

REJECTED = Rejected("no-identity", "no identity", "user_id")
SCHEMAS = {"a": '{"type":"SCHEMA","stream":"a"}'}


class Written(RejectSink):
    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str | None]] = []
        self.schemas: list[str] = []
        self.with_rows = 0

    def write(self, *, record: Mapping[str, Any], with_row: bool = True, **entry: str | None) -> None:
        assert entry["reason"]
        assert record == {"id": 1}
        self.with_rows += with_row
        self.lines.append((str(entry["stream"]), str(entry["code"]), entry["field"]))

    def note_schema(self, stream: str, message: str) -> None:
        assert message is SCHEMAS[stream]
        self.schemas.append(stream)


def policy(sink: Written | None = None, **limits: Any) -> RejectPolicy:
    return RejectPolicy(sink=sink or Written(), schemas=SCHEMAS, **limits)


def reject(rejects: RejectPolicy, counts: StreamCounts, times: int = 1) -> None:
    for _ in range(times):
        counts.rows += 1
        rejects.row(counts, REJECTED, {"id": 1})


def accept(rejects: RejectPolicy, counts: StreamCounts, times: int = 1) -> None:
    for _ in range(times):
        counts.rows += 1
        counts.accepted += 1
        counts.parts += 1
        rejects.accepted(counts)


def test_a_rejected_row_is_counted_and_written_whole_beside_its_schema() -> None:
    sink, counts = Written(), StreamCounts("a")
    reject(policy(sink), counts)
    assert (sink.lines, sink.schemas) == ([("a", "no-identity", None)], ["a"])
    assert (counts.rejected, counts.parts) == ({"no-identity": 1}, 1)


def test_a_dropped_property_is_written_with_its_field_and_is_no_rejected_row() -> None:
    sink, counts = Written(), StreamCounts("b")
    policy(sink, max_rejects=0).parts(counts, [Rejection("bad-number", "not finite", "size")], {"id": 1})
    assert (sink.lines, sink.schemas) == ([("b", "bad-number", "size")], [])
    assert not counts.rejected


def test_of_many_parts_of_one_row_the_first_lines_alone_hold_it() -> None:
    sink, counts = Written(), StreamCounts("b")
    parts = [Rejection("bad-number", "not finite", f"p{number}") for number in range(MAX_COPIES + 3)]
    policy(sink).parts(counts, parts, {"id": 1}, late=True)
    assert (len(sink.lines), sink.with_rows) == (MAX_COPIES + 3, MAX_COPIES)
    assert counts.set_aside == {"bad-number": MAX_COPIES + 3}


def test_an_event_that_is_rejected_late_leaves_its_row_one_that_was_accepted() -> None:
    counts = StreamCounts("b", rows=1, accepted=1, parts=2)
    policy().parts(
        counts, [Rejection("too-many-names", "one more", "events[1]", counts_as_row=True)], {"id": 1}, late=True
    )
    assert counts.rejected == {"too-many-names": 1}
    assert (counts.still_accepted, counts.parts, counts.on_probation) == (1, 2, False)


def test_an_alias_that_is_all_of_its_row_is_a_rejected_row() -> None:
    sink, counts = Written(), StreamCounts("b")
    rejects = policy(sink, max_rejects=0)
    rejects.parts(counts, [Rejection("alias-limit", "10 aliases", "old")], {"id": 1}, late=True)
    assert not counts.rejected
    with pytest.raises(TooManyRejects):
        rejects.parts(counts, [Rejected("alias-limit", "10 aliases")], {"id": 1}, late=True)
    assert sink.lines == [("b", "alias-limit", "old"), ("b", "alias-limit", None)]


def test_fail_ends_the_run_at_the_first_and_shows_no_value() -> None:
    counts = StreamCounts("a", rows=4)
    with pytest.raises(InputError, match=r"stream 'a', row 5, field 'user_id': .*no-identity.*on_invalid_record"):
        reject(policy(fail=True), counts)
    assert not counts.rejected


def test_a_stream_of_nothing_but_rejects_ends_the_run() -> None:
    rejects, counts = policy(), StreamCounts("a")
    reject(rejects, counts, PROBATION_ROWS - 1)
    with pytest.raises(TooManyRejects, match=rf"stream 'a': the first {PROBATION_ROWS} rows were all rejected"):
        reject(rejects, counts)


def test_the_end_names_all_rows_that_were_rejected() -> None:
    rejects, counts = policy(), StreamCounts("a")
    counts.rejected["too-old"] = 60
    with pytest.raises(TooManyRejects, match=rf"stream 'a': the first {60 + PROBATION_ROWS} rows were all rejected"):
        reject(rejects, counts, PROBATION_ROWS)


def test_rows_that_are_too_old_do_not_count_towards_that_end() -> None:
    rejects, counts = policy(), StreamCounts("a")
    for _ in range(3 * PROBATION_ROWS):
        rejects.row(counts, Rejected("too-old", "the time is before 2009-01-01"), {"id": 1})
    assert not counts.on_probation
    reject(rejects, counts, PROBATION_ROWS - 1)
    assert counts.on_probation
    with pytest.raises(TooManyRejects, match=r"most often as no-identity"):
        reject(rejects, counts)


def test_but_not_one_with_an_accepted_row_nor_a_replay() -> None:
    for rejects, accepted in ((policy(), 1), (policy(probation=False), 0)):
        counts = StreamCounts("a")
        accept(rejects, counts, accepted)
        reject(rejects, counts, 5000)


def test_one_reject_more_than_max_rejects_over_all_streams_is_too_many() -> None:
    rejects, one, other = policy(max_rejects=2), StreamCounts("a"), StreamCounts("b")
    reject(rejects, one)
    reject(rejects, other)
    with pytest.raises(TooManyRejects, match=r"3 rows.*max_rejects \(2\).*stream 'a'.*2 no-identity.*replay"):
        reject(rejects, one)


def test_none_at_all_with_max_rejects_0() -> None:
    with pytest.raises(TooManyRejects):
        reject(policy(max_rejects=0), StreamCounts("a"))


def test_a_ratio_is_judged_once_a_stream_had_its_first_1000_rows() -> None:
    rejects, counts = policy(max_ratio=0.1, probation=False), StreamCounts("a")
    reject(rejects, counts, 100)
    accept(rejects, counts, JUDGED_ROWS - 100)
    with pytest.raises(TooManyRejects, match=r"stream 'a': 101 of its first 1001.*max_reject_ratio \(0.1\)"):
        reject(rejects, counts)


def test_the_row_that_makes_the_ratio_due_may_be_an_accepted_one() -> None:
    rejects, counts = policy(max_ratio=0.1, probation=False), StreamCounts("a")
    reject(rejects, counts, 101)
    with pytest.raises(TooManyRejects, match=r"101 of its first 1000"):
        accept(rejects, counts, JUDGED_ROWS - 101)


def test_a_ratio_of_1_lets_everything_through() -> None:
    reject(policy(max_ratio=1, probation=False), StreamCounts("a"), 2000)


def test_a_dry_run_logs_its_rejects(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        LoggedRejects(logging.getLogger("test")).write(
            stream="a", code="bad-number", reason="not finite", field="size", record={"id": 1}
        )
    assert "stream 'a': field 'size' dropped (bad-number): not finite" in caplog.text
