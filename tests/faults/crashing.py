"""The target, killed by itself at an exact moment: `python crashing.py POINT NUMBER --config ...`.

A point is a function and a side of it; the process ends, as by `kill -9`, with the call of that number (from 1).
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
from typing import Any

_PIPELINE = "target_kissmetrics.sync.pipeline:Pipeline"
_RUNTIME = "target_kissmetrics.runtime:Runtime"
_SQL_STORE = "target_kissmetrics.store.sql:SqlStore"
_OVERLAY = "target_kissmetrics.store.overlay:OverlayStore"
_FILES = "target_kissmetrics.kissmetrics.import_files"

ANYWHERE = {
    # First: only some rows want seconds, and each run leaves fewer rows to the next.
    "after seconds were claimed": (f"{_SQL_STORE}.claim", "after"),
    "before a batch is planned": (f"{_PIPELINE}._send", "before"),
    "after intents were added, before anything is sent": ("target_kissmetrics.sync.planner:Planner.plan", "after"),
    "after a batch was handed to the delivery": (f"{_PIPELINE}._send", "after"),
    "after an answer, before its commit": (f"{_PIPELINE}._commit", "before"),
    "after the commit, before STATE": (f"{_PIPELINE}._commit", "after"),
    "right before a STATE is emitted": (f"{_RUNTIME}._write_state", "before"),
    "right after a STATE was emitted": (f"{_RUNTIME}._write_state", "after"),
}
IN_FILES = {
    "after lines were written": (f"{_FILES}:ImportFiles._append", "after"),
    "before a file gets its name": (f"{_FILES}:os.rename", "before"),
    "right after a file got its name": (f"{_FILES}:os.rename", "after"),
    "after a file's rename, before the commit": (f"{_OVERLAY}.commit_to_base", "before"),
    "in the middle of the commit": (f"{_SQL_STORE}.commit", "after"),
    "after the commit of a file, before STATE": (f"{_OVERLAY}.commit_to_base", "after"),
}
POINTS = {**ANYWHERE, **IN_FILES}


def arrange(point: str, number: int) -> None:
    """Let this process be killed there."""
    name, side = POINTS[point]
    module, _, path = name.partition(":")
    *owners, attribute = path.split(".")
    owner: Any = importlib.import_module(module)
    for step in owners:
        owner = getattr(owner, step)
    function = getattr(owner, attribute)
    calls = 0

    @functools.wraps(function)
    def killing(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        is_due = calls == number
        if is_due and side == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **named)
        if is_due:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, attribute, killing)


if __name__ == "__main__":
    arrange(sys.argv.pop(1), int(sys.argv.pop(1)))
    from target_kissmetrics.target import main

    main()
