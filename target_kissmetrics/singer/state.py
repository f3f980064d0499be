"""STATE output: writes what the tap's next run begins with; `sync/pipeline.py` decides when."""

from __future__ import annotations

import select
import sys
from contextlib import suppress
from typing import Any

from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.errors import StoreError

_TO_DO = "let Meltano run this target, or write its output to a file (> state.json)"


def check_output() -> None:
    """Check standard output before anything is sent: closed, or a pipe that nobody reads, it is a StoreError."""
    is_broken = sys.stdout is None
    if not is_broken and hasattr(select, "poll"):  # Windows has none
        poll = select.poll()
        with suppress(OSError):  # a test's output is no file
            poll.register(sys.stdout, 0)
        is_broken = any(event & (select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))
    if is_broken:
        raise StoreError(f"standard output is closed, and STATE belongs there; {_TO_DO}")


def write_state(value: Any) -> None:
    """Write a STATE message's value to standard output as one JSON line; a StoreError says why it cannot be written."""
    try:
        sys.stdout.write(f"{serialize_json(value)}\n")
        sys.stdout.flush()
    except OSError as error:
        raise StoreError(f"STATE cannot be written to standard output: {error.strerror}; {_TO_DO}") from None
