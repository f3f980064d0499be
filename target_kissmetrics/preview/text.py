"""A preview for a terminal; plain where none is there, NO_COLOR is set, or a file takes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record
from target_kissmetrics.preview.collecting import Loss, Preview, StreamPreview
from target_kissmetrics.preview.entries import entry_yaml
from target_kissmetrics.preview.explaining import FORGOTTEN, RowShown
from target_kissmetrics.preview.suggesting import Suggestion
from target_kissmetrics.preview.totals import sender
from target_kissmetrics.reporting import display as shown
from target_kissmetrics.reporting.counts import by_code

MAX_LISTED = 30
"""Events, and properties, that are listed for a stream."""

NOTHING_SENT = "Nothing was sent, nothing was remembered. Attributes that do not change are sent once only by a run."

REJECTED = "Rows, and events of batches, that are rejected"
SET_ASIDE = "Properties set aside"
LEFT_OUT = "Types left out"

_STYLES = {
    "identity": "bold magenta", "event": "bold cyan", "time": "bold blue", "revenue": "bold green", "property": "",
    "calls": "green", "aside": "yellow", "left out": "dim", "forgotten": "yellow", "rejected": "bold red",
}  # fmt: skip


def print_preview(preview: Preview, console: Console) -> None:
    """Print a preview."""
    for text in preview.skipped:
        console.print(Text(f"! {shown.line(text, 400)}", "yellow"))
    for stream in preview.streams.values():
        console.print(_stream(stream), "")
    if not preview.streams:
        console.print("The input holds no stream.")
    console.print(*_warnings(preview.warnings), sep="\n", end="\n" if preview.warnings else "")
    console.print(Text(NOTHING_SENT, "dim"))


def describe_call(call: Call) -> str:
    """Write a call in one line, without its properties."""
    if isinstance(call, Alias):
        return f"alias  {shown.line(call.person)} = {shown.line(call.other)}, for ever"
    what = f"record {shown.line(call.event)}" if isinstance(call, Record) else "set   "
    return f"{what}  person {shown.line(call.person)}  at {shown.moment(call.time)}"


def without_call(row: RowShown) -> list[str]:
    """Write what of a row has no call, in lines."""
    lines = [f"rejected at {shown.line(path)} ({code}): {shown.line(reason, 400)}" for path, code, reason in row.parts]
    if row.left_out:
        lines.append(f"left out, by type: {shown.line(by_code(Counter(row.left_out)), 400)}")
    return lines + [f"forget {shown.line(name)}, {FORGOTTEN}" for name in row.forgotten]


def lefts_out(stream: StreamPreview) -> list[tuple[str, str]]:
    """Give the types that are left out, the most frequent first, each with its count."""
    return [(shown.line(kind), shown.count(number)) for kind, number in stream.left_out.most_common()]


def call_pairs(call: Call) -> list[tuple[str, str]]:
    """Give what a call carries: the person's address and user agent, then the properties."""
    return [] if isinstance(call, Alias) else [*sender(call), *call.properties.items()]


def used_below(suggestion: Suggestion) -> str:
    """Write what of a suggestion the preview goes on with."""
    if suggestion.used_id:
        return f"Suggested, and used below, but for the ID: people are named by {shown.line(suggestion.used_id)} there:"
    return "Suggested, and used below:"


def figures(stream: StreamPreview) -> str:
    """Write a stream's counts in one line."""
    calls = stream.totals.calls
    parts = [
        shown.plural(stream.rows, "row"),
        f"calls: {calls['record']:,} record, {calls['set']:,} set, {calls['alias']:,} alias",
        f"identities: {'more than ' if stream.totals.more_identities else ''}{len(stream.totals.identities):,}",
    ]
    if stream.totals.senders:
        beside = ", ".join(f"{name} with {number:,}" for name, number in sorted(stream.totals.senders.items()))
        parts.append(f"personal data beside calls (send_ip_and_user_agent): {beside}")
    if stream.totals.revenue:
        parts.append(f"{stream.totals.revenue_key} {stream.totals.revenue:f}")
    if stream.deleted:
        parts.append(f"{stream.deleted:,} deleted at the source, which Kissmetrics cannot do")
    if stream.deleted_attributes:
        parts.append(
            f"{shown.plural(stream.deleted_attributes, 'attribute')} deleted at the source, forgotten by a run"
        )
    return "; ".join(parts)


