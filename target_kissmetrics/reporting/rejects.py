"""The file of what is not sent: one JSON object a line, with the row as it came.

It holds personal data, so nobody but its owner may read it (mode 0600), and it is never written through a symbolic link
that somebody else may have put in its place. Lines are appended whole, many at a time, so that two runs may share the
file; and what a run that was killed left of its last line stays a line of its own.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.errors import ConfigError, StoreError

_SETTING = "rejects_path"

BUFFERED_BYTES = 1 << 16
"""More than this is handed to the operating system at once, less with the next STATE."""


class Rejects:
    """Appends to the file of rejects. Thread-safe. The file is made with the first reject.

    Args:
        path: Where it is.

    Raises:
        ConfigError: A symbolic link is there.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._unsynced = False
        self._lock = threading.Lock()
        refuse_link(path)

    def write(self, *, stream: str, code: str, reason: str, field: str | None, record: Mapping[str, Any]) -> None:
        """Append one line.

        Args:
            stream: The row's stream.
            code: Why, short and steady.
            reason: Why, for a person.
            field: The field that is set aside; None for a whole row.
            record: The whole row as it came.

        Raises:
            StoreError: The file cannot be written.
        """
        line = as_line(stream=stream, code=code, reason=reason, field=field, record=record)
        with self._lock, _Named(self._path):
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            if self._waiting_bytes >= BUFFERED_BYTES:
                self._write_out()

    def flush(self) -> None:
        """Put all lines on the disk, before a STATE that covers their rows is passed on.

        Raises:
            StoreError: The file cannot be written.
        """
        with self._lock, _Named(self._path):
            if self._waiting:
                self._write_out()
            if self._unsynced and self._descriptor is not None:
                os.fsync(self._descriptor)
                self._unsynced = False

    def close(self) -> None:
        """Write what is waiting, and close the file.

        Raises:
            StoreError: The file cannot be written.
        """
        with self._lock, _Named(self._path):
            try:
                if self._waiting:
                    self._write_out()
            finally:
                if self._descriptor is not None:
                    os.close(self._descriptor)
                    self._descriptor = None

    def _write_out(self) -> None:
        if self._descriptor is None:
            self._descriptor = _open(self._path)
        self._unsynced = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        lines = b"".join(self._waiting)
        while lines:
            written = os.write(self._descriptor, lines)
            lines = lines[written:]
            # What is left of it is what a later attempt has to write.
            self._waiting, self._waiting_bytes = [lines], len(lines)
        self._waiting, self._waiting_bytes = [], 0


def as_line(*, stream: str, code: str, reason: str, field: str | None, record: Mapping[str, Any]) -> bytes:
    """Write one line of the file, as `Rejects.write` does."""
    entry = {
        "time": datetime.now(tz=timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "stream": stream,
        "code": code,
        "reason": reason,
        "field": field,
        "record": record,
    }
    return f"{serialize_json(entry)}\n".encode()


def refuse_link(path: str | Path) -> None:
    """Make sure that the path is no symbolic link, which could lead personal data, or an overwrite, anywhere.

    Raises:
        ConfigError: It is one.
    """
    if os.path.islink(path):  # noqa: PTH114 - a text names it
        raise ConfigError(_SETTING, f"{path} is a symbolic link; name the file itself")


class _Named:
    """Turns an OSError into one line that names the setting."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Name the setting."""
        if isinstance(error, OSError):
            raise StoreError(
                f"{_SETTING}: cannot write {self._path}: {error.strerror or type(error).__name__}"
            ) from error


def _open(path: str) -> int:
    """Open for appending: never through a symbolic link, for its owner alone; give the descriptor."""
    # O_NONBLOCK: a pipe that nobody reads would hold the run up for ever. It changes nothing for a file.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o600)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, 0o600)
            _end_last_line(descriptor)
        elif not stat.S_ISCHR(mode):
            raise StoreError(f"{_SETTING}: {path} is no file")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _end_last_line(descriptor: int) -> None:
    """End a line that a killed run left half-written: the next one must not be glued to it."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if size:
        os.lseek(descriptor, size - 1, os.SEEK_SET)
        if os.read(descriptor, 1) != b"\n":
            os.write(descriptor, b"\n")
