"""The file of rejects as a replay reads it: rows, each with all of its lines, and what is left of them.

The lines, and those of what is rejected again, are in a temporary file. Of a row, only their places are in memory.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from glob import escape
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.commands.unsent_parts import Part
from target_kissmetrics.errors import ConfigError, StoreError
from target_kissmetrics.exact_json import decode
from target_kissmetrics.reporting.reject_policy import RejectSink
from target_kissmetrics.reporting.rejects import as_line, is_at, lock, naming_the_setting, refuse_foreign
from target_kissmetrics.reporting.report_writer import written_whole

NO_TIME = "no-timestamp"  # of a row, or a part of one, whose time is neither in it nor may be guessed


class Line(NamedTuple):
    """A line of the file of rejects."""

    time: str  # when it was rejected, which stands in for a time that its row does not hold
    run_id: str | None  # None in lines of earlier versions
    stream: str  # after stream maps; empty if the line cannot be read
    code: str
    field: str | None  # the rejected part; None for a whole row
    record: dict[str, Any]  # before stream maps; empty from a row's 21st part on: the row is in the lines before


UNREADABLE = Line("", None, "", "", None, {})


class RejectsFile:
    """The file, up to where it ended when it was opened: a run may append to it meanwhile. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        refuse_foreign(path)
        if not path.exists():
            raise ConfigError("rejects", f"there is no file {path}; name the one that rejects_path names")
        with naming_the_setting(str(path)):
            flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            self._file = os.fdopen(os.open(path, flags), "rb")
            refuse_foreign(path, self._file.fileno())
            self._lines = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - `close` closes it
        self._lock = threading.Lock()
        lock(self._file.fileno(), True)  # no line is half-written
        self._end = self._file.seek(0, os.SEEK_END)
        lock(self._file.fileno(), False)

    def close(self) -> None:
        """Close the files."""
        self._lines.close()
        self._file.close()

    def at(self, place: int) -> bytes:
        """Give the line at a place."""
        with self._lock, naming_the_setting(str(self.path)):
            self._lines.seek(place)
            return self._lines.readline()

    def add(self, raw: bytes) -> int:
        """Keep a line; give its place."""
        with self._lock, naming_the_setting(str(self.path)):
            place = self._lines.seek(0, os.SEEK_END)
            self._lines.write(raw)
        return place

    def rows(self) -> list[RejectedRow]:
        """Group the lines by row, in the order of each row's first line."""
        rows: list[RejectedRow] = []
        known: dict[bytes, RejectedRow] = {}
        in_parts: dict[str, RejectedRow] = {}
        self._file.seek(0)
        while self._file.tell() < self._end:
            raw = self._file.readline().removesuffix(b"\n") + b"\n"
            line = _read_line(raw)
            key = blake2b(serialize_json([line.stream, line.record], sort_keys=True).encode(), digest_size=16).digest()
            is_without_row = line.field is not None and not line.record
            row = in_parts.get(line.stream) if is_without_row else known.get(key)
            if row is None:
                row = RejectedRow(self, UNREADABLE if is_without_row else line)
                rows.append(row)
            row.lines.append((self.add(raw), None if line.field is None else Part(line.field, line.code), line.run_id))
            if line.record:
                known[key] = row
            if line.record and line.field is not None:
                in_parts[line.stream] = row
        return rows

    def replace(self, lines: Iterable[bytes]) -> None:
        """Replace the file by the lines that are left and those that a run appended meanwhile, in one step."""
        with naming_the_setting(str(self.path)):
            lock(self._file.fileno(), True)
            if not is_at(self._file.fileno(), self.path):
                raise StoreError(f"{self.path}: another replay replaced the file meanwhile; run this one again")
            for part in self.path.parent.glob(f".{escape(self.path.name)}.*.part"):
                part.unlink()  # what a killed replay left
            with written_whole(self.path) as file:
                file.buffer.writelines(lines)
                self._file.seek(self._end)
                shutil.copyfileobj(self._file, file.buffer)
        lock(self._file.fileno(), False)


class RejectedRow:
    """A row, with all lines that it has in the file: their places, the part that each names, and its run."""

    __slots__ = ("_file", "_is_time_required", "_new", "head", "lines", "stays", "unsolved")

    def __init__(self, file: RejectsFile, line: Line) -> None:
        self._file = file
        self.head = line._replace(record={})
        self.lines: list[tuple[int, Part | None, str | None]] = []
        self.stays = True  # its lines stay as they are
        self.unsolved: Sequence[Part] = ()  # parts whose lines stay, while what the others name is sent
        self._is_time_required = False
        self._new: list[int] = []

    @property
    def record(self) -> dict[str, Any]:
        """The row, before stream maps."""
        return _read_line(self._file.at(self.lines[0][0])).record

    @property
    def parts(self) -> list[Part]:
        """The parts without which it was sent, if it was: of a run that rejected all of it later, there are none."""
        whole = {run for _, part, run in self.lines if part is None}
        return [part for _, part, run in self.lines if part is not None and run not in whole]

    def expect(self, *, is_time_required: bool) -> Record:
        """Expect what is rejected of it again; give the record to send it with.

        A row that was sent before is mapped without a guessed time. Rejected whole for that, it must not look like one
        that was never sent: its lines stay.
        """
        self.stays = False
        self._is_time_required = is_time_required
        record = Record(self.record)
        record.row = self
        return record

    def reject(self, *, code: str, field: str | None, **entry: Any) -> None:
        """Add a line of what is rejected again; it keeps the time and the run of the old one."""
        entry |= {"stream": self.head.stream, "time": self.head.time, "run_id": self.head.run_id}
        self._new.append(self._file.add(as_line(code=code, field=field, **entry)))
        lacks_time = code == NO_TIME and Part(field or "", NO_TIME) not in self.parts
        if self._is_time_required and (field is None or lacks_time):
            self.stays = True

    @property
    def left(self) -> list[bytes]:
        """Lines that stay: the old ones, or those of unsolved parts and what was rejected again."""
        if self.stays:
            return [self._file.at(place) for place, *_ in self.lines]
        unsolved = [self._file.at(place) for place, part, _ in self.lines if part in self.unsolved]
        if unsolved:  # the row has to be in the first of its lines
            unsolved[0] = as_line(**{**decode(unsolved[0]), "record": self.record})
        return unsolved + [self._file.at(place) for place in self._new]


class Record(dict[str, Any]):
    """A row's record, which knows the row in the file: rejects are matched by it."""

    row: RejectedRow


class ReplayRejects(RejectSink):
    """Takes what is rejected again, from any thread: the record tells whose it is."""

    def write(self, *, record: Mapping[str, Any], with_row: bool = True, **entry: Any) -> None:
        """Keep one line."""
        assert isinstance(record, Record)  # noqa: S101 - `expect` gave it
        record.row.reject(record=dict(record) if with_row else {}, **entry)


def _read_line(raw: bytes) -> Line:
    """Read a line; an empty one if it cannot be read, like that of a killed run, whose row came again."""
    try:
        entry = decode(raw, [])
        line = Line(entry["time"], entry.get("run_id"), entry["stream"], entry["code"], entry["field"], entry["record"])
    except (ValueError, KeyError, TypeError):
        return UNREADABLE
    is_line = isinstance(line.stream, str) and isinstance(line.time, str) and isinstance(line.record, dict)
    return line if is_line else UNREADABLE
