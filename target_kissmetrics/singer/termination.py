"""Signals: a run ends between two messages, with what it read delivered.

The SDK's own handler drains from inside an interrupted drain, and so emits a STATE whose rows were never sent.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from target_kissmetrics.singer.reader import MessageReader, Stopped

SECOND_SIGNAL_SECONDS = 5.0
"""Ctrl-C reaches a target twice, from the terminal and from Meltano. A signal that comes later than this means it."""


class Termination:
    """Stops the reader when a signal, or the run itself, asks for it.

    Attributes:
        reader: What it stops; None before there is one, when a signal ends the process at once.
        stopped_by: The signal that asked for the end, if one did.
    """

    def __init__(self) -> None:
        self.reader: MessageReader | None = None
        self.stopped_by: int | None = None
        self._stopped_at = 0.0
        self._is_interrupting = False
        self._handler: Callable[[int, FrameType | None], None] | None = None

    def install(self, handler: Callable[[int, FrameType | None], None]) -> None:
        """Let the SDK's handler of SIGTERM and SIGINT handle a closed terminal too; under `nohup` the run goes on."""
        self._handler = handler
        number = getattr(signal, "SIGHUP", None)  # Windows has none
        is_main = threading.current_thread() is threading.main_thread()
        if number is not None and is_main and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)

    @property
    def signal_name(self) -> str | None:
        """The name of that signal."""
        return None if self.stopped_by is None else signal.Signals(self.stopped_by).name

    def handle(self, signum: int, frame: FrameType | None = None) -> None:  # noqa: ARG002
        """Handle a signal: the reader stops before its next message, at once (`Stopped`) if it waits for input.

        Without a reader, and at a second signal that comes later, the process ends.
        """
        is_own, self._is_interrupting = self._is_interrupting, False
        if not is_own and self.stopped_by is None:
            self.stopped_by, self._stopped_at = signum, time.monotonic()
        elif not is_own and time.monotonic() - self._stopped_at > SECOND_SIGNAL_SECONDS:
            raise SystemExit(128 + signum)
        if self.reader is None:
            raise SystemExit(1)
        self.reader.stop_requested = True
        if self.reader.waiting:
            self.reader.waiting = False
            raise Stopped

    def interrupt(self) -> None:
        """Stop the reader, since the run cannot go on. From any thread."""
        if self.reader is None:
            return
        self.reader.stop_requested = True
        main = threading.main_thread().ident
        is_ours = self._handler is not None and signal.getsignal(signal.SIGTERM) == self._handler
        if self.reader.waiting and is_ours and hasattr(signal, "pthread_kill") and main is not None:
            self._is_interrupting = True
            signal.pthread_kill(main, signal.SIGTERM)


def keep_input_open() -> None:
    """Leave a process that reads on until Meltano stops the tap: a run whose tap writes to a closed pipe would fail."""
    if "MELTANO_PROJECT_ROOT" in os.environ:
        code = "import os\nwhile os.read(0, 65536): pass"
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
