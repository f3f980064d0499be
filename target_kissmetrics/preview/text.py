"""What a preview shows: printed on a terminal, or exported by rich as one HTML page that opens offline."""

import io
import os
from collections.abc import Iterator, Sequence
from typing import IO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.preview.explaining import MAX_FIELDS, MappedRow, shown
from target_kissmetrics.preview.preview import Preview
from target_kissmetrics.preview.stream import SUGGESTED, Loss, StreamPreview
from target_kissmetrics.preview.suggest.entry import as_yaml
from target_kissmetrics.preview.totals import MAX_IDENTITIES, Names, sender
from target_kissmetrics.reporting import display
from target_kissmetrics.reporting.counts import by_code

_NAMES_LISTED = 50
_PLAIN_WIDTH = 120
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Preview: what would be sent to Kissmetrics</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>body {{ color: {foreground}; background: {background}; }} pre {{ font: .875rem/1.35 ui-monospace, monospace; }}
</style></head><body><main><pre><code>{code}</code></pre></main></body></html>
"""
_STYLES = {
    "identity": "bold magenta", "event": "bold cyan", "time": "bold blue", "revenue": "bold green", "calls": "green",
    "dropped": "yellow", "deleted": "yellow", "unused": "dim", "rejected": "bold red",
}  # fmt: skip


def print_preview(preview: Preview, file: IO[str]) -> None:
    """Print a preview; plain where the file is no terminal, or NO_COLOR is set."""
    is_set = os.environ.get("COLUMNS", "").lstrip("0").isdigit()
    _print(preview, _console(file, None if is_set or file.isatty() else _PLAIN_WIDTH))


def as_page(preview: Preview, problem: str | None = None) -> str:
    """Write a finished preview as an HTML page, with the entries to use at its end; `problem` ended the input early."""
    console = _console(io.StringIO(), _PLAIN_WIDTH, record=True)
    if problem is not None:
        console.print(Text(f"The input ended early: {_message(problem)}", "bold red"))
    _print(preview, console)
    console.print(Rule(Text("the entries of streams to use", "bold"), align="left"))
    # Not wrapped, so that comments can be pasted.
    console.print(Text(as_yaml(preview.suggestions()), "green"), soft_wrap=True)
    return console.export_html(code_format=_PAGE, inline_styles=True)


def _console(file: IO[str], width: int | None, *, record: bool = False) -> Console:
    # Data is neither markup nor emoji.
    return Console(
        file=file, width=width, record=record, highlight=False, markup=False, emoji=False,
        safe_box=True, legacy_windows=False,
    )  # fmt: skip


def _print(preview: Preview, console: Console) -> None:
    for stream in preview.streams.values():
        for block in _stream(stream):
            console.print(block)
        console.print("")
    if not preview.streams:
        console.print("The input has no stream.")
    for warning in preview.warnings:
        console.print(_warning(warning))
    console.print(Text("Nothing was sent or stored. A run sends attributes only when they change.", "dim"))


def _message(text: str) -> str:
    return display.line(text, 2000)


def _warning(text: str) -> Text:
    return Text(f"! {_message(text)}", "yellow")


def _stream(stream: StreamPreview) -> Iterator[RenderableType]:
    yield Rule(Text(f"stream {display.line(stream.name)}", "bold"), align="left")
    if stream.problem is not None:
        yield Text(f"A run would stop here: {_message(stream.problem)}", "bold red")
    if stream.suggestion is not None and stream.entry.place == SUGGESTED:
        yield "Suggested, and used below:"
        yield Padding(Text(as_yaml([stream.suggestion]), "green"), (0, 0, 0, 2))
    if stream.kind:
        yield Text(f"read as {stream.kind}: {_message(stream.why)}", "bold")
    if stream.described:
        yield Text(_message(stream.described))
    yield Text("; ".join(_figures(stream)))
    for row in stream.first:
        yield from _row(row)
    yield from _names("Events", ("event", "count", "first", "last", "revenue"), stream.totals.events)
    yield from _names("Properties", ("property", "count", "such as"), stream.totals.properties)
    yield from _losses("Rejected rows, and rejected events of batches", stream.rejected)
    yield from _losses("Dropped properties", stream.dropped)
    yield from map(_warning, stream.warnings)


def _figures(stream: StreamPreview) -> Iterator[str]:
    totals, counts = stream.totals, stream.counts
    yield display.plural(counts.rows, "row")
    yield f"calls: {totals.calls['record']:,} record, {totals.calls['set']:,} set, {totals.calls['alias']:,} alias"
    yield f"identities: {'at least ' if len(totals.identities) == MAX_IDENTITIES else ''}{len(totals.identities):,}"
    if totals.revenue:
        yield f"{totals.revenue_key} {totals.revenue:f}"
    if counts.left_out:
        yield f"skipped, by type: {_message(by_code(counts.left_out))}"
    yield from counts.if_any()


def _row(row: MappedRow) -> Iterator[RenderableType]:
    fields = [(field.name, field.value, Text(field.text, _STYLES.get(field.role, ""))) for field in row.fields]
    title = f"row {row.number:,}" + (f", its first {MAX_FIELDS} fields" if len(fields) == MAX_FIELDS else "")
    yield from _table(title, ("field", "value", "becomes"), fields)
    mapped = row.outcome
    if isinstance(mapped, Rejected):
        yield Text(f"-> rejected ({mapped.code}): {_message(str(mapped))}", "bold red")
        return
    yield from (Text(f"-> {line}") for call in mapped.calls for line in _call(call))
    if mapped.is_filtered:
        yield Text("-> filtered: `when` leaves it out, or nothing in it has happened", "yellow")
    elif not mapped.calls:
        yield Text("-> no call: no field of it is sent", "yellow")


def _call(call: Call) -> Iterator[str]:
    if isinstance(call, Alias):
        yield f"alias  {display.line(call.person)} = {display.line(call.other)}, permanently"
        return
    what = f"record {display.line(call.event)}" if isinstance(call, Record) else "set   "
    yield f"{what}  person {display.line(call.person)}  at {display.moment(call.time)}"
    pairs = [*sender(call), *call.properties.items()]
    if pairs:
        yield "     " + "; ".join(map(shown, pairs))


def _names(title: str, heads: Sequence[str], names: Names) -> Iterator[RenderableType]:
    rows = []
    for name, total in sorted(names.known.items(), key=lambda item: -item[1].count)[:_NAMES_LISTED]:
        more = [", ".join(display.line(example, 30) for example in total.examples)]
        if total.first:
            revenue = f"{total.revenue:f}" if total.revenue else ""
            more = [display.moment(total.first), display.moment(total.last), revenue]
        rows.append((display.line(name), f"{total.count:,}", *more))
    yield from _table(title, heads, rows)
    if len(names.known) > _NAMES_LISTED:
        yield f"{len(names.known):,} names in all, and {names.others:,} calls with still others"


def _losses(title: str, losses: dict[str, Loss]) -> Iterator[RenderableType]:
    rows = []
    for code, loss in sorted(losses.items(), key=lambda item: -item[1].count):
        place = f"row {loss.row:,}, {loss.field}" if loss.field else f"row {loss.row:,}"
        rows.append((code, f"{loss.count:,}", place, loss.reason))
    yield from _table(title, ("code", "count", "first at", "why, and what to do"), rows)


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Iterator[RenderableType]:
    if rows:
        table = Table(*heads, title=title, title_justify="left", title_style="bold")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
        yield ""
        yield table
