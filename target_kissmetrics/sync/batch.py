"""A batch: the rows between two STATE messages, with their calls, store update and intents.

The reading thread adds rows; the planner gives the calls, the store update and the intents; the dispatcher acknowledges
the calls; the store commits; and the STATE behind the batch is emitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from target_kissmetrics.kissmetrics.calls import Alias, Call, Outgoing
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.store.update import StoreUpdate


class BatchRow(msgspec.Struct):
    """A mapped row.

    Attributes:
        counts: Its stream's counts.
        mapped: What the mapping made of it.
        record: The row as the tap sent it, for the file of rejects.
        refused_at: The second of its call that a host refused for its size, if it did.
    """

    counts: StreamCounts
    mapped: Mapped
    record: Mapping[str, Any]
    refused_at: int | None = None


class State(NamedTuple):
    """A STATE message.

    Attributes:
        value: As the tap sent it.
        on_probation: Streams whose rows were all rejected so far: the value is not emitted until each of them has an
            accepted row, or the input ends.
    """

    value: Any
    on_probation: tuple[StreamCounts, ...] = ()


@dataclass(slots=True)
class Batch:
    """Rows between two STATE messages.

    Attributes:
        rows: The rows; emptied once they are planned.
        calls: The calls they are sent as, each with the counts of its stream.
        update: The store update, which is committed once the calls are acknowledged.
        intents: Numbers of the intents to clear once the batch is committed and its STATE emitted.
        state: The STATE message behind the rows; None while there is none.
        sent: How many calls it had, once they are acknowledged.
        acknowledged: Every call was acknowledged, but for those in `refused`.
        refused: Calls that the host refused for their size.
    """

    rows: list[BatchRow] = field(default_factory=list)
    calls: list[Outgoing] = field(default_factory=list)
    update: StoreUpdate = field(default_factory=StoreUpdate)
    intents: list[int] = field(default_factory=list)
    state: State | None = None
    sent: int = 0
    acknowledged: bool = False
    refused: Sequence[Outgoing] = ()


LARGE_CALL_BYTES = 1000
"""From this size on, as encoded in a request, a call keeps its rows until it is acknowledged: a host may refuse it."""

BYTES_PER_CHARACTER = 9
"""At most, of a request: three bytes of UTF-8, each as `%XX`."""


def outgoing(rows: Sequence[BatchRow], call: Call) -> Outgoing:
    """Return a call to send, with its rows if it may be large."""
    if isinstance(call, Alias):
        return Outgoing(rows[0].counts, call)
    text = "".join([call.person, call.user_agent or "", *call.properties, *call.properties.values()])
    size = len(text)
    is_large = size >= LARGE_CALL_BYTES or (size * BYTES_PER_CHARACTER >= LARGE_CALL_BYTES and not text.isascii())
    return Outgoing(rows[0].counts, call, rows if is_large else ())
