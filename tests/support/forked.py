"""Starts this project's commands in 50 ms instead of a second: they are forked from a process that imported everything.

For tests that run a command to its end. A test that sends signals, or checks how Python starts, needs a real process:
`[sys.executable, "-m", module]`.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import tempfile
from contextlib import ExitStack
from importlib.metadata import distribution
from pathlib import Path

from docs_shell import programs


def command(module: str = "target_kissmetrics") -> list[str]:
    """Return the words that start a module, as `python -m MODULE` would."""
    if os.name == "nt":  # no fork
        return [sys.executable, "-m", module]
    return [str(_folder() / _names()[module])]


def meltano(python: Path, program: str = "meltano") -> str:
    """Return a program of `meltano_commands`, run by the Python of Meltano's environment."""
    return str(_folder("meltano_commands.py", str(python)) / program)


@functools.cache
def _folder(server: str = "docs_commands.py", python: str = sys.executable) -> Path:
    """Start the process to fork from, once in each pytest-xdist worker."""
    stack = ExitStack()
    atexit.register(stack.close)
    # A short name: a socket's path has at most 100 characters.
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="forked-"))
    return stack.enter_context(programs(Path(folder), server, python))


@functools.cache
def _names() -> dict[str, str]:
    entries = {entry.module: entry.name for entry in distribution("target-kissmetrics").entry_points}
    return {**entries, "target_kissmetrics": "target-kissmetrics"}
