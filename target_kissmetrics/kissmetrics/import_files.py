"""Kissmetrics' import files: one JSON object a line, in files that are whole under their final name or not there.

Kissmetrics takes the files of a bucket that match `<base>*.json` in alphanumeric order, one an hour
(support.kissmetrics.io, "Importing data"), so names begin with the moment a file was begun, and hold what tells
processes apart.

In a local folder a file is written under a name that does not match, forced to the disk, and linked to its final name,
which fails where that name is taken. In a bucket (any fsspec URL) an object appears when its upload is complete, and
grants Kissmetrics' canonical user to read it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import msgspec

from target_kissmetrics.errors import DeliveryError, Refused
from target_kissmetrics.kissmetrics.calls import Call
from target_kissmetrics.kissmetrics.wire import as_import_line

KISSMETRICS_USER = "6acb81d7742ac437833f51ecb2a40c74cd831ce26909e5f72354fa6af42cfb1f"
"""Kissmetrics' canonical user at Amazon. Source: support.kissmetrics.io, "Importing data"."""

GRANTS = {"GrantRead": f'id="{KISSMETRICS_USER}"', "GrantReadACP": f'id="{KISSMETRICS_USER}"'}

_ENCODER = msgspec.json.Encoder()


class OpenFile(Protocol):
    """A file that is not there yet under its final name."""

    def write(self, data: bytes) -> object:
        """Write whole lines."""

    def complete(self) -> None:
        """Let it appear under its final name, whole. Raises where that name is taken."""

    def discard(self) -> None:
        """Let nothing of it appear."""


class Folder(Protocol):
    """Where files go."""

    def open(self, name: str) -> OpenFile:
        """Begin a file."""

    def check(self) -> None:
        """Make sure that files can be written there."""


class LocalFolder:
    """A folder of this machine, made when it is missing."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def open(self, name: str) -> OpenFile:
        """Begin a file."""
        self._path.mkdir(parents=True, exist_ok=True)
        return _LocalFile(self._path / name)

    def check(self) -> None:
        """Make sure that files can be written there; a folder that is missing is not made yet."""
        there = self._path.absolute()
        while not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise PermissionError(13, "no file can be made there")


class _LocalFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        self._file = self._part.open("xb", buffering=1 << 20)

    def write(self, data: bytes) -> object:
        return self._file.write(data)

    def complete(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        _appear(self._part, self._path)

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)


def _appear(part: Path, final: Path) -> None:
    """Give a file its final name, never that of another one."""
    try:
        os.link(part, final)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if final.exists():
            raise FileExistsError(17, "the file is there already") from None
        part.rename(final)
        return
    part.unlink()


class RemoteFolder:
    """A bucket, or whatever else fsspec reaches. Credentials come from the environment, as its library has it.

    Raises:
        ImportError: The library for this kind of URL is not installed.
    """

    def __init__(self, url: str) -> None:
        import fsspec  # noqa: PLC0415 - an extra

        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._grants = GRANTS if url.startswith(("s3:", "s3a:")) else {}

    def open(self, name: str) -> OpenFile:
        """Begin a file."""
        return _RemoteFile(self._fs, f"{self._root.rstrip('/')}/{name}", self._grants)

    def check(self) -> None:
        """Make sure that the bucket is there."""
        self._fs.ls(self._root.split("/")[0], refresh=True)


class _RemoteFile:
    def __init__(self, fs: Any, path: str, grants: dict[str, str]) -> None:
        self._fs = fs
        self._path = path
        self._file = fs.open(path, "wb", **grants)

    def write(self, data: bytes) -> object:
        return self._file.write(data)

    def complete(self) -> None:
        if self._fs.exists(self._path):
            self.discard()
            raise FileExistsError(17, "the file is there already")
        self._file.close()

    def discard(self) -> None:
        with contextlib.suppress(Exception):
            self._file.discard()
        self._file.closed = True


def folder_of(url: str) -> Folder:
    """Give the folder that a path or an fsspec URL names."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return LocalFolder(url)
    return LocalFolder(rest) if scheme == "file" else RemoteFolder(url)


class ImportFiles:
    """Writes calls as lines of import files. For one thread.

    Args:
        folder: Where they go.
        url: The same, as error texts name it.
        base: Names start with it.
        max_rows: Lines of a file.
        completed: Called whenever a file has become whole under its final name.
        clock: Seconds since the Unix epoch.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        *,
        folder: Folder,
        url: str,
        base: str,
        max_rows: int,
        completed: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._url = url
        self._base = base
        self._max_rows = max_rows
        self._completed = completed
        self._clock = clock
        self._token = secrets.token_hex(4)
        self._latest = 0
        self._file: OpenFile | None = None
        self._rows = 0
        self._since = 0.0
        self._broken = False

    def write(self, calls: Iterable[Call]) -> None:
        """Write calls; a file that is full is completed.

        Raises:
            DeliveryError: A file cannot be written; what it held is not there.
        """
        lines = [_ENCODER.encode(as_import_line(call)) for call in calls]
        begin = 0
        while begin < len(lines):
            group = lines[begin : begin + self._max_rows - self._rows]
            begin += len(group)
            self._guard(lambda group=group: self._write(group))  # type: ignore[misc]
            if self._rows >= self._max_rows:
                self.complete()

    @property
    def is_open(self) -> bool:
        """Whether a file was begun that is not complete."""
        return self._file is not None

    @property
    def age(self) -> float:
        """Seconds since the open file was begun; 0 when none is open."""
        return self._clock() - self._since if self._file else 0.0

    def complete(self) -> None:
        """Complete the open file, if there is one that is sound, and say so.

        Raises:
            DeliveryError: It cannot be completed; nothing of it is there.
        """
        if self._broken:
            return
        if self._file is not None:
            self._guard(self._file.complete)
            self._file, self._rows = None, 0
        self._completed()

    def _write(self, lines: list[bytes]) -> None:
        if self._file is None:
            self._file = self._folder.open(self._name())
            self._since = self._clock()
        self._file.write(b"\n".join(lines) + b"\n")
        self._rows += len(lines)

    def _name(self) -> str:
        """Name a file so that names in order are moments in order, though a clock be set back."""
        self._latest = max(int(self._clock() * 1000), self._latest + 1)
        moment = datetime.fromtimestamp(self._latest / 1000, tz=timezone.utc)
        return f"{self._base}-{moment:%Y%m%dT%H%M%S}{self._latest % 1000:03d}Z-{self._token}.json"

    def _guard(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - whatever the library behind an fsspec URL raises
            self._broken = True
            if self._file is not None:
                self._file.discard()
            raise cannot_write(self._url, error) from None


def cannot_write(url: str, error: Exception) -> DeliveryError:
    """Give the error of a folder that takes no file."""
    if "AccessControlListNotSupported" in str(error):
        return Refused(
            f"files_url: {url} has ACLs disabled, but Kissmetrics needs a grant on each file; enable ACLs for it"
        )
    return Refused(
        f"files_url: cannot write to {url}: {getattr(error, 'strerror', None) or type(error).__name__}; check that it "
        "is there and may be written, and the credentials in the environment"
    )
