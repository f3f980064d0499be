"""One stream of a preview: its kind, its first rows beside their calls, counts of the rest, and warnings."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from singer_sdk.mapper import StreamMap

from target_kissmetrics.config.stream_entries import entry_for, read_entry
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Call
from target_kissmetrics.mapping.detection import Detected, resolve, unwrapped
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.rules.identity import IdentityRule
from target_kissmetrics.mapping.rules.loaders import is_deleted
from target_kissmetrics.mapping.rules.unwrap import Unwrap
from target_kissmetrics.mapping.settings import MappingSettings, StreamSettings
from target_kissmetrics.mapping.stream import Stream
from target_kissmetrics.preview.explaining import Explainer, MappedRow
from target_kissmetrics.preview.suggest import advice
from target_kissmetrics.preview.suggest.columns import Columns, columns_of
from target_kissmetrics.preview.suggest.entry import Suggestion, suggest
from target_kissmetrics.preview.totals import Totals
from target_kissmetrics.reporting import display
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.reject_policy import PROBATION_ROWS
from target_kissmetrics.singer.stream_maps import StreamMapper
from target_kissmetrics.sync.intake import check_row, check_sources, watch_entry

SAMPLED_ROWS = 200
"""The first rows of a stream, from which an entry is suggested."""

MAX_WARNINGS = 100

_LOG = logging.getLogger("target-kissmetrics-preview")


@dataclass(slots=True)
class Loss:
    """Rows or properties that are not sent for one reason: how many, and the first one's text, row and field."""

    count: int
    reason: str
    row: int
    field: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds for all streams of a preview: settings, and `streams` and `stream_maps` as they are in the config.

    Attributes:
        rows_shown: Rows of each stream to show.
        now: Seconds since the Unix epoch; the same for all rows.
    """

    mapping: MappingSettings
    entries: Sequence[StreamSettings]
    given: Sequence[Mapping[str, Any]]
    max_aliases: int
    rows_shown: int
    now: int
    stream_maps: Mapping[str, Any] = field(default_factory=dict)
    on_calls: Callable[[Sequence[Call]], None] = lambda _: None


class StreamPreview:
    """A stream, by its name after stream maps.

    Attributes:
        kind: What its rows are, and `why`; empty until that is known.
        described: Which fields have which role.
        problem: Why the run would stop at it; None when it would not.
        suggestion: The entry to use; None for a stream that has an entry and no problem.
        counts: Of its rows, as a run counts them.
        rejected: Rejected rows, and rejected events of batches, by code.
        dropped: Dropped properties, by code.
    """

    def __init__(self, name: str, plan: Plan) -> None:
        self.name = name
        self.kind = self.why = self.described = ""
        self.problem: str | None = None
        self.suggestion: Suggestion | None = None
        self.entry: StreamSettings = entry_for(plan.entries, name) or StreamSettings(stream=name)
        self.counts = StreamCounts(name)
        self.first: list[MappedRow] = []
        self.totals = Totals(plan.mapping.revenue_key, plan.now, plan.max_aliases)
        self.rejected: dict[str, Loss] = {}
        self.dropped: dict[str, Loss] = {}
        self.warnings: list[str] = []
        self._plan = plan
        self._sample: list[Row] = []
        self._waiting: list[tuple[int, Row, object, str | None]] | None = None
        self._stream: Stream | None = None
        self._fix: StreamMap | None = None
        self._sources: Sequence[str] = ()
        self._is_mapped = False
        self._explainer: Explainer | None = None
        self._people: IdentityRule | None = None

    def ignore(self) -> None:
        """Show it as one that is not read."""
        self.kind, self.why = "ignore", f"{self.entry.place} says so"

    def schema(
        self,
        schema: Mapping[str, Any],
        key_properties: Sequence[str],
        sources: Sequence[str] = (),
        *,
        is_mapped: bool = False,
    ) -> None:
        """Begin, or go on with a changed schema, after stream maps.

        `sources` are the streams of the tap that became this one; `is_mapped` says that it has a stream map of its own.
        """
        self._map_waiting()
        self._sources, self._is_mapped = sources, is_mapped
        settings, now = self._plan.mapping, self._plan.now
        self._stream = Stream(self.name, schema, key_properties, self.entry, settings, self._warn, lambda: now)
        try:
            self._resolve(self._stream)
        except ConfigError as problem:
            self.problem = str(problem)
            self._waiting = []

    def row(self, row: Row | None, extracted: object, invalid: str | None = None) -> None:
        """Add a row, after stream maps; None: they filter it. `invalid` is what is wrong with it by its schema."""
        self.counts.rows += 1
        if row is None:
            self.counts.filtered += 1
            return
        filtered = self.counts.filtered
        if self._waiting is None:
            self._map(self.counts.rows, row, extracted, invalid)
        else:
            self._waiting.append((self.counts.rows, row, extracted, invalid))
        # Rows of message formats may be large, and nothing is suggested from their columns.
        is_in_columns = self._people is not None or self._explainer is None
        if is_in_columns and len(self._sample) < SAMPLED_ROWS and self.counts.filtered == filtered:
            self._sample.append(row)
        if self._waiting is not None and len(self._waiting) >= SAMPLED_ROWS:
            self._map_waiting()

    def finish(self) -> None:
        """Suggest an entry and warn, once all rows are read."""
        self._map_waiting()
        if self._stream is None:
            return
        is_unadvised_event = self.suggestion is None and self.kind == "event"
        money = advice.about_own_money(self._stream, self._columns) if is_unadvised_event else None
        if self.suggestion is None and self.kind and not (self.entry.kind and self.entry.place != "streams"):
            self._suggest(self._stream, Detected(self.kind, self.why))
            self.add_reason(self.problem)
        self._warn(*self.totals.warnings(self.counts.accepted, spreads=self.entry.spread_duplicates))
        if not self._stream.key_properties:
            for warning in self.totals.about_equal_rows():
                self._warn(warning)
                self.add_reason(warning)
        self._warn(*(money.warnings if money else ()), *self.counts.warnings())
        if money and money.fix and not self._is_mapped:
            self._warn(f"stream_maps: {json.dumps({self.name: {money.amount: money.fix}})}")

    def add_reason(self, text: str | None) -> None:
        """Add a reason to its suggestion, if it has one."""
        if text and self.suggestion is not None:
            self.suggestion.why.append(text)

    def ids(self) -> tuple[Columns, Sequence[str]] | None:
        """Give its columns, and those of its people's IDs; None when its rows are of no person or a message format."""
        if self._stream is None or self._people is None:
            return None
        customer, device = unwrapped(self._stream).id_fields(key_is_person=self.kind == "user_attributes")
        return self._columns, (*customer.paths, *device.paths)

    @property
    def _columns(self) -> Columns:
        return columns_of(self._stream.schema if self._stream else {}, self._sample)

    def _warn(self, *texts: str) -> None:
        self.warnings += [text for text in texts if text not in self.warnings][: MAX_WARNINGS - len(self.warnings)]

    def _suggest(self, stream: Stream, decided: Detected | None = None) -> Suggestion:
        pairs = zip(self._plan.entries, self._plan.given, strict=True)
        given = next((given for entry, given in pairs if entry is self.entry), {})
        self.suggestion = suggest(
            stream, self._columns, given, decided, self.totals.collisions, is_mapped=self._is_mapped
        )
        return self.suggestion

    def _resolve(self, stream: Stream) -> None:
        """Decide how its rows are mapped; after the suggested stream map, if there is one."""
        resolved = resolve(self._fixed(stream))
        self.kind, self.why, mapping = resolved
        if mapping is None:
            self.described, self._explainer = "", None
            return
        self.described = mapping.describe()
        self._explainer = Explainer(mapping, self.entry, self._plan.mapping.revenue_key)
        watch_entry(self.counts, stream, self.kind)
        if self.kind in {"event", "user_attributes", "experiment"}:
            # With alias_identities, IdentityRule gives both IDs of a row; no alias is made here.
            both = replace(unwrapped(stream), settings=replace(self._plan.mapping, alias_identities=True))
            self._people = both.identity_rule(key_is_person=self.kind == "user_attributes")
        try:
            check_sources(self.name, self.entry, mapping, self._sources)
        except ConfigError as problem:
            self.problem = self.problem or str(problem)
            self.add_reason(str(problem))

    def _map_waiting(self) -> None:
        """Map the rows that waited for an entry, with the suggested one."""
        if self._waiting is None or self._stream is None:
            return
        waiting, self._waiting = self._waiting, None
        if not self.name.strip():
            self.kind, self.why = "ignore", "no entry of streams can match a stream without a name; fix the tap"
            return
        suggestion = self._suggest(self._stream)
        self.entry = replace(read_entry(suggestion.entry, 0), place="the suggested entry")
        self._stream = replace(self._stream, entry=self.entry)
        self._resolve(self._stream)
        self.why = "as suggested"
        for number, row, extracted, invalid in waiting:
            self._map(number, row, extracted, invalid)

    def _fixed(self, stream: Stream) -> Stream:
        if self.suggestion is None or not self.suggestion.stream_map:
            return stream
        mapper = StreamMapper({"stream_maps": {self.name: self.suggestion.stream_map}}, _LOG, lambda _: False)
        mapper.register(
            {"stream": self.name, "schema": dict(stream.schema), "key_properties": list(stream.key_properties)}
        )
        (self._fix,) = mapper.stream_maps[self.name]
        return replace(stream, schema=self._fix.transformed_schema)

    def _map(self, number: int, row: Row, extracted: object, invalid: str | None) -> None:
        if self._explainer is None or self._stream is None:
            return
        self.counts.saw(row)
        if is_deleted(row):
            self.counts.deleted += 1
            return
        if self._fix is not None and invalid is None:
            row = self._fix.transform(dict(row)) or {}
        outcome: Mapped | Rejected
        try:
            check_row(row, self._stream.key_properties, invalid)
            outcome = self._explainer.mapping.map(row, extracted)
        except Rejected as problem:
            outcome = problem
            self.counts.rejected[problem.code] += 1
            _count(self.rejected, number, problem.code, str(problem), problem.field)
            if self.counts.suspicious.total() >= PROBATION_ROWS:
                self._warn(f"all rows so far are rejected; a run would stop after the first {PROBATION_ROWS}")
        else:
            self._count_mapped(number, row, outcome)
        if len(self.first) < self._plan.rows_shown:
            self.first.append(self._explainer.explain(number, row, extracted, outcome))

    def _count_mapped(self, number: int, row: Row, mapped: Mapped) -> None:
        if mapped.is_filtered:
            self.counts.filtered += 1
            return
        self._plan.on_calls(mapped.calls)
        self.counts.accept(mapped)
        self.counts.mapped(mapped.skipped_types, len(mapped.deletions))
        self.totals.add(mapped)
        for part in mapped.rejections:
            losses = self.rejected if part.counts_as_row else self.dropped
            _count(losses, number, part.code, part.reason, part.field)
        if self._people is not None:
            try:
                lifted = Unwrap(self.entry.unwrap, lambda _: None).lift(row, [])
                self.totals.add_person(self._people.identify(lifted))
            except Rejected:
                return


def _count(losses: dict[str, Loss], row: int, code: str, reason: str, field: str | None) -> None:
    first = Loss(0, display.line(reason, 300), row, display.line(field) if field else None)
    losses.setdefault(code, first).count += 1
