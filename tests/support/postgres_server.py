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
from contextlib import contextmanager, suppress
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


class Postgres:
    """A server that runs.

    Attributes:
        url: Of an empty database: `postgresql://postgres@127.0.0.1:PORT/postgres`.
    """

    def __init__(self, programs: Path, folder: Path, owner: dict[str, Any]) -> None:
        port = _free_port()
        self._command = [str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port)]
        self._command += ["-h", "127.0.0.1", "-k", str(folder), "-F"]
        self._folder = folder
        self._owner = owner
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with (self._folder.parent / f"{self._folder.name}.log").open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._folder, **self._owner)

    def wait(self) -> None:
        """Wait until it answers."""
        _when_it_answers(self.url, self._process)

    def stop(self) -> None:
        for _ in range(int(START_SECONDS)):
            self._process.send_signal(signal.SIGINT)  # its word for: end all sessions and stop
            with suppress(subprocess.TimeoutExpired):  # it does not hear the word in the moment of its start
                self._process.wait(timeout=1)
                return
        raise TimeoutError(f"PostgreSQL does not stop within {START_SECONDS} s")

    def restart(self) -> None:
        """End all sessions, and start again."""
        self.stop()
        self._process = self._start()


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a server; give its URL."""
    with postgres_server() as server:
        yield server.url


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Run a server."""
    programs = binaries()
    assert programs is not None, "PostgreSQL is not installed"
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    # PostgreSQL refuses to run as root.
    owner: dict[str, Any] = {"user": "postgres"} if os.getuid() == 0 else {}
    if owner:
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    make = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "postgres"]
    make += ["-A", "trust", "-E", "UTF8", "--no-sync"]
    try:
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, cwd=folder, **owner)
        server = Postgres(programs, folder, owner)
        try:
            server.wait()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


def _when_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(url):
        assert process.poll() is None, "PostgreSQL ended while it started"
        assert time.monotonic() < deadline, "PostgreSQL did not start in time"
        time.sleep(0.05)


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
