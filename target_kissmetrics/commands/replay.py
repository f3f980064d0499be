"""`target-kissmetrics-replay rejects.jsonl --config config.json`: sends rejected rows again, once the mapping is fixed.

Each row takes the way of a tap's row. Rows that are rejected again stay in the file, with their new reason; so do lines
that cannot be read. The new file replaces the old one in one step, once everything else is delivered and stored. A
replay that is killed before leaves the old file, and the next one repeats the same calls.

A line with a `field` belongs to a row that was sent without that part. The part alone is sent, and never the event
again: a property as a *set* in the event's second. If the row does not hold its time, nobody knows that second: its
lines stay as they are, as they do if the whole row is rejected now.

A replay sends everybody's rows, whatever slice of people (`shard`) its config names.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from target_kissmetrics.commands import derived
from target_kissmetrics.commands.rejects_file import Record, RejectedRow, RejectsFile, ReplayRejects
from target_kissmetrics.commands.unsent_parts import NO_AMOUNT, TOO_MANY_NAMES, lacking, properties_of, without
from target_kissmetrics.exact_json import decode
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.clock import NO_GUESS
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.stream import StreamMapping
from target_kissmetrics.reporting.logs import ending_in_one_line
from target_kissmetrics.reporting.rejects import SCHEMAS_SUFFIX, STORE
from target_kissmetrics.runtime import Runtime
from target_kissmetrics.store.rejects_table import RejectsTable
from target_kissmetrics.store.sql import open_read_only
from target_kissmetrics.sync.intake import StreamIntake
from target_kissmetrics.target import TargetKissmetrics

Messages = Mapping[str, Mapping[str, Any]]  # the SCHEMA message of each stream, by its name after stream maps


class PartsMapping:
    """Maps a row that was sent to the parts that it lacked, and any other row as a whole."""

    row: RejectedRow  # that is mapped next

    def __init__(self, mapping: StreamMapping, *, has_revenue: bool) -> None:
        self._mapping = mapping
        self._has_revenue = has_revenue
        self.describe = mapping.describe

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return what is to be sent of a row; the lines of parts stay of which it is unknown what was sent."""
        parts = self.row.parts
        if not parts:
            return self._mapping.map(row, extracted)
        # A field that is in the record alone was dropped by a stream map; one that is nowhere has another name there.
        holders = (row, self.row.record)
        known = [part for part in parts if any(without(one, [part.path]) != one for one in holders)]
        if named := [part for part in parts if part.code == TOO_MANY_NAMES and part not in known]:
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
        self.row.unsolved = [part for part in parts if part not in known] + ([] if solved else amounts)
        return found


class Replay:
    """Sends rejected rows again, over the runtime of a target that reads no input."""

    def __init__(self, target: TargetKissmetrics) -> None:
        self._target = target
        self._streams: dict[str, tuple[StreamIntake, PartsMapping]] = {}
        self._warned: set[str] = set()
        self.runtime = Runtime(
            target.settings,
            logger=target.logger,
            version=target.get_plugin_version(),
            run_id=target.run_id,
            interrupt=target.termination.interrupt,
            batch_rows=target.config.get("batch_size_rows"),
            replay=ReplayRejects(),
        )

    def send(self, rows: Sequence[RejectedRow], messages: Messages) -> None:
        """Send rows, as far as no signal stops it, which is a SystemExit."""
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
            assert isinstance(unsent.record, Record)  # noqa: S101 - `_take` gave it
            unsent.record.row.stays = True

    def _register(self, message: Mapping[str, Any]) -> None:
        mapper = self._target.stream_mapper
        for stream_map in mapper.stream_maps[message["stream"]] if mapper.register(message) else ():
            alias, keys = stream_map.stream_alias, stream_map.transformed_key_properties or ()
            intake = self.runtime.intake(alias, stream_map.transformed_schema, keys)
            named, usual = self.runtime.entry_of(alias).revenue, self._target.settings.revenue_fields
            mapping = PartsMapping(intake.mapping, has_revenue=bool(usual if named is None else named))
            intake.mapping = mapping
            self._streams[alias] = intake, mapping

    def _send(self, row: RejectedRow, messages: Messages) -> None:
        stream, mapper = row.head.stream, self._target.stream_mapper
        message = messages.get(stream)
        maps = mapper.maps(message) if message is not None else []
        own = [stream_map for stream_map in maps if stream_map.stream_alias == stream]
        if self.runtime.entry_of(stream).kind == "ignore" or (message is not None and not maps):
            row.stays = False  # it is not read any more
        elif message is None or not own:
            self._warn(f"nothing is known of stream '{stream}'")
        else:
            record = row.record
            problem = mapper.problem(message["stream"], record)
            for stream_map in own:
                mapped = dict(record) if problem is not None else stream_map.transform(dict(record))
                self._take(row, mapped, problem)

    def _take(self, row: RejectedRow, mapped: dict[str, Any] | None, problem: str | None) -> None:
        stream = row.head.stream
        intake, mapping = self._streams[stream]
        if mapped is not None and any(key not in mapped for key in intake.keys):
            self._warn(f"a row of stream '{stream}' lacks its key")
            return
        # What was sent before with a guessed time must not be sent again with another one.
        is_time_required = bool(row.parts) and intake.kind not in {"user_attributes", "experiment", "alias"}
        record = row.expect(is_time_required=is_time_required)
        mapping.row = row
        intake.take(mapped, NO_GUESS if is_time_required else row.head.time, record, problem)
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
    """Send a file's rows again; give how many lines are left. After an error or a signal, the file is as it was."""
    target.check_files(replayed=str(path))
    with closing(RejectsFile(path)) as file:
        rows, source = file.rows(), Replay(target)
        rejected = [row for row in rows if row.head.stream]
        messages = _schemas(path, target)
        source.send(rejected, messages | _guessed(source.runtime, messages, rejected))
        if not target.settings.dry_run:
            file.replace(line for row in rows for line in row.left)
        return sum(len(row.left) for row in rows)


