"""Who watches a delivery at work: told of each call that was taken, and of each attempt that will be made again."""

from __future__ import annotations

from typing import Protocol

from target_kissmetrics.kissmetrics.calls import Outgoing


class Observer(Protocol):
    """Told from the threads that deliver, while they wait for it: it has to be quick, and must not raise."""

    def acknowledged(self, outgoing: Outgoing, seconds: float, attempts: int) -> None:
        """Kissmetrics took a call.

        Args:
            outgoing: The call.
            seconds: From the start of its first attempt to the answer of its last one.
            attempts: Made in all; from 1.
        """

    def retried(self, why: str) -> None:
        """An attempt came to nothing, and the call is tried again.

        Args:
            why: What happened, in words that hold nothing of the call.
        """
