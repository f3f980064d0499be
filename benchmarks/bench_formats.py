"""What a call costs in each message format, measured against the flat kind `event`.

    .venv/bin/python benchmarks/bench_formats.py

Rows of all formats say much the same: an event with eight properties. Each is mapped as the target does it, and the
calls of a chunk are planned against a memory in a temporary file. The formats take turns within one run, so that a busy
machine slows all of them alike; the medians of the turns are compared, per call produced. Exit 1 when mapping a format
costs more than twice what the flat kind does. What it costs with the planning is shown, too, but not judged: there the
change tracking of attributes weighs most, and it is the same for the flat kind `user_attributes` (all of them are new
here, every time). About half a minute.
"""

from __future__ import annotations

import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from target_kissmetrics.mapping.detection import resolve
from target_kissmetrics.mapping.settings import BLOCKED_IDENTITIES, MappingSettings, StreamSettings
from target_kissmetrics.mapping.stream import Stream
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.store.update import StoreUpdate
from target_kissmetrics.sync.batch import Batch, BatchRow
from target_kissmetrics.sync.planner import Planner

ROWS = 1000
TURNS = 15
LIMIT = 2.0
FLAT = "event"

PROPERTIES: dict[str, Any] = {
    "plan": "Gold", "seats": 12, "trial": False, "url": "https://www.example.com/pricing", "score": Decimal("0.75"),
    "currency": "USD", "revenue": Decimal("19.90"), "tags": ["a", "b"],
}  # fmt: skip
TRAITS: dict[str, Any] = {name: value for name, value in PROPERTIES.items() if name != "revenue"}
CONTEXT: dict[str, Any] = {
    "ip": "203.0.113.7", "userAgent": "Mozilla/5.0", "campaign": {"source": "news", "medium": "email"},
    "page": {"referrer": "https://r.example", "url": "https://www.example.com/pricing"}, "locale": "en",
}  # fmt: skip

Row = Callable[[int, str], dict[str, Any]]
"""A number and its time -> a row."""


def _segment(kind: str, **content: Any) -> Row:
    return lambda number, at: {
        "type": kind, "messageId": f"m{number}", "userId": f"u{number % 500}", "anonymousId": f"a{number % 500}",
        "timestamp": at, "receivedAt": at, "context": CONTEXT, **content,
    }  # fmt: skip


def _warehouse(**columns: Any) -> Row:
    flat = {"context_ip": "203.0.113.7", "context_user_agent": "Mozilla/5.0", "context_library_name": "analytics.js"}
    return lambda number, at: {
        "id": f"m{number}", "user_id": f"u{number % 500}", "anonymous_id": f"a{number % 500}", "timestamp": at,
        "received_at": at, "sent_at": at, "original_timestamp": at, **flat, **columns,
    }  # fmt: skip


def _batch(number: int, at: str) -> dict[str, Any]:
    moment = 1_706_688_000_000 + number * 1000
    events = [
        {
            "event_type": "custom_event",
            "data": {
                "timestamp_unixtime_ms": moment + index,
                "event_name": f"Clicked {index}",
                "event_id": number * 10 + index,
                "custom_attributes": PROPERTIES,
            },
        }
        for index in range(5)
    ]
    return {
        "mpid": number % 500 + 1,
        "received": at,
        "ip": "203.0.113.7",
        "user_identities": {"customer_id": f"u{number % 500}", "email": "jd@example.com"},
        "user_attributes": TRAITS,
        "events": events,
    }


def _cart(number: int, at: str) -> dict[str, Any]:
    product = {"id": "s1", "name": "Book", "category": "Books", "quantity": 2, "price": Decimal("20.00")}
    action = {"action": "purchase", "transaction_id": "o1", "total_amount": Decimal("64.00"), "products": [product] * 3}
    data = {"timestamp_unixtime_ms": 1_706_688_000_000 + number * 1000, "product_action": action}
    event = {"event_type": "commerce_event", "data": {**data, "custom_attributes": TRAITS}}
    return {"mpid": number % 500 + 1, "received": at, "user_identities": {}, "events": [event]}


