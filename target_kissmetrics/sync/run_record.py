"""What the store keeps of a run: its start, how it ended, its counts, and which events were acknowledged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from typing import Any

from target_kissmetrics.errors import ConfigError, StoreError, TargetError
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.report_writer import ending_of
from target_kissmetrics.store.protocol import Store, StoredRun


class RunRecord:
    """The row of one run in the table of runs.

    Args:
        run_id: The ID of the run.
        max_names: Events of more names are not listed.
        warn: Takes a message.
    """

    def __init__(self, run_id: str, *, max_names: int, warn: Callable[[str], None]) -> None:
        self.run = StoredRun(run_id, int(time.time()))
        self._max_names = max_names
        self._warn = warn

    def end(
        self,
        store: Store | None,
        open_store: Callable[[], Store],
        streams: Sequence[StreamCounts],
        error: BaseException | None,
        stopped_by: str | None,
    ) -> None:
        """Store how the run ends. Its end does not depend on that: a store that cannot be written is warned of.

        Args:
            store: The open store; None if no row came as far.
            open_store: Opens it for the rows that were rejected before.
            streams: The counts of all streams.
            error: The exception that ends the run.
            stopped_by: The signal, or the setting, that ends it before its input does.
        """
        if store is None and (isinstance(error, (ConfigError, StoreError)) or not any(one.rows for one in streams)):
            return
        ending = ending_of(error, stopped_by)
        run = self.run._replace(
            ended_at=int(time.time()),
            outcome=ending.ended_as,
            reason=ending.reason,
            counts=json.dumps({one.stream: _counts(one) for one in streams}),
            events=json.dumps(self._events(streams)),
        )
        try:
            with closing(open_store()) if store is None else nullcontext(store) as opened:
                opened.put_run(run)
        except TargetError as problem:
            self._warn(f"how the run ends is not in the table of runs: {problem}")

    def _events(self, streams: Sequence[StreamCounts]) -> dict[str, dict[str, int]]:
        events: dict[str, dict[str, int]] = {}
        as_spelled: dict[str, str] = {}
        for name, (count, first, last) in (item for one in streams for item in one.events.items()):
            spelled = as_spelled.setdefault(folded(name), name)
            if spelled in events or len(events) < self._max_names:
                event = events.setdefault(spelled, {"count": 0, "first": first, "last": last})
                event["count"] += count
                event |= {"first": min(event["first"], first), "last": max(event["last"], last)}
        return events


def _counts(counts: StreamCounts) -> dict[str, Any]:
    by_code = {"rejected_by_reason": counts.all_rejected, "set_aside_by_reason": counts.all_dropped}
    return {name: value for name, value in (counts.figures() | by_code).items() if value}
