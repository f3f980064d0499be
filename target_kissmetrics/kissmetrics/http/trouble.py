"""What a person is told of a host that does not take calls: while they are tried again, and when that ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from target_kissmetrics.errors import DeliveryError, Refused, Unreachable
from target_kissmetrics.kissmetrics.http.retry import GiveUp, Wait

TOLD_EVERY_SECONDS = 30.0
"""No more than one line in this time says why calls are tried again."""

BLIPS = 2
"""A call that failed so often may have met a blip, which nobody needs to hear of."""


class Trouble:
    """Words for what goes wrong with one host. Thread-safe.

    Args:
        host: The tracking API's address.
        budget: Seconds that a call is tried for (`retry_timeout_seconds`).
        told: Takes a line for a person.
        clock: Seconds that only grow.

    Attributes:
        is_reached: The host has taken a call in this run.
    """

    def __init__(
        self, host: str, budget: float, told: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._host = host
        self._budget = budget
        self._told = told
        self._clock = clock
        self._lock = threading.Lock()
        self._due = 0.0
        self.is_reached = False

    def paused(self, verdict: Wait) -> None:
        """Tell that all connections wait."""
        self._told(f"{self._host}: {verdict.why}; all connections wait {verdict.seconds:.1f} s")

    def put_off(self, verdict: Wait, attempts: int) -> None:
        """Tell, now and then, that calls are tried again.

        Args:
            verdict: Why.
            attempts: How often the call was tried so far.
        """
        if attempts <= BLIPS:
            return
        with self._lock:
            now = self._clock()
            if now < self._due:
                return
            self._due = now + TOLD_EVERY_SECONDS
        never = "" if self.is_reached else "; no call was taken so far: check tracking_url and the network"
        self._told(
            f"{self._host}: {verdict.why}; a call is tried again for up to {self._budget:g} s "
            f"(retry_timeout_seconds){never}"
        )

    def ended(self, verdict: GiveUp) -> DeliveryError:
        """Give the error that ends a delivery: what happened, and what to do about it."""
        if verdict.hopeless:
            return Refused(f"{self._host}: {verdict.why}; check tracking_url and any proxy in between")
        never = "" if self.is_reached else "No call was ever taken: check tracking_url, the network and any proxy. "
        return Unreachable(
            f"{self._host}: {verdict.why}; gave up after {self._budget:g} s of retries (retry_timeout_seconds). "
            f"{never}Run again: what was not delivered is sent again"
        )
