"""A stream's rows on their way from the SDK into the runtime. No rule of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from singer_sdk import Target
from singer_sdk.sinks import Sink

from target_kissmetrics.sync.intake import StreamIntake

METRIC_ROWS = 100
"""The SDK's metric is counted up in steps of this many rows: each step costs as much as mapping a small row."""


class KissmetricsSink(Sink):
    """Takes the rows of one stream under one schema.

    Rows go straight on to the pipeline, which has batches of its own: the SDK's are always empty.

    A stream whose kind is not certain, or that its entry of `streams` does not fit, is a ConfigError.
    """

    current_size = 0

    def __init__(
        self,
        target: Target,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
        *,
        intake: Callable[[str, Mapping[str, Any], Sequence[str]], StreamIntake],
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        if self.original_schema == schema:  # the SDK keeps a copy
            self.original_schema = schema
        self._uncounted = 0
        self.intake = intake(stream_name, schema, self.key_properties)

    def get_validator(self) -> None:
        """Leave validation to the stream mapper."""

    def take(
        self, row: dict[str, Any] | None, extracted: object, record: Mapping[str, Any], problem: str | None = None
    ) -> None:
        """Take a row, as `StreamIntake.take` does."""
        self._uncounted += 1
        if self._uncounted == METRIC_ROWS:
            self._count()
        self.intake.take(row, extracted, record, problem)

    def _count(self) -> None:
        self.record_counter_metric.increment(self._uncounted)
        self._uncounted = 0

    # What the SDK calls

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:  # noqa: ARG002
        """Take a row from the SDK."""
        self.take(record, None, record)

    def process_batch(self, context: dict[str, Any]) -> None:
        """Do nothing: the SDK's batches are empty, and the target reads the files of BATCH messages."""

    def activate_version(self, new_version: int) -> None:  # noqa: ARG002
        """Log that older versions of a table stay."""
        self.logger.info("stream '%s': rows of older versions stay, Kissmetrics deletes nothing", self.stream_name)

    def clean_up(self) -> None:
        """Complete the SDK's metric `record_count`."""
        self._count()
        super().clean_up()
