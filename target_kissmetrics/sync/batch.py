"""The object that travels: rows between two STATE messages, and all that becomes of them.

The reader's thread adds rows; the planner gives the calls, what the store has to learn and the intents; the dispatcher
acknowledges the calls; the store commits; and the STATE behind the batch is emitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.store.update import StoreUpdate


class BatchRow(msgspec.Struct):
    """A mapped row.

    Attributes:
        counts: Its stream's counts.
        mapped: What the mapping made of it.
        record: The row as the tap sent it, for the file of rejects.
    """

    counts: StreamCounts
    mapped: Mapped
    record: Mapping[str, Any]


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
        update: What the store learns once the calls are acknowledged.
        intents: Numbers of the intents to clear once the batch is committed and its STATE emitted.
        state: The STATE message behind the rows; None while there is none.
        acknowledged: Every call was acknowledged.
    """

    rows: list[BatchRow] = field(default_factory=list)
    calls: list[Outgoing] = field(default_factory=list)
    update: StoreUpdate = field(default_factory=StoreUpdate)
    intents: list[int] = field(default_factory=list)
    state: State | None = None
    acknowledged: bool = False
