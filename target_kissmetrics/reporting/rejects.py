"""The file of what is not sent: one JSON object a line, with the row as it came.

It holds personal data, so nobody but its owner may read it (mode 0600), and it is never written through a symbolic link
that somebody else may have put in its place.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from io import TextIOWrapper
from typing import Any

from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.errors import ConfigError, StoreError

_SETTING = "rejects_path"


class Rejects:
    """Appends to the file of rejects. Thread-safe. The file is made with the first reject.

    Args:
        path: Where it is.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: TextIOWrapper | None = None
        self._lock = threading.Lock()
        if os.path.islink(path):  # noqa: PTH114 - a text names it
            raise ConfigError(_SETTING, f"{path} is a symbolic link; name the file itself")

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
        line = serialize_json(
            {
                "time": datetime.now(tz=timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
                "stream": stream,
                "code": code,
                "reason": reason,
                "field": field,
                "record": record,
            }
        )
        with self._lock, _Named(self._path):
            if self._file is None:
                self._file = _open(self._path)
            self._file.write(f"{line}\n")

    def flush(self) -> None:
        """Hand all lines to the operating system, before a STATE that covers their rows is passed on.

        Raises:
            StoreError: The file cannot be written.
        """
        with self._lock, _Named(self._path):
            if self._file is not None:
                self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with self._lock, _Named(self._path):
            if self._file is not None:
                self._file.close()
                self._file = None


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


def _open(path: str) -> TextIOWrapper:
    """Open for appending: never through a symbolic link, for its owner alone."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and hasattr(os, "fchmod"):
            os.fchmod(descriptor, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8")
    except BaseException:
        os.close(descriptor)
        raise
