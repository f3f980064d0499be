"""Reads the files that BATCH messages name: JSON Lines, plain or gzip, and Parquet (extra `parquet`).

Files are read row by row, from this machine or through fsspec (`s3://` with the extra `s3`), and neither changed nor
deleted. The tap names them, so none outside the storage's root is read; without a root, only local files and buckets.

Source: hub.meltano.com/singer/docs#batch. The SDK's own taps gzip JSON Lines whatever their message says.
"""

import gzip
import io
import os
import re
import zlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from target_kissmetrics.errors import ConfigError, InputError
from target_kissmetrics.exact_json import decode
from target_kissmetrics.singer.reader import read_line

_BLOCK_BYTES = 8 << 20
_BUFFER_BYTES = 1 << 18
_GZIP_MAGIC = b"\x1f\x8b"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_FILE_URL = re.compile(r"(?:file|local):(//)?((?<=//)localhost(?=/))?", re.IGNORECASE)
_DRIVE = re.compile(r"/?[A-Za-z]:[\\/]")
_BUCKETS = ("s3://", "gs://", "abfs://")
_OUTSIDE = "it is outside batch_config.storage.root; fix the tap, or name the folder that holds its files"
_PROBLEMS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (FileNotFoundError, "not found; if its folder has another path here, set batch_config.storage.root"),
    (PermissionError, "permission denied; let the user who runs the target read it"),
    ((EOFError, gzip.BadGzipFile, zlib.error), "its gzip is truncated or corrupt; run the tap again"),
    (ImportError, "needs a package: pip install 'target-kissmetrics[parquet,s3]', or fsspec's for its URL"),
)


@dataclass(frozen=True, slots=True)
class Storage:
    """`batch_config.storage`: where the tap's files are, as seen from here."""

    root: str | None = None  # a folder or an fsspec URL that holds the files; None: they are where the manifest says
    prefix: str = ""  # the tap's prefix; its folders are part of the files' names
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)  # for fsspec, at the root; may hold credentials


def read_storage(config: Mapping[str, Any]) -> Storage:
    """Read `batch_config.storage` from a config; a ConfigError names a key that is unknown or of the wrong type."""
    given = (config.get("batch_config") or {}).get("storage") or {}
    for key, value in given.items():
        kind = {"root": str, "prefix": str, "params": Mapping}.get(key)
        if kind is None or not (value is None or isinstance(value, kind)):
            raise ConfigError(f"batch_config.storage.{key}", "must be root or prefix, a string, or params, an object")
    if given.get("params") and not given.get("root"):
        raise ConfigError("batch_config.storage.params", "are options for the root; set root to the tap's storage")
    return Storage(given.get("root") or None, given.get("prefix") or "", given.get("params") or {})


def batch_rows(message: Mapping[str, Any], storage: Storage) -> Generator[dict[str, Any], None, None]:
    """Read the rows of a BATCH message's files, in their order, each file while its rows are consumed.

    InputError if the message is invalid, or a file cannot be read to its end; it names the file, without credentials
    and query.
    """
    where = f"stream '{message['stream']}': BATCH"
    encoding, manifest = message.get("encoding") or {}, message.get("manifest")
    kind = encoding.get("format") if isinstance(encoding, Mapping) else None
    if not isinstance(kind, str) or not isinstance(manifest, list) or not all(isinstance(one, str) for one in manifest):
        raise InputError(f"{where} message: it needs encoding.format and a manifest that lists files; fix the tap")
    kind, compression = kind.lower(), encoding.get("compression") or "none"
    if kind not in {"jsonl", "parquet"} or (kind == "jsonl" and compression not in ("none", "gzip")):
        given = f"{kind}, {compression}"[:80]
        raise InputError(f"{where} message: {given!r} is not supported; let the tap write jsonl, gzip or none")
    for entry in manifest:
        location = entry
        try:
            location = _located(entry, storage)
            with _open(location, storage) as file:
                yield from _file_rows(file, kind, compression)
        except InputError as problem:
            raise InputError(f"{where} file {_without_secrets(location)}: {problem}") from None
        except Exception as problem:  # noqa: BLE001 - whatever pyarrow or the library behind an fsspec URL raises
            raise InputError(f"{where} file {_without_secrets(location)}: {_why(problem, kind)}") from None


