"""`target-kissmetrics-replay rejects.jsonl --config config.json`: sends rejected rows again, once the mapping is right.

Each row goes the way that it went before: through stream maps, the schema of its tap (noted beside the rejects), the
mapping, the memory, the delivery. Lines whose rows are rejected again stay in the file, with their new reason; so do
lines that cannot be judged. The file is put in place of the old one in one step, once everything else was delivered and
remembered: killed before, a replay leaves the old file, and the next one repeats it with the same seconds.

A line with a `field` is of a row that was sent without it. The row is sent again, which adds what it lacked and repeats
the rest, but only where its time is in the row itself: one that was guessed would make a new event of it. Where that is
so, or cannot be told since the whole row is rejected now, all its lines stay as they are.

A replay takes everybody's rows, whatever slice of them (`shard`) the run of its config takes.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import click
from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.errors import ConfigError, StoreError
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.reporting.reject_limits import RejectLimits
from target_kissmetrics.reporting.rejects import SCHEMAS_SUFFIX, as_line, is_at, lock, named, refuse_link
from target_kissmetrics.singer.reader import decode
from target_kissmetrics.singer.stream_maps import transformed
from target_kissmetrics.sinks import KissmetricsSink
from target_kissmetrics.target import TargetKissmetrics, ending_in_one_line

BEFORE_KISSMETRICS = "2000-01-01T00:00:00Z"
"""A time that no row may have: one whose time would be guessed is rejected."""


TOO_OLD = "too-old"
"""The code of a reject for such a time."""


class Line(NamedTuple):
    """A line of the file of rejects.

    Attributes:
        raw: As it stands there.
        time: When it was rejected, which stands in for a time that its row does not hold.
        stream: After stream maps.
        code: Why it was rejected.
        field: What was set aside; None for a whole row.
        record: The row, before stream maps.
    """

    raw: bytes
    time: str
    stream: str
    code: str
    field: str | None
    record: dict[str, Any]

    @property
    def is_without_row(self) -> bool:
        """Whether its row stands in the lines before it: this one is of the 21st part of it, or of a later one."""
        return self.field is not None and not self.record


class RejectedRow:
    """A row, with all lines that it has in the file.

    Args:
        line: The first of them.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self.was_sent = False
        self.stays = True
        self._old: list[bytes] = []
        self._new: list[bytes] = []
        self._too_old: set[str] = set()
        self.add(line)

    def add(self, line: Line) -> None:
        """Take one of its lines."""
        self._old.append(line.raw)
        if line.field is not None:
            self.was_sent = True
            if line.code == TOO_OLD:
                self._too_old.add(line.field)

    def reject(self, raw: bytes, code: str, field: str | None, *, guessed_is_too_old: bool) -> None:
        """Take a line of what is rejected again.

        Args:
            raw: The line.
            code: Why.
            field: What is set aside; None for a whole row.
            guessed_is_too_old: The row was sent before, and so was mapped with a time that no row may have. Rejected
                whole, it must not look like one that was never sent.
        """
        self._new.append(raw)
        if guessed_is_too_old and (field is None or (code == TOO_OLD and field not in self._too_old)):
            self.stays = True

    @property
    def left(self) -> list[bytes]:
        """Lines that stay: the old ones, or what was rejected again in their place."""
        return self._old if self.stays else self._new


class Left:
    """Takes what is rejected again, in the place of the file of rejects. Thread-safe.

    What the pipeline rejects comes late, while other rows are being mapped: the record tells whose it is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[int, tuple[RejectedRow, bool]] = {}
        self._latest: tuple[RejectedRow, bool] | None = None

    def expect(self, row: RejectedRow, *, guessed_is_too_old: bool) -> None:
        """Let what is written from now on be of this row, unless its record is another one's."""
        with self._lock:
            row.stays = False
            self._latest = self._under_way[id(row.line.record)] = (row, guessed_is_too_old)

    def write(self, *, stream: str, code: str, reason: str, field: str | None, record: Mapping[str, Any]) -> None:
        """Keep one line; it keeps the time it had."""
        with self._lock:
            # From the 21st part of a row on, which is the latest, the record is an empty one.
            found = self._under_way.get(id(record), self._latest)
            assert found is not None  # noqa: S101 - rows are expected before they are sent
            row, guessed_is_too_old = found
            raw = as_line(stream=stream, code=code, reason=reason, field=field, record=record, time=row.line.time)
            row.reject(raw, code, field, guessed_is_too_old=guessed_is_too_old)

    def note_schema(self, stream: str, message: Mapping[str, Any]) -> None:
        """Nothing to note: it is where it came from."""

    def flush(self) -> None:
        """Nothing: the file is written at the end."""

    def close(self) -> None:
        """Nothing is open."""


