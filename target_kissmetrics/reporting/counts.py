"""The counts of one stream's rows and calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record
from target_kissmetrics.mapping.reject_codes import REASONS, Code
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.fields import Globs, Row, paths_in

MAX_TYPES = 50  # that are counted one by one: they come from the data, which may hold any number of them
OTHER_TYPES = "others"
MAX_ADVICE = 3  # codes that the summary explains


class Figure(NamedTuple):
    """A figure's title in tables and summaries, and its meaning for the reference."""

    title: str
    meaning: str


_FIGURES = {
    "rows": ("Rows read", "Rows read, sent or not."),
    "record_calls": ("Record calls", "Acknowledged events."),
    "set_calls": ("Set calls", "Acknowledged calls that set properties."),
    "alias_calls": ("Alias calls", "Acknowledged aliases."),
    "unchanged": ("Unchanged not sent", "Attributes, aliases and once-only events that an earlier call sent."),
    "rejected": ("Rejected", "Rows, and events of batches, that were not sent and are in the rejects file."),
    "set_aside": ("Properties dropped", "Properties and aliases dropped from rows that were sent."),
    "left_out": ("Events skipped by type", "Events of batches whose type becomes no call."),
    "undated": ("Undated", "Rows of attributes without a time, sent with that of their extraction."),
    "filtered": (
        "Filtered",
        "Rows left out by `when` or a stream map's `__filter__`, or of which nothing has happened.",
    ),
    "deleted": ("Deleted at the source", "Rows that a loader's column marks as deleted; Kissmetrics deletes nothing."),
    "deleted_attributes": ("Attributes deleted at the source", "Deleted attributes; Kissmetrics keeps them."),
    "already_sent": ("Already sent", "Rows whose event was sent with an earlier version of the row."),
    "remembered": ("Remembered, not sent", "Calls that `remember_only` stored as if they had been sent."),
    "skipped": ("Events skipped", "Events that `remember_only` neither sent nor stored."),
    "moved": ("Events moved to a second of their own", "Events that `spread_duplicates` moved."),
    "collisions": ("Events that may count as one", "Events with the person, name and second of another row's."),
    "amount_collisions": ("Amounts that may count as one", "Amounts in the second of another amount of the person."),
    "item_collisions": ("Line items that lose a value", "Line items in the second of another value of a property."),
}
FIGURES: Mapping[str, Figure] = {name: Figure(*texts) for name, texts in _FIGURES.items()}
"""Each name that `StreamCounts.figures` gives, in the same order."""

_IF_ANY = tuple(FIGURES)[tuple(FIGURES).index("undated") :]  # a summary has these only when they are not zero