def _replay_stored(target: TargetKissmetrics) -> int:
    settings = target.settings
    if settings.dry_run:
        store = open_read_only(settings.attribute_store_url, settings.api_key)
        if store is None:
            return 0
        store.close()
    with TemporaryDirectory(prefix="target-kissmetrics-replay-") as folder:
        file = Path(folder, "rejects.jsonl")
        table = RejectsTable(settings.attribute_store_url, settings.api_key, read_only=settings.dry_run)
        with closing(table):
            exported = table.export(file, Path(f"{file}{SCHEMAS_SUFFIX}"))
            left = replay(file, target)
            if not settings.dry_run:
                with file.open("rb") as lines:
                    table.replace(exported, lines)
        return left


def _schemas(path: Path, target: TargetKissmetrics) -> dict[str, dict[str, Any]]:
    """Give the latest SCHEMA message of each stream that was noted beside the file, else beside `rejects_path`."""
    beside = [Path(f"{one}{SCHEMAS_SUFFIX}") for one in (path, target.settings.rejects_path)]
    noted = next((file for file in beside if file.exists() and not file.is_symlink()), None)
    messages: dict[str, dict[str, Any]] = {}
    for line in noted.read_bytes().splitlines() if noted is not None else ():
        with suppress(ValueError):
            message = decode(line)
            messages[message.pop("rejects")] = message
    return messages


def _guessed(runtime: Runtime, known: Messages, rows: Iterable[RejectedRow]) -> dict[str, dict[str, Any]]:
    """Give schemas of streams of which none was noted, from the fields of their rows; nothing is known of their keys.

    Where duplicates are spread, or rows are sent once, the key tells rows apart: without it, a later run would give
    them other seconds, or send them again.
    """
    messages: dict[str, dict[str, Any]] = {}
    for row in rows:
        stream = row.head.stream
        entry = runtime.entry_of(stream)
        is_once = entry.send_once_per_row or (entry.send_once_per_row is None and entry.revenue and not entry.once)
        if stream not in known and not entry.spread_duplicates and not is_once:
            usual = {"type": "SCHEMA", "stream": stream, "schema": {"type": "object", "properties": {}}}
            message = messages.setdefault(stream, {**usual, "key_properties": []})
            message["schema"]["properties"] |= {name: {} for name in row.record}
    return messages


def command(own: click.Command) -> click.Command:
    """Give the command: the target's own, with a file in the place of its input."""
    text = "Sends rejected rows again, once the mapping is fixed; what is rejected again stays in the file."
    file = click.Argument(["rejects"], type=click.Path())
    return derived(own, "target-kissmetrics-replay", _run, text, file)


def _run(*, config: Any, rejects: str) -> None:
    logger = TargetKissmetrics.logger
    with ending_in_one_line(logger):
        target = TargetKissmetrics(config=config.config, parse_env_config=config.parse_env)
        logger.info("run %s of target-kissmetrics-replay", target.run_id)
        left = _replay_stored(target) if rejects == STORE else replay(Path(rejects), target)
        logger.info("%d lines are left in %s", left, rejects)


def main() -> None:
    """Run the command `target-kissmetrics-replay`."""
    command(TargetKissmetrics.cli)()


if __name__ == "__main__":
    main()
