"""The calls of a preview as lines of Kissmetrics' import format, written to a file and compared with another one.

The order of lines does not matter, nor that of the names in a line, nor whether a property is a number or the same
digits as text, which are one to Kissmetrics.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from target_kissmetrics.errors import InputError
from target_kissmetrics.kissmetrics.calls import Call
from target_kissmetrics.kissmetrics.wire import as_import_line
from target_kissmetrics.reporting import display

MAX_SHOWN = 20


class CallLines:
    """Writes calls as lines to a file, if there is one, and looks for them among the expected lines."""

    def __init__(self, file: IO[str] | None, expected: Counter[str]) -> None:
        self._file = file
        self._missing = expected
        self._surplus: list[str] = []
        self._surplus_count = 0

    def add(self, calls: Iterable[Call]) -> None:
        """Add the calls of a row."""
        for line in (_as_text(as_import_line(call)) for call in calls):
            if self._file is not None:
                self._file.write(f"{line}\n")
            if self._missing[line] > 0:
                self._missing[line] -= 1
                continue
            self._surplus_count += 1
            if self._surplus_count <= MAX_SHOWN:
                self._surplus.append(line)

    def difference(self) -> list[str]:
        """Give a readable difference from the expected lines; nothing if there is none."""
        missing = [*self._missing.elements()]
        return [
            *_listed("missing", "-", missing[:MAX_SHOWN], len(missing)),
            *_listed("not expected", "+", self._surplus, self._surplus_count),
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
