"""A target that does nothing, as the Meltano SDK makes it: what reading and validating cost before any work is done."""

from __future__ import annotations

from typing import Any, ClassVar

from singer_sdk import Target
from singer_sdk.sinks import BatchSink


class NothingSink(BatchSink):
    """Takes batches and lets them go."""

    def process_batch(self, context: dict[str, Any]) -> None:
        """Do nothing."""


class NothingTarget(Target):
    """Does nothing."""

    name = "target-nothing"
    config_jsonschema: ClassVar[dict[str, Any]] = {"type": "object", "properties": {}}
    default_sink_class = NothingSink


if __name__ == "__main__":
    NothingTarget.cli()
