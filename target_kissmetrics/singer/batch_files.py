"""Reads the files that BATCH messages name, row by row: a file of any size takes little memory.

Read are JSON Lines, plain or in gzip, and Parquet (extra `parquet`), from this machine or from whatever fsspec reaches
(`s3://` with the extra `s3`, credentials from the environment). Files are the tap's: they are neither changed nor
deleted, as the SDK's own targets leave them. Sources: hub.meltano.com/singer/docs#batch; the SDK's `BaseBatcher`s,
whose JSON Lines are in gzip whatever their message says of it.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from target_kissmetrics.errors import ConfigError, InputError
from target_kissmetrics.singer.reader import decode

MAX_LINE_BYTES = 64 << 20
"""A line is held whole, so there is an end to what one may take."""

_BLOCK_BYTES = 8 << 20
_BUFFER_BYTES = 1 << 18
_GZIP_MAGIC = b"\x1f\x8b"
_SETTING = "batch_config.storage"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_DRIVE = re.compile(r"/?[A-Za-z]:[\\/]")
_EXTRAS = {"s3": "s3", "s3a": "s3"}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Storage:
    """`batch_config.storage`: where the tap's files are, as seen from here.

    Attributes:
        root: A folder or an fsspec URL, where the files are looked for by their names; None: where the manifest says.
        prefix: The tap's; its folders are a part of the names.
        params: Options for fsspec.
    """

    root: str | None = None
    prefix: str = ""
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_storage(config: Mapping[str, Any]) -> Storage:
    """Read `batch_config.storage` from a config.

    Raises:
        ConfigError: It has an unknown key or a value of another type.
    """
    given = (config.get("batch_config") or {}).get("storage") or {}
    for key, value in given.items():
        if key not in {"root", "prefix", "params"}:
            raise ConfigError(f"{_SETTING}.{key}", "is unknown; it must be root, prefix or params")
        if not isinstance(value, (Mapping if key == "params" else str, type(None))):
            raise ConfigError(f"{_SETTING}.{key}", "must be an object" if key == "params" else "must be a text")
    return Storage(given.get("root") or None, given.get("prefix") or "", given.get("params") or {})


class BatchFiles:
    """The files of one BATCH message.

    Args:
        message: It.
        storage: Where its files are, if not where it says.

    Raises:
        InputError: It says nothing that can be read.
    """

    def __init__(self, message: Mapping[str, Any], storage: Storage) -> None:
        encoding, manifest = message["encoding"], message["manifest"]
        if not isinstance(encoding, Mapping) or not isinstance(encoding.get("format"), str):
            raise InputError(f"{_of(message)} has an encoding without a format: mend the tap")
        if not isinstance(manifest, list) or not all(isinstance(one, str) and one for one in manifest):
            raise InputError(f"{_of(message)} has a manifest that is no list of files: mend the tap")
        self._format = encoding["format"].lower()
        self._is_gzip = _is_gzip(message, encoding.get("compression")) if self._format != "parquet" else False
        if self._format not in {"jsonl", "parquet"}:
            raise InputError(
                f"{_of(message)} has files of the format {self._format[:40]!r}; jsonl and parquet can be read: "
                "set the format in the tap's batch_config"
            )
        self._stream = message["stream"]
        self._manifest = manifest
        self._storage = storage

    def rows(self) -> Generator[Row, None, None]:
        """Give the rows of all files, in their order. Each file is read while its rows are taken.

        Raises:
            InputError: A file cannot be read, to its end. The text names it, without credentials and query.
        """
        for entry in self._manifest:
            location = _located(entry, self._storage)
            try:
                with closing(_opened(location, self._storage.params)) as file:
                    yield from self._rows(file)
            except InputError as problem:
                raise InputError(f"{_called(self._stream, location)} {problem}") from None
            except Exception as problem:  # noqa: BLE001 - whatever the library behind an fsspec URL raises
                raise InputError(f"{_called(self._stream, location)} {_why(problem, location)}") from None

    def _rows(self, file: io.BufferedReader) -> Iterator[Row]:
        is_gzip = file.peek(2)[:2] == _GZIP_MAGIC
        if self._format == "parquet":
            if is_gzip:
                raise InputError("is in gzip as a whole, where Parquet compresses inside itself: mend the tap")
            return _parquet_rows(file)
        if self._is_gzip and not is_gzip:
            raise InputError("is not in gzip, as its message says; was it written whole? Mend the tap")
        # The SDK's taps write gzip also where their message says `none`; no JSON begins with these two bytes.
        return _json_rows(_unpacked(file) if is_gzip else file)


def _is_gzip(message: Mapping[str, Any], compression: object) -> bool:
    if compression not in {None, "", "none", "gzip"}:
        raise InputError(
            f"{_of(message)} has files in the compression {str(compression)[:40]!r}; gzip can be read: set it in the "
            "tap's batch_config"
        )
    return compression == "gzip"


def _unpacked(file: io.BufferedReader) -> io.BufferedReader:
    return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=file, mode="rb")), _BUFFER_BYTES)


def _json_rows(lines: io.BufferedReader) -> Iterator[Row]:
    number = 0
    while line := lines.readline(MAX_LINE_BYTES):
        number += 1
        try:
            row = decode(line)
        except UnicodeDecodeError:
            raise InputError(f"is not UTF-8 in line {number}: mend the tap") from None
        except (ValueError, RecursionError):
            if not line.strip():
                continue
            raise InputError(f"has no JSON that can be read in line {number}{_cut(line)}: mend the tap") from None
        if not isinstance(row, dict):
            raise InputError(f"has no object in line {number}, where a row is one: mend the tap")
        yield row


def _cut(line: bytes) -> str:
    if len(line) >= MAX_LINE_BYTES:
        return f", which is longer than {MAX_LINE_BYTES >> 20} MiB"
    return "" if line.endswith(b"\n") else "; it ends in the middle of it"


def _parquet_rows(file: io.BufferedReader) -> Iterator[Row]:
    try:
        from target_kissmetrics.singer.batch_parquet import parquet_rows  # noqa: PLC0415 - an extra
    except ImportError:
        raise InputError(
            "is Parquet, which needs pyarrow: install target-kissmetrics[parquet], or let the tap write jsonl"
        ) from None
    return parquet_rows(file)


# Where files are


def _located(entry: str, storage: Storage) -> str:
    """Give the path or URL of a manifest's file."""
    if storage.root is None:
        return entry
    # The tap's prefix may hold folders, which are below the root too.
    folders = storage.prefix.count("/")
    path = local_path(entry)
    steps = [step for step in re.split(r"[\\/]", urlsplit(entry).path if path is None else path) if step]
    return f"{storage.root.rstrip('/')}/{'/'.join(steps[-1 - folders :])}"