def _file_rows(file: io.BufferedReader, kind: str, compression: object) -> Iterator[dict[str, Any]]:
    is_gzip = file.peek(2)[:2] == _GZIP_MAGIC
    if kind == "parquet":
        from target_kissmetrics.singer.batch_parquet import parquet_rows  # noqa: PLC0415 - an extra

        return parquet_rows(file)
    if compression == "gzip" and not is_gzip:
        raise InputError("it is not gzip, as its message says, or was not written whole; fix the tap")
    return _json_rows(gzip.GzipFile(fileobj=file) if is_gzip else file)


def _json_rows(lines: Any) -> Iterator[dict[str, Any]]:
    number = 0
    while line := read_line(lines, number + 1):
        number += 1
        if not line.strip():
            continue
        try:
            row = decode(line, [])
        except ValueError as problem:
            hint = "" if line.endswith(b"\n") else " (truncated)"
            raise InputError(f"line {number} {problem}{hint}; fix the tap") from None
        if not isinstance(row, dict):
            raise InputError(f"line {number} is not an object; fix the tap")
        yield row


def _located(entry: str, storage: Storage) -> str:
    """Return the path or URL of a manifest's file; folders in the tap's prefix are below the root, too."""
    if storage.root is None:
        if local_path(entry) is None and ("::" in entry or not entry.startswith(_BUCKETS)):
            raise InputError("only local, s3://, gs:// and abfs:// files are read; set batch_config.storage.root")
        return entry
    names = [name for name in re.split(r"[\\/]", local_path(entry) or urlsplit(entry).path) if name]
    names = names[-1 - storage.prefix.count("/") :]
    if not names or any("::" in name or ".." in re.split(r"[\\/]", unquote(name)) for name in names):
        raise InputError(_OUTSIDE)
    return "/".join([storage.root.rstrip("/"), *names])


def local_path(location: str, *, windows: bool = os.name == "nt") -> str | None:
    r"""Return the path that `file:///srv/a`, `file://C:\a` or `/srv/a` names; None for a URL of another kind."""
    if not location.lower().startswith(("file:", "local://")):
        return None if _URL.match(location) else location
    path = _FILE_URL.sub("", location, count=1)
    if windows and _DRIVE.match(path):
        return path.lstrip("/")
    return f"//{path}" if windows and not path.startswith("/") else path


def _open(location: str, storage: Storage) -> io.BufferedReader:
    path = local_path(location)
    if path is None:
        import fsspec  # noqa: PLC0415 - takes its time to load

        params = storage.params if storage.root is not None else {}
        fs, there = fsspec.core.url_to_fs(location, **params)
        return io.BufferedReader(fs.open(there, "rb", block_size=_BLOCK_BYTES, cache_type="readahead"), _BUFFER_BYTES)
    if location.startswith("file:") and not os.path.lexists(path):
        path = unquote(path)
    root = local_path(storage.root) if storage.root is not None else None
    if root is not None:
        path = os.path.realpath(path)
        if not Path(path).is_relative_to(os.path.realpath(root)):
            raise InputError(_OUTSIDE)
    if os.path.lexists(path) and not os.path.isfile(path):  # noqa: PTH113 - a text, as it came
        raise InputError("it is not a regular file; fix the tap")
    return io.BufferedReader(io.FileIO(path), _BUFFER_BYTES)


def _without_secrets(location: str) -> str:
    parts = urlsplit(location)
    return (local_path(location) or f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")[:500]


def _why(problem: Exception, kind: str) -> str:
    """Say why a file cannot be read, without the library's own text: it may hold the URL."""
    why = getattr(problem, "strerror", None) or type(problem).__name__
    unknown = f"cannot be read as {kind} ({why}); check that it is whole, and readable from this machine"
    return next((text for kinds, text in _PROBLEMS if isinstance(problem, kinds)), unknown)