@dataclass(slots=True)
class StreamCounts:
    """Counts of one stream. Rows are counted as they are read, calls once they are acknowledged.

    Two threads count without a lock, so no field is written by both: the reading thread writes the first ones, the
    pipeline's thread those from `record` on.
    """

    stream: str
    rows: int = 0
    accepted: int = 0  # rows that became calls, or that rightly have none
    parts: int = 0  # rows accepted or rejected; in a format that batches events, the events of each row
    unmatched: dict[str, str] = field(default_factory=dict)  # names in the entry that no field matched, with their keys
    matched: set[str] = field(default_factory=set)
    is_open: bool = False  # rows may have fields that the schema does not list
    glob: str = ""  # the place of an entry that may match several streams; empty for another one
    revenue: tuple[str, ...] = ()  # the fields of the amount that the entry names
    without_amount: int = 0  # accepted events that had none there
    undated: int = 0
    filtered: int = 0
    deleted: int = 0
    deleted_attributes: int = 0
    skipped_types: Counter[str] = field(default_factory=Counter)  # events of batches without a meaning, by type
    rejected: Counter[str] = field(default_factory=Counter)  # rows, by code
    dropped: Counter[str] = field(default_factory=Counter)  # properties and aliases of rows that were sent, by code

    record: int = 0
    events: dict[str, list[int]] = field(default_factory=dict)  # acknowledged, by name: how many, first and last second
    set: int = 0
    alias: int = 0
    unchanged: int = 0
    already_sent: int = 0
    remembered: int = 0
    skipped: int = 0
    moved: int = 0
    collisions: int = 0
    amount_collisions: int = 0
    item_collisions: int = 0
    late_parts: int = 0  # of those, events of rows that were sent without them
    late: Counter[str] = field(default_factory=Counter)  # accepted rows that the pipeline rejected, by code
    late_dropped: Counter[str] = field(default_factory=Counter)  # aliases that the pipeline dropped, by code

    @property
    def all_rejected(self) -> Counter[str]:
        """Rejected rows, early or late, by code."""
        return self.rejected.copy() + self.late.copy()  # copied at once: the other thread may write

    @property
    def all_dropped(self) -> Counter[str]:
        """Dropped properties and aliases, early or late, by code."""
        return self.dropped.copy() + self.late_dropped.copy()

    @property
    def left_accepted(self) -> int:
        """Rows that were accepted, and not rejected late."""
        return self.accepted - self.late.copy().total() + self.late_parts

    @property
    def calls(self) -> int:
        """Acknowledged calls."""
        return self.record + self.set + self.alias

    @property
    def suspicious(self) -> Counter[str]:
        """Rejected rows by code, if no row was accepted: the mapping may be wrong. A history may begin too early."""
        rejected = Counter() if self.left_accepted else self.all_rejected
        del rejected["too-old"]
        return rejected

    @property
    def on_probation(self) -> bool:
        """Whether every row so far was rejected, and not for its age."""
        return bool(self.suspicious)

    def expect(self, unmatched: Mapping[str, str], *, is_open: bool, glob: str = "") -> None:
        """Watch for the fields that names and globs of the entry, each with its key there, stand for."""
        self.is_open, self.glob = is_open, glob
        self.unmatched = {name: key for name, key in unmatched.items() if name not in self.matched}

    def saw(self, row: Row) -> None:
        """Look for those fields in a row, whether it is accepted or not."""
        if self.unmatched and self.is_open:
            paths = list(paths_in(row))
            self.matched.update(name for name in self.unmatched if any(map(Globs((name,)).match, paths)))
            self.unmatched = {name: key for name, key in self.unmatched.items() if name not in self.matched}

    def accept(self, mapped: Mapped) -> None:
        """Count an accepted row."""
        self.accepted += 1
        self.parts += max(1, len(mapped.slots))
        self.undated += mapped.is_undated
        if self.revenue:
            self.without_amount += not any(slot.revenue_property for slot in mapped.slots)

    def delivered(self, call: Call) -> None:
        """Count an acknowledged call."""
        if isinstance(call, Record):
            self.record += 1
            event = self.events.setdefault(call.event, [0, call.time, call.time])
            event[:] = event[0] + 1, min(event[1], call.time), max(event[2], call.time)
        elif isinstance(call, Alias):
            self.alias += 1
        else:
            self.set += 1

    def mapped(self, skipped_types: Collection[str], deleted_attributes: int) -> None:
        """Count what of a row has no call."""
        self.deleted_attributes += deleted_attributes
        for kind in skipped_types:
            known = kind in self.skipped_types or len(self.skipped_types) < MAX_TYPES
            self.skipped_types[kind if known else OTHER_TYPES] += 1

    def summary(self, *, is_dry_run: bool = False) -> str:
        """Give the line that a stream ends with, without its name."""
        calls = "calls logged (dry run)" if is_dry_run else "calls sent"
        parts = [
            f"{self.rows:,} rows read",
            f"{calls}: {self.record:,} record, {self.set:,} set, {self.alias:,} alias",
            f"{self.unchanged:,} unchanged not sent",
            f"rejected: {by_code(self.all_rejected)}",
        ]
        if self.dropped or self.late_dropped:
            parts.append(f"properties dropped: {by_code(self.all_dropped)}")
        if self.skipped_types:
            parts.append(f"skipped, by type: {by_code(self.skipped_types)}")
        return "; ".join([*parts, *self.if_any()])

    def if_any(self) -> list[str]:
        """Give the counts that a summary has only when they are not zero: `2 filtered`."""
        figures = self.figures()
        return [f"{figures[name]:,} {FIGURES[name].title.lower()}" for name in _IF_ANY if figures[name]]

    def warnings(self) -> list[str]:
        """Give a line for each thing in the stream's entry that had no effect."""
        is_known = self.is_open and self.rows > self.filtered and not self.glob
        lines = [
            f"{key} {name!r} matched no field of any row; check its spelling"
            for name, key in (self.unmatched.items() if is_known else ())
        ]
        if self.revenue and self.without_amount == self.accepted > 0:
            lines.append(
                f"revenue {'/'.join(self.revenue)!r} held no amount, or 0, in each of {self.accepted:,} rows; name the "
                "field that holds it, or set revenue: false"
            )
        return lines

    def what_to_do(self) -> list[str]:
        """Give a line with a remedy for each of the commonest reject codes."""
        lost = self.all_rejected + self.all_dropped
        return [
            f"{count:,} {code}: {REASONS[code].meaning}; {REASONS[code].to_do}"
            for code, count in cast("list[tuple[Code, int]]", lost.most_common(MAX_ADVICE))
        ]

    def figures(self) -> dict[str, int]:
        """Give the counts by their names in metrics and reports."""
        named = {
            "record_calls": self.record,
            "set_calls": self.set,
            "alias_calls": self.alias,
            "rejected": self.all_rejected.total(),
            "set_aside": self.all_dropped.total(),
            "left_out": self.skipped_types.copy().total(),
        }
        return {name: named[name] if name in named else getattr(self, name) for name in FIGURES}


def unmatched_in_globs(streams: Iterable[StreamCounts]) -> list[str]:
    """Give a line for each name in an entry for several streams that no field of them matched."""
    of_entries: dict[str, list[StreamCounts]] = {}
    for counts in streams:
        if counts.glob and (counts.rows > counts.filtered or not counts.is_open):
            of_entries.setdefault(counts.glob, []).append(counts)
    return [
        f"{place}.{key} {name!r} matched no field of any of its {len(ones)} streams; check its spelling"
        for place, ones in of_entries.items()
        for name, key in ones[0].unmatched.items()
        if all(name in one.unmatched for one in ones)
    ]


def by_code(counter: Counter[str]) -> str:
    """Write `3 (2 no-identity, 1 too-old)`."""
    if not counter:
        return "0"
    codes = ", ".join(f"{count:,} {code}" for code, count in counter.most_common())
    return f"{sum(counter.values()):,} ({codes})"
