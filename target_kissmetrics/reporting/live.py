"""How far a run is, drawn anew in place on a terminal, on standard error, beneath the lines of the log.

Colour is rich's business, which respects `NO_COLOR` (https://no-color.org).
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from typing import TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from target_kissmetrics.reporting import display as shown
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.progress import Streams
from target_kissmetrics.reporting.rate import Rate

FIRST_SECONDS = 1.0
"""A run that ends before this is shown by its summary alone."""

DRAWN_EVERY_SECONDS = 0.25

RATE_SECONDS = 1.0

MAX_STREAMS = 8
"""Those with the latest rows; the display stays small."""

_NAME_CHARACTERS = 40


class LiveDisplay:
    """A display that is gone when the run ends. For one thread at a time.

    Args:
        streams: The counts of all streams.
        console: Where it is drawn; standard error.
        clock: Seconds that only grow.
    """

    def __init__(
        self, streams: Streams, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._streams = streams
        self._console = console or Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        self._clock = clock
        self._start = clock()
        self._drawn = self._start
        self._rate = Rate(clock)
        self._rated = self._start
        self._calls_a_second = 0.0
        self._live: Live | None = None
        self._is_gone = False
        self._handlers: list[tuple[logging.StreamHandler[TextIO], TextIO]] = []
        self._order: dict[str, tuple[int, float]] = {}

    def tick(self, *, answered: int, under_way: int, retries: int) -> None:
        """Draw, when it is time to. A terminal that is gone is no reason for a run to fail."""
        now = self._clock()
        if (
            self._is_gone
            or now - self._start < FIRST_SECONDS
            or (self._live and now - self._drawn < DRAWN_EVERY_SECONDS)
        ):
            return
        self._drawn = now
        streams = list(self._streams())
        if now - self._rated >= RATE_SECONDS:
            self._rated, self._calls_a_second = now, self._rate.of(answered)
        drawn = self._draw(streams, answered, under_way, retries)
        try:
            if self._live is None:
                self._live = self._open(drawn)
            self._live.update(drawn, refresh=True)
        except OSError:
            self._is_gone = True
            self.close()

    def close(self) -> None:
        """Take the display away, and let the log write to the terminal itself again."""
        for handler, stream in self._handlers:
            handler.setStream(stream)
        self._handlers = []
        if self._live is not None:
            with contextlib.suppress(OSError):
                self._live.stop()
            self._live = None

    def _open(self, drawn: RenderableType) -> Live:
        live = Live(
            drawn,
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,  # the STATE's channel
            redirect_stderr=False,
        )
        live.start()
        above = cast("TextIO", _Above(self._console))
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
                self._handlers.append((handler, handler.stream))
                handler.setStream(above)
        return live

    def _draw(self, streams: list[StreamCounts], answered: int, under_way: int, retries: int) -> RenderableType:
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("stream", overflow="ellipsis", no_wrap=True, max_width=_NAME_CHARACTERS)
        for head in ("rows read", "calls sent", "unchanged", "rejected"):
            table.add_column(head, justify="right", no_wrap=True)
        self._note_order(streams)
        latest = sorted(streams, key=lambda counts: self._order[counts.stream][1], reverse=True)[:MAX_STREAMS]
        for counts in [counts for counts in streams if counts in latest]:
            _add_row(table, Text(shown.line(counts.stream, _NAME_CHARACTERS)), [counts])
        if len(streams) > 1:
            _add_row(table, Text(f"all {len(streams)} streams", "bold"), streams)
        run = Text.assemble(
            (f"{self._calls_a_second:,.0f} calls a second", "bold"),
            f", {answered:,} answered, {under_way:,} under way, {retries:,} {'retry' if retries == 1 else 'retries'}, ",
            f"{_elapsed(self._clock() - self._start)} so far",
        )
        return Group(table, run)

    def _note_order(self, streams: list[StreamCounts]) -> None:
        now = self._clock()
        for counts in streams:
            seen = self._order.get(counts.stream)
            done = counts.rows + counts.calls
            if seen is None or seen[0] != done:
                self._order[counts.stream] = (done, now)


class _Above:
    """A stream for the log's handlers: lines come out above the display, in one piece."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        self._console.print(Text(text), end="", soft_wrap=True)

    def flush(self) -> None:
        """The console has written already."""


def _add_row(table: Table, name: Text, streams: list[StreamCounts]) -> None:
    rejected = sum(sum(counts.all_rejected.values()) for counts in streams)
    table.add_row(
        name,
        f"{sum(counts.rows for counts in streams):,}",
        f"{sum(counts.calls for counts in streams):,}",
        f"{sum(counts.unchanged for counts in streams):,}",
        Text(f"{rejected:,}", "yellow" if rejected else ""),
    )


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
