"""Kissmetrics' import files: one JSON object a line, in files that are complete under their final name or absent.

Kissmetrics imports the files of a bucket that match `<base>*.json` in alphanumeric order, one an hour
(support.kissmetrics.io, "Importing data"), so a name holds the moment its file was begun, and a random token, because
several processes may write to one folder. A file in a local folder is written under a name that does not match, and
locked meanwhile: what no process locks is the rest of a killed run, which the next one removes. In a bucket (any fsspec
URL) an object appears when its upload is complete.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import msgspec

from target_kissmetrics.errors import ConfigError, Refused
from target_kissmetrics.kissmetrics.calls import Call
from target_kissmetrics.kissmetrics.wire import as_import_line

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

KISSMETRICS_USER = "6acb81d7742ac437833f51ecb2a40c74cd831ce26909e5f72354fa6af42cfb1f"
"""Kissmetrics' canonical user at Amazon. Source: support.kissmetrics.io, "Importing data"."""

GRANTS = {"GrantRead": f'id="{KISSMETRICS_USER}"', "GrantReadACP": f'id="{KISSMETRICS_USER}"'}

_UNFINISHED = ".*Z-????????.json.part"


class _LocalFile:
    """A file that appears under its final name when it is closed. Has what is used of fsspec's files."""

    closed = False

    def __init__(self, path: Path) -> None:
        for folder in reversed(path.parents):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        while True:
            descriptor = os.open(self._part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            self._file = os.fdopen(descriptor, "wb", buffering=1 << 20)
            _lock(self._file)
            if self._part.exists():
                break
            self._file.close()  # before it was locked, another run removed it

    def write(self, data: bytes) -> object:
        return self._file.write(data)

    def close(self) -> None:
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
            if fcntl is None:  # Windows moves no open file
                self._file.close()
            if self._path.exists():
                raise FileExistsError(17, "the file exists already")
            self._part.rename(self._path)

    def discard(self) -> None:
        with suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)


def _lock(file: IO[bytes], *, wait: bool = True) -> bool:
    """Lock a file; tell whether it is locked now. Some network file systems have no locks."""
    with suppress(OSError):
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return True
    return False


def file_opener(url: str) -> Callable[[str], Any]:
    """Return a function that begins a file, given its name, in a local folder or at an fsspec URL.

    The file is complete, and has its name, once it is closed. What killed runs left in a local folder is removed.

    Raises:
        ConfigError: The URL cannot be used.
    """
    folder = local_folder(url)
    if folder is None:
        fs, root = _remote(url)
        grants = GRANTS if url.startswith(("s3:", "s3a:")) else {}
        return lambda name: fs.open(f"{root.rstrip('/')}/{name}", "wb", **grants)
    for part in folder.glob(_UNFINISHED):
        with suppress(OSError), part.open("rb") as file:
            if _lock(file, wait=False):  # files of runs that are alive are locked
                part.unlink()
    return lambda name: _LocalFile(folder / name)


def check_writable(url: str) -> None:
    """Check that files can be written: a parent of a local folder is writable, or a bucket exists.

    Raises:
        ConfigError: They cannot.
    """
    folder = local_folder(url)
    if folder is None:
        fs, root = _remote(url)
        try:
            fs.ls(root.split("/")[0], refresh=True)
        except Exception as error:  # noqa: BLE001 - whatever the library behind an fsspec URL raises
            raise ConfigError("files_url", _describe(url, error)) from None
        return
    path = folder.absolute()
    existing = next(one for one in (path, *path.parents) if os.path.exists(one))  # noqa: PTH110 - never raises
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise ConfigError("files_url", _describe(url, PermissionError(13, "no file can be created there")))


def local_folder(url: str) -> Path | None:
    """Give the folder that a path or URL names; None for a bucket."""
    scheme, separator, path = url.partition("://")
    if not separator:
        return Path(url)
    return Path(path) if scheme in {"file", "local"} else None


def _remote(url: str) -> tuple[Any, str]:
    """Return an fsspec URL's file system, which reads credentials from the environment, and the path."""
    import fsspec  # noqa: PLC0415 - an extra brings its file systems

    try:
        fs, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:  # an unknown scheme, or one without its package
        problem = f"{url} cannot be used: {error}; install what it needs, or name another"
        raise ConfigError("files_url", problem) from None
    return fs, root


@dataclass(kw_only=True, eq=False)
class ImportFiles:
    """Writes calls as lines of files in a folder (a path or an fsspec URL), whose names start with `base`.

    For one thread. `completed` is called whenever a file is complete under its final name.
    """

    url: str
    base: str
    max_rows: int
    completed: Callable[[], None]
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        """Begin without a file."""
        self._open_file = file_opener(self.url)
        self._token = secrets.token_hex(4)
        self._last_milliseconds = 0
        self._file: Any = None
        self._rows = 0
        self._opened_at = 0.0
        self._broken = False

    @property
    def is_open(self) -> bool:
        """Whether a file was begun that is not complete."""
        return self._file is not None

    @property
    def age(self) -> float:
        """Seconds since the open file was begun; 0 without one."""
        return self.clock() - self._opened_at if self._file else 0.0

    def write(self, calls: Iterable[Call]) -> None:
        """Write calls, and complete a file that is full. Raises Refused if that fails; the file does not exist then."""
        lines = [msgspec.json.encode(as_import_line(call)) for call in calls]
        while lines:
            room = self.max_rows - self._rows
            with self._discarding_on_error():
                self._append(lines[:room])
            lines = lines[room:]
            if self._rows >= self.max_rows:
                self.complete()

    def complete(self) -> None:
        """Complete the open file, if any, and call `completed`; do nothing after an error. Raises like `write`."""
        if self._broken:
            return
        if self._file is not None:
            with self._discarding_on_error():
                self._file.close()
            self._file, self._rows = None, 0
        self.completed()

    def _append(self, lines: list[bytes]) -> None:
        if self._file is None:
            self._file = self._open_file(self._next_name())
            self._opened_at = self.clock()
        self._file.write(b"\n".join(lines) + b"\n")
        self._rows += len(lines)

    def _next_name(self) -> str:
        """Name a file. Names sort by time, even if the clock is set back."""
        self._last_milliseconds = max(int(self.clock() * 1000), self._last_milliseconds + 1)
        seconds, milliseconds = divmod(self._last_milliseconds, 1000)
        return f"{self.base}-{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%S}{milliseconds:03d}Z-{self._token}.json"

    @contextmanager
    def _discarding_on_error(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever the library behind an fsspec URL raises
            self._broken = True
            if self._file is not None:
                with suppress(Exception):
                    self._file.discard()
                self._file.closed = True  # else fsspec completes it at the end of the process
            raise Refused(f"files_url: {_describe(self.url, error)}") from None


def _describe(url: str, error: Exception) -> str:
    """Say why files cannot be written, and what to do about it."""
    if "AccessControlListNotSupported" in str(error):
        return f"{url} has ACLs disabled, but Kissmetrics needs a grant on each file; enable ACLs for it"
    return (
        f"cannot write to {url}: {getattr(error, 'strerror', None) or type(error).__name__}; check that it exists and "
        "is writable, and the credentials in the environment"
    )
