"""What happens over time, in a bounded number of moments."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reported import Reported, record

from target_kissmetrics.reporting.report import FIRST_WIDTH_SECONDS, MAX_MOMENTS, Bucket, Moment

STEPS = st.lists(st.floats(0, 1e5), min_size=1, max_size=60)
DURATIONS = st.lists(st.floats(1e-4, 1000), min_size=1, max_size=60)


def moments(*steps: float, rows: int = 1) -> list[Moment]:
    """Give the course of a run that reads rows after each step, in seconds."""
    run = Reported()
    for seconds in steps:
        run.stream("events", rows)
        run.wait(seconds)
    return list(run.report().over_time)


@given(STEPS)
def test_nothing_is_lost_and_the_moments_cover_the_run_without_a_gap(steps: list[float]) -> None:
    course = moments(*steps)
    assert len(course) <= MAX_MOMENTS
    assert sum(moment.rows for moment in course) == len(steps)
    assert course[0].at == 0
    for before, after in pairwise(course):
        assert before.at + before.seconds == pytest.approx(after.at, abs=1e-5)


@given(st.lists(st.tuples(st.floats(0, 500), st.sampled_from("abc")), min_size=1, max_size=60))
def test_the_course_of_a_run_is_the_sum_of_its_streams(steps: list[tuple[float, str]]) -> None:
    run = Reported()
    for number, (seconds, stream) in enumerate(steps):
        run.send(stream, record(at=number))
        run.wait(seconds)
    report = run.report()
    assert sum(moment.calls for moment in report.over_time) == len(steps)
    for index, moment in enumerate(report.over_time):
        of_streams = [stream.over_time[index] for stream in report.streams]
        assert {(one.at, one.seconds) for one in of_streams} == {(moment.at, moment.seconds)}
        assert sum(one.calls for one in of_streams) == moment.calls
        assert sum(one.rows for one in of_streams) == moment.rows


@given(DURATIONS, st.sampled_from([0.5, 0.95]))
def test_a_percentile_is_never_too_low_and_a_tenth_too_high_at_most(durations: list[float], part: float) -> None:
    exact = sorted(durations)[max(0, -int(-part * len(durations) // 1) - 1)]
    bucket = Bucket()
    for seconds in durations:
        bucket.add_duration(seconds)
    assert exact * (1 - 1e-9) <= bucket.percentile(part) <= min(exact * 1.1, max(durations))


def test_a_long_run_has_moments_twice_as_long_whenever_they_would_be_too_many() -> None:
    course = moments(*([1] * 200))
    assert {moment.seconds for moment in course} == {FIRST_WIDTH_SECONDS * 4}
    assert len(course) == 100


def test_a_rest_of_the_last_moment_belongs_to_the_one_before() -> None:
    course = moments(0.1, 0.9, 0.02, rows=10)
    assert [(moment.at, moment.rows) for moment in course] == [(0.0, 10), (0.5, 20)]
    assert course[1].seconds == pytest.approx(0.52)


def test_a_run_without_a_row_has_no_moments() -> None:
    assert moments(100.0, rows=0) == []
