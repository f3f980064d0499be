"""How far a run is, redrawn in place on a terminal, on standard error, beneath the lines of the log."""

import contextlib
import logging
import sys
from collections.abc import Mapping
from datetime import timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from target_kissmetrics.reporting import display as shown
from target_kissmetrics.reporting.monitor import Progress

FIRST_SECONDS = 1.0  # a shorter run has its summary alone
MAX_STREAMS = 8  # those with the latest rows: the display stays small
_NAME_CHARACTERS = 40


class LiveDisplay:
    """A display on standard error that is gone when the run ends. For one thread at a time."""

    def __init__(self, console: Console | None = None) -> None:
        # soft_wrap: the log's lines, which rich prints above the display, stay whole.
        console = console or Console(file=sys.stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._is_gone = False
        self._opened = contextlib.ExitStack()

    def show(self, now: Progress, before: Progress) -> None:
        """Redraw. A terminal that is gone is no reason for a run to fail."""
        if self._is_gone or now.seconds < FIRST_SECONDS:
            return
        try:
            if not self._live.is_started:
                self._open()
            self._live.update(Group(_table(now, before), _run_line(now, before)), refresh=True)
        except OSError:
            self._is_gone = True
            self.close()

    def close(self) -> None:
        """Take the display away, and let the log write to the terminal itself again."""
        with contextlib.suppress(OSError):
            self._opened.close()

    def _open(self) -> None:
        self._opened.callback(self._live.stop)
        stderr = sys.stderr
        self._live.start()  # puts its own stream in the place of sys.stderr; handlers of the log still have the old one
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is stderr:
                handler.setStream(sys.stderr)
                self._opened.callback(handler.setStream, stderr)


def _table(now: Progress, before: Progress) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stream", overflow="ellipsis", no_wrap=True, max_width=_NAME_CHARACTERS)
    for head in ("rows read", "calls sent", "unchanged", "rejected"):
        table.add_column(head, justify="right", no_wrap=True)
    latest = sorted(now.figures, key=lambda stream: now.figures[stream] != before.figures.get(stream))[-MAX_STREAMS:]
    for stream in latest:
        table.add_row(Text(shown.line(stream, _NAME_CHARACTERS)), *_cells(now.figures[stream]))
    if len(now.figures) > 1:
        table.add_row(Text(f"all {len(now.figures)} streams", "bold"), *_cells(now.totals()))
    return table


def _cells(figures: Mapping[str, int]) -> list[Text]:
    calls = figures["record_calls"] + figures["set_calls"] + figures["alias_calls"]
    rejected = Text(f"{figures['rejected']:,}", "yellow" if figures["rejected"] else "")
    return [*(Text(f"{number:,}") for number in (figures["rows"], calls, figures["unchanged"])), rejected]


def _run_line(now: Progress, before: Progress) -> str:
    figures = f"{now.acknowledged:,} acknowledged, {now.in_flight:,} in flight, {now.retries:,} retries"
    return f"{now.rate_since(before):,.0f} calls a second, {figures}, {timedelta(seconds=int(now.seconds))} so far"
