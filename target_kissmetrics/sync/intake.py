"""One stream's rows on their way into the pipeline: mapped, or rejected."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.detection import resolve
from target_kissmetrics.mapping.registry import FLAT_KINDS
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.loaders import is_deleted
from target_kissmetrics.mapping.settings import StreamSettings
from target_kissmetrics.mapping.shard import Shard
from target_kissmetrics.mapping.stream import Stream, StreamMapping
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.reject_policy import JUDGED_ROWS, RejectPolicy
from target_kissmetrics.sync.batch import BatchRow


class StreamIntake:
    """Takes the rows of one stream under one schema.

    Args:
        stream: The stream, its names after stream maps.
        counts: Its counts: one object for a stream, however often its schema changes.
        shard: The slice of people that this run sends; None for everybody.
        rejects: What happens to rejected rows.
        add: Adds a mapped row to the pipeline.
        logger: The log.

    Attributes:
        kind: Name of the stream's kind.
        mapping: Maps its rows.
        keys: The stream's key.

    Raises:
        ConfigError: The stream's kind is not certain, or its entry of `streams` does not fit it.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        stream: Stream,
        *,
        counts: StreamCounts,
        shard: Shard | None,
        rejects: RejectPolicy,
        add: Callable[[BatchRow], None],
        logger: logging.Logger,
    ) -> None:
        self._counts = counts
        self._shard = shard
        self._rejects = rejects
        self._add = add
        self.keys = stream.key_properties
        self._key_set = frozenset(self.keys)
        resolved = resolve(stream)
        self.kind = resolved.kind
        assert resolved.mapping is not None  # noqa: S101 - the stream maps drop the streams that are ignored
        self.mapping = resolved.mapping
        watch_entry(counts, stream, self.kind)
        logger.info(
            "stream '%s' is read as %s, because %s. %s", stream.name, self.kind, resolved.why, self.mapping.describe()
        )

    def take(
        self, row: dict[str, Any] | None, extracted: object, record: Mapping[str, Any], problem: str | None = None
    ) -> None:
        """Take a row.

        Args:
            row: After stream maps; None: they filter it.
            extracted: The message's `time_extracted`, `NO_GUESS`, or None.
            record: As the tap sent it.
            problem: What is wrong with that by the tap's schema; the row is rejected for it.

        Raises:
            TooManyRejects: So far the stream had nothing but rejects, or more than the settings allow.
            TargetError: `on_invalid_record` is `fail`, or the run failed meanwhile.
        """
        counts = self._counts
        counts.rows += 1
        if row is None:
            counts.filtered += 1
            return
        if counts.unmatched:
            counts.saw(row)
        if is_deleted(row):
            counts.deleted += 1
            return
        try:
            if problem is not None or not row.keys() >= self._key_set:
                check_row(row, self.keys, problem)
            mapped = self.mapping.map(row, extracted)
        except Rejected as rejected:
            if self._shard is None or self._shard.takes_rows_without_person:
                self._rejects.row(counts, rejected, record)
            return
        if mapped.is_filtered:
            counts.filtered += 1
            return
        counts.accept(mapped)
        self._add_parts(mapped, record)

    def _add_parts(self, mapped: Mapped, record: Mapping[str, Any]) -> None:
        if self._counts.rows == JUDGED_ROWS:
            self._rejects.accepted(self._counts)
        if self._shard is not None and not self._shard.takes_row(mapped):
            return
        if (
            mapped.calls
            and len(mapped.slots) < 2
            and not (mapped.rejections or mapped.skipped_types or mapped.deletions)
        ):
            self._add(BatchRow(self._counts, mapped, record))  # as most rows are
            return
        if mapped.skipped_types or mapped.deletions:
            self._counts.mapped(mapped.skipped_types, len(mapped.deletions))
        if mapped.rejections:
            self._rejects.parts(self._counts, mapped.rejections, record)
        if mapped.calls or mapped.deletions:
            for event in mapped.by_event() if len(mapped.slots) > 1 else (mapped,):
                self._add(BatchRow(self._counts, event, record))


def watch_entry(counts: StreamCounts, stream: Stream, kind: str) -> None:
    """Let the counts watch for what the stream's entry names."""
    entry = stream.entry
    counts.revenue = entry.revenue or ()
    is_known = kind in FLAT_KINDS and not entry.unwrap  # else by the names in the row
    unmatched = stream.unmatched if is_known else {}
    counts.expect(unmatched, is_open=stream.is_open, glob=entry.place if entry.is_glob else "")


def check_sources(stream: str, entry: StreamSettings, mapping: StreamMapping, sources: Sequence[str]) -> None:
    """Check that rows which are known by their key are those of one stream of the tap.

    Args:
        stream: The stream's name, after stream maps.
        entry: Its entry of `streams`.
        mapping: Maps its rows.
        sources: The streams of the tap that become this one.

    Raises:
        ConfigError: They are two, and the entry does not say whether these have keys of their own.
    """
    if len(sources) > 1 and entry.send_once_per_row is None and getattr(mapping, "sends_once", False):
        first, second, *_ = sources
        problem = f"stream maps make {first!r} and {second!r} one stream, {stream!r}, whose rows are sent once"
        remedy = "set it to true if no key is in both, else to false, or give them names of their own (__alias__)"
        raise ConfigError(f"{entry.place}.send_once_per_row", f"{problem} by their key; {remedy}")


def check_row(row: Mapping[str, Any], keys: Sequence[str], problem: str | None) -> None:
    """Check a row before it is mapped; `problem` is what is wrong with it by the tap's schema.

    Raises:
        Rejected: It does not fit its schema, or lacks a key property.
    """
    if problem is not None:
        raise Rejected("schema", f"it does not fit the tap's schema: {problem}")
    for key in keys:
        if key not in row:
            raise Rejected("no-key", f"the row has no {key!r}, a key property of its stream")
