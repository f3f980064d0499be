"""The report of a run as one HTML page without personal data: opens offline, without scripts, light and dark.

All text from data is escaped. The page's own policy lets nothing run or load, in case one text is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from html import escape
from importlib.resources import files
from itertools import groupby
from string import Template

from target_kissmetrics.reporting import display as shown
from target_kissmetrics.reporting.counts import FIGURES
from target_kissmetrics.reporting.report import Latency, Moment, Names, RunReport, StreamReport

MANY_EVENT_NAMES = 200  # a stream with more distinct ones likely makes them from data

_ENDINGS = {
    "complete": ("good", "Complete", "Every row that was read is delivered or in the rejects file."),
    "failed": ("stop", "Failed", "What was acknowledged is stored; the next run resumes at the last STATE."),
    "stopped": ("warn", "Stopped", "The next run resumes at the last STATE."),
}

_DELIVERIES = {
    "files": "Calls were written to import files; Kissmetrics has them once it has read the files.",
    "dry run": "This was a dry run. Nothing was sent or stored; calls are those that would be sent.",
    "remember only": "Nothing was sent (remember_only): attributes, aliases and once-only events were stored as sent.",
}

_WIDTH, _HEIGHT = 480, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 460, 12, 166  # of a plot proper; the rest is for the labels of the axes
_ALWAYS = ("rows", "record_calls", "set_calls", "alias_calls", "unchanged", "rejected")  # shown at zero, too


def as_page(report: RunReport) -> str:
    """Write a report as a page."""
    kind, word, meaning = _ENDINGS[report.ended_as]
    reason = f"{report.reason.rstrip('.')}. " if report.reason else ""
    took = f"{number(report.seconds)} s" if report.seconds < 120 else str(timedelta(seconds=round(report.seconds)))
    client = f", requests sent by {report.client}" if report.client else ""
    what = f"target-kissmetrics {report.version}, Meltano SDK {report.sdk}, {report.python}{client}"
    delivery = _DELIVERIES.get(report.delivery)
    body = [
        _totals(report),
        *(_note("warn", "Warning", text) for text in findings(report)),
        _course("All streams", report.over_time, report.seconds),
        _streams(report.streams),
        _slowest(report),
        _counted("Retries by cause", report.retries_by_cause),
        *(_stream(index, stream, report.seconds) for index, stream in enumerate(report.streams)),
    ]
    return Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8")).substitute(
        about=f"Started {report.started}, took {took}. {_text(what)}.",
        notes=_note(kind, word, f"{reason}{meaning}") + (_note("warn", "Note", delivery) if delivery else ""),
        body="\n".join(body),
        settings=_folded("All settings", _pairs("Settings", report.settings.items())),
        names="" if report.has_names else ", nor names of events and properties except those in the settings",
    )


_APART = (
    "For a stream of kind event, set spread_duplicates: true in its entry to give each its own second; messages need "
    "times a second apart."
)


def findings(report: RunReport) -> list[str]:
    """Give what deserves a person's attention, each with what to do."""
    figures = {name: report.figures.get(name, 0) for name in FIGURES}
    lines = []
    if figures["rejected"] or figures["set_aside"]:
        lines.append(
            f"{shown.plural(figures['rejected'], 'row')} rejected, "
            f"{shown.plural(figures['set_aside'], 'property', 'properties')} dropped: rejects_path "
            f"({report.settings.get('rejects_path', '')}) has each with its reason. Fix the mapping, then send them "
            "again with target-kissmetrics-replay."
        )
    if figures["collisions"]:
        lines.append(
            f"{shown.plural(figures['collisions'], 'event')} may count as one with another row's (same person, name "
            f"and second). {_APART}"
        )
    if figures["amount_collisions"]:
        lines.append(
            f"{shown.plural(figures['amount_collisions'], 'amount')} may be lost: Kissmetrics may keep one amount of a "
            f"person a second, whatever the events' names. {_APART}"
        )
    lines += [
        f"Stream {stream.stream}: {_count(stream.event_names)} distinct event names. Kissmetrics has room for 65,535 "
        "in all: make event_name of fields with few values."
        for stream in report.streams
        if stream.event_names is not None and stream.event_names.distinct > MANY_EVENT_NAMES
    ]
    if report.calls and report.retries * 20 > report.calls:
        lines.append(
            f"{shown.plural(report.retries, 'retry', 'retries')}, more than one in 20 calls: if the host is "
            "overloaded, max_requests_per_second or fewer max_connections may be faster."
        )
    return lines


