"""Who wants to know how a run goes is told here: displays, metrics, the recorder of the report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.progress import Shown
from target_kissmetrics.reporting.run_recorder import RunRecorder


class Monitor:
    """Follows a run. `acknowledged` and `retried` may be called from any thread, the rest from the pipeline's.

    Args:
        streams: Gives the counts of all streams, as they are at each moment.
        displays: What shows a person how far the run is.
        recorder: What collects for the report; None without one.

    Attributes:
        retries: Attempts made again so far.
    """

    def __init__(
        self,
        streams: Callable[[], Sequence[StreamCounts]],
        displays: Sequence[Shown] = (),
        recorder: RunRecorder | None = None,
    ) -> None:
        self._streams = streams
        self._displays = displays
        self._recorder = recorder
        self._lock = threading.Lock()
        self._acknowledged = 0
        self.retries = 0

    def acknowledged(self, outgoing: Outgoing, seconds: float, attempts: int) -> None:
        """Count a call that was acknowledged.

        Args:
            outgoing: The call; its source is its stream's counts.
            seconds: From the start of its first attempt to the answer of its last one.
            attempts: Made in all.
        """
        with self._lock:
            self._acknowledged += 1
        if self._recorder is not None:
            self._recorder.taken(outgoing.call, seconds, attempts)

    def retried(self, why: str) -> None:
        """Count an attempt that has to be made again."""
        with self._lock:
            self.retries += 1
        if self._recorder is not None:
            self._recorder.put_off(why)

    def batch_acknowledged(self, calls: Sequence[Outgoing]) -> None:
        """Take the calls of a batch, all of them acknowledged."""
        if self._recorder is not None:
            self._recorder.settled(calls)

    def tick(self, *, in_flight: int) -> None:
        """Show how far the run is; called a few times a second.

        Args:
            in_flight: Calls of batches that are not acknowledged as a whole.
        """
        streams = self._streams()
        counted = sum(counts.calls for counts in streams)
        # What is written to files, or logged, is never acknowledged; of a batch in flight some calls are.
        acknowledged = max(counted, self._acknowledged)
        for display in self._displays:
            display.tick(
                answered=acknowledged,
                under_way=max(0, in_flight - (acknowledged - counted)),
                retries=self.retries,
            )
        if self._recorder is not None:
            self._recorder.tick(streams)

    def close(self) -> None:
        """Show no more."""
        for display in self._displays:
            display.close()