def _stream(stream: StreamPreview) -> RenderableType:
    parts: list[RenderableType] = [Rule(Text(f"stream {shown.line(stream.name)}", "bold"), align="left")]
    if stream.problem is not None:
        parts.append(Text(f"A run would stop here: {shown.line(stream.problem, 2000)}", "bold red"))
    if stream.suggestion is not None and stream.suggestion.settles:
        parts += [
            Text(used_below(stream.suggestion)),
            Padding(Text(entry_yaml(stream.suggestion), "green"), (0, 0, 0, 2)),
        ]
    if stream.kind:
        parts.append(Text(f"read as {stream.kind}: {shown.line(stream.why, 400)}", "bold"))
    if stream.described:
        parts.append(Text(shown.line(stream.described, 1000)))
    parts.append(Text(figures(stream)))
    parts += [_row(row) for row in stream.first]
    parts += _totals(stream)
    parts += _losses(REJECTED, stream.rejected) + _losses(SET_ASIDE, stream.asides) + _left_out(stream)
    parts += _warnings(stream.warnings)
    return Group(*parts)


def _row(row: RowShown) -> RenderableType:
    table = Table("field", "value", "becomes", title=f"row {row.number:,}", title_justify="left", title_style="bold")
    for field in row.fields:
        style = _STYLES[field.role]
        table.add_row(Text(field.name), Text(field.value), Text(field.text, style))
    parts: list[RenderableType] = ["", table]
    if row.more_fields:
        parts.append(f"and {shown.plural(row.more_fields, 'more field')}")
    if row.rejected is not None:
        parts.append(Text(f"-> rejected ({row.rejected[0]}): {shown.line(row.rejected[1], 400)}", "bold red"))
    elif not row.calls:
        parts.append(Text("-> no call: nothing is left of it to send", "yellow"))
    parts += [Text(f"-> {line}") for call in row.calls for line in _call_lines(call)]
    parts += [Text(f"-> {line}", "yellow") for line in without_call(row)]
    return Group(*parts)


def _call_lines(call: Call) -> Iterable[str]:
    yield describe_call(call)
    pairs = [f"{shown.line(name)} = {shown.line(value, 60)}" for name, value in call_pairs(call)]
    if pairs:
        yield "     " + "; ".join(pairs)


def _totals(stream: StreamPreview) -> list[RenderableType]:
    parts: list[RenderableType] = []
    events = sorted(stream.totals.events.values(), key=lambda event: -event.count)
    if events:
        table = Table("event", "count", "first", "last", "revenue", title="Events", title_justify="left")
        for event in events[:MAX_LISTED]:
            table.add_row(
                Text(shown.line(event.name)),
                shown.count(event.count),
                shown.moment(event.first),
                shown.moment(event.last),
                f"{event.revenue:f}" if event.revenue else "",
            )
        parts += ["", table, *_more(len(events), stream.totals.other_events)]
    properties = sorted(stream.totals.properties.values(), key=lambda one: -one.count)
    if properties:
        table = Table("property", "count", "such as", title="Properties", title_justify="left")
        for one in properties[:MAX_LISTED]:
            examples = ", ".join(shown.line(example, 30) for example in one.examples)
            table.add_row(Text(shown.line(one.name)), shown.count(one.count), Text(examples))
        parts += ["", table, *_more(len(properties), stream.totals.other_properties)]
    return parts


def _more(names: int, others: int) -> list[RenderableType]:
    if names <= MAX_LISTED and not others:
        return []
    uncounted = f", and {others:,} of names beyond these" if others else ""
    return [f"{names:,} names in all, the most frequent are listed{uncounted}"]


def _losses(title: str, losses: dict[str, Loss]) -> list[RenderableType]:
    if not losses:
        return []
    table = Table("code", "count", "first at", "why, and what to do", title=title, title_justify="left")
    for code, loss in sorted(losses.items(), key=lambda item: -item[1].count):
        where = f"row {loss.example:,}" + (f", {loss.field}" if loss.field else "")
        table.add_row(code, shown.count(loss.count), Text(where), Text(loss.reason))
    return ["", table]


def _left_out(stream: StreamPreview) -> list[RenderableType]:
    if not stream.left_out:
        return []
    table = Table("type", "count", title=LEFT_OUT, title_justify="left")
    for kind, number in lefts_out(stream):
        table.add_row(Text(kind), number)
    return ["", table]


def _warnings(warnings: Iterable[str]) -> list[RenderableType]:
    return [Text(f"! {text}", "yellow") for text in warnings]