def local_path(location: str, *, windows: bool = os.name == "nt") -> str | None:
    r"""Give the path that a manifest's entry names on this machine; None when it is elsewhere.

    Args:
        location: `file:///srv/a.jsonl`, `file:///C:/a.jsonl`, `C:\a.jsonl`, `/srv/a.jsonl`, or a URL of another kind.
        windows: Read it as Windows does.
    """
    if not location.lower().startswith("file:"):
        return None if _URL.match(location) else location
    path = location[len("file:") :]
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        is_here = host.lower() in {"", "localhost"}
        path = f"/{rest}" if is_here and slash else path if windows and not _is_drive(host) else f"{host}{slash}{rest}"
    if windows and _DRIVE.match(path):
        path = path.lstrip("/")
    return path


def _is_drive(host: str) -> bool:
    return len(host) == 2 and host[1] == ":"


def _opened(location: str, params: Mapping[str, Any]) -> io.BufferedReader:
    path = local_path(location)
    if path is not None:
        return _opened_here(path if os.path.lexists(path) or not location.startswith("file:") else unquote(path))
    import fsspec  # noqa: PLC0415 - takes its time to load

    fs, there = fsspec.core.url_to_fs(location, **params)
    return io.BufferedReader(fs.open(there, "rb", block_size=_BLOCK_BYTES, cache_type="readahead"), _BUFFER_BYTES)


def _opened_here(path: str) -> io.BufferedReader:
    # O_NONBLOCK: a pipe that nobody writes to would hold the run up for ever. It changes nothing for a file.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError("is no file: mend the tap")
    return io.BufferedReader(io.FileIO(descriptor), _BUFFER_BYTES)


# What is said of them


def _of(message: Mapping[str, Any]) -> str:
    return f"a BATCH message of stream '{message['stream']}'"


def _called(stream: str, location: str) -> str:
    """Name a file without what may be secret in its URL."""
    name = local_path(location)
    if name is None:
        parts = urlsplit(location)
        name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return f"stream '{stream}': the BATCH file {name[:500]}"


def _why(problem: Exception, location: str) -> str:
    """Say why a file cannot be read, without the library's own text: it may hold the URL."""
    if isinstance(problem, FileNotFoundError):
        return "is not there: set batch_config's storage root if its folder has another name here, else mend the tap"
    if isinstance(problem, PermissionError):
        return "may not be read: permission denied; let the user who runs the target read it"
    if isinstance(problem, EOFError):
        return "ends in the middle of its gzip: it was not written whole; run the tap again, or mend it"
    if isinstance(problem, (gzip.BadGzipFile, zlib.error)):
        return "is damaged: its gzip cannot be unpacked; run the tap again, or mend it"
    if isinstance(problem, (ImportError, ValueError)) and local_path(location) is None:
        scheme = urlsplit(location).scheme
        extra = _EXTRAS.get(scheme)
        unknown = f"cannot be read: {scheme}:// is not known here; install fsspec's package for it, or mend the tap"
        return f"needs: pip install 'target-kissmetrics[{extra}]'" if extra else unknown
    why = getattr(problem, "strerror", None) or type(problem).__name__
    return f"cannot be read: {why}; check that it can be read from this machine"
