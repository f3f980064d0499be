"""Where the report of a run goes: whole files, or none, that only their owner may read."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from target_kissmetrics.errors import ConfigError

_SETTING = "report_path"

PAGE, DATA = ".html", ".json"


def report_paths(path: str) -> tuple[Path | None, Path]:
    """Give the paths of the page and of the same as JSON: `report.html` is both, `report.json` is no page.

    Raises:
        ConfigError: It ends otherwise.
    """
    given = Path(path)
    ending = given.suffix.lower()
    if ending not in {PAGE, DATA}:
        raise ConfigError(_SETTING, f"must end in {PAGE} or {DATA}, not {path!r}")
    return (given, given.with_suffix(DATA)) if ending == PAGE else (None, given)


def check_report_path(path: str) -> None:
    """Make sure, before anything is read, that a report can be written there; nothing is left there.

    Raises:
        ConfigError: It cannot.
    """
    page, data = report_paths(path)
    for one in (page, data):
        if one is not None and one.is_dir():
            raise ConfigError(_SETTING, f"{one} is a folder; name a file in it")
        if one is not None and one.is_symlink():
            raise ConfigError(_SETTING, f"{one} is a symbolic link; name the file itself")
    if not data.parent.is_dir():
        raise ConfigError(_SETTING, f"the folder {data.parent} is not there; make it, or name another one")
    try:
        descriptor, name = _temporary(data)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigError(
            _SETTING, f"no file can be written in {data.parent}: {why}; name another folder, or let it be written to"
        ) from None
    os.close(descriptor)
    Path(name).unlink()


def write_whole(path: Path, text: str) -> None:
    """Write a file, mode 0600, in place of the one that is there; it is whole under its name or not there.

    Raises:
        OSError: It cannot be written; what was there is there still.
    """
    descriptor, name = _temporary(path)
    try:
        # Half of a character, which a tap may write, is no UTF-8; JSON reads what stands for it here.
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _temporary(path: Path) -> tuple[int, str]:
    """Make a file beside the path, for its owner alone (mode 0600); give its descriptor and its name."""
    return tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
