"""A PostgreSQL of the tests' own: on loopback, in a folder of its own, gone afterwards.

Needs Debian's package `postgresql`, or `initdb` and `postgres` on the path; `binaries()` is None where there are none.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

START_SECONDS = 60.0


def binaries() -> Path | None:
    """Give the folder of `initdb` and `postgres`, of the newest version that is there."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a server; give the URL of an empty database: `postgresql://postgres@127.0.0.1:PORT/postgres`."""
    programs = binaries()
    assert programs is not None, "PostgreSQL is not installed"
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    # PostgreSQL refuses to run as root.
    owner: dict[str, Any] = {"user": "postgres"} if os.getuid() == 0 else {}
    if owner:
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    port = _free_port()
    try:
        make = [
            str(programs / "initdb"),
            "-D",
            str(folder / "data"),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, cwd=folder, **owner)
        serve = [str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port)]
        serve += ["-h", "127.0.0.1", "-k", str(folder), "-F"]
        with (folder.parent / f"{folder.name}.log").open("wb") as log:
            process = subprocess.Popen(serve, stdout=log, stderr=log, cwd=folder, **owner)
        try:
            yield _when_it_answers(f"postgresql://postgres@127.0.0.1:{port}/postgres", process)
        finally:
            process.send_signal(signal.SIGINT)  # its word for: end all sessions and stop
            process.wait(timeout=START_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


def _when_it_answers(url: str, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(url):
        assert process.poll() is None, "PostgreSQL ended while it started"
        assert time.monotonic() < deadline, "PostgreSQL did not start in time"
        time.sleep(0.05)
    return url


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
