"""The delivery of a dry run: each call is logged as one JSON line in Kissmetrics' import format."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.kissmetrics.wire import as_import_line


class DryRunDelivery:
    """Logs calls instead of sending them."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log

    def send(self, calls: Sequence[Outgoing], acknowledged: Callable[[], None]) -> None:
        """Log the calls."""
        for _, call in calls:
            self._log(json.dumps(as_import_line(call), ensure_ascii=False))
        acknowledged()

    def tick(self) -> None:
        """Nothing is due."""

    def close(self, patience: float) -> None:
        """Nothing is open."""
