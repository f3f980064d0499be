"""What became of one stream's rows and calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import cast

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record
from target_kissmetrics.mapping.reject_codes import REASONS, Code, advice

MAX_TYPES = 50
"""Types that are counted one by one: they are data, and data may hold any number of them."""

OTHER_TYPES = "others"

MOST_CODES = 3
"""Codes that a stream's end says more of than their number."""


@dataclass(slots=True)
class StreamCounts:
    """Counts of one stream. Rows are counted as they are read, calls once they were taken.

    Two threads count, without a lock, and no field is written by both: what the pipeline's thread finds out about a
    row that the reading thread has counted already is in fields of its own (`late`, `late_aside`, and all that is
    counted of calls), and joined by whoever reads.

    Attributes:
        accepted: Rows that became calls, or rightly none.
        parts: What was accepted or rejected: rows, and in a format that batches them, the events of each row.
        rejected: Rows set aside, by the reason's code.
        set_aside: Parts of rows that were not sent, by the reason's code.
        unchanged: User attributes not sent because they had not changed, aliases and once-only events sent before.
        deleted: Rows deleted at their source, which Kissmetrics cannot follow.
        deleted_attributes: User attributes deleted at their source: likewise, but they are forgotten here.
        left_out: Parts of batches that have no meaning for Kissmetrics, by their type.
        collisions: Events that Kissmetrics takes for another row's.
        amount_collisions: Amounts of events in a second in which another event of the person has one.
        item_collisions: Line items in a second of another event's, or with another value of their own event's property.
        moved: Events moved to a second of their own.
        late: Rows that were accepted, and rejected when their turn came, by the reason's code.
        late_aside: Likewise, parts of rows.
        in_messages: Its rows are of a message format, whose entry of `streams` names no fields.
    """

    stream: str
    rows: int = 0
    accepted: int = 0
    parts: int = 0
    record: int = 0
    set: int = 0
    alias: int = 0
    unchanged: int = 0
    deleted: int = 0
    collisions: int = 0
    amount_collisions: int = 0
    item_collisions: int = 0
    moved: int = 0
    deleted_attributes: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    set_aside: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    late_aside: Counter[str] = field(default_factory=Counter)
    in_messages: bool = False

    @property
    def all_rejected(self) -> Counter[str]:
        """Rows set aside, at once or late, by the reason's code."""
        return self.rejected + self.late if self.late else self.rejected.copy()

    @property
    def all_set_aside(self) -> Counter[str]:
        """Parts of rows that were not sent, by the reason's code."""
        return self.set_aside + self.late_aside if self.late_aside else self.set_aside.copy()

    @property
    def left_accepted(self) -> int:
        """Rows that were accepted, and not rejected late."""
        return self.accepted - sum(self.late.copy().values())

    @property
    def calls(self) -> int:
        """Calls taken."""
        return self.record + self.set + self.alias

    @property
    def on_probation(self) -> bool:
        """Whether every row so far was rejected: its mapping may be wrong."""
        return bool(self.rejected or self.late) and not self.left_accepted

    def delivered(self, call: Call) -> None:
        """Count a call that was taken."""
        if isinstance(call, Record):
            self.record += 1
        elif isinstance(call, Alias):
            self.alias += 1
        else:
            self.set += 1

    def mapped(self, left_out: Collection[str], deleted_attributes: int) -> None:
        """Count what of a row has no call."""
        self.deleted_attributes += deleted_attributes
        for kind in left_out:
            known = kind in self.left_out or len(self.left_out) < MAX_TYPES
            self.left_out[kind if known else OTHER_TYPES] += 1

    def summary(self, *, is_dry_run: bool = False) -> str:
        """Give the line that a stream ends with, without its name."""
        parts = [
            f"{self.rows} rows read",
            f"calls {'logged (dry run)' if is_dry_run else 'sent'}: {self.record} record, {self.set} set, {self.alias} alias",
            f"{self.unchanged} unchanged not sent",
            f"rejected: {by_code(self.all_rejected)}",
        ]
        if self.set_aside or self.late_aside:
            parts.append(f"properties set aside: {by_code(self.all_set_aside)}")
        if self.left_out:
            parts.append(f"left out, by type: {by_code(self.left_out)}")
        parts += [
            f"{count} {what}"
            for count, what in (
                (self.deleted_attributes, "attributes deleted at the source, which Kissmetrics keeps"),
                (self.deleted, "deleted at the source, which Kissmetrics cannot do"),
                (self.moved, "events moved to a second of their own"),
                (self.collisions, "events that Kissmetrics takes for another row's"),
                (self.amount_collisions, "amounts lost to another event's in the same second"),
                (self.item_collisions, "line items that lose a value to another call of their second"),
            )
            if count
        ]
        return "; ".join(parts)

    def what_to_do(self) -> list[str]:
        """Give, for the commonest codes among what is not sent, a line that says what to do."""
        lost = self.all_rejected + self.all_set_aside
        return [
            f"{count} {code}: {REASONS[code].meaning}; {advice(code, in_messages=self.in_messages)}"
            for code, count in cast("list[tuple[Code, int]]", lost.most_common(MOST_CODES))
        ]

    def figures(self) -> dict[str, int]:
        """Give the same as names and numbers, for metrics."""
        return {
            "rows": self.rows,
            "record_calls": self.record,
            "set_calls": self.set,
            "alias_calls": self.alias,
            "unchanged": self.unchanged,
            "rejected": sum(self.all_rejected.values()),
            "set_aside": sum(self.all_set_aside.values()),
            "deleted": self.deleted,
            "moved": self.moved,
            "collisions": self.collisions,
            "amount_collisions": self.amount_collisions,
            "item_collisions": self.item_collisions,
            "left_out": sum(self.left_out.values()),
            "deleted_attributes": self.deleted_attributes,
        }


def by_code(counter: Counter[str]) -> str:
    """Write `3 (2 no-identity, 1 too-old)`."""
    if not counter:
        return "0"
    return f"{sum(counter.values())} ({', '.join(f'{n} {code}' for code, n in counter.most_common())})"
