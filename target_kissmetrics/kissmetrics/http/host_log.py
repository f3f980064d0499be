"""The log lines and errors about a host that does not acknowledge calls."""

from __future__ import annotations

import time
from collections.abc import Callable

from target_kissmetrics.errors import DeliveryError, Refused, Unreachable
from target_kissmetrics.kissmetrics.http.retry import GiveUp, Retry

INTERVAL_SECONDS = 30.0
"""At most one line in this time says why calls are retried."""

SILENT_ATTEMPTS = 2
"""The first failures of a call are not logged; most pass."""


class HostLog:
    """Logs the failures of one host, whose calls are retried for `budget` seconds. For one thread.

    Attributes:
        has_acknowledged: The host has acknowledged a call in this run.
    """

    def __init__(
        self, host: str, budget: float, warn: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._host = host
        self._budget = budget
        self._warn = warn
        self._clock = clock
        self._silent_until = -1.0
        self.has_acknowledged = False

    def paused(self, retry: Retry) -> None:
        """Log that all connections wait."""
        self._warn(f"{self._host}: {retry.why}; all connections wait {retry.asked:.1f} s")

    def retried(self, retry: Retry, attempts: int) -> None:
        """Log, at intervals, why a call is retried after so many attempts."""
        now = self._clock()
        if attempts <= SILENT_ATTEMPTS or now < self._silent_until:
            return
        self._silent_until = now + INTERVAL_SECONDS
        hint = "" if self.has_acknowledged else "; no call was acknowledged so far: check tracking_url and the network"
        self._warn(
            f"{self._host}: {retry.why}; calls are retried for up to {self._budget:g} s (retry_timeout_seconds){hint}"
        )

    def error(self, verdict: GiveUp) -> DeliveryError:
        """Return the error that ends the delivery: what happened, and what to do about it."""
        if verdict.permanent:
            return Refused(f"{self._host}: {verdict.why}; check tracking_url and any proxy in between")
        hint = "No call was ever acknowledged: check tracking_url, the network and any proxy. "
        return Unreachable(
            f"{self._host}: {verdict.why}. {'' if self.has_acknowledged else hint}"
            "Run again: calls that were not acknowledged are sent again"
        )
