"""What happened over time, in a bounded number of points."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.reporting.series import FIRST_WIDTH_SECONDS, MAX_POINTS, Series, together

MOMENTS = st.lists(st.floats(0, 1e6), min_size=1, max_size=60)
DURATIONS = st.lists(st.floats(1e-4, 1000), min_size=1, max_size=60)


def timed(*durations: float) -> Series:
    series = Series()
    for seconds in durations:
        series.time(1.0, seconds)
    return series


@given(MOMENTS)
def test_nothing_is_lost_and_the_points_cover_the_run_without_a_gap(moments: list[float]) -> None:
    series = Series()
    for moment in moments:
        series.count(moment, rows=2, calls=1)
    end = max(moments)
    points = series.points(end)
    assert len(points) <= MAX_POINTS
    assert sum(point.bucket.rows for point in points) == 2 * len(moments)
    assert sum(point.bucket.calls for point in points) == len(moments)
    assert points[0].begin == 0
    for before, after in pairwise(points):
        assert before.begin + before.seconds == pytest.approx(after.begin)


@given(st.lists(MOMENTS, max_size=4))
def test_several_series_together_are_as_if_there_were_one(parts: list[list[float]]) -> None:
    series, whole = [], Series()
    for moments in parts:
        one = Series()
        for moment in moments:
            for each in (one, whole):
                each.time(moment, 0.1)
        series.append(one)
    end = max((moment for moments in parts for moment in moments), default=0.0)
    assert [(point.begin, point.bucket) for point in together(series).points(end)] == [
        (point.begin, point.bucket) for point in whole.points(end)
    ]


@given(DURATIONS, st.sampled_from([0.5, 0.95]))
def test_a_percentile_is_never_too_low_and_a_tenth_too_high_at_most(durations: list[float], part: float) -> None:
    exact = sorted(durations)[max(0, -int(-part * len(durations) // 1) - 1)]
    told = timed(*durations).total().percentile(part)
    assert told is not None
    assert exact * (1 - 1e-9) <= told <= min(exact * 1.1, max(durations))


def test_without_a_call_there_is_no_percentile() -> None:
    assert Series().total().percentile(0.5) is None


def test_a_long_run_has_points_twice_as_wide_whenever_they_would_be_too_many() -> None:
    series = Series()
    for second in range(200):
        series.count(second, rows=1, calls=0)
    points = series.points(200)
    assert {point.seconds for point in points} == {FIRST_WIDTH_SECONDS * 4}
    assert len(points) == 100


def test_what_is_left_of_the_last_point_belongs_to_the_one_before() -> None:
    series = Series()
    series.count(0.1, rows=10, calls=0)
    series.count(1.01, rows=10, calls=0)
    points = series.points(1.02)
    assert [(point.begin, point.bucket.rows) for point in points] == [(0.0, 10), (0.5, 10)]
    assert points[1].seconds == pytest.approx(0.52)


def test_a_series_that_saw_nothing_has_no_points() -> None:
    assert Series().points(100) == []
