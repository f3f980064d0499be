"""One process that plans and commits over a store, and rows for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.mapping.result import Deletion, EventSlot, Mapped
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.sync.batch import Batch, BatchRow
from target_kissmetrics.sync.planner import Planner

PRODUCT = "p" * 16
T0 = 1_700_000_000


class Run:
    """One process over one store.

    Attributes:
        rejected: Codes of rejected aliases.
        warnings: Messages.
    """

    def __init__(self, store: SqlStore, *, include_all: bool = False, max_aliases: int = 10) -> None:
        self.store = store
        self.rejected: list[str] = []
        self.warnings: list[str] = []
        self.counts = StreamCounts("s")
        self.planner = Planner(
            store=store,
            include_all=include_all,
            max_aliases=max_aliases,
            reject=lambda _, parts: self.rejected.extend(part.code for part in parts),
            warn=lambda _, message: self.warnings.append(message),
        )

    def plan(self, *mapped: Mapped) -> Batch:
        """Plan rows as one batch; nothing is acknowledged."""
        batch = Batch(rows=[BatchRow(self.counts, row, {}) for row in mapped])
        self.planner.plan([batch])
        return batch

    def commit(self, batch: Batch, *, clear: bool = True) -> None:
        """Commit an acknowledged batch, and clear its intents: its STATE is emitted."""
        self.store.commit(batch.update, batch.intents if clear else [])
        self.planner.committed(batch)

    def send(self, *mapped: Mapped) -> list[Call]:
        """Plan, acknowledge and commit rows."""
        batch = self.plan(*mapped)
        self.commit(batch)
        return calls_of(batch)


def calls_of(batch: Batch) -> list[Call]:
    return [outgoing.call for outgoing in batch.calls]


def store_in(folder: str | Path) -> SqlStore:
    return SqlStore(f"sqlite:///{Path(folder, 'store.db').as_posix()}", PRODUCT)


def attributes(person: str, second: int, **properties: str) -> Mapped:
    return Mapped(calls=[Set(person, T0 + second, dict(properties), distinct=True)])


def deleted(person: str, second: int, name: str = "plan") -> Mapped:
    return Mapped(deletions=[Deletion(person, name, T0 + second)])


def bought(row: int, second: int = 0, *, person: str = "p", seconds: int = 1) -> Mapped:
    slot = EventSlot(row=row.to_bytes(8, "big"), seconds=seconds, spread=True)
    items = [Set(person, T0 + second + index, {"sku": str(index)}) for index in range(seconds if seconds > 1 else 0)]
    return Mapped(calls=[Record(person, "Bought", T0 + second, {"row": str(row)}), *items], slots=[slot])


def order(
    key: str, second: int, *, amount: str = "", person: str = "p", items: int = 0, spread: bool = False, **more: str
) -> Mapped:
    """Give a row whose event is sent once."""
    revenue, late = ("Billing Amount", None) if amount else (None, "Billing Amount")
    slot = EventSlot(key.encode(), seconds=max(1, items), spread=spread, revenue_property=revenue, key=key.encode())
    slot.late_amount = late
    paid = {"Billing Amount": amount} if amount else {}
    event = Record(person, "Ordered", T0 + second, {"order": key, **more, **paid})
    sets = [Set(person, T0 + second + index, {"sku": f"{key}{index}"}) for index in range(items)]
    return Mapped(calls=[event, *sets], slots=[slot])


def once(person: str, second: int, event: str = "Signed Up", **properties: str) -> Mapped:
    return Mapped(calls=[Record(person, event, T0 + second, properties, once=True)])


def alias(one: str, other: str) -> Mapped:
    return Mapped(calls=[Alias(one, other, T0)])


def times(calls: Sequence[Call]) -> list[int]:
    return [call.time - T0 for call in calls]
