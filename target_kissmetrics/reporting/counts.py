"""The counts of one stream's rows and calls."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, cast

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record
from target_kissmetrics.mapping.reject_codes import REASONS, Code
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.fields import Globs, Row, paths_in

MAX_TYPES = 50  # that are counted one by one: they come from the data, which may hold any number of them


class Figure(NamedTuple):
    """A figure's title in tables and summaries, and its meaning for the reference."""

    title: str
    meaning: str


def _count(title: str, meaning: str) -> Any:
    return field(default=0, metadata={"figure": Figure(title, meaning)})


def _counter(title: str, meaning: str) -> Any:
    return field(default_factory=Counter, metadata={"figure": Figure(title, meaning)})


@dataclass(slots=True)
class StreamCounts:
    """Counts of one stream. Rows are counted as they are read, calls once they are acknowledged.

    Two threads count, and no field is written by both but rejects, which are counted under the lock of the reject
    policy. The reading thread counts rows, and what the mapping makes of them; the pipeline's thread all else.
    """

    stream: str
    rows: int = _count("Rows read", "Rows read, sent or not.")
    record_calls: int = _count("Record calls", "Acknowledged events.")
    set_calls: int = _count("Set calls", "Acknowledged calls that set properties.")
    alias_calls: int = _count("Alias calls", "Acknowledged aliases.")
    unchanged: int = _count("Unchanged not sent", "Attributes, aliases and once-only events that an earlier call sent.")
    rejected: Counter[str] = _counter("Rejected", "Rows, and events of batches, that are in the rejects file.")  # noqa: RUF009
    set_aside: Counter[str] = _counter("Properties dropped", "Properties and aliases dropped from rows that were sent.")  # noqa: RUF009
    left_out: Counter[str] = _counter("Events skipped by type", "Events of batches whose type becomes no call.")  # noqa: RUF009
    undated: int = _count("Undated", "Rows of attributes without a time, sent with that of their extraction.")
    filtered: int = _count("Filtered", "Rows left out by `when` or `__filter__`, or of which nothing has happened.")
    deleted: int = _count("Deleted at the source", "Rows that a loader marks as deleted; Kissmetrics deletes nothing.")
    deleted_attributes: int = _count("Attributes deleted at the source", "Deleted attributes; Kissmetrics keeps them.")
    already_sent: int = _count("Already sent", "Rows whose event was sent with an earlier version of the row.")
    remembered: int = _count("Remembered, not sent", "Calls that `remember_only` stored as if they had been sent.")
    skipped: int = _count("Events skipped", "Events that `remember_only` neither sent nor stored.")
    moved: int = _count("Events moved to a second of their own", "Events that `spread_duplicates` moved.")
    collisions: int = _count("Events that may count as one", "Events with the person, name and second of another one.")
    amount_collisions: int = _count("Amounts that may count as one", "Amounts in the second of another of the person.")
    item_collisions: int = _count("Line items that lose a value", "Line items in the second of another value.")

    accepted: int = 0  # rows that became calls, or that rightly have none
    late: int = 0  # of those, rows that the pipeline rejected
    parts: int = 0  # rows accepted or rejected; in a format that batches events, the events of each row
    unmatched: dict[str, str] = field(default_factory=dict)  # names in the entry that no field matched, with their keys
    matched: set[str] = field(default_factory=set)
    is_open: bool = False  # rows may have fields that the schema does not list
    glob: str = ""  # the place of an entry that may match several streams; empty for another one
    revenue: tuple[str, ...] = ()  # the fields of the amount that the entry names
    without_amount: int = 0  # accepted events that had none there
    events: dict[str, list[int]] = field(default_factory=dict)  # acknowledged, by name: how many, first and last second

    @property
    def still_accepted(self) -> int:
        """Rows that were accepted, and not rejected late."""
        return self.accepted - self.late

    @property
    def calls(self) -> int:
        """Acknowledged calls."""
        return self.record_calls + self.set_calls + self.alias_calls

    @property
    def suspicious(self) -> Counter[str]:
        """Rejected rows by code, if no row was accepted: the mapping may be wrong. A history may begin too early."""
        rejected = Counter() if self.still_accepted else self.rejected.copy()  # the other thread may write
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
        self.parts += len(mapped.slots) or 1
        if mapped.is_undated:
            self.undated += 1
        if self.revenue:
            self.without_amount += not any(slot.revenue_property for slot in mapped.slots)

    def delivered(self, call: Call) -> None:
        """Count an acknowledged call."""
        if isinstance(call, Record):
            self.record_calls += 1
            event = self.events.setdefault(call.event, [0, call.time, call.time])
            event[:] = event[0] + 1, min(event[1], call.time), max(event[2], call.time)
        elif isinstance(call, Alias):
            self.alias_calls += 1
        else:
            self.set_calls += 1

    def mapped(self, skipped_types: Collection[str], deleted_attributes: int) -> None:
        """Count what of a row has no call."""
        self.deleted_attributes += deleted_attributes
        for kind in skipped_types:
            known = kind in self.left_out or len(self.left_out) < MAX_TYPES
            self.left_out[kind if known else "others"] += 1

    def summary(self, *, is_dry_run: bool = False) -> str:
        """Give the line that a stream ends with, without its name."""
        calls = f"{self.record_calls:,} record, {self.set_calls:,} set, {self.alias_calls:,} alias"
        parts = [f"{self.rows:,} rows read", f"{calls_word(is_dry_run)}: {calls}"]
        parts += [f"{self.unchanged:,} unchanged not sent", f"rejected: {by_code(self.rejected)}"]
        others = {"properties dropped": self.set_aside, "skipped, by type": self.left_out}
        parts += [f"{what}: {by_code(codes)}" for what, codes in others.items() if codes]
        return "; ".join([*parts, *self.if_any()])

    def if_any(self) -> list[str]:
        """Give the counts that a summary has only when they are not zero: `2 filtered`."""
        figures = self.figures()
        return [f"{figures[name]:,} {FIGURES[name].title.lower()}" for name in _IF_ANY if figures[name]]

    def warnings(self) -> list[str]:
        """Give a line for each thing in the stream's entry that had no effect."""
        unmatched = self.unmatched if self.is_open and self.rows > self.filtered and not self.glob else {}
        lines = [f"{key} {name!r} matched no field of any row; check its spelling" for name, key in unmatched.items()]
        if self.revenue and self.without_amount == self.accepted > 0:
            lines.append(
                f"revenue {'/'.join(self.revenue)!r} held no amount, or 0, in each of {self.accepted:,} rows; name the "
                "field that holds it, or set revenue: false"
            )
        return lines

    def what_to_do(self) -> list[str]:
        """Give a line with a remedy for each of the three commonest reject codes."""
        lost = self.rejected + self.set_aside
        return [
            f"{count:,} {code}: {REASONS[code].meaning}; {REASONS[code].to_do}"
            for code, count in cast("list[tuple[Code, int]]", lost.most_common(3))
        ]

    def figures(self) -> dict[str, int]:
        """Give the counts by their names in metrics and reports."""
        values = {name: getattr(self, name) for name in FIGURES}
        return {name: one.copy().total() if isinstance(one, Counter) else one for name, one in values.items()}


FIGURES: Mapping[str, Figure] = {
    one.name: one.metadata["figure"] for one in fields(StreamCounts) if "figure" in one.metadata
}
"""Each name that `StreamCounts.figures` gives, in the same order."""

_IF_ANY = tuple(FIGURES)[tuple(FIGURES).index("undated") :]  # a summary has these only when they are not zero


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


def calls_word(is_dry_run: bool) -> str:
    """Say what a run does with its calls."""
    return "calls logged (dry run)" if is_dry_run else "calls sent"


def by_code(counter: Counter[str]) -> str:
    """Write `3 (2 no-identity, 1 too-old)`."""
    counted = counter.copy()  # the other thread may write
    codes = ", ".join(f"{count:,} {code}" for code, count in counted.most_common())
    return f"{counted.total():,} ({codes})" if codes else "0"
