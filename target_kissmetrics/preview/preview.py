"""All streams of a preview, read from Singer messages as the target reads them, and what is wrong between them."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from target_kissmetrics.config.stream_entries import entry_for
from target_kissmetrics.config.stream_names import NameWatch, of_entries, of_stream_maps
from target_kissmetrics.errors import InputError
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.preview.stream import Plan, StreamPreview
from target_kissmetrics.preview.suggest.entry import Suggestion
from target_kissmetrics.preview.totals import Names
from target_kissmetrics.reporting import display
from target_kissmetrics.singer.batch_files import batch_rows, read_storage
from target_kissmetrics.singer.reader import MessageReader
from target_kissmetrics.singer.stream_maps import StreamMapper, named_in

MANY_EVENT_NAMES = 200
MANY_PROPERTY_NAMES = 1000
_LOG = logging.getLogger("target-kissmetrics-preview")


@dataclass(slots=True)
class Preview:
    """The streams of an input, by name, in the order in which they came.

    `warnings` says what is wrong between streams, or with no stream; complete once the preview is finished.
    """

    plan: Plan
    streams: dict[str, StreamPreview] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    map_names: NameWatch = field(default_factory=lambda: NameWatch(()))
    unmatched: list[tuple[str, str]] = field(default_factory=list)

    def stream(self, name: str) -> StreamPreview:
        """Give a stream; a new one when there is none of this name."""
        return self.streams.setdefault(name, StreamPreview(name, self.plan))

    def read(self, lines: IO[str], config: Mapping[str, Any]) -> None:
        """Read an input to its end; of the config, `stream_maps`, `validate_records` and `batch_config` count.

        InputError: a line is no Singer message, a row comes before its schema, or a BATCH file cannot be read.
        """
        self.map_names = NameWatch(of_stream_maps(config.get("stream_maps")))
        mapper = StreamMapper(
            config, _LOG, self._ignores, lambda stream, text: self.warnings.append(f"stream '{stream}': {text}")
        )
        storage = read_storage(config)

        def record(message: dict[str, Any]) -> None:
            for stream, row, _, problem in mapper.rows(message):
                self.stream(stream).row(row, message.get("time_extracted"), problem)

        def batch(message: dict[str, Any]) -> None:
            for row in batch_rows(message, storage) if mapper.maps(message) else ():
                record({**message, "type": "RECORD", "record": row})

        handlers = {"SCHEMA": lambda message: self._schema(mapper, message), "RECORD": record, "BATCH": batch}
        unused = dict.fromkeys(("STATE", "ACTIVATE_VERSION"), lambda _: None)
        MessageReader().process_lines(lines, {**handlers, **unused})

    def _schema(self, mapper: StreamMapper, message: dict[str, Any]) -> None:
        name = named_in(message)
        self.map_names.saw(name)
        try:
            if not mapper.register(message):
                return
        except InputError as problem:
            if name not in mapper.stream_maps:
                raise
            self.warnings.append(f"{problem}; a run stops; its rows are not validated here")
        for stream_map in mapper.stream_maps[name]:
            alias, keys = stream_map.stream_alias, tuple(stream_map.transformed_key_properties or ())
            self.stream(alias).schema(stream_map.transformed_schema, keys, mapper.sources(alias))

    def _ignores(self, name: str) -> bool:
        """Return whether a stream, by its name after stream maps, is ignored; list it."""
        entry = entry_for(self.plan.entries, name)
        is_ignored = entry is not None and entry.kind == "ignore"
        if is_ignored:
            self.stream(name)
        return is_ignored

    def finish(self) -> None:
        """Suggest entries and warn, once all rows are read."""
        for stream in self.streams.values():
            stream.finish()
        entries = NameWatch(of_entries(self.plan.entries))
        for name in self.streams:
            entries.saw(name)
        if self.streams or self.map_names.seen:
            self.unmatched = [*_unmatched(entries), *_unmatched(self.map_names)]
        self.warnings += [f"{place}: {problem}" for place, problem in self.unmatched]
        totals = [stream.totals for stream in self.streams.values()]
        self.warnings += _about_names("events", [total.events for total in totals], MANY_EVENT_NAMES)
        self.warnings += _about_names("properties", [total.properties for total in totals], MANY_PROPERTY_NAMES)

    def suggestions(self) -> list[Suggestion]:
        """Give the entries to use: those of the config, and new ones before its first glob, which would win."""
        streams = list(self.streams.values())
        replaced = [entry_for(self.plan.entries, stream.name) for stream in streams if stream.suggestion]
        problems = [(stream.entry.place, stream.problem) for stream in streams if stream.problem] + self.unmatched
        kept: list[Suggestion] = []
        globs: list[Suggestion] = []
        for entry, given in zip(self.plan.entries, self.plan.given, strict=True):
            if entry.is_glob or not any(entry is one for one in replaced):
                why = ["as configured", *(problem for place, problem in problems if place == entry.place)]
                (globs if globs or entry.is_glob else kept).append(Suggestion(dict(given), why))
        new = [stream.suggestion for stream in streams if stream.suggestion and stream.name.strip()]
        return [*kept, *new, *globs]


def _unmatched(watch: NameWatch) -> Iterator[tuple[str, str]]:
    """Give the places of names that match no stream, and what is wrong."""
    for one in watch.unseen:
        if not one.is_glob:
            yield one.place, f"'{display.line(one.name)}' matches no stream of the input{watch.guess(one)}"


def _about_names(what: str, streams: list[Names], many: int) -> Iterator[str]:
    """Warn of names over all streams, for one product has them all."""
    spelled: dict[str, dict[str, None]] = {}
    for name in (name for names in streams for name in names.known):
        spelled.setdefault(folded(name), {})[name] = None
    for spellings in [found for found in spelled.values() if len(found) > 1][:20]:
        listed = ", ".join(repr(display.line(one)) for one in spellings)
        yield f"{what} that differ by case only are one to Kissmetrics: {listed}"
    if len(spelled) > many:
        some = ", ".join(repr(display.line(name, 40)) for name in list(spelled)[:5])
        told = "names made from data (a URL, an order number) use up Kissmetrics' 65,535 permanently"
        yield f"{len(spelled):,} different names of {what} ({some}, ...); {told}"
