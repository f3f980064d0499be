"""A preview as one HTML page: opens offline, without scripts, readable by eye and by screen reader, light and dark.

All that comes from data is escaped, and the page's own policy lets nothing run or load, should one be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from target_kissmetrics.kissmetrics.calls import Alias, Call
from target_kissmetrics.preview import shown
from target_kissmetrics.preview.collecting import Loss, Preview, StreamPreview
from target_kissmetrics.preview.entries import as_yaml
from target_kissmetrics.preview.explaining import RowShown
from target_kissmetrics.preview.text import NOTHING_SENT, describe_call, figures

MAX_LISTED = 200
"""Events, and properties, that are listed for a stream."""

_STYLE = """
:root { --back: #fff; --text: #1c2024; --soft: #56606a; --line: #d3d9df; --panel: #f4f6f8; --link: #0b5cad;
  --warn: #8a4b00; --warn-back: #fff6e5; --stop: #a3230b; --stop-back: #fdeeea; --good: #14682f; --id: #7a2a8f; }
@media (prefers-color-scheme: dark) { :root { --back: #14171a; --text: #e6e9ec; --soft: #a6b0ba; --line: #3a424a;
  --panel: #1d2125; --link: #7db8f5; --warn: #ffc46b; --warn-back: #2b2315; --stop: #ff9d85; --stop-back: #301a16;
  --good: #7fd69a; --id: #d9a6ea; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem 1.25rem 4rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.25rem; margin: 0 0 .5rem; } h3 { font-size: 1.05rem;
  margin: 1.25rem 0 .4rem; }
.soft { color: var(--soft); } a { color: var(--link); }
nav ul { padding-left: 1.2rem; } .skip { position: absolute; left: -99rem; } .skip:focus { position: static; }
section.stream { border-top: 2px solid var(--line); margin-top: 2rem; padding-top: 1rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; margin: .25rem 0 .75rem; }
caption { text-align: left; font-weight: 600; padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  min-width: 7.5rem; }
thead th { color: var(--soft); font-size: .875rem; } tbody th { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; min-width: 4rem; }
.note { border-left: .3rem solid; padding: .5rem .8rem; margin: .5rem 0; border-radius: .2rem; }
.warn { border-color: var(--warn); background: var(--warn-back); } .stop { border-color: var(--stop);
  background: var(--stop-back); }
pre, code { font: .875rem/1.45 ui-monospace, monospace; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: .4rem; padding: .7rem .9rem;
  white-space: pre-wrap; }
.calls { list-style: none; padding: 0; } .calls > li { background: var(--panel); border: 1px solid var(--line);
  border-radius: .4rem; padding: .5rem .8rem; margin: .4rem 0; }
.role { display: inline-block; font-size: .8rem; border: 1px solid; border-radius: 1rem; padding: 0 .5rem;
  margin-right: .4rem; }
.identity { color: var(--id); } .event, .time { color: var(--link); } .revenue, .calls-role { color: var(--good); }
.aside { color: var(--warn); } .rejected { color: var(--stop); } .left-out { color: var(--soft); }
details > summary { cursor: pointer; font-weight: 600; padding: .3rem 0; }
  :focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
"""


def as_page(preview: Preview, problem: str | None = None) -> str:
    """Write a preview as a page.

    Args:
        preview: It is finished.
        problem: What ended the input early, if anything did.
    """
    streams = list(preview.streams.values())
    body = [
        '<a class="skip" href="#main">Skip to the streams</a>',
        "<header><h1>What would be sent to Kissmetrics</h1>",
        f'<p class="soft">{escape(NOTHING_SENT)}</p></header>',
        _note("stop", f"The input ended early: {problem}") if problem else "",
        *(_note("warn", text) for text in (*preview.skipped, *preview.warnings)),
        _contents(streams),
        '<main id="main">',
        *(_stream(number, stream) for number, stream in enumerate(streams)),
        "" if streams else "<p>The input holds no stream.</p>",
        _suggestions(preview),
        "</main>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="referrer" content="no-referrer">'
        f"<title>Preview: what would be sent to Kissmetrics</title><style>{_STYLE}</style></head>\n<body>"
        + "\n".join(part for part in body if part)
        + "</body></html>\n"
    )


def _note(kind: str, text: str) -> str:
    word = {"warn": "Warning", "stop": "Stop"}[kind]
    return f'<p class="note {kind}"><strong>{word}:</strong> {escape(shown.line(text, 2000))}</p>'


def _contents(streams: Sequence[StreamPreview]) -> str:
    if len(streams) < 2:
        return ""
    items = "".join(
        f'<li><a href="#stream-{number}">{escape(shown.line(stream.name))}</a> '
        f'<span class="soft">{escape(stream.kind or "not understood")}, {shown.plural(stream.rows, "row")}</span></li>'
        for number, stream in enumerate(streams)
    )
    return f'<nav aria-label="Streams"><ul>{items}</ul></nav>'


def _stream(number: int, stream: StreamPreview) -> str:
    settled = stream.suggestion is not None and stream.suggestion.settles
    parts = [
        f'<section class="stream" id="stream-{number}" aria-labelledby="title-{number}">',
        f'<h2 id="title-{number}">Stream {escape(shown.line(stream.name))}</h2>',
        _note("stop", f"a run would stop here. {stream.problem}") if stream.problem else "",
        "<p>Below it is read with the suggested entry.</p>" if settled else "",
        f"<pre><code>{escape(as_yaml([stream.suggestion]))}</code></pre>" if stream.suggestion and settled else "",
        f"<p>Read as <strong>{escape(stream.kind)}</strong>: {escape(shown.line(stream.why, 400))}.</p>",
        f'<p class="soft">{escape(shown.line(stream.described, 1000))}</p>' if stream.described else "",
        f"<p>{escape(figures(stream))}</p>",
        *(_note("warn", text) for text in stream.warnings),
        "<h3>First rows, and what they become</h3>" if stream.first else "",
        *(_row(row, is_open=index == 0) for index, row in enumerate(stream.first)),
        _totals(stream),
        _losses("Rows that are rejected", stream.rejected),
        _losses("Properties set aside", stream.asides),
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _row(row: RowShown, *, is_open: bool) -> str:
    outcome = f"rejected: {row.rejected[0]}" if row.rejected else shown.plural(len(row.calls), "call")
    fields = _table(
        f"Fields of row {row.number:,}",
        ("Field", "Value", "Becomes"),
        [
            (
                escape(field.name),
                f"<code>{escape(field.value)}</code>",
                f'<span class="role {_role_class(field.role)}">{field.role}</span> {escape(field.text)}',
            )
            for field in row.fields
        ],
    )
    more = f"<p>and {shown.plural(row.more_fields, 'more field')}</p>" if row.more_fields else ""
    if row.rejected:
        calls = _note("stop", f"rejected ({row.rejected[0]}): {row.rejected[1]}")
    elif row.calls:
        calls = f'<ol class="calls">{"".join(map(_call, row.calls))}</ol>'
    else:
        calls = "<p>No call: nothing is left of it to send.</p>"
    opened = " open" if is_open else ""
    return f"<details{opened}><summary>Row {row.number:,}: {escape(outcome)}</summary>{fields}{more}{calls}</details>"


def _role_class(role: str) -> str:
    return {"left out": "left-out", "calls": "calls-role"}.get(role, role)


def _call(call: Call) -> str:
    pairs = ""
    if not isinstance(call, Alias) and call.properties:
        pairs = "<br>" + "; ".join(
            f"{escape(shown.line(name))} = <code>{escape(shown.line(value))}</code>"
            for name, value in call.properties.items()
        )
    return f"<li><strong>{escape(describe_call(call))}</strong>{pairs}</li>"


def _totals(stream: StreamPreview) -> str:
    events = sorted(stream.totals.events.values(), key=lambda event: -event.count)
    properties = sorted(stream.totals.properties.values(), key=lambda one: -one.count)
    parts = []
    if events:
        rows = [
            (
                escape(shown.line(event.name)),
                shown.count(event.count),
                shown.moment(event.first),
                shown.moment(event.last),
                f"{event.revenue:f}" if event.revenue else "",
            )
            for event in events[:MAX_LISTED]
        ]
        parts.append(_table("Events", ("Name", "Count", "First", "Last", "Revenue"), rows, numbers=(1, 4)))
        parts.append(_more(len(events), stream.totals.other_events))
    if properties:
        rows_of_properties = [
            (
                escape(shown.line(one.name)),
                shown.count(one.count),
                ", ".join(f"<code>{escape(shown.line(example, 60))}</code>" for example in one.examples),
            )
            for one in properties[:MAX_LISTED]
        ]
        parts.append(_table("Properties", ("Name", "Count", "Such as"), rows_of_properties, numbers=(1,)))
        parts.append(_more(len(properties), stream.totals.other_properties))
    return "\n".join(part for part in parts if part)


def _more(names: int, others: int) -> str:
    if names <= MAX_LISTED and not others:
        return ""
    uncounted = f", and {others:,} of names beyond these" if others else ""
    return f"<p>{names:,} names in all, the most frequent are listed{uncounted}.</p>"


def _losses(title: str, losses: dict[str, Loss]) -> str:
    if not losses:
        return ""
    rows = [
        (
            escape(code),
            shown.count(loss.count),
            escape(f"row {loss.example:,}" + (f", {loss.field}" if loss.field else "")),
            escape(loss.reason),
        )
        for code, loss in sorted(losses.items(), key=lambda item: -item[1].count)
    ]
    return _table(title, ("Code", "Count", "First at", "Why, and what to do"), rows, numbers=(1,))


def _suggestions(preview: Preview) -> str:
    suggestions = preview.suggestions()
    if not suggestions:
        return ""
    return (
        '<section class="stream" aria-labelledby="entries">'
        '<h2 id="entries">The entries of <code>streams</code> to use</h2>'
        "<p>To paste into <code>meltano.yml</code>, once it is as it should be.</p>"
        f"<pre><code>{escape(as_yaml(suggestions))}</code></pre></section>"
    )


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Write a table; cells are HTML already, each row's first one is its head."""
    classes = ['class="number"' if index in numbers else "" for index in range(len(heads))]
    head = "".join(f'<th scope="col" {classes[index]}>{name}</th>' for index, name in enumerate(heads))
    lines = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f"<td {classes[index]}>{cell}</td>" for index, cell in enumerate(row) if index)
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )
