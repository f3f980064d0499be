"""A way for calls to reach Kissmetrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from target_kissmetrics.kissmetrics.calls import Outgoing


class Delivery(Protocol):
    """Delivers calls: through the tracking API, as import files, or (a dry run) to the log alone."""

    def send(self, calls: Sequence[Outgoing], acknowledged: Callable[[], None]) -> None:
        """Begin to deliver; `acknowledged` is called once, from any thread, when every call was acknowledged."""

    def tick(self) -> None:
        """Do what is due by time alone. Called several times a second, from the thread that sends."""

    def close(self, patience: float) -> None:
        """End. Calls still in flight are waited for, so many seconds, then abandoned."""