def _totals(report: RunReport) -> str:
    figures = [
        *((FIGURES[name].title, f"{n:,}") for name, n in report.figures.items() if n or name in _ALWAYS),
        ("Retries", f"{report.retries:,}"),
        ("Calls a second", number(report.calls / report.seconds if report.seconds else 0.0)),
        ("Median latency", _seconds(report.latency.median)),
        ("95 % answered within", _seconds(report.latency.p95)),
    ]
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures)
    return f'<h2>Totals</h2><dl class="figures">{items}</dl>'


def _course(title: str, moments: Sequence[Moment], seconds: float) -> str:
    """Plot a course, and add its numbers as a table."""
    if not moments:
        return ""
    middles = [moment.at + moment.seconds / 2 for moment in moments]
    calls = [moment.calls / moment.seconds for moment in moments]
    rows = [moment.rows / moment.seconds for moment in moments]
    latencies = {
        "median": [moment.latency.median for moment in moments],
        "95 % within": [moment.latency.p95 for moment in moments],
        "longest": [moment.latency.longest for moment in moments],
    }
    heads = ("From second", "Rows", "Calls", "Calls a second", "Median", "95 % within", "Longest")
    cells = [
        (f"{one.at:.1f}", f"{one.rows:,}", f"{one.calls:,}", number(rate), *_latencies(one.latency))
        for one, rate in zip(moments, calls, strict=True)
    ]
    plots = (
        plot(f"{title}: calls", "a second", middles, {"calls": calls}, until=seconds),
        plot(f"{title}: latency", "seconds, including retries", middles, latencies, until=seconds),
        plot(f"{title}: rows", "a second", middles, {"rows read": rows}, until=seconds),
    )
    name = f"{title}, in numbers"
    return f'<div class="plots">{"".join(plots)}</div>{_folded(name, _table(name, heads, cells, numbers=range(1, 7)))}'


def _streams(streams: Sequence[StreamReport]) -> str:
    if not streams:
        return "<p>The input had no stream.</p>"
    names = [name for name in FIGURES if name in _ALWAYS or any(stream.figures[name] for stream in streams)]
    heads = ["Stream", *(FIGURES[name].title for name in names), "Retries", "Median", "95 % within"]
    rows = [
        (
            f'<a href="#stream-{index}">{_text(stream.stream)}</a>',
            *(f"{stream.figures[name]:,}" for name in names),
            "not counted" if stream.retries is None else f"{stream.retries:,}",
            *_latencies(stream.latency)[:2],
        )
        for index, stream in enumerate(streams)
    ]
    return f"<h2>Streams</h2>{_table('Rows and calls of each stream', heads, rows, numbers=range(1, len(heads)))}"


def _stream(index: int, stream: StreamReport, seconds: float) -> str:
    facts = [
        ("First event or attribute", stream.first_time or "none"),
        ("Last event or attribute", stream.last_time or "none"),
        ("Distinct event names", _count(stream.event_names)),
        ("Distinct property names", _count(stream.property_names)),
    ]
    parts = [
        f'<section class="stream" id="stream-{index}" aria-labelledby="title-{index}">',
        f'<h2 id="title-{index}">Stream {_text(stream.stream)}</h2>',
        f'<div class="side">{_pairs("Figures", facts, numbers=(1,))}',
        _counted("Rejected rows by reason", stream.rejected_by_reason),
        _counted("Dropped properties by reason", stream.set_aside_by_reason),
        "</div>",
        _course(f"Stream {shown.line(stream.stream)}", stream.over_time, seconds),
    ]
    for title, names in (("Event names", stream.event_names), ("Property names", stream.property_names)):
        if names is not None and names.listed:
            parts.append(_folded(title, f"<p>{', '.join(map(_text, names.listed))}</p>"))
    return "\n".join([*parts, "</section>"])