FORMATS: dict[str, tuple[str, str, Row]] = {
    FLAT: (
        "event",
        "events",
        lambda number, at: {"user_id": f"u{number % 500}", "event": "Clicked", "timestamp": at, **PROPERTIES},
    ),
    "user_attributes": (
        "user_attributes",
        "people",
        lambda number, at: {"user_id": f"u{number % 500}", "updated_at": at, **TRAITS},
    ),
    "segment track": ("segment", "messages", _segment("track", event="Clicked", properties=PROPERTIES)),
    "segment page": ("segment", "messages", _segment("page", name="Home", properties=PROPERTIES)),
    "segment identify": ("segment", "messages", _segment("identify", traits=TRAITS)),
    "segment group": ("segment", "messages", _segment("group", groupId="g1", traits=TRAITS)),
    "segment alias": ("segment", "messages", _segment("alias", previousId="a0")),
    "table of an event": ("segment", "clicked", _warehouse(event="clicked", event_text="Clicked", **PROPERTIES)),
    "table of pages": ("segment", "pages", _warehouse(name="Home", **PROPERTIES)),
    "table of identifies": ("segment", "identifies", _warehouse(**TRAITS)),
    "mparticle": ("mparticle", "batches", _batch),
    "mparticle commerce": ("mparticle", "batches", _cart),
    "kissmetrics": (
        "kissmetrics",
        "lines",
        lambda number, at: {
            "_p": f"u{number % 500}",
            "_n": "Clicked",
            "_t": 1_706_688_000 + number,
            "at": at,
            **TRAITS,
        },
    ),
}


class Format:
    """One format's rows, and what maps and plans them.

    Attributes:
        costs: Microseconds a call: mapped, and mapped and planned, turn by turn.
    """

    def __init__(self, kind: str, name: str, row: Row, store: SqlStore) -> None:
        self._rows = [row(number, _at(number)) for number in range(ROWS)]
        stream = Stream(
            name=name,
            schema={"properties": {field: {} for field in self._rows[0]}},
            key_properties=(),
            entry=StreamSettings(stream=name, kind=kind),
            settings=MappingSettings(use_customer_id=True, blocked_identities=frozenset(BLOCKED_IDENTITIES)),
        )
        mapping = resolve(stream).mapping
        assert mapping is not None, kind  # noqa: S101 - none of them is to be ignored
        self._map = mapping.map
        self._store = store
        self.costs: list[tuple[float, float]] = []

    def turn(self) -> None:
        """Map all rows and plan what they became, for people who are not known yet."""
        planner = Planner(
            store=self._store,
            include_all=True,
            max_aliases=1_000_000,
            reject=lambda *_: None,
            warn=lambda *_: None,
        )
        counts = StreamCounts("s")
        # The processor's time, and no collecting of garbage: neither other processes nor what an earlier turn left
        # behind is any format's doing.
        gc.collect()
        gc.disable()
        begun = time.process_time()
        mapped = [self._map(row) for row in self._rows]
        calls = sum(len(one.calls) for one in mapped)
        between = time.process_time()
        batch = Batch(rows=[BatchRow(counts, one, {}) for one in mapped])
        planner.plan([batch])
        ended = time.process_time()
        gc.enable()
        # Answered, so that no turn has more to read than the one before; nothing is learned, so that all is new again.
        self._store.commit(StoreUpdate(), batch.intents)
        self.costs.append(((between - begun) / calls * 1e6, (ended - begun) / calls * 1e6))


def _at(number: int) -> str:
    return f"2024-01-31T{8 + number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"


def main() -> int:
    """Run the benchmark; give the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqlStore(f"sqlite:///{Path(folder, 'store.db').as_posix()}", "p" * 16)
        formats = {title: Format(*about, store) for title, about in FORMATS.items()}
        for _ in range(TURNS):
            for one in formats.values():
                one.turn()
        store.close()
    flat = [statistics.median(costs) for costs in zip(*formats[FLAT].costs[1:], strict=True)]
    print(f"{'':20} {'mapped':>10} {'ratio':>6}   {'and planned':>11} {'ratio':>6}   (microseconds a call)")
    dear = []
    for title, one in formats.items():
        mapped, planned = (statistics.median(costs) for costs in zip(*one.costs[1:], strict=True))
        print(f"{title:20} {mapped:10.2f} {mapped / flat[0]:6.2f}   {planned:11.2f} {planned / flat[1]:6.2f}")
        if mapped / flat[0] > LIMIT:
            dear.append(title)
    print(f"mapping costs more than {LIMIT:g} times the flat kind's: {', '.join(dear) or 'none'}")
    return 1 if dear else 0


if __name__ == "__main__":
    sys.exit(main())
