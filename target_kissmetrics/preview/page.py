"""A preview as one HTML page: opens offline, without scripts, readable by eye and by screen reader, light and dark.

All that comes from data is escaped, and the page's own policy lets nothing run or load, should one be forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from target_kissmetrics.kissmetrics.calls import Call
from target_kissmetrics.preview.collecting import Loss, Preview, StreamPreview
from target_kissmetrics.preview.entries import as_yaml
from target_kissmetrics.preview.explaining import RowShown
from target_kissmetrics.preview.text import (
    LEFT_OUT,
    NOTHING_SENT,
    REJECTED,
    SET_ASIDE,
    call_pairs,
    describe_call,
    figures,
    lefts_out,
    used_below,
    without_call,
)
from target_kissmetrics.reporting import display as shown
from target_kissmetrics.reporting import html_page

MAX_LISTED = 200
"""Events, and properties, that are listed for a stream."""

_STYLE = """
.calls { list-style: none; padding: 0; } .calls > li { background: var(--panel); border: 1px solid var(--line);
  border-radius: .4rem; padding: .5rem .8rem; margin: .4rem 0; }
.role { display: inline-block; font-size: .8rem; border: 1px solid; border-radius: 1rem; padding: 0 .5rem;
  margin-right: .4rem; }
.identity { color: var(--id); } .event, .time { color: var(--link); } .revenue, .calls-role { color: var(--good); }
.aside, .forgotten { color: var(--warn); } .rejected { color: var(--stop); } .left-out { color: var(--soft); }
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
        html_page.note("stop", f"The input ended early: {problem}") if problem else "",
        *(html_page.note("warn", text) for text in (*preview.skipped, *preview.warnings)),
        _contents(streams),
        '<main id="main">',
        *(_stream(number, stream) for number, stream in enumerate(streams)),
        "" if streams else "<p>The input holds no stream.</p>",
        _suggestions(preview),
        "</main>",
    ]
    return html_page.document("Preview: what would be sent to Kissmetrics", body, style=_STYLE)


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
        html_page.note("stop", f"a run would stop here. {stream.problem}") if stream.problem else "",
        f"<p>{escape(used_below(stream.suggestion))}</p>" if stream.suggestion and settled else "",
        f"<pre><code>{escape(as_yaml([stream.suggestion]))}</code></pre>" if stream.suggestion and settled else "",
        f"<p>Read as <strong>{escape(stream.kind)}</strong>: {escape(shown.line(stream.why, 400))}.</p>",
        f'<p class="soft">{escape(shown.line(stream.described, 1000))}</p>' if stream.described else "",
        f"<p>{escape(figures(stream))}</p>",
        *(html_page.note("warn", text) for text in stream.warnings),
        "<h3>First rows, and what they become</h3>" if stream.first else "",
        *(_row(row, is_open=index == 0) for index, row in enumerate(stream.first)),
        _totals(stream),
        _losses(REJECTED, stream.rejected),
        _losses(SET_ASIDE, stream.asides),
        _left_out(stream),
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _row(row: RowShown, *, is_open: bool) -> str:
    outcome = f"rejected: {row.rejected[0]}" if row.rejected else shown.plural(len(row.calls), "call")
    fields = html_page.table(
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
        calls = html_page.note("stop", f"rejected ({row.rejected[0]}): {row.rejected[1]}")
    elif row.calls:
        calls = f'<ol class="calls">{"".join(map(_call, row.calls))}</ol>'
    else:
        calls = "<p>No call: nothing is left of it to send.</p>"
    calls += "".join(f"<p>{escape(line)}.</p>" for line in without_call(row))
    opened = " open" if is_open else ""
    return f"<details{opened}><summary>Row {row.number:,}: {escape(outcome)}</summary>{fields}{more}{calls}</details>"


def _role_class(role: str) -> str:
    return {"left out": "left-out", "calls": "calls-role"}.get(role, role)


def _call(call: Call) -> str:
    pairs = ""
    listed = "; ".join(
        f"{escape(shown.line(name))} = <code>{escape(shown.line(value))}</code>" for name, value in call_pairs(call)
    )
    if listed:
        pairs = f"<br>{listed}"
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
        parts.append(html_page.table("Events", ("Name", "Count", "First", "Last", "Revenue"), rows, numbers=(1, 4)))
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
        parts.append(html_page.table("Properties", ("Name", "Count", "Such as"), rows_of_properties, numbers=(1,)))
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
    return html_page.table(title, ("Code", "Count", "First at", "Why, and what to do"), rows, numbers=(1,))


def _left_out(stream: StreamPreview) -> str:
    if not stream.left_out:
        return ""
    rows = [(escape(kind), number) for kind, number in lefts_out(stream)]
    return html_page.table(LEFT_OUT, ("Type", "Count"), rows, numbers=(1,))


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
