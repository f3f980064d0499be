"""One stream of a preview: its kind, its first rows beside their calls, counts of the rest, and warnings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from target_kissmetrics.config.stream_entries import entry_for, read_entry
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Call
from target_kissmetrics.mapping.detection import Detected, resolve
from target_kissmetrics.mapping.registry import FLAT_KINDS
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.rules.loaders import is_deleted
from target_kissmetrics.mapping.settings import MappingSettings, StreamSettings
from target_kissmetrics.mapping.stream import Stream, StreamMapping
from target_kissmetrics.preview.explaining import MappedRow, explain
from target_kissmetrics.preview.suggest.entry import Suggestion, about_money, own_amount, suggest
from target_kissmetrics.preview.suggest.roles import columns_of
from target_kissmetrics.preview.totals import Totals
from target_kissmetrics.reporting import display
from target_kissmetrics.reporting.counts import StreamCounts, by_code
from target_kissmetrics.reporting.reject_policy import PROBATION_ROWS
from target_kissmetrics.sync.batch import BatchRow
from target_kissmetrics.sync.collisions import CollisionCounter
from target_kissmetrics.sync.intake import check_row, check_sources, watch_entry

SAMPLED_ROWS = 200  # the first rows of a stream, from which an entry is suggested
SUGGESTED = "the suggested entry"  # the place of an entry without which a run would stop at the stream
MAX_WARNINGS = 100


@dataclass(slots=True)
class Loss:
    """Rows or properties that are not sent for one reason: how many, and the first one's text, row and field."""

    count: int
    reason: str
    row: int
    field: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds for all streams of a preview: settings, `streams` as given, the time in seconds since the epoch."""

    mapping: MappingSettings
    entries: Sequence[StreamSettings]
    given: Sequence[Mapping[str, Any]]
    rows_shown: int
    now: int
    on_calls: Callable[[Sequence[Call]], None] = lambda _: None


class StreamPreview:
    """A stream, by its name after stream maps."""

    def __init__(self, name: str, plan: Plan) -> None:
        self.name = name
        self.kind = self.why = self.described = ""
        self.problem: str | None = None  # why the run would stop at it; None when it would not
        self.suggestion: Suggestion | None = None  # the entry to use; None if the config's has no problem
        self.entry: StreamSettings = entry_for(plan.entries, name) or StreamSettings(stream=name)
        if self.entry.kind == "ignore":
            self.kind, self.why = "ignore", f"{self.entry.place} says so"
        self.counts = StreamCounts(name)
        self.first: list[MappedRow] = []
        self.totals = Totals(plan.mapping.revenue_key, plan.mapping.max_aliases_per_identity)
        self.rejected: dict[str, Loss] = {}  # rejected rows, and rejected events of batches, by code
        self.dropped: dict[str, Loss] = {}
        self.warnings: list[str] = []
        self._plan = plan
        self._collisions = CollisionCounter(lambda _, text: self._warn(text), are_final=False)
        self._sample: list[Row] = []
        self._waiting: list[tuple[Row | None, object, str | None]] | None = None
        self._stream: Stream | None = None
        self._sources: Sequence[str] = ()
        self._mapping: StreamMapping | None = None

    def schema(self, schema: Mapping[str, Any], key_properties: Sequence[str], sources: Sequence[str] = ()) -> None:
        """Begin, or go on with a changed schema, after stream maps; `sources` are the tap's streams that become it."""
        self._map_waiting()
        self._sources = sources
        settings, now = self._plan.mapping, self._plan.now
        self._stream = Stream(self.name, schema, key_properties, self.entry, settings, self._warn, lambda: now)
        try:
            self._resolve(self._stream)
        except ConfigError as problem:
            self.problem = str(problem)
            self._waiting = []

    def row(self, row: Row | None, extracted: object, invalid: str | None = None) -> None:
        """Add a row, after stream maps; None: they filter it. `invalid` is what is wrong with it by its schema."""
        if self._waiting is None:
            self._map(row, extracted, invalid)
            return
        self._waiting.append((row, extracted, invalid))
        if len(self._waiting) >= SAMPLED_ROWS:
            self._map_waiting()

    def finish(self) -> None:
        """Suggest an entry and warn, once all rows are read."""
        self._map_waiting()
        if self._stream is None:
            return
        if self.suggestion is not None and self.counts.rejected:
            rows = display.plural(self.counts.rows, "row")
            self.suggestion.why.append(f"of {rows}, rejected: {by_code(self.counts.rejected)}")
        if self.suggestion is None and self.kind == "event" and not self.entry.events:
            columns = columns_of(self._stream.schema, self._sample)
            warnings, _ = about_money(columns, own_amount(self._stream, columns), self.entry)
            self._warn(*warnings)
        if self.suggestion is None and self.kind and not self.entry.kind:
            suggestion = self._suggest(self._stream, self._sample, Detected(self.kind, self.why))
            suggestion.why += [self.problem] if self.problem else []
        told = [*self.totals.warnings(self.counts.accepted), *self.counts.warnings()]
        self._warn(*told)
        if self.suggestion is not None:
            self.suggestion.why += told
            if self.kind == "event" and self.counts.collisions and not self.entry.once:
                self.suggestion.entry.setdefault("spread_duplicates", True)

    def _warn(self, *texts: str) -> None:
        self.warnings += [text for text in texts if text not in self.warnings][: MAX_WARNINGS - len(self.warnings)]

    def _suggest(self, stream: Stream, rows: Sequence[Row], decided: Detected | None = None) -> Suggestion:
        pairs = zip(self._plan.entries, self._plan.given, strict=True)
        given = next((given for entry, given in pairs if entry is self.entry), {})
        self.suggestion = suggest(stream, columns_of(stream.schema, rows), given, decided)
        return self.suggestion

    def _resolve(self, stream: Stream) -> None:
        self.kind, self.why, self._mapping = resolve(stream)
        self.described = self._mapping.describe() if self._mapping else ""
        if self._mapping is None:
            return
        watch_entry(self.counts, stream, self.kind)
        try:
            check_sources(self.name, self.entry, self._mapping, self._sources)
        except ConfigError as problem:
            self.problem = self.problem or str(problem)
            if self.suggestion is not None:
                self.suggestion.why.append(str(problem))

    def _map_waiting(self) -> None:
        """Map the rows that waited for an entry, with the suggested one."""
        if self._waiting is None or self._stream is None:
            return
        waiting, self._waiting = self._waiting, None
        if not self.name.strip():
            self.kind, self.why = "ignore", "no entry of streams can match a stream without a name; fix the tap"
            return
        suggestion = self._suggest(self._stream, [row for row, *_ in waiting if row is not None])
        self.entry = replace(read_entry(suggestion.entry, 0), place=SUGGESTED)
        self._stream = replace(self._stream, entry=self.entry)
        self._resolve(self._stream)
        self.why = "as suggested"
        for row, extracted, invalid in waiting:
            self._map(row, extracted, invalid)

    def _map(self, row: Row | None, extracted: object, invalid: str | None) -> None:
        counts, stream, mapping = self.counts, self._stream, self._mapping
        counts.rows += 1
        if row is None:
            counts.filtered += 1
            return
        if mapping is None or stream is None:
            return
        counts.saw(row)
        if is_deleted(row):
            counts.deleted += 1
            return
        outcome: Mapped | Rejected
        try:
            check_row(row, stream.key_properties, invalid)
            outcome = mapping.map(row, extracted)
            self._count(outcome)
        except Rejected as problem:
            outcome = problem
            self._reject(problem)
        if len(self.first) < self._plan.rows_shown:
            fields = explain(stream, mapping, row, extracted, outcome)
            self.first.append(MappedRow(counts.rows, fields, outcome))
        # Rows of message formats may be large, and nothing is suggested from their columns.
        is_left_out = isinstance(outcome, Mapped) and outcome.is_filtered
        if self.kind in FLAT_KINDS and not is_left_out and len(self._sample) < SAMPLED_ROWS:
            self._sample.append(row)

    def _count(self, mapped: Mapped) -> None:
        if mapped.is_filtered:
            self.counts.filtered += 1
            return
        self._plan.on_calls(mapped.calls)
        self.counts.accept(mapped)
        self.counts.mapped(mapped.skipped_types, len(mapped.deletions))
        self._collisions.count([BatchRow(self.counts, mapped, {})])
        self.totals.add(mapped, has_key=bool(self._stream and self._stream.key_properties))
        for part in mapped.rejections:
            self._lose(self.rejected if part.counts_as_row else self.dropped, part.code, part.reason, part.field)

    def _reject(self, problem: Rejected) -> None:
        self.counts.rejected[problem.code] += 1
        self._lose(self.rejected, problem.code, str(problem), problem.field)
        if self.counts.suspicious.total() >= PROBATION_ROWS:
            self._warn(f"all rows so far are rejected; a run would stop after the first {PROBATION_ROWS}")

    def _lose(self, losses: dict[str, Loss], code: str, reason: str, field: str | None) -> None:
        first = Loss(0, display.line(reason, 300), self.counts.rows, display.line(field) if field else None)
        losses.setdefault(code, first).count += 1
