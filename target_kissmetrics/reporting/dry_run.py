"""A delivery that only tells: each call is logged as one JSON line in Kissmetrics' import format."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.kissmetrics.wire import as_import_line


class DryRunDelivery:
    """Tells calls instead of sending them.

    Args:
        tell: Takes a line.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def send(self, calls: Sequence[Outgoing], acknowledged: Callable[[], None]) -> None:
        """Tell the calls."""
        for _, call in calls:
            self._tell(json.dumps(as_import_line(call), ensure_ascii=False))
        acknowledged()

    def tick(self) -> None:
        """Nothing is due."""

    def close(self, patience: float) -> None:
        """Nothing is open."""