def _slowest(report: RunReport) -> str:
    if not report.slowest_calls:
        return ""
    rows = [
        (call.type, _text(call.stream), number(call.seconds), f"{call.attempts:,}", f"{call.moment:.1f}")
        + ((_text(call.event or ""),) if report.has_names else ())
        for call in report.slowest_calls
    ]
    heads = ["Call", "Stream", "Seconds", "Attempts", "Answered at second", "Event"][: len(rows[0])]
    slowest = _table("Slowest calls, first attempt to last answer", heads, rows, numbers=(2, 3, 4))
    return f'<div class="side">{slowest}</div>'


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Write a table of HTML cells; the first cell of each row is its head. `numbers` are columns, from 0."""
    classes = [' class="number"' if index in numbers else "" for index in range(len(heads))]
    head = "".join(f'<th scope="col"{kind}>{name}</th>' for kind, name in zip(classes, heads, strict=True))
    lines = "".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(classes[1:], rest, strict=True))
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _note(kind: str, word: str, text: str) -> str:
    """Write a note in the colours of `good`, `warn` or `stop`."""
    return f'<p class="note {kind}"><strong>{word}:</strong> {_text(text, 3000)}</p>'


def _counted(title: str, counts: Mapping[str, int]) -> str:
    return _pairs(title, [(name, f"{count:,}") for name, count in counts.items()], numbers=(1,)) if counts else ""


def _pairs(title: str, pairs: Iterable[tuple[str, str]], *, numbers: Sequence[int] = ()) -> str:
    rows = [(_text(name, 300), _text(value, 2000)) for name, value in pairs]
    return _table(title, ("Name", "Value"), rows, numbers=numbers)


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def _text(text: str, limit: int = shown.SHOWN_CHARACTERS) -> str:
    """Sanitize and escape a text from data."""
    return escape(shown.line(text, limit))


def _count(names: Names | None) -> str:
    if names is None:
        return "not counted"
    return f"more than {names.distinct:,}" if names.more else f"{names.distinct:,}"


def _latencies(latency: Latency) -> list[str]:
    return [_seconds(value) for value in (latency.median, latency.p95, latency.longest)]


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{number(value * 1000)} ms" if value < 1 else f"{number(value)} s"


def plot(
    title: str, unit: str, moments: Sequence[float], lines: Mapping[str, Sequence[float | None]], *, until: float
) -> str:
    """Draw at most three lines as SVG, in colours from the page's CSS; an empty text if none has a value.

    `moments` and `until`, where the time ends, are in seconds. A line is broken where a value is missing.
    """
    values = {name: [value for value in line if value is not None] for name, line in lines.items()}
    drawn = [name for name in lines if values[name]]
    if not drawn:
        return ""
    top = max(max(values[name]) for name in drawn) or 1.0
    until = until or 1.0
    xs = [_LEFT + (_RIGHT - _LEFT) * min(1.0, moment / until) for moment in moments]
    parts = []
    for part in (0, 0.25, 0.5, 0.75, 1):
        y, x = _BOTTOM - (_BOTTOM - _TOP) * part, _LEFT + (_RIGHT - _LEFT) * part
        parts += [
            f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(part * top)}</text>',
            f'<text x="{x:.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{number(part * until)} s</text>',
        ]
    for index, name in enumerate(drawn):
        for is_gap, run in groupby(zip(xs, lines[name], strict=True), key=lambda point: point[1] is None):
            points = [f"{x:.1f},{_BOTTOM - (_BOTTOM - _TOP) * (value or 0.0) / top:.1f}" for x, value in run]
            if not is_gap:
                # A line to itself is a dot: its ends are round.
                parts.append(f'<polyline class="line-{index}" points="{" ".join([*points, points[-1]])}"/>')
    words = "; ".join(f"{name}: from {number(min(values[name]))} to {number(max(values[name]))}" for name in drawn)
    names = [f'<li><span class="line-{index}"></span>{escape(name)}</li>' for index, name in enumerate(drawn)]
    return (
        f"<figure><figcaption>{escape(title)} <span class=soft>({escape(unit)})</span></figcaption>"
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(f"{title}. {words}")}">'
        + "".join(parts)
        + "</svg>"
        + (f'<ul class="legend">{"".join(names)}</ul>' if len(names) > 1 else "")
        + "</figure>"
    )


def number(value: float) -> str:
    """Write a number with three significant digits, or whole."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
