"""`target-kissmetrics-replay rejects.jsonl --config config.json`: sends rejected rows again, once the mapping is fixed.

Each row takes the way of a tap's row: stream maps, the schema of its tap (stored beside the rejects), the mapping, the
planner, the delivery. Rows that are rejected again stay in the file, with their new reason; so do lines that cannot be
read. The new file replaces the old one in one step, once everything else is delivered and stored. A replay that is
killed before leaves the old file, and the next one repeats the same calls.

A line with a `field` belongs to a row that was sent without that part. The part alone is sent, and never the event
again: a property as a *set* in the event's second. If the row does not hold its time, nobody knows that second: its
lines stay as they are, as they do if the whole row is rejected now.

A replay sends everybody's rows, whatever slice of people (`shard`) its config names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from target_kissmetrics.commands.parts import NO_AMOUNT, TOO_MANY_NAMES, lacking, properties_of, without
from target_kissmetrics.commands.rejects_file import (
    Line,
    RejectedRow,
    ReplayRejects,
    left_of,
    opened,
    rows_of,
)
from target_kissmetrics.exact_json import decode
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.clock import NO_GUESS
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.stream import StreamMapping
from target_kissmetrics.reporting.logs import ending_in_one_line
from target_kissmetrics.reporting.rejects import SCHEMAS_SUFFIX
from target_kissmetrics.runtime import Runtime
from target_kissmetrics.singer.stream_maps import transformed
from target_kissmetrics.sync.intake import StreamIntake
from target_kissmetrics.target import TargetKissmetrics

Messages = Mapping[str, Mapping[str, Any]]
"""The SCHEMA message of each stream, by the stream's name after stream maps."""


