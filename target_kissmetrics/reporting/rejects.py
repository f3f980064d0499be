"""The rejects file: one JSON object a line, with the row as the tap sent it.

It holds personal data, so only its owner may read it (mode 0600), and it is never written through a link that somebody
else may have put there, nor into another user's file. Lines are appended whole, many at a time, so that two runs may
share the file. The half-written last line of a killed run stays a line of its own.
"""

import contextlib
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.errors import ConfigError, StoreError
from target_kissmetrics.reporting.redaction import redact, redact_key
from target_kissmetrics.reporting.reject_policy import RejectSink

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_SETTING = "rejects_path"
STORE = "store"  # in the place of a path: the table of the store
SCHEMAS_SUFFIX = ".schemas"
BUFFERED_BYTES = 1 << 16  # a buffer of this size is written at once, a smaller one with the next STATE


class AppendedFile:
    """Appends lines to a file that only its owner may read; the first one creates it. Thread-safe. StoreError."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._buffer = bytearray()
        self._unsynced = False
        self._lock = threading.Lock()
        refuse_foreign(path)

    def append(self, line: bytes) -> None:
        """Append one line; it is written with the next flush at the latest."""
        with self._lock, naming_the_setting(self._path):
            self._buffer += line
            if len(self._buffer) >= BUFFERED_BYTES:
                self._write_out()

    def flush(self) -> None:
        """Put every line on the disk, before a STATE that covers the rows is emitted."""
        with self._lock, naming_the_setting(self._path):
            self._write_out()
            if self._unsynced and self._descriptor is not None:
                os.fsync(self._descriptor)
                self._unsynced = False

    def close(self) -> None:
        """Write what is buffered, and close the file."""
        with self._lock, naming_the_setting(self._path):
            try:
                self._write_out()
            finally:
                if self._descriptor is not None:
                    os.close(self._descriptor)
                    self._descriptor = None

    def _write_out(self) -> None:
        if not self._buffer:
            return
        descriptor = self._lock_file()
        try:
            self._unsynced = stat.S_ISREG(os.fstat(descriptor).st_mode)
            while self._buffer:
                del self._buffer[: os.write(descriptor, self._buffer)]
        finally:
            lock(descriptor, False)

    def _lock_file(self) -> int:
        """Give the descriptor of the current file, locked: a replay may have replaced the one that was open."""
        while True:
            if self._descriptor is None:
                self._descriptor = _open(self._path)
            lock(self._descriptor, True)
            if is_at(self._descriptor, self._path):
                return self._descriptor
            os.close(self._descriptor)
            self._descriptor = None


class StoredLines:
    """Keeps lines in a temporary file until they are stored, by the next flush. Thread-safe. StoreError."""

    def __init__(self, store: Callable[[IO[bytes]], None]) -> None:
        self._store = store
        self._lines: IO[bytes] = tempfile.SpooledTemporaryFile(BUFFERED_BYTES)  # noqa: SIM115 - `close` closes it
        self._lock = threading.Lock()

    def append(self, line: bytes) -> None:
        """Append one line."""
        with self._lock, naming_the_setting(tempfile.gettempdir()):
            self._lines.write(line)

    def flush(self) -> None:
        """Store every line."""
        with self._lock, naming_the_setting(tempfile.gettempdir()):
            if self._lines.tell():
                try:
                    self._store(self._lines)
                    self._lines.seek(0)
                    self._lines.truncate()
                finally:
                    self._lines.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Store every line, and close the file."""
        self.flush()
        self._lines.close()


class Rejects(RejectSink):
    """The rejects file and, in `PATH.schemas`, the SCHEMA messages of its streams, which a replay needs."""

    def __init__(self, path: str, run_id: str | None = None, store: Callable[[IO[bytes]], None] | None = None) -> None:
        self._lines: AppendedFile | StoredLines
        self._schemas: AppendedFile | StoredLines
        if store is not None and path == STORE:
            self._lines, self._schemas = StoredLines(store), StoredLines(store)
        else:
            self._lines, self._schemas = AppendedFile(path), AppendedFile(f"{path}{SCHEMAS_SUFFIX}")
        self._run_id = run_id
        self._noted: dict[str, str] = {}

    def note_schema(self, stream: str, message: str) -> None:
        """Write the tap's SCHEMA message of a stream (after stream maps), once as long as it is the same object."""
        if self._noted.get(stream) is not message:
            self._noted[stream] = message
            self._schemas.append(f'{{"rejects":{serialize_json(redact_key(stream))},{message[1:]}\n'.encode())

    def write(self, *, record: Mapping[str, Any], with_row: bool = True, time: int | None = None, **entry: Any) -> None:
        """Append one line; `record` is the whole row as the tap sent it."""
        moment = datetime.now(tz=UTC) if time is None else datetime.fromtimestamp(time, tz=UTC)
        entry["time"] = moment.isoformat(timespec="seconds").replace("+00:00", "Z")
        self._lines.append(as_line(record=record if with_row else {}, run_id=self._run_id, **entry))

    def flush(self) -> None:
        """Put every line on the disk, before a STATE that covers the rows is emitted."""
        self._schemas.flush()
        self._lines.flush()

    def close(self) -> None:
        """Write what is buffered, and close the files."""
        self._schemas.close()
        self._lines.close()


