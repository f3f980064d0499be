"""The target in an environment that fails for a while: `python long_faults.py KIND SECONDS SEED PORT --config ...`.

Two more kinds are not of the process: `silent` (the host accepts and never answers) and `postgres` (the store's server
restarts). `kill_runner` arranges those.
"""

from __future__ import annotations

import random
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

HOST = "tracking.invalid"
"""Resolved by this module alone, RFC 2606."""

JUMPS_SECONDS = (-3600, 0, 3600)


def _clock(draw: random.Random, _seconds: float, _port: int) -> None:
    """Let the clock jump back and forth an hour, in the middle of whatever is done."""
    real, offset = time.time, 0

    def jumping() -> float:
        nonlocal offset
        if draw.random() < 0.05:
            offset = draw.choice(JUMPS_SECONDS)
        return real() + offset

    time.time = jumping


def _dns(draw: random.Random, seconds: float, port: int) -> None:
    """Let the host's name not be resolved for a while, now and again; with both clients."""
    first: list[float] = []
    real = socket.getaddrinfo

    def fails() -> bool:
        now = time.monotonic()
        if not first:
            first.append(now - draw.random() * seconds / 2)
        return int((now - first[0]) / seconds) % 2 == 0

    def resolving(host: Any, *arguments: Any, **named: Any) -> Any:
        if host == HOST and fails():
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real("127.0.0.1" if host == HOST else host, *arguments, **named)

    socket.getaddrinfo = resolving
    try:
        import pycurl  # noqa: PLC0415 - the client `requests` does without
    except ImportError:
        return

    class Resolving(pycurl.CurlMulti):  # type: ignore[misc]
        def add_handle(self, handle: Any) -> None:
            handle.setopt(pycurl.RESOLVE, [f"-{HOST}:{port}" if fails() else f"{HOST}:{port}:127.0.0.1"])
            handle.setopt(pycurl.FRESH_CONNECT, 1)
            super().add_handle(handle)

    pycurl.CurlMulti = Resolving


def _full_disk(draw: random.Random, _seconds: float, _port: int) -> None:
    """Let no file grow beyond a size, as on a disk that is full. Python ignores SIGXFSZ: a write fails."""
    import resource  # noqa: PLC0415 - not on Windows

    size = draw.randrange(1 << 10, 1 << 16)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


IN_PROCESS: dict[str, Callable[[random.Random, float, int], None]] = {
    "clock": _clock,
    "dns": _dns,
    "full-disk": _full_disk,
}
KINDS = (*IN_PROCESS, "silent", "postgres")
MAY_END_A_RUN = {"clock", "full-disk"}
"""In one line and with exit code 1 (a `Retry-After` that is a date lies an hour ahead); the others are overcome."""


if __name__ == "__main__":
    kind, length, seed, port_text = (sys.argv.pop(1) for _ in range(4))
    IN_PROCESS[kind](random.Random(int(seed)), float(length), int(port_text))  # noqa: S311 - it draws tests, no secrets
    from target_kissmetrics.target import main

    main()
