"""How many calls were answered, to the moment: a stream's counts go up part by part, many calls at a time."""

from __future__ import annotations

import threading

from target_kissmetrics.kissmetrics.calls import Call
from target_kissmetrics.kissmetrics.observer import Observer


class Answered:
    """Counts calls as they are taken. Thread-safe.

    Args:
        also: Who else watches the delivery.

    Attributes:
        number: Calls that were taken so far.
    """

    def __init__(self, also: Observer | None = None) -> None:
        self._also = also
        self._lock = threading.Lock()
        self.number = 0

    def taken(self, call: Call, seconds: float, attempts: int) -> None:
        """Count a call."""
        with self._lock:
            self.number += 1
        if self._also is not None:
            self._also.taken(call, seconds, attempts)

    def put_off(self, why: str) -> None:
        """Pass it on."""
        if self._also is not None:
            self._also.put_off(why)