def as_line(
    *, stream: str, code: str, reason: str, field: str | None, record: Mapping[str, Any], **run: str | None
) -> bytes:
    """Give one line of the file; `run` has the `run_id` and the `time`."""
    entry = {
        "time": run["time"], "run_id": run.get("run_id"), "stream": redact_key(stream), "code": code,
        "reason": redact(reason), "field": field and redact_key(field), "record": record,
    }  # fmt: skip
    return f"{serialize_json(entry)}\n".encode()


def refuse_foreign(path: str | Path, descriptor: int | None = None) -> None:
    """Check that nobody else holds the open file, else that at the path, by a link or as its owner (ConfigError)."""
    try:
        about = os.lstat(path) if descriptor is None else os.fstat(descriptor)
    except (OSError, ValueError):  # whoever opens it says so
        return
    if stat.S_ISLNK(about.st_mode):
        raise ConfigError(_SETTING, f"{path} is a symbolic link; name the file itself")
    if stat.S_ISREG(about.st_mode) and about.st_nlink > 1:
        raise ConfigError(_SETTING, f"{path} has another name (a hard link); remove it, or name another file")
    if stat.S_ISREG(about.st_mode) and hasattr(os, "geteuid") and about.st_uid != os.geteuid():
        raise ConfigError(_SETTING, f"{path} belongs to another user; make it yours (chown), or name another file")


def rejects_files(path: str) -> tuple[str, ...]:
    """Give the rejects file and its schemas file; nothing for the store."""
    return () if path == STORE else (path, f"{path}{SCHEMAS_SUFFIX}")


def check_rejects_path(path: str) -> None:
    """Check, before any row is read, that both files can be written (else ConfigError). Changes nothing."""
    for file in map(Path, rejects_files(path)):
        refuse_foreign(file)
        if problem := _problem_of(file):
            raise ConfigError(_SETTING, f"{file} {problem}; name a file in a writable folder")


def _problem_of(file: Path) -> str | None:
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        is_fit = os.access(file.parent, os.W_OK | os.X_OK)
        return None if is_fit else f"cannot be created: there is no folder {file.parent}, or it is not writable"
    except (OSError, ValueError) as error:
        return f"cannot be used ({getattr(error, 'strerror', None) or type(error).__name__})"
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
        return "is not a regular file"
    return None if os.access(file, os.W_OK) else "is not writable"


@contextlib.contextmanager
def naming_the_setting(path: str) -> Iterator[None]:
    """Turn an OSError into one line that names the setting."""
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        to_do = "free some space or make it writable, and run again"
        raise StoreError(f"{_SETTING}: cannot write {path}: {why}; {to_do}") from error


def lock(descriptor: int, is_locked: bool) -> None:
    """Lock the file against other writers, or unlock it. Does nothing on Windows."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX if is_locked else fcntl.LOCK_UN)


def is_at(descriptor: int, path: str | Path) -> bool:
    """Return whether the open file is still the one at the path."""
    try:
        there, here = Path(path).lstat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) or not stat.S_ISREG(here.st_mode)


def _open(path: str) -> int:
    """Open for appending, locked, for its owner only, never through a link; a half-written last line is ended."""
    # O_NONBLOCK: opening a pipe without a reader would block forever. It has no effect on a file.
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o600)
    try:
        refuse_foreign(path, descriptor)
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
            raise StoreError(f"{_SETTING}: {path} is not a regular file; name another path")  # noqa: TRY301
        if stat.S_ISREG(mode) and hasattr(os, "fchmod"):
            os.fchmod(descriptor, 0o600)
        lock(descriptor, True)  # a line that another run is just writing is not half-written
        size = os.fstat(descriptor).st_size
        if size:
            os.lseek(descriptor, size - 1, os.SEEK_SET)
            if os.read(descriptor, 1) != b"\n":
                os.write(descriptor, b"\n")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
