"""How far a run is, as it fits where it is shown."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from fakes import FakeClock
from rich.console import Console
from singer_sdk import metrics

from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.live import LiveDisplay
from target_kissmetrics.reporting.metrics import MetricPoints, RunMetric, StreamMetric, tell_totals
from target_kissmetrics.reporting.progress import ProgressLines, collects_metrics, progress, takes_a_display


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class GoneTerminal(Terminal):
    def write(self, text: str) -> int:  # noqa: ARG002
        raise OSError(5, "Input/output error")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def streams() -> list[StreamCounts]:
    return [StreamCounts("events", rows=1200, record=1000), StreamCounts("users", rows=30, set=5, unchanged=25)]


def test_a_line_comes_every_ten_seconds_with_the_rate_since_the_last_one(
    clock: FakeClock, streams: list[StreamCounts]
) -> None:
    lines: list[str] = []
    shown = ProgressLines(lambda: streams, lines.append, clock)
    for _ in range(41):
        shown.tick(answered=1005, under_way=7, retries=1)
        clock.advance(0.5)
    assert lines == [
        "1230 rows read, 1005 calls sent (100 a second), 7 under way, 0 rows rejected, 1 retries",
        "1230 rows read, 1005 calls sent (0 a second), 7 under way, 0 rows rejected, 1 retries",
    ]


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> list[metrics.Point[Any]]:
    told: list[metrics.Point[Any]] = []
    monkeypatch.setattr(metrics, "log", lambda _, point: told.append(point))
    return told


def test_metrics_come_every_ten_seconds_as_gauges_of_what_changed(
    clock: FakeClock, streams: list[StreamCounts], points: list[metrics.Point[Any]]
) -> None:
    shown = MetricPoints(lambda: streams, clock)
    shown.tick(answered=1005, under_way=0, retries=0)
    assert points == []
    clock.advance(10)
    shown.tick(answered=1005, under_way=7, retries=1)
    assert {point.metric_type for point in points} == {"gauge"}
    assert {(point.metric.value, point.value) for point in points if not point.tags.get("stream")} == {
        ("calls_per_second", 100.5), ("calls_under_way", 7), ("retries", 1),
    }  # fmt: skip
    of_streams = {(point.tags["stream"], point.metric.value): point.value for point in points if "stream" in point.tags}
    assert of_streams == {
        ("events", "rows"): 1200, ("events", "record_calls"): 1000,
        ("users", "rows"): 30, ("users", "set_calls"): 5, ("users", "unchanged"): 25,
    }  # fmt: skip
    points.clear()
    streams[0].rows += 1
    clock.advance(10)
    shown.tick(answered=1005, under_way=0, retries=1)
    assert [(point.metric.value, point.value) for point in points if "stream" in point.tags] == [("rows", 1201)]


def test_the_end_is_told_as_counters_of_every_figure(
    streams: list[StreamCounts], points: list[metrics.Point[Any]]
) -> None:
    tell_totals(streams[0])
    assert {point.metric_type for point in points} == {"counter"}
    assert {point.metric.value: point.value for point in points} == streams[0].figures()


def test_every_figure_is_a_metric_and_no_name_means_two_things() -> None:
    assert {metric.value for metric in StreamMetric} == StreamCounts("s").figures().keys()
    assert {metric.value for metric in StreamMetric}.isdisjoint(metric.value for metric in RunMetric)


@pytest.mark.parametrize(
    ("is_terminal", "environment", "is_shown"),
    [
        (True, {"TERM": "xterm-256color"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, True),
        (False, {"TERM": "xterm"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {}, False),
        (True, {"TERM": "xterm", "MELTANO_PROJECT_ROOT": "/p"}, False),
        (True, {"TERM": "xterm", "SINGER_SDK_LOG_CONFIG": "l.json"}, False),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="there is no TERM on Windows")
def test_a_display_is_for_a_terminal_that_nobody_reads_along(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, environment: dict[str, str], is_shown: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal() if is_terminal else io.StringIO())
    assert takes_a_display(environment) == is_shown
    monkeypatch.setattr(os, "environ", environment)
    kinds = [type(one) for one in progress(list, print, is_dry_run=False)]
    if is_shown:
        assert kinds == [LiveDisplay]
    else:
        assert kinds == [ProgressLines, *([MetricPoints] if collects_metrics(environment) else [])]
    assert LiveDisplay not in [type(one) for one in progress(list, print, is_dry_run=True)]


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def display(terminal: io.StringIO, streams: list[StreamCounts], clock: FakeClock) -> LiveDisplay:
    console = Console(file=terminal, force_terminal=True, width=100, height=30, _environ={"TERM": "xterm"})
    return LiveDisplay(lambda: streams, console, clock)


def test_a_short_run_has_no_display(clock: FakeClock, streams: list[StreamCounts]) -> None:
    terminal = Terminal()
    shown = display(terminal, streams, clock)
    shown.tick(answered=1005, under_way=0, retries=0)
    clock.advance(0.9)
    shown.tick(answered=1005, under_way=0, retries=0)
    shown.close()
    assert not terminal.getvalue()


def test_it_shows_streams_and_the_run_and_is_gone_at_the_end(clock: FakeClock, streams: list[StreamCounts]) -> None:
    terminal = Terminal()
    streams[0].rejected["too-old"] += 3
    shown = display(terminal, streams, clock)
    clock.advance(2)
    shown.tick(answered=1005, under_way=70, retries=1)
    drawn = plain(terminal.getvalue())
    assert re.search(r"events +1,200 +1,000 +0 +3", drawn)
    assert re.search(r"users +30 +5 +25 +0", drawn)
    assert re.search(r"all 2 streams +1,230 +1,005 +25 +3", drawn)
    assert "502 calls a second, 1,005 answered, 70 under way, 1 retry, 0:02 so far" in drawn
    shown.close()
    assert terminal.getvalue().endswith(("\x1b[2K", "\x1b[?25h"))
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h") == 1


def test_it_is_drawn_four_times_a_second_at_most(clock: FakeClock, streams: list[StreamCounts]) -> None:
    terminal = Terminal()
    shown = display(terminal, streams, clock)
    clock.advance(2)
    for _ in range(100):
        shown.tick(answered=1005, under_way=0, retries=0)
        clock.advance(0.01)
    shown.close()
    assert 3 <= plain(terminal.getvalue()).count("all 2 streams") - 1 <= 5


def test_of_many_streams_those_with_the_latest_rows_are_shown(clock: FakeClock) -> None:
    terminal = Terminal()
    streams = [StreamCounts(f"stream-{number}", rows=1) for number in range(30)]
    shown = display(terminal, streams, clock)
    clock.advance(2)
    shown.tick(answered=1005, under_way=0, retries=0)
    clock.advance(1)
    streams[25].rows += 1
    before = len(terminal.getvalue())
    shown.tick(answered=1005, under_way=0, retries=0)
    drawn = plain(terminal.getvalue()[before:])
    assert "stream-25" in drawn
    assert len(re.findall(r"stream-\d+", drawn)) == 8
    shown.close()


def test_a_name_does_not_steer_the_terminal(clock: FakeClock) -> None:
    terminal = Terminal()
    shown = display(terminal, [StreamCounts("\x1b]0;x\x07[bold]\u202e")], clock)
    clock.advance(2)
    shown.tick(answered=1005, under_way=0, retries=0)
    shown.close()
    assert "\x1b]" not in terminal.getvalue()
    assert "[bold]" in terminal.getvalue()


def test_lines_of_the_log_come_out_whole_above_it(
    clock: FakeClock, streams: list[StreamCounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    handler = logging.StreamHandler(terminal)
    logging.getLogger().addHandler(handler)
    try:
        shown = display(terminal, streams, clock)
        clock.advance(2)
        shown.tick(answered=1005, under_way=0, retries=0)
        line = f"[red]{'long ' * 60}"
        logging.getLogger("t").warning(line)
        shown.close()
        assert f"{line}\n" in plain(terminal.getvalue())
        assert handler.stream is terminal
    finally:
        logging.getLogger().removeHandler(handler)


def test_a_terminal_that_is_gone_does_not_end_the_run(clock: FakeClock, streams: list[StreamCounts]) -> None:
    shown = display(GoneTerminal(), streams, clock)
    for _ in range(3):
        clock.advance(2)
        shown.tick(answered=1005, under_way=0, retries=0)
    shown.close()


def test_what_draws_and_what_reports_is_not_loaded_before_it_is_needed() -> None:
    late = ("rich", "target_kissmetrics.reporting.live", "target_kissmetrics.reporting.report_page")
    program = f"import sys, target_kissmetrics.target; print([name for name in {late} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
