"""The file of rejects as a replay reads it: rows, each with all of its lines, and what is left of them.

Of a row, only the places of its lines are in memory; they are read when the row is sent, and when the file is replaced.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.commands.parts import Part
from target_kissmetrics.errors import ConfigError, StoreError
from target_kissmetrics.exact_json import decode
from target_kissmetrics.reporting.rejects import as_line, is_at, lock, naming_the_setting, refuse_foreign

NO_TIME = "no-timestamp"
"""The code of a row, or a part of one, whose time is neither in it nor may be guessed."""


class Line(NamedTuple):
    """A line of the file of rejects.

    Attributes:
        time: When it was rejected, which stands in for a time that its row does not hold.
        run_id: The run that rejected it; None in lines of earlier versions.
        stream: After stream maps.
        code: Why it was rejected.
        field: The rejected part; None for a whole row.
        record: The row, before stream maps.
    """

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


class Lines:
    """Lines of a file, by their places. Thread-safe.

    Args:
        path: What errors name.
        file: Holds the lines.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.file = file
        self._lock = threading.Lock()

    def at(self, place: int) -> bytes:
        """Give the line at a place."""
        with self._lock:
            self.file.seek(place)
            raw = self.file.readline()
        return raw if raw.endswith(b"\n") else raw + b"\n"

    def add(self, raw: bytes) -> int:
        """Add a line; give its place."""
        with self._lock, naming_the_setting(str(self.path)):
            place = self.file.seek(0, os.SEEK_END)
            self.file.write(raw)
        return place


class RejectsFile(Lines):
    """The file, up to where it ended when it was opened: a run may append to it meanwhile.

    Attributes:
        again: What is rejected again.
    """

    def __init__(self, path: Path, file: IO[bytes], again: IO[bytes]) -> None:
        super().__init__(path, file)
        self.again = Lines(path, again)
        self._last: tuple[int, Line | None] = (-1, None)
        lock(file.fileno(), True)  # no line is half-written
        self._end = file.seek(0, os.SEEK_END)
        lock(file.fileno(), False)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Give each line with its place."""
        place = 0
        while place < self._end:
            raw = self.at(place)
            yield place, raw
            place += len(raw)

    def line(self, place: int) -> Line:
        """Read the line at a place, where there is one."""
        last, line = self._last
        if line is None or last != place:
            line = cast("Line", _read_line(self.at(place)))
            self._last = place, line
        return line

    def replace(self, lines: Iterable[bytes]) -> None:
        """Replace the file by the lines that are left and those that a run appended meanwhile, in one step."""
        with naming_the_setting(str(self.path)):
            lock(self.file.fileno(), True)
            if not is_at(self.file.fileno(), self.path):
                raise StoreError(f"{self.path}: another replay replaced the file meanwhile; run this one again")
            part = self.path.with_name(f".{self.path.name}.part")
            part.unlink(missing_ok=True)  # what a killed replay left
            try:
                with open(part, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                    file.writelines(lines)
                    self.file.seek(self._end)
                    shutil.copyfileobj(self.file, file)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(self.path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        lock(self.file.fileno(), False)


class RejectedRow:
    """A row, with all lines that it has in the file.

    Args:
        file: Holds its lines.

    Attributes:
        stays: Its lines stay as they are.
        unsolved: Parts whose lines stay, while what the others name is sent.
    """

    __slots__ = ("_file", "_is_time_required", "_new", "_old", "stays", "unsolved")

    def __init__(self, file: RejectsFile) -> None:
        self._file = file
        self.stays = True
        self._is_time_required = False
        self._old: tuple[tuple[int, Part | None], ...] = ()
        self._new: tuple[int, ...] = ()
        self.unsolved: Sequence[Part] = ()

    @property
    def line(self) -> Line:
        """The first of its lines."""
        return self._file.line(self._old[0][0])

    @property
    def parts(self) -> list[Part]:
        """The parts that its lines name; it was sent without them."""
        return [part for _, part in self._old if part is not None]

    @property
    def was_sent(self) -> bool:
        """Whether it was sent, without those parts."""
        return bool(self.parts)

    def add(self, place: int, line: Line) -> None:
        """Add one of its lines."""
        self._old += ((place, Part(line.field, line.code) if line.field is not None else None),)

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
        self._new += (self._file.again.add(as_line(code=code, field=field, **entry)),)
        lacks_time = code == NO_TIME and Part(field or "", NO_TIME) not in self.parts
        if self._is_time_required and (field is None or lacks_time):
            self.stays = True

    @property
    def left(self) -> list[bytes]:
        """Lines that stay: the old ones, or those of unsolved parts and what was rejected again."""
        if self.stays:
            return [self._file.at(place) for place, _ in self._old]
        unsolved = [self._file.at(place) for place, part in self._old if part in self.unsolved]
        if unsolved:  # the row has to be in the first of its lines
            unsolved[0] = as_line(**{**decode(unsolved[0]), "record": self.line.record})
        return unsolved + [self._file.again.at(place) for place in self._new]


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
def opened(path: Path) -> Iterator[RejectsFile]:
    """Open the file, never through a link, and a temporary one for what is rejected again."""
    refuse_foreign(path)
    with ExitStack() as stack:
        with naming_the_setting(str(path)):
            try:
                descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
            except FileNotFoundError:
                raise ConfigError("rejects", f"there is no file {path}; name the one that rejects_path names") from None
            file = stack.enter_context(os.fdopen(descriptor, "rb"))
            refuse_foreign(path, descriptor)
            again = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
        yield RejectsFile(path, file, again)


def _read_line(raw: bytes) -> Line | None:
    """Read a line; None if it cannot be read, like the half-written one of a killed run, whose row came again."""
    try:
        entry = decode(raw, [])
        record = entry["record"]
        line = Line(entry["time"], entry.get("run_id"), entry["stream"], entry["code"], entry["field"], record)
    except (ValueError, KeyError, TypeError):
        return None
    is_line = isinstance(line.stream, str) and isinstance(line.time, str) and isinstance(record, dict)
    return line if is_line else None


def rows_of(file: RejectsFile) -> list[RejectedRow | int]:
    """Group the lines by row, in the order of each row's first line. Of one that cannot be read, give the place."""
    rows: list[RejectedRow | int] = []
    known: dict[bytes, RejectedRow] = {}
    in_parts: dict[str, RejectedRow] = {}
    for place, raw in file:
        line = _read_line(raw)
        if line is None:
            rows += [place] if raw.strip() else []
            continue
        key = blake2b(serialize_json([line.stream, line.record], sort_keys=True).encode(), digest_size=16).digest()
        row = in_parts.get(line.stream) if line.is_without_row else known.get(key)
        if row is None and line.is_without_row:
            rows.append(place)
            continue
        if row is None:
            row = known[key] = RejectedRow(file)
            rows.append(row)
        row.add(place, line)
        if line.field is not None:
            in_parts[line.stream] = row
    return rows


def left_of(file: RejectsFile, rows: Iterable[RejectedRow | int]) -> Iterator[bytes]:
    """Give the lines that are left."""
    for row in rows:
        yield from [file.at(row)] if isinstance(row, int) else row.left
