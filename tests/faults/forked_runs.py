"""Starts the target as a fork of a process that has imported it: a start costs 20 ms instead of half a second.

For soaks, where a thousand runs are killed. The target's own `main` runs, with its own standard streams and folder.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import crashing

from target_kissmetrics.target import main

_CONTEXT = multiprocessing.get_context("forkserver") if sys.platform != "win32" else None
if _CONTEXT is not None:
    _CONTEXT.set_forkserver_preload(
        [
            "__main__",
            "crashing",
            "pycurl",
            "psycopg",
            "sqlalchemy.dialects.sqlite",
            "target_kissmetrics.target",
            "target_kissmetrics.kissmetrics.http.curl_transport",
            "target_kissmetrics.kissmetrics.http.requests_transport",
            "target_kissmetrics.store.sql",
        ]
    )


class Forked:
    """A run of the target, used as a `subprocess.Popen` is.

    Args:
        arguments: Of its command line.
        folder: Its working directory, with its log (`log`).
        point: Where it kills itself, as `crashing.arrange` takes it.
    """

    def __init__(self, arguments: list[str], folder: Path, point: tuple[str, int] | None) -> None:
        assert _CONTEXT is not None
        child_in, to_child = _CONTEXT.Pipe(duplex=False)
        from_child, child_out = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=_run, args=(arguments, str(folder), point, child_in, child_out))
        self._process.start()
        child_in.close()
        child_out.close()
        self.stdin: IO[bytes] = os.fdopen(os.dup(to_child.fileno()), "wb")
        self.stdout: IO[bytes] = os.fdopen(os.dup(from_child.fileno()), "rb")
        to_child.close()
        from_child.close()

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> int:
        self._process.join()
        code = self._process.exitcode
        assert code is not None
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stdout.close()
        self.wait()


def _run(
    arguments: list[str], folder: str, point: tuple[str, int] | None, stdin: Connection, stdout: Connection
) -> None:
    os.chdir(folder)
    with open("log", "ab") as log:  # noqa: PTH123 - in the folder
        for connection, number in ((stdin.fileno(), 0), (stdout.fileno(), 1), (log.fileno(), 2)):
            os.dup2(connection, number)
    stdin.close()
    stdout.close()
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the forked process has none
    sys.argv = ["target-kissmetrics", *arguments]
    if point is not None:
        crashing.arrange(*point)
    main()
