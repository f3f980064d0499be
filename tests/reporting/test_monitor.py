"""What a run shows of itself: lines of the log, metrics, a display on a terminal."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
from typing import Any

import pytest
from fakes import FakeClock
from rich.console import Console
from singer_sdk import metrics

from target_kissmetrics.kissmetrics.calls import Outgoing, Set
from target_kissmetrics.reporting.counts import FIGURES, StreamCounts
from target_kissmetrics.reporting.live import LiveDisplay
from target_kissmetrics.reporting.monitor import (
    LIVE_SECONDS,
    RUN_FIGURES,
    Monitor,
    Progress,
    log_progress,
    log_totals,
    make_monitor,
    progress_line,
    takes_a_display,
)


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
    events = StreamCounts("events", rows=1200, record_calls=1000)
    return [events, StreamCounts("users", rows=30, set_calls=5, unchanged=25)]


CALL = Outgoing(None, Set("ada", 1_704_067_200, {"Plan": "Gold"}))


def test_it_shows_what_changed_since_it_last_did(clock: FakeClock, streams: list[StreamCounts]) -> None:
    shown: list[tuple[Progress, Progress]] = []
    monitor = Monitor(lambda: streams, lambda now, before: shown.append((now, before)), clock=clock)
    for _ in range(41):
        monitor.tick(in_flight=7)
        clock.advance(0.5)
    assert [(now.seconds, before.seconds) for now, before in shown] == [(10, 0), (20, 10)]
    assert shown[0][0].figures["users"]["unchanged"] == 25
    assert [now.rate_since(before) for now, before in shown] == [100.5, 0]


def test_of_a_batch_in_flight_some_calls_are_acknowledged(clock: FakeClock, streams: list[StreamCounts]) -> None:
    shown: list[Progress] = []
    monitor = Monitor(lambda: streams, lambda now, _: shown.append(now), clock=clock)
    for _ in range(1007):
        monitor.acknowledged(CALL, 0.1, 1)
    monitor.retried("it answered 503")
    clock.advance(10)
    monitor.tick(in_flight=5)
    assert (shown[0].acknowledged, shown[0].in_flight, shown[0].retries) == (1007, 3, 1)


@pytest.mark.parametrize(("is_dry_run", "calls"), [(False, "calls sent"), (True, "calls logged (dry run)")])
def test_a_line_says_how_far_the_run_is(is_dry_run: bool, calls: str) -> None:
    figures = {"events": {"rows": 1200, "rejected": 3}, "users": {"rows": 30, "rejected": 0}}
    line = progress_line(Progress(20, figures, 2005, 7, 1), Progress(10, {}, 1000), is_dry_run=is_dry_run)
    assert line == f"1,230 rows read, 2,005 {calls} (100 a second), 7 in flight, 3 rows rejected, 1 retries"


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> list[metrics.Point[Any]]:
    logged: list[metrics.Point[Any]] = []
    monkeypatch.setattr(metrics, "log", lambda _, point: logged.append(point))
    return logged


def test_metrics_are_gauges_of_what_changed(streams: list[StreamCounts], points: list[metrics.Point[Any]]) -> None:
    def progress(seconds: float) -> Progress:
        return Progress(seconds, {counts.stream: counts.figures() for counts in streams}, 1005, 7, 1)

    first = progress(10)
    log_progress(first, Progress())
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
    log_progress(progress(20), first)
    assert [(point.metric.value, point.value) for point in points if "stream" in point.tags] == [("rows", 1201)]


def test_the_end_is_logged_as_counters_of_every_figure(
    streams: list[StreamCounts], points: list[metrics.Point[Any]]
) -> None:
    log_totals(streams[0])
    assert {point.metric_type for point in points} == {"counter"}
    assert {point.metric.value: point.value for point in points} == streams[0].figures()


def test_every_figure_has_a_meaning_and_no_name_means_two_things() -> None:
    assert list(FIGURES) == list(StreamCounts("s").figures())
    assert FIGURES.keys().isdisjoint(RUN_FIGURES)


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
    lines: list[str] = []
    monitor = make_monitor(list, lines.append, is_dry_run=False)
    assert (getattr(monitor.close, "__self__", None).__class__ is LiveDisplay) == is_shown


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


class Shown:
    """A display on a terminal, with the monitor that feeds it."""

    def __init__(self, streams: list[StreamCounts], terminal: io.StringIO | None = None) -> None:
        self.clock = FakeClock()
        self.terminal = terminal or Terminal()
        console = Console(
            file=self.terminal, force_terminal=True, width=100, height=30, soft_wrap=True, _environ={"TERM": "xterm"}
        )
        self.display = LiveDisplay(console)
        self.monitor = Monitor(lambda: streams, self.display.show, every=LIVE_SECONDS, clock=self.clock)

    def after(self, seconds: float, in_flight: int = 0) -> str:
        """Give what is drawn so many seconds later."""
        before = len(self.terminal.getvalue())
        self.clock.advance(seconds)
        self.monitor.tick(in_flight=in_flight)
        return plain(self.terminal.getvalue()[before:])


def test_a_short_run_has_no_display(streams: list[StreamCounts]) -> None:
    shown = Shown(streams)
    assert not shown.after(0)
    assert not shown.after(0.9)
    shown.display.close()
    assert not shown.terminal.getvalue()


def test_it_shows_streams_and_the_run_and_is_gone_at_the_end(streams: list[StreamCounts]) -> None:
    streams[0].rejected["too-old"] += 3
    shown = Shown(streams)
    shown.monitor.retried("it answered 503")
    drawn = shown.after(2, in_flight=70)
    assert re.search(r"events +1,200 +1,000 +0 +3", drawn)
    assert re.search(r"users +30 +5 +25 +0", drawn)
    assert re.search(r"all 2 streams +1,230 +1,005 +25 +3", drawn)
    assert "502 calls a second, 1,005 acknowledged, 70 in flight, 1 retries, 0:00:02 so far" in drawn
    shown.display.close()
    out = shown.terminal.getvalue()
    assert out.endswith(("\x1b[2K", "\x1b[?25h"))
    assert out.count("\x1b[?25l") == out.count("\x1b[?25h") == 1


def test_it_is_redrawn_twice_a_second(streams: list[StreamCounts]) -> None:
    shown = Shown(streams)
    shown.after(2)
    drawn = [shown.after(0.01) for _ in range(110)]
    assert len([one for one in drawn if "all 2 streams" in one]) == 2


def test_of_many_streams_those_with_the_latest_rows_are_shown() -> None:
    streams = [StreamCounts(f"stream-{number}", rows=1) for number in range(30)]
    shown = Shown(streams)
    shown.after(2)
    streams[5].rows += 1
    drawn = shown.after(1)
    assert "stream-5" in drawn
    assert len(re.findall(r"stream-\d+", drawn)) == 8


def test_a_name_does_not_steer_the_terminal() -> None:
    shown = Shown([StreamCounts("\x1b]0;x\x07[bold]\u202e")])
    shown.after(2)
    assert "\x1b]" not in shown.terminal.getvalue()
    assert "[bold]" in shown.terminal.getvalue()


def test_a_long_name_does_not_push_the_figures_off_the_terminal() -> None:
    shown = Shown([StreamCounts("n" * 200, rows=1234567)])
    assert "1,234,567" in shown.after(2)


def test_lines_of_the_log_come_out_whole_above_it(streams: list[StreamCounts], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    handler = logging.StreamHandler(terminal)
    logging.getLogger().addHandler(handler)
    try:
        shown = Shown(streams, terminal)
        shown.after(2)
        line = f"[red]{'long ' * 60}"
        logging.getLogger("t").warning(line)
        shown.display.close()
        assert f"{line}\n" in plain(terminal.getvalue())
        assert handler.stream is sys.stderr is terminal
    finally:
        logging.getLogger().removeHandler(handler)


def test_a_terminal_that_is_gone_does_not_end_the_run(streams: list[StreamCounts]) -> None:
    shown = Shown(streams, GoneTerminal())
    for _ in range(3):
        shown.after(2)
    shown.display.close()
