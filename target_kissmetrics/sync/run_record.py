"""What the store keeps of a run: its start, how it ended, its counts, and which events were acknowledged."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.report_writer import ending_of
from target_kissmetrics.store.protocol import StoredRun


def ended(
    run: StoredRun,
    error: BaseException | None,
    stopped_by: str | None,
    streams: Sequence[StreamCounts],
    max_names: int,
) -> StoredRun:
    """Give a run that ends now, maybe with an error, a signal or a setting; events of more names are not listed."""
    events: dict[str, dict[str, int]] = {}
    as_spelled: dict[str, str] = {}
    for name, (count, first, last) in (item for one in streams for item in one.events.items()):
        spelled = as_spelled.setdefault(folded(name), name)
        if spelled in events or len(events) < max_names:
            event = events.setdefault(spelled, {"count": 0, "first": first, "last": last})
            event["count"] += count
            event |= {"first": min(event["first"], first), "last": max(event["last"], last)}
    counts = {}
    for one in streams:
        by_code = {"rejected_by_reason": one.rejected, "set_aside_by_reason": one.set_aside}
        counts[one.stream] = {name: value for name, value in (one.figures() | by_code).items() if value}
    ending = ending_of(error, stopped_by)
    return run._replace(
        ended_at=int(time.time()),
        outcome=ending.ended_as,
        reason=ending.reason,
        counts=json.dumps(counts),
        events=json.dumps(events),
    )
