"""The file of what is not sent: one JSON object a line, with the row as it came.

It holds personal data, so nobody but its owner may read it (mode 0600), and it is never written through a symbolic link
that somebody else may have put in its place. Lines are appended whole, many at a time, so that two runs may share the
file; and what a run that was killed left of its last line stays a line of its own.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.errors import ConfigError, StoreError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_SETTING = "rejects_path"

SCHEMAS_SUFFIX = ".schemas"

BUFFERED_BYTES = 1 << 16
"""More than this is handed to the operating system at once, less with the next STATE."""


class AppendedFile:
    """Appends lines to a file that is its owner's alone. Thread-safe. The file is made with the first line.

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

    def append(self, line: bytes) -> None:
        """Append one line, with the next flush at the latest.

        Raises:
            StoreError: The file cannot be written.
        """
        with self._lock, named(self._path):
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            if self._waiting_bytes >= BUFFERED_BYTES:
                self._write_out()

    def flush(self) -> None:
        """Put all lines on the disk, before a STATE that covers their rows is passed on.

        Raises:
            StoreError: The file cannot be written.
        """
        with self._lock, named(self._path):
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
        with self._lock, named(self._path):
            try:
                if self._waiting:
                    self._write_out()
            finally:
                if self._descriptor is not None:
                    os.close(self._descriptor)
                    self._descriptor = None

    def _write_out(self) -> None:
        descriptor = self._lock_file()
        try:
            self._unsynced = stat.S_ISREG(os.fstat(descriptor).st_mode)
            lines = b"".join(self._waiting)
            while lines:
                written = os.write(descriptor, lines)
                lines = lines[written:]
                # What is left of it is what a later attempt has to write.
                self._waiting, self._waiting_bytes = [lines], len(lines)
            self._waiting, self._waiting_bytes = [], 0
        finally:
            lock(descriptor, False)

    def _lock_file(self) -> int:
        """Give the descriptor of the file that is there now, locked: a replay may have put another one in its place."""
        while True:
            if self._descriptor is None:
                self._descriptor = _open(self._path)
            lock(self._descriptor, True)
            if is_at(self._descriptor, self._path):
                return self._descriptor
            os.close(self._descriptor)
            self._descriptor = None


class Rejects(AppendedFile):
    """The file of rejects, and beside it, in `PATH.schemas`, the SCHEMA messages of its streams, for a replay."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._schemas = AppendedFile(f"{path}{SCHEMAS_SUFFIX}")
        self._noted: dict[str, Mapping[str, Any]] = {}

    def note_schema(self, stream: str, message: Mapping[str, Any]) -> None:
        """Note what a replay has to know of a stream.

        Args:
            stream: The rejects' name for it.
            message: The tap's SCHEMA message of it, the same object as long as it is the same.

        Raises:
            StoreError: The file cannot be written.
        """
        if self._noted.get(stream) is not message:
            self._noted[stream] = message
            self._schemas.append(f"{serialize_json({'rejects': stream, **message})}\n".encode())

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
        self.append(as_line(stream=stream, code=code, reason=reason, field=field, record=record))

    def flush(self) -> None:
        """Put all lines on the disk, before a STATE that covers their rows is passed on."""
        self._schemas.flush()
        super().flush()

    def close(self) -> None:
        """Write what is waiting, and close the files."""
        self._schemas.close()
        super().close()


def as_line(  # noqa: PLR0913 - all by name
    *, stream: str, code: str, reason: str, field: str | None, record: Mapping[str, Any], time: str | None = None
) -> bytes:
    """Write one line of the file; `time` is now when it is left out."""
    entry = {
        "time": time or datetime.now(tz=timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
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


def check_rejects_path(path: str) -> None:
    """Make sure that the file of rejects, and the one beside it, can be written, before any row is read.

    Nothing is made or changed. What becomes of a folder later is told when the file is written.

    Raises:
        ConfigError: It is a symbolic link or no file, its folder is not there, or nobody may write it.
    """
    for file in (path, f"{path}{SCHEMAS_SUFFIX}"):
        refuse_link(file)
        problem = _unwritable(Path(file))
        if problem:
            raise ConfigError(_SETTING, f"{problem}; name a file in a folder that can be written")


def _unwritable(file: Path) -> str | None:
    folder = file.parent
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        if not folder.is_dir():
            return f"{file} cannot be made, there is no folder {folder}"
        return None if os.access(folder, os.W_OK | os.X_OK) else f"{file} cannot be made, {folder} is not writable"
    except (OSError, ValueError) as error:
        return f"{file} cannot be used ({getattr(error, 'strerror', None) or type(error).__name__})"
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
        return f"{file} is a folder" if stat.S_ISDIR(mode) else f"{file} is no file"
    return None if os.access(file, os.W_OK) else f"{file} is not writable"


class named:  # noqa: N801 - it reads as what it does
    """Turns an OSError into one line that names the setting."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Name the setting."""
        if isinstance(error, OSError):
            raise StoreError(
                f"{_SETTING}: cannot write {self._path}: {error.strerror or type(error).__name__}; make room, or make "
                "it writable, and run again"
            ) from error


def lock(descriptor: int, is_locked: bool) -> None:
    """Keep other writers off the file for a moment, or let them on again. Does nothing on Windows."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # some network file systems know no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX if is_locked else fcntl.LOCK_UN)


def is_at(descriptor: int, path: str | Path) -> bool:
    """Tell whether the open file is still the one at the path."""
    try:
        there, here = Path(path).lstat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) or not stat.S_ISREG(here.st_mode)


def _open(path: str) -> int:
    """Open for appending: never through a symbolic link, for its owner alone; give the descriptor."""
    # O_NONBLOCK: a pipe that nobody reads would hold the run up for ever. It changes nothing for a file.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o600)
    try:
        _make_ready(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _make_ready(descriptor: int, path: str) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, 0o600)
        # Locked: a line that another run is writing at this moment is not one that was left half-written.
        lock(descriptor, True)
        try:
            _end_last_line(descriptor)
        finally:
            lock(descriptor, False)
    elif not stat.S_ISCHR(mode):
        raise StoreError(f"{_SETTING}: {path} is no file; name one that is, or that can be made")


def _end_last_line(descriptor: int) -> None:
    """End a line that a killed run left half-written: the next one must not be glued to it."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if size:
        os.lseek(descriptor, size - 1, os.SEEK_SET)
        if os.read(descriptor, 1) != b"\n":
            os.write(descriptor, b"\n")
