"""`target-kissmetrics-replay rejects.jsonl --config config.json`: sends rejected rows again, once the mapping is right.

Each row goes the way that it went before: through stream maps, the schema of its tap (noted beside the rejects), the
mapping, the memory, the delivery. Lines whose rows are rejected again stay in the file, with their new reason; so do
lines that cannot be judged. The file is put in place of the old one in one step, once everything else was delivered and
remembered: killed before, a replay leaves the old file, and the next one repeats it with the same seconds.

A line with a `field` is of a row that was sent without it. The row is sent again, which adds what it lacked and repeats
the rest, but only where its time is in the row itself: one that was guessed would make a new event of it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import click
from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.errors import ConfigError, RowRejected, StoreError
from target_kissmetrics.reading import decode
from target_kissmetrics.reject_limits import RejectLimits
from target_kissmetrics.reporting.rejects import SCHEMAS_SUFFIX, as_line, is_at, lock, named, refuse_link
from target_kissmetrics.sink import KissmetricsSink
from target_kissmetrics.target import TargetKissmetrics, ending_in_one_line

BEFORE_KISSMETRICS = "2000-01-01T00:00:00Z"
"""A time that no row may have: one whose time would be guessed is rejected."""


class Line(NamedTuple):
    """A line of the file of rejects.

    Attributes:
        raw: As it stands there.
        time: When it was rejected, which stands in for a time that its row does not hold.
        stream: After stream maps.
        field: What was set aside; None for a whole row.
        record: The row, before stream maps.
    """

    raw: bytes
    time: str
    stream: str
    field: str | None
    record: dict[str, Any]


class Left:
    """Takes what is rejected again, in the place of the file of rejects."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.time: str | None = None

    def write(self, *, stream: str, code: str, reason: str, field: str | None, record: Mapping[str, Any]) -> None:
        """Keep one line; it keeps the time it had."""
        self.lines.append(as_line(stream=stream, code=code, reason=reason, field=field, record=record, time=self.time))

    def note_schema(self, stream: str, message: Mapping[str, Any]) -> None:
        """Nothing to note: it is where it came from."""

    def flush(self) -> None:
        """Nothing: the file is written at the end."""

    def close(self) -> None:
        """Nothing is open."""


class ReplaySink(KissmetricsSink):
    """Takes rows again. A replay may be rejected as often as it likes."""

    def _reject(self, problem: RowRejected, raw: Mapping[str, Any]) -> None:
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
        self._seen: set[tuple[str, str]] = set()
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

    def take(self, line: Line, messages: Mapping[str, dict[str, Any]]) -> None:
        """Send a line's row again, or keep the line.

        Raises:
            Exception: Whatever ended the pipeline meanwhile.
        """
        message = messages.get(line.stream)
        if message is None:
            self._keep(line, f"nothing is known of stream '{line.stream}'")
            return
        key = (line.stream, serialize_json(line.record, sort_keys=True))
        if key in self._seen:
            return
        self._seen.add(key)
        self.left.time = line.time
        for stream_map in self.mapper.stream_maps[message["stream"]]:
            if stream_map.stream_alias == line.stream:
                row = stream_map.transform(dict(line.record))
                if row is not None:
                    self._send(line, row)
        self.left.time = None

    def _send(self, line: Line, row: dict[str, Any]) -> None:
        sink = self.get_sink(line.stream)
        assert isinstance(sink, ReplaySink)  # noqa: S101 - `get_sink_class` says so
        if any(key not in row for key in sink.key_properties):
            self._keep(line, f"a row of stream '{line.stream}' lacks its key")
            return
        if line.field is None or sink.kind in {"user_attributes", "experiment", "alias"}:
            sink.take(row, line.time, line.record)
            return
        before, rejected = len(self.left.lines), sum(sink.counts.rejected.values())
        sink.take(row, BEFORE_KISSMETRICS, line.record)
        if sum(sink.counts.rejected.values()) > rejected:
            self.left.lines[before:] = [line.raw]

    def _keep(self, line: Line, why: str) -> None:
        self.left.lines.append(line.raw)
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
        read = [(raw, _read(raw)) for raw in raw_lines if raw.strip()]
        messages |= _guessed(target, messages, [line for _, line in read if line is not None])
        try:
            target.learn(messages)
            for raw, line in read:
                if target.is_stopped:
                    break
                if line is None:
                    target.left.lines.append(raw)
                else:
                    target.take(line, messages)
        except BaseException:
            target.give_up()
            raise
        target.process_endofpipe()
        if target.settings.dry_run:
            return len(target.left.lines)
        _put_in_place(path, descriptor, end, target.left.lines)
    return len(target.left.lines)


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
            raise ConfigError("rejects", f"there is no file {path}") from None
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
        line = Line(raw, entry["time"], entry["stream"], entry["field"], record)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_line = isinstance(line.stream, str) and isinstance(line.time, str) and isinstance(record, dict)
    return line if is_line else None


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