class PartsMapping:
    """Maps a row that was sent to the parts that it lacked, and any other row as a whole.

    Args:
        mapping: Maps the stream's rows.
        has_revenue: Its entry and the settings give events an amount.

    Attributes:
        row: The row that is mapped next, with its lines.
    """

    row: RejectedRow

    def __init__(self, mapping: StreamMapping, *, has_revenue: bool) -> None:
        self._mapping = mapping
        self._has_revenue = has_revenue
        self.describe = mapping.describe

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return what is to be sent of a row; the lines of parts stay of which it is unknown what was sent."""
        if not self.row.was_sent:
            return self._mapping.map(row, extracted)
        # A field that is in the record alone was dropped by a stream map; one that is nowhere has another name there.
        holders = (row, self.row.line.record)
        known = [part for part in self.row.parts if any(without(one, [part.path]) != one for one in holders)]
        if named := [part for part in self.row.parts if part.code == TOO_MANY_NAMES and part not in known]:
            names = {folded(name) for call in self._mapping.map(row, extracted).calls for name in properties_of(call)}
            known += [part for part in named if folded(part.field) in names]
        found = lacking(row, known, lambda some: self._mapping.map(some, extracted))
        if found is None:
            self.row.stays = True
            return Mapped()
        amounts = [part for part in known if part.code == NO_AMOUNT]
        left = sum(slot.revenue_property in properties_of(found.calls[slot.record]) for slot in found.slots)
        rejected = sum(rejection.code == NO_AMOUNT for rejection in found.rejections)
        solved = len(amounts) <= left + rejected or not self._has_revenue
        self.row.unsolved = [part for part in self.row.parts if part not in known] + ([] if solved else amounts)
        return found


class Replay:
    """Sends rejected rows again: a source of rows over the runtime of the target.

    Args:
        target: Gives the settings and the stream maps; it reads no input.
    """

    def __init__(self, target: TargetKissmetrics) -> None:
        self._target = target
        self._rejects = ReplayRejects()
        self._intakes: dict[str, StreamIntake] = {}
        self._mappings: dict[str, PartsMapping] = {}
        self._warned: set[str] = set()
        self.runtime = Runtime(
            target.settings,
            logger=target.logger,
            version=target.get_plugin_version(),
            run_id=target.run_id,
            interrupt=target.termination.interrupt,
            batch_rows=target.config.get("batch_size_rows"),
            replay=self._rejects,
        )

    def send(self, rows: Sequence[RejectedRow], messages: Messages) -> None:
        """Send rows, as far as no signal stops it.

        Raises:
            TargetError: Something could not be delivered or stored, or a stream cannot be mapped.
            SystemExit: A signal ended the replay.
        """
        try:
            for message in messages.values():
                self._register(message)
            for row in rows:
                if self._target.message_reader.stop_requested:
                    break
                self._send(row, messages)
        except BaseException:
            self.runtime.abandon()
            self.runtime.close()
            raise
        self.runtime.end(self._target.termination)
        for unsent in self.runtime.limit.unsent:  # of `max_calls`
            self._rejects.keep(unsent.record)

    def _register(self, message: Mapping[str, Any]) -> None:
        mapper = self._target.stream_mapper
        if not mapper.register(message):
            return
        for stream_map in mapper.stream_maps[message["stream"]]:
            alias, keys = stream_map.stream_alias, stream_map.transformed_key_properties or ()
            intake = self.runtime.intake(alias, stream_map.transformed_schema, keys)
            named, usual = self.runtime.entry_of(alias).revenue, self._target.settings.revenue_fields
            has_revenue = bool(usual if named is None else named)
            intake.mapping = self._mappings[alias] = PartsMapping(intake.mapping, has_revenue=has_revenue)
            self._intakes[alias] = intake

    def _send(self, row: RejectedRow, messages: Messages) -> None:
        stream, record = row.line.stream, row.line.record
        message, mapper = messages.get(stream), self._target.stream_mapper
        maps = mapper.maps(message) if message is not None else []
        own = [stream_map for stream_map in maps if stream_map.stream_alias == stream]
        if self.runtime.entry_of(stream).kind == "ignore" or (message is not None and not maps):
            row.stays = False  # it is not read any more
        elif not own:
            self._warn(f"nothing is known of stream '{stream}'")
        problem = mapper.problem(message["stream"], record) if message is not None else None
        for stream_map in own:
            mapped = dict(record) if problem is not None else transformed(stream_map, dict(record))
            if mapped is None:
                row.stays = False
                self._intakes[stream].take(None, None, record)
            elif any(key not in mapped for key in self._intakes[stream].keys):
                self._warn(f"a row of stream '{stream}' lacks its key")
            else:
                self._take(self._intakes[stream], row, mapped, problem)

    def _take(self, intake: StreamIntake, row: RejectedRow, mapped: dict[str, Any], problem: str | None) -> None:
        # What was sent before with a guessed time must not be sent again with another one.
        is_time_required = row.was_sent and intake.kind not in {"user_attributes", "experiment", "alias"}
        record = self._rejects.expect(row, is_time_required=is_time_required)
        self._mappings[row.line.stream].row = row
        intake.take(mapped, NO_GUESS if is_time_required else row.line.time, record, problem)
        stream = row.line.stream
        if row.stays:
            self._warn(f"it is not known what was sent of a row of stream '{stream}'")
        for part in row.unsolved:
            what = "no amount" if part.code == NO_AMOUNT else f"no field '{part.field}'"
            self._warn(f"stream '{stream}': as it is mapped now, a row has {what}")

    def _warn(self, why: str) -> None:
        if why not in self._warned:
            self._warned.add(why)
            self._target.logger.warning("%s: its lines stay in the file", why)


def replay(path: Path, target: TargetKissmetrics) -> int:
    """Send a file's rows again; give how many lines are left.

    Raises:
        TargetError: The file is not one of rejects, or something could not be delivered or stored; it stays as it was.
        SystemExit: A signal ended the replay; the file stays as it was.
    """
    target.check_files(replayed=str(path))
    with opened(path) as file:
        messages = _schemas(path, target)
        rows = rows_of(file)
        rejected = [row for row in rows if isinstance(row, RejectedRow)]
        source = Replay(target)
        messages |= _guessed(source.runtime, messages, (row.line for row in rejected))
        source.send(rejected, messages)
        if not target.settings.dry_run:
            file.replace(left_of(file, rows))
        return sum(1 for _ in left_of(file, rows))


def _schemas(path: Path, target: TargetKissmetrics) -> dict[str, dict[str, Any]]:
    """Give the latest SCHEMA message that was noted of each stream."""
    noted = [Path(f"{path}{SCHEMAS_SUFFIX}"), Path(f"{target.settings.rejects_path}{SCHEMAS_SUFFIX}")]
    messages: dict[str, dict[str, Any]] = {}
    for file in noted:
        if file.is_symlink() or not file.exists():
            continue
        for line in file.read_bytes().splitlines():
            with suppress(ValueError):
                message = decode(line)
                messages[message.pop("rejects")] = message
        break
    return messages


def _guessed(runtime: Runtime, known: Mapping[str, Any], lines: Iterable[Line]) -> dict[str, dict[str, Any]]:
    """Give schemas of streams of which none was noted, from the fields of their rows; nothing is known of their keys.

    Where duplicates are spread, or rows are sent once, the key tells rows apart: without it, a later run would give
    them other seconds, or send them again.
    """
    fields: dict[str, dict[str, Any]] = {}
    for line in lines:
        entry = runtime.entry_of(line.stream)
        is_once = entry.send_once_per_row or (entry.send_once_per_row is None and entry.revenue and not entry.once)
        if line.stream not in known and not entry.spread_duplicates and not is_once:
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


def command(own: click.Command) -> click.Command:
    """Give the command: the target's own, with a file in the place of its input."""
    own.name, own.callback = "target-kissmetrics-replay", _run
    own.help = "Sends rejected rows again, once the mapping is fixed; what is rejected again stays in the file."
    own.params = [param for param in own.params if param.name in {"version", "config"}]
    own.params.append(click.Argument(["rejects"], type=click.Path(path_type=Path)))
    return own


def _run(*, config: Any, rejects: Path) -> None:
    logger = TargetKissmetrics.logger
    with ending_in_one_line(logger):
        target = TargetKissmetrics(config=config.config, parse_env_config=config.parse_env)
        logger.info("run %s of target-kissmetrics-replay", target.run_id)
        left = replay(rejects, target)
        logger.info("%d lines are left in %s", left, rejects)


def main() -> None:
    """Run the command `target-kissmetrics-replay`."""
    command(TargetKissmetrics.cli)()


if __name__ == "__main__":
    main()
