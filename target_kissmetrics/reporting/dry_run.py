"""What a dry run does in the place of sending and storing: it logs its calls and its rejects."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.kissmetrics.wire import as_import_line
from target_kissmetrics.reporting.reject_policy import RejectSink


class DryRunDelivery:
    """Logs each call as one JSON line in Kissmetrics' import format."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log

    def send(self, calls: Sequence[Outgoing], acknowledged: Callable[[], None]) -> None:
        """Log the calls."""
        for outgoing in calls:
            self._log(json.dumps(as_import_line(outgoing.call), ensure_ascii=False))
        acknowledged()

    def tick(self) -> None:
        """Nothing is due."""

    def close(self, patience: float) -> None:
        """Nothing is in flight."""


class LoggedRejects(RejectSink):
    """A dry run's rejects: logged, and written nowhere."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def write(self, *, record: Mapping[str, Any], with_row: bool = True, **entry: str | None) -> None:  # noqa: ARG002
        """Log one of them."""
        what = f"field '{entry['field']}' dropped" if entry["field"] else "row rejected"
        self._logger.warning("stream '%s': %s (%s): %s", entry["stream"], what, entry["code"], entry["reason"])
