"""The file of rejects as a replay reads it: rows, each with all of its lines, and what is left of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.commands.parts import Part
from target_kissmetrics.errors import ConfigError, StoreError
from target_kissmetrics.reporting.rejects import as_line, is_at, lock, naming_the_setting, refuse_link
from target_kissmetrics.singer.reader import decode

NO_TIME = "no-timestamp"
"""The code of a row, or a part of one, whose time is neither in it nor may be guessed."""


class Line(NamedTuple):
    """A line of the file of rejects.

    Attributes:
        raw: As it stands there.
        time: When it was rejected, which stands in for a time that its row does not hold.
        run_id: The run that rejected it; None in lines of earlier versions.
        stream: After stream maps.
        code: Why it was rejected.
        field: The rejected part; None for a whole row.
        record: The row, before stream maps.
    """

    raw: bytes
    time: str
    run_id: str | None
    stream: str
    code: str
    field: str | None
    record: dict[str, Any]

    @property
    def is_without_row(self) -> bool:
        """Whether the row is in the lines before: from the 21st rejected part on, a line has an empty record."""
        return self.field is not None and not self.record


class Record(dict[str, Any]):
    """A row's record, which knows the row in the file: rejects are matched by it.

    Args:
        row: The row in the file.
    """

    __slots__ = ("row",)

    def __init__(self, row: RejectedRow) -> None:
        super().__init__(row.line.record)
        self.row = row


class RejectedRow:
    """A row, with all lines that it has in the file.

    Args:
        line: The first of them.

    Attributes:
        was_sent: It was sent without the parts that its lines name.
        parts: Those parts.
        stays: Its lines stay as they are.
        unsolved: Parts whose lines stay, while what the others name is sent.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self.was_sent = False
        self.stays = True
        self._is_time_required = False
        self._old: list[tuple[bytes, Part | None]] = []
        self._new: list[bytes] = []
        self._without_time: set[str] = set()
        self.parts: list[Part] = []
        self.unsolved: list[Part] = []
        self.add(line)

    def add(self, line: Line) -> None:
        """Add one of its lines."""
        part = Part(line.field, line.code) if line.field is not None else None
        self._old.append((line.raw, part))
        if part is not None and line.field is not None:
            self.was_sent = True
            self.parts.append(part)
            if line.code == NO_TIME:
                self._without_time.add(line.field)

    def expect(self, *, is_time_required: bool) -> None:
        """Expect what is rejected of it again.

        Args:
            is_time_required: It was sent before and is mapped without a guessed time. Rejected whole for that, it must
                not look like one that was never sent: its lines stay.
        """
        self.stays = False
        self._is_time_required = is_time_required

    def reject(self, *, code: str, field: str | None, **entry: Any) -> None:
        """Add a line of what is rejected again; it keeps the time and the run of the old one."""
        entry |= {"stream": self.line.stream, "time": self.line.time, "run_id": self.line.run_id}
        self._new.append(as_line(code=code, field=field, **entry))
        lacks_time = code == NO_TIME and field not in self._without_time
        if self._is_time_required and (field is None or lacks_time):
            self.stays = True

    @property
    def left(self) -> list[bytes]:
        """Lines that stay: the old ones, or those of unsolved parts and what was rejected again."""
        if self.stays:
            return [raw for raw, _ in self._old]
        unsolved = [raw for raw, part in self._old if part in self.unsolved]
        if unsolved:  # the row has to be in the first of its lines
            unsolved[0] = as_line(**{**decode(unsolved[0]), "record": self.line.record})
        return unsolved + self._new


class ReplayRejects:
    """Takes what is rejected again, in the place of the file of rejects.

    Aliases and names are rejected late, from the pipeline's thread, while other rows are mapped: the record tells whose
    they are.
    """

    @staticmethod
    def expect(row: RejectedRow, *, is_time_required: bool) -> Record:
        """Expect rejects of a row; give the record to send it with."""
        row.expect(is_time_required=is_time_required)
        return Record(row)

    def write(self, *, record: Mapping[str, Any], with_row: bool = True, **entry: Any) -> None:
        """Keep one line."""
        assert isinstance(record, Record)  # noqa: S101 - `expect` gave it
        record.row.reject(record=dict(record) if with_row else {}, **entry)

    def keep(self, record: Mapping[str, Any]) -> None:
        """Keep the lines of a row that was expected, and is not sent."""
        assert isinstance(record, Record)  # noqa: S101 - `expect` gave it
        record.row.stays = True

    def note_schema(self, stream: str, message: Mapping[str, Any]) -> None:
        """Do nothing: the schema is in the file that it was read from."""

    def flush(self) -> None:
        """Do nothing: the file is written at the end."""

    def close(self) -> None:
        """Do nothing: nothing is open."""


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open the file, never through a symbolic link."""
    refuse_link(path)
    with naming_the_setting(str(path)):
        try:
            descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            raise ConfigError("rejects", f"there is no file {path}; name the one that rejects_path names") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read_line(raw: bytes) -> Line | None:
    """Read a line; None if it cannot be read, like the half-written one of a killed run, whose row came again."""
    try:
        entry = decode(raw)
        record = entry["record"]
        line = Line(raw, entry["time"], entry.get("run_id"), entry["stream"], entry["code"], entry["field"], record)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_line = isinstance(line.stream, str) and isinstance(line.time, str) and isinstance(record, dict)
    return line if is_line else None


def rows_of(raw_lines: Iterable[bytes]) -> list[RejectedRow | bytes]:
    """Group the lines by row, in the order of each row's first line. A line that cannot be read stays as it is."""
    rows: list[RejectedRow | bytes] = []
    known: dict[tuple[str, str], RejectedRow] = {}
    in_parts: dict[str, RejectedRow] = {}
    for raw in raw_lines:
        line = _read_line(raw)
        if line is None:
            rows.append(raw)
            continue
        key = (line.stream, serialize_json(line.record, sort_keys=True))
        row = in_parts.get(line.stream) if line.is_without_row else known.get(key)
        if row is not None:
            row.add(line)
        elif line.is_without_row:
            rows.append(raw)
        else:
            row = known[key] = RejectedRow(line)
            rows.append(row)
        if row is not None and line.field is not None:
            in_parts[line.stream] = row
    return rows


def put_in_place(path: Path, descriptor: int, end: int, lines: Sequence[bytes]) -> None:
    """Replace the file by the lines that are left and those that a run appended meanwhile, in one step."""
    with naming_the_setting(str(path)):
        lock(descriptor, True)
        if not is_at(descriptor, path):
            raise StoreError(f"{path}: another replay replaced the file meanwhile; run this one again")
        os.lseek(descriptor, end, os.SEEK_SET)
        with open(descriptor, "rb", closefd=False) as file:
            appended = file.read()
        part = path.with_name(f".{path.name}.part")
        part.unlink(missing_ok=True)  # what a killed replay left
        try:
            with open(part, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.writelines(lines)
                file.write(appended)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    lock(descriptor, False)
