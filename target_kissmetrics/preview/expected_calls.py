"""The calls of a preview as lines of Kissmetrics' import format, written to a file or compared with one.

The order of lines does not matter, nor that of the names in a line, nor whether a property is a number or the same
digits as text, which are one to Kissmetrics. Calls are in a temporary file; only the expected ones are in memory.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from target_kissmetrics.errors import InputError
from target_kissmetrics.kissmetrics.calls import Call
from target_kissmetrics.kissmetrics.wire import as_import_line
from target_kissmetrics.reporting import display
from target_kissmetrics.reporting.report_writer import written_whole

MAX_SHOWN = 20


class CallLines:
    """The calls of a preview, as lines."""

    def __init__(self) -> None:
        self._file: IO[str] = SpooledTemporaryFile(1 << 20, "w+", encoding="utf-8", newline="\n")  # noqa: SIM115

    def add(self, calls: Iterable[Call]) -> None:
        """Add the calls of a row."""
        self._file.writelines(f"{_as_text(as_import_line(call))}\n" for call in calls)

    def close(self) -> None:
        """Delete them."""
        self._file.close()

    def write(self, path: Path) -> None:
        """Replace a file with the lines. Raises OSError if it cannot be written."""
        self._file.seek(0)
        with written_whole(path) as file:
            shutil.copyfileobj(self._file, file)

    def difference(self, expected: Counter[str]) -> list[str]:
        """Give a readable difference from expected lines; nothing if there is none."""
        missing, surplus, surplus_count = expected.copy(), list[str](), 0
        self._file.seek(0)
        for line in map(str.rstrip, self._file):
            if missing[line] > 0:
                missing[line] -= 1
            else:
                surplus_count += 1
                surplus += [line] if surplus_count <= MAX_SHOWN else []
        return [
            *_listed("missing", "-", [*missing.elements()][:MAX_SHOWN], missing.total()),
            *_listed("not expected", "+", surplus, surplus_count),
        ]


def read_expected(path: Path) -> Counter[str]:
    """Read a file of lines. Raises InputError if one is not in import format, OSError if it cannot be read."""
    lines: Counter[str] = Counter()
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        try:
            fields = json.loads(line.strip() or b"null", parse_int=str, parse_float=str)
            lines.update([] if fields is None else [_as_text({**fields, "_p": fields["_p"], "_t": int(fields["_t"])})])
        except (ValueError, TypeError, KeyError, RecursionError):
            what = "is not a JSON object with _p and _t; write the file with --calls"
            raise InputError(f"{path}, line {number}: {what}") from None
    return lines


def _as_text(fields: Mapping[str, Any]) -> str:
    """Write a line, its reserved names first: the same text for the same call."""
    ordered = sorted(fields.items(), key=lambda item: (not item[0].startswith("_"), item[0]))
    return json.dumps(dict(ordered), ensure_ascii=False)


def _listed(what: str, sign: str, lines: list[str], count: int) -> list[str]:
    head = [f"{display.plural(count, 'call')} {what}:"] if count else []
    more = [f"... and {count - len(lines):,} more"] if count > len(lines) else []
    return [*head, *(f"{sign} {display.whole(line)}" for line in lines), *more]
