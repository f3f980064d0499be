"""The ID of a run, and the paths of its files: one that it writes is no other one of them."""

import os
import re
import secrets
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from target_kissmetrics.errors import ConfigError

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")

_STREAMS = (("standard input", "/dev/stdin"), ("standard output", "/dev/stdout"), ("standard error", "/dev/stderr"))
"""What a shell may have redirected to a file: the tap's messages, the STATE, the log."""


def new_run_id() -> str:
    """Return the ID of a run that begins now. IDs sort by their time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def read_path(place: str, value: str) -> str:
    """Read a path that may hold `{run_id}` and `{date}`, and no other placeholder."""
    unknown = [text for text in _PLACEHOLDER.findall(value) if text not in {"{run_id}", "{date}"}]
    if unknown:
        raise ConfigError(place, f"{unknown[0]!r} has no meaning in a path; use {{run_id}} or {{date}}")
    return value


def path_of(path: str, run_id: str) -> str:
    """Return the path of a run: `{date}` is the day on which it began, in UTC."""
    return path.replace("{run_id}", run_id).replace("{date}", f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}")


def check_distinct(read: Iterable[tuple[str, str | Path]], written: Iterable[tuple[str, str | Path]]) -> None:
    """Check that no two paths lead to one file, by links, another spelling, or upper and lower case.

    Names that differ in case alone are one file on macOS and Windows, so they are refused everywhere. Each path comes
    with the setting or option that names it; the ConfigError names both.
    """
    known = {key: named for named in (*_STREAMS, *read) for key in _identities(named[1])}
    for setting, path in written:
        keys = list(_identities(path))
        for other, there in (known[key] for key in keys if key in known):
            raise ConfigError(setting, f"{path} and {there} of {other} are the same file; name another file")
        known.update(dict.fromkeys(keys, (setting, path)))


def _identities(path: str | Path) -> Iterator[tuple[int, int, str]]:
    """Give a file's place and, if it exists, its inode; nothing for devices and pipes, which many may write to."""
    real = Path(os.path.realpath(path))
    folder = next((parent for parent in real.parents if os.path.exists(parent)), real)  # noqa: PTH110 - never raises
    try:
        where, what = folder.stat(), real.stat() if os.path.exists(real) else None  # noqa: PTH110
    except OSError:  # whoever opens the file says so
        return
    if what is None or stat.S_ISREG(what.st_mode) or stat.S_ISDIR(what.st_mode):
        yield where.st_dev, where.st_ino, unicodedata.normalize("NFC", str(real.relative_to(folder))).casefold()
        if what is not None:
            yield what.st_dev, what.st_ino, ""