class ReplaySink(KissmetricsSink):
    """Takes rows again, everybody's: no other process shares the file. They may be rejected as often as they like.

    Args:
        target: The target.
        stream_name: The stream's name, after stream maps.
        schema: Its schema.
        key_properties: Its key.
    """

    def __init__(
        self,
        target: TargetKissmetrics,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._shard = None

    def _reject(self, problem: Rejected, raw: Mapping[str, Any]) -> None:
        self._target.reject(self.counts, problem, raw)


class ReplayTarget(TargetKissmetrics):
    """The target, fed with rejects in the place of a tap.

    Args:
        config: As the target takes it.
        parse_env_config: Look for settings in the environment as well.
    """

    default_sink_class = ReplaySink

    def __init__(self, *, config: Any, parse_env_config: bool) -> None:
        super().__init__(config=config, parse_env_config=parse_env_config)
        self.left = Left()
        self._rejects = self.left  # type: ignore[assignment]
        self.reject_limits = RejectLimits()
        self._unknown: set[str] = set()

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Give the command: the target's, with a file to read in the place of its input."""
        command = super().get_singer_command()
        command.help = (
            "Sends rejected rows again, once the mapping is mended; what is rejected again stays in the file."
        )
        command.params = [param for param in command.params if param.name in {"version", "config"}]
        command.params.append(click.Argument(["rejects"], type=click.Path(path_type=Path)))
        return command

    @classmethod
    def invoke(cls, *, config: Any, rejects: Path) -> None:  # type: ignore[override]
        """Replay a file. Whatever ends the replay is one line on standard error, and exit code 1."""
        with ending_in_one_line(cls.logger):
            target = cls(config=config.config, parse_env_config=config.parse_env)
            left = replay(rejects, target)
            cls.logger.info("%d lines are left in %s", left, rejects)

    @property
    def is_stopped(self) -> bool:
        """Whether a signal, or a failure of the delivery, asked for the end."""
        return self.message_reader.stop_requested

    def _tell_of_rejects(self) -> None:
        """Nothing: what is left is told at the end."""

    def _tell_of_names(self) -> None:
        """Nothing: the file has rows of some streams alone."""

    def get_sink_class(self, stream_name: str) -> type[KissmetricsSink]:  # noqa: ARG002
        """Give the class of a stream's sink."""
        return ReplaySink

    def learn(self, messages: Mapping[str, dict[str, Any]]) -> None:
        """Take the SCHEMA messages of the streams.

        Raises:
            ConfigError: It is not plain what one of them is.
        """
        for message in messages.values():
            self._process_schema_message(message)

    def give_up(self) -> None:
        """End after an error: what was taken is delivered, the file stays as it was."""
        self._abandon()

    def take(self, row: RejectedRow, messages: Mapping[str, dict[str, Any]]) -> None:
        """Send a row again, or let its lines stay.

        Raises:
            Exception: Whatever ended the pipeline meanwhile.
        """
        stream, record = row.line.stream, row.line.record
        message = messages.get(stream)
        maps = self.mapper.stream_maps[message["stream"]] if message is not None else []
        ours = [stream_map for stream_map in maps if stream_map.stream_alias == stream]
        if not ours:
            self._warn(f"nothing is known of stream '{stream}'")
        for stream_map in ours:
            mapped = transformed(stream_map, dict(record))
            if mapped is None:
                row.stays = False  # a stream map filters it out
            else:
                self._send(row, mapped)

    def _send(self, row: RejectedRow, mapped: dict[str, Any]) -> None:
        line = row.line
        sink = self.get_sink(line.stream)
        assert isinstance(sink, ReplaySink)  # noqa: S101 - `get_sink_class` says so
        if any(key not in mapped for key in sink.key_properties):
            self._warn(f"a row of stream '{line.stream}' lacks its key")
            return
        would_be_new = row.was_sent and sink.kind not in {"user_attributes", "experiment", "alias"}
        self.left.expect(row, guessed_is_too_old=would_be_new)
        sink.take(mapped, BEFORE_KISSMETRICS if would_be_new else line.time, line.record)

    def _warn(self, why: str) -> None:
        if why not in self._unknown:
            self._unknown.add(why)
            self.logger.warning("%s: its lines stay in the file", why)


def replay(path: Path, target: ReplayTarget) -> int:
    """Send a file's rows again; give how many lines are left.

    Raises:
        TargetError: The file is none of rejects, or something could not be delivered or remembered; it stays as it was.
    """
    with _opened(path) as descriptor:
        messages = _schemas(path, target)
        with open(descriptor, "rb", closefd=False) as file:
            raw_lines = [line if line.endswith(b"\n") else line + b"\n" for line in file]
        end = os.lseek(descriptor, 0, os.SEEK_END)
        rows = _rows(raw for raw in raw_lines if raw.strip())
        messages |= _guessed(target, messages, [row.line for row in rows if isinstance(row, RejectedRow)])
        try:
            target.learn(messages)
            for row in rows:
                if target.is_stopped:
                    break
                if isinstance(row, RejectedRow):
                    target.take(row, messages)
        except BaseException:
            target.give_up()
            raise
        target.process_endofpipe()
        left = [raw for row in rows for raw in (row.left if isinstance(row, RejectedRow) else [row])]
        if not target.settings.dry_run:
            _put_in_place(path, descriptor, end, left)
    return len(left)


def main() -> None:
    """Run the command `target-kissmetrics-replay`."""
    ReplayTarget.cli()


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open the file, never through a symbolic link."""
    refuse_link(path)
    with named(str(path)):
        try:
            descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            raise ConfigError("rejects", f"there is no file {path}; name the one that rejects_path names") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _schemas(path: Path, target: ReplayTarget) -> dict[str, dict[str, Any]]:
    """Give the latest SCHEMA message that was noted of each stream."""
    noted = [Path(f"{path}{SCHEMAS_SUFFIX}"), Path(f"{target.settings.rejects_path}{SCHEMAS_SUFFIX}")]
    messages: dict[str, dict[str, Any]] = {}
    for file in noted:
        if file.is_symlink() or not file.exists():
            continue
        for line in file.read_bytes().splitlines():
            with suppress(ValueError):
                message = json.loads(line)
                messages[message.pop("rejects")] = message
        break
    return messages


def _read(raw: bytes) -> Line | None:
    """Read a line; None for what is none, half of one that a killed run left, say: its row came again."""
    try:
        entry = decode(raw)
        record = entry["record"]
        line = Line(raw, entry["time"], entry["stream"], entry["code"], entry["field"], record)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_line = isinstance(line.stream, str) and isinstance(line.time, str) and isinstance(record, dict)
    return line if is_line else None


def _rows(raw_lines: Iterable[bytes]) -> list[RejectedRow | bytes]:
    """Put the lines of each row together, in the order of its first; lines that cannot be judged are as they were."""
    rows: list[RejectedRow | bytes] = []
    known: dict[tuple[str, str], RejectedRow] = {}
    in_parts: dict[str, RejectedRow] = {}
    for raw in raw_lines:
        line = _read(raw)
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


def _guessed(target: ReplayTarget, known: Mapping[str, Any], lines: Sequence[Line]) -> dict[str, dict[str, Any]]:
    """Give schemas of streams of which none was noted, from the fields of their rows; nothing is known of their keys.

    Where duplicates are spread, the key tells rows apart: without it, a later run would give them other seconds.
    """
    fields: dict[str, dict[str, Any]] = {}
    for line in lines:
        if line.stream not in known and not target.entry_of(line.stream).spread_duplicates:
            fields.setdefault(line.stream, {}).update({name: {} for name in line.record})
    return {
        stream: {
            "type": "SCHEMA",
            "stream": stream,
            "schema": {"type": "object", "properties": properties},
            "key_properties": [],
        }
        for stream, properties in fields.items()
    }


def _put_in_place(path: Path, descriptor: int, end: int, lines: Sequence[bytes]) -> None:
    """Put what is left in the file's place, in one step, with what a run appended meanwhile."""
    with named(str(path)):
        lock(descriptor, True)
        if not is_at(descriptor, path):
            raise StoreError(f"{path}: another replay put a new file in its place meanwhile; run this one again")
        os.lseek(descriptor, end, os.SEEK_SET)
        with open(descriptor, "rb", closefd=False) as file:
            appended = file.read()
        made, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(made, "wb") as file:
                file.writelines(lines)
                file.write(appended)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    lock(descriptor, False)


if __name__ == "__main__":
    main()
