"""A run that mostly rejects fails, and says what to do."""

from __future__ import annotations

import pytest

from target_kissmetrics.errors import TooManyRejects
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.reject_limits import JUDGED_ROWS, RejectLimits


def counted(stream: str, rows: int, rejected: int) -> StreamCounts:
    counts = StreamCounts(stream, rows=rows, accepted=rows - rejected, parts=rows)
    counts.rejected["no-identity"] = rejected
    return counts


def test_without_limits_everything_may_be_rejected() -> None:
    limits = RejectLimits()
    for _ in range(5000):
        limits.count(counted("s", 5000, 5000))


def test_one_reject_more_than_max_rejects_over_all_streams_is_too_many() -> None:
    limits = RejectLimits(2)
    limits.count(counted("a", 1, 1))
    limits.count(counted("b", 1, 1))
    with pytest.raises(TooManyRejects, match=r"3 rows.*max_rejects \(2\).*stream 'a'.*1 no-identity.*replay"):
        limits.count(counted("a", 2, 1))


def test_none_at_all_with_max_rejects_0() -> None:
    with pytest.raises(TooManyRejects):
        RejectLimits(0).count(counted("a", 1, 1))


def test_a_ratio_is_judged_once_a_stream_had_its_first_1000_rows() -> None:
    limits = RejectLimits(ratio=0.1)
    limits.judge(counted("s", JUDGED_ROWS - 1, JUDGED_ROWS - 1))
    limits.judge(counted("s", JUDGED_ROWS, 100))
    with pytest.raises(TooManyRejects, match=r"stream 's': 101 of its first 1000.*max_reject_ratio \(0.1\)"):
        limits.judge(counted("s", JUDGED_ROWS, 101))


def test_a_ratio_of_1_lets_everything_through() -> None:
    RejectLimits(ratio=1).judge(counted("s", 2000, 2000))
