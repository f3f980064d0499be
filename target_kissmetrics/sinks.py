"""A stream's rows on their way into the pipeline: validated, mapped, or set aside. No rule of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from singer_sdk.exceptions import InvalidRecord, MissingKeyPropertiesError
from singer_sdk.sinks import Sink

from target_kissmetrics.errors import TooManyRejects
from target_kissmetrics.mapping.registry import understand
from target_kissmetrics.mapping.reject_codes import REASONS, Code, RowRejected, advice
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.settings import FLAT_KINDS
from target_kissmetrics.mapping.stream import Stream, StreamMapping
from target_kissmetrics.reporting.reject_limits import JUDGED_ROWS
from target_kissmetrics.singer.validation import CompiledValidator
from target_kissmetrics.sync.batch import BatchRow

if TYPE_CHECKING:
    from singer_sdk.sinks.core import BaseJSONSchemaValidator

    from target_kissmetrics.target import TargetKissmetrics

ROWS_ON_PROBATION = 100
"""A stream whose first so many rows were all rejected stops the run."""

WHOLE_ROWS = 20
"""A row is written whole with each batch of it that is set aside, but no more often than this: a batch of 10,000 events
that are all set aside would fill a disk with copies of itself."""

_SEE_ABOVE: Mapping[str, Any] = {}


class KissmetricsSink(Sink):
    """Takes the rows of one stream.

    Rows go straight on to the pipeline, which has batches of its own: the SDK's are always empty.

    Args:
        target: The target.
        stream_name: The stream's name, after stream maps.
        schema: Its schema.
        key_properties: Its key.

    Raises:
        ConfigError: It is not plain what the stream is.
    """

    current_size = 0

    def __init__(
        self,
        target: TargetKissmetrics,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._target = target
        self.counts = target.counts_of(stream_name)
        self._key = tuple(self.key_properties)
        self._shard = target.settings.shard
        stream = Stream(
            name=stream_name,
            schema=schema,
            key_properties=self._key,
            entry=target.entry_of(stream_name),
            settings=target.settings,
            warn=lambda text: self.logger.warning("stream '%s': %s", stream_name, text),
        )
        understood = understand(stream)
        self._mapping = understood.mapping
        self.kind = understood.kind.kind
        self.counts.in_messages = self.kind not in FLAT_KINDS
        self.logger.info(
            "stream '%s' is read as %s, because %s%s",
            stream_name,
            understood.kind.kind,
            understood.kind.why,
            f". {understood.mapping.describe()}" if understood.mapping else "",
        )

    def get_validator(self) -> BaseJSONSchemaValidator | None:
        """Give what validates rows, unless `validate_records` is off."""
        return CompiledValidator(self.schema) if self.validate_schema else None

    def take(self, row: dict[str, Any], extracted: object, raw: Mapping[str, Any]) -> None:
        """Take a row.

        Args:
            row: After stream maps.
            extracted: The message's `time_extracted`, or None.
            raw: As it came.

        Raises:
            MissingKeyPropertiesError: It lacks a batch of the stream's key, which no tap may leave out.
            TooManyRejects: So far the stream had nothing but rejects, or more than the settings allow.
            TargetError: `on_invalid_record` is `fail`, or the pipeline failed.
        """
        self._check_key(row)
        self.counts.rows += 1
        if self._mapping is None:
            return
        if row.get("_sdc_deleted_at") is not None:
            self.counts.deleted += 1
            return
        try:
            mapped = self._map(self._mapping, row, extracted)
        except RowRejected as problem:
            if self._shard is None or self._shard.takes_nobody:
                self._reject(problem, raw)
            return
        self.counts.accepted += 1
        self.counts.parts += max(1, len(mapped.slots))
        if self.counts.rows == JUDGED_ROWS:
            self._target.reject_limits.judge(self.counts)
        if self._shard is None or self._shard.takes_row(mapped):
            self._pass_on(mapped, raw)

    def _pass_on(self, mapped: Mapped, raw: Mapping[str, Any]) -> None:
        if mapped.left_out or mapped.deletions:
            self.counts.mapped(mapped.left_out, len(mapped.deletions))
        for number, aside in enumerate(mapped.asides):
            self._target.set_aside(self.counts, aside, raw if number < WHOLE_ROWS else _SEE_ABOVE)
        if mapped.calls or mapped.deletions:
            self._target.pipeline.add(BatchRow(self.counts, mapped, raw))

    def _check_key(self, row: Mapping[str, Any]) -> None:
        for key in self._key:
            if key not in row:
                raise MissingKeyPropertiesError(
                    f"a row of stream '{self.stream_name}' is without its key property '{key}': mend the tap"
                )

    def _map(self, mapping: StreamMapping, row: dict[str, Any], extracted: object) -> Mapped:
        if self._validator is not None:
            try:
                self._validator.validate(row)
            except InvalidRecord as problem:
                raise RowRejected("schema", f"it does not fit the tap's schema: {problem.error_message}") from None
        return mapping.map(row, extracted)

    def _reject(self, problem: RowRejected, raw: Mapping[str, Any]) -> None:
        self._target.reject(self.counts, problem, raw)
        if not self.counts.left_accepted and sum(self.counts.all_rejected.values()) >= ROWS_ON_PROBATION:
            code = cast("Code", self.counts.all_rejected.most_common(1)[0][0])
            raise TooManyRejects(
                f"stream '{self.stream_name}': the first {ROWS_ON_PROBATION} rows were all rejected, most often as "
                f"{code} ({REASONS[code].meaning}); they are in rejects_path, their STATE was not passed on: "
                f"{advice(code, in_messages=self.counts.in_messages)}, and run again",
            )

    # What the SDK calls

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:  # noqa: ARG002
        """Take a row from the SDK."""
        self.take(record, None, record)

    def process_batch(self, context: dict[str, Any]) -> None:
        """Nothing waits in the SDK's batches; the files of BATCH messages are the target's business."""

    def activate_version(self, new_version: int) -> None:  # noqa: ARG002
        """Tell that older versions of a table stay: Kissmetrics deletes nothing."""
        self.logger.info("stream '%s': rows of older versions stay, Kissmetrics deletes nothing", self.stream_name)


class CheckSink(Sink):
    """Takes the stream that `meltano config test` sends: checks, and neither sends nor stores anything."""

    current_size = 0

    def __init__(
        self,
        target: TargetKissmetrics,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        target.check()

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Pass the row over."""

    def take(self, row: dict[str, Any], extracted: object, raw: Mapping[str, Any]) -> None:
        """Pass the row over."""

    def process_batch(self, context: dict[str, Any]) -> None:
        """Pass the rows over."""
