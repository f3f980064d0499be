"""The report of a run as one HTML page without personal data: opens offline, without scripts, light and dark.

All text from data is escaped. The page's own policy lets nothing run or load, in case one text is forgotten.
"""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template

import msgspec

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

_WIDTH, _HEIGHT = 480, 160  # of a plot
_ALWAYS = ("rows", "record_calls", "set_calls", "alias_calls", "unchanged", "rejected")  # shown at zero, too

Row = Mapping[str, object]  # of a table: its texts and numbers, by the head of their column


def as_page(report: RunReport) -> str:
    """Write a report as a page."""
    kind, word, meaning = _ENDINGS[report.ended_as]
    reason = f"{report.reason.rstrip('.')}. " if report.reason else ""
    client = f", requests sent by {report.client}" if report.client else ""
    what = f"target-kissmetrics {report.version}, Meltano SDK {report.sdk}, {report.python}{client}"
    delivery = _DELIVERIES.get(report.delivery)
    streams = [{"Stream": one.stream, **_figures(one.figures, report), **_row(one)} for one in report.streams]
    body = [
        _totals(report),
        *(_note("warn", "Warning", text) for text in findings(report)),
        _course("All streams", report.over_time, report.seconds),
        "<h2>Streams</h2>",
        _table("Rows and calls of each stream", streams, anchor="#stream-"),
        _table("Slowest calls, first attempt to last answer", [*map(_row, report.slowest_calls)]),
        _pairs("Retries by cause", report.retries_by_cause),
        *(_stream(index, stream, report.seconds) for index, stream in enumerate(report.streams)),
    ]
    return Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8")).substitute(
        about=f"Started {report.started}, took {number(report.seconds)} s. {_text(what)}.",
        notes=_note(kind, word, f"{reason}{meaning}") + (_note("warn", "Note", delivery) if delivery else ""),
        body="\n".join(body),
        settings=_folded("All settings", _pairs("Settings", report.settings)),
    )


def findings(report: RunReport) -> list[str]:
    """Give what deserves a person's attention, each with what to do."""
    figures, rejects = report.figures, report.settings.get("rejects_path", "")
    to_spread = "Set spread_duplicates: true (kinds event, segment, mparticle)."
    slow = "If the host is overloaded, max_requests_per_second or fewer max_connections may be faster."
    to_fix = f"They are in rejects_path ({rejects}): fix the mapping, then send them with target-kissmetrics-replay."
    found = [
        (figures["rejected"] + figures["set_aside"], f"rows or properties were not sent. {to_fix}"),
        (figures["collisions"], f"events may count as one with another row's: same person, name, second. {to_spread}"),
        (figures["amount_collisions"], f"amounts share person and second: Kissmetrics may keep only one. {to_spread}"),
        (report.retries if report.retries * 20 > report.calls else 0, f"retries, more than one in 20 calls. {slow}"),
    ]
    return [f"{count:,} {text}" for count, text in found if count] + [
        f"Stream {stream.stream}: {_count(stream.event_names)} distinct event names. Kissmetrics has room for 65,535 "
        "in all: make event_name of fields with few values."
        for stream in report.streams
        if stream.event_names is not None and stream.event_names.distinct > MANY_EVENT_NAMES
    ]


def _totals(report: RunReport) -> str:
    rate = report.calls / max(report.seconds, 1e-3)
    figures = {**_figures(report.figures, report), "Retries": report.retries, "Calls a second": rate}
    figures |= _latencies(report.latency)
    items = "".join(f"<div><dt>{name}</dt><dd>{_cell(value)}</dd></div>" for name, value in figures.items())
    return f'<h2>Totals</h2><dl class="figures">{items}</dl>'


def _figures(figures: Mapping[str, int], report: RunReport) -> dict[str, object]:
    """Give figures by their titles, without those that are zero in all streams."""
    return {FIGURES[name].title: figures[name] for name, total in report.figures.items() if total or name in _ALWAYS}


def _latencies(latency: Latency) -> Row:
    return {"Median latency (s)": latency.median, "95 % within (s)": latency.p95, "Longest (s)": latency.longest}


def _row(part: msgspec.Struct) -> dict[str, object]:
    """Give the fields of a part of the report that a cell can hold."""
    row: dict[str, object] = {}
    for name, value in msgspec.structs.asdict(part).items():
        if isinstance(value, Latency):
            row |= _latencies(value)
        elif isinstance(value, Names):
            row[_title(name)] = _count(value)
        elif value is None or isinstance(value, (str, int, float)):
            row[_title(name)] = value
    return row


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _course(title: str, moments: Sequence[Moment], seconds: float) -> str:
    """Plot a course, and add its numbers as a table."""
    if not moments:
        return ""
    calls = {"calls": [one.calls / one.seconds for one in moments]}
    rows = {"rows read": [one.rows / one.seconds for one in moments]}
    latencies = {
        "median": [one.latency.median for one in moments],
        "95 % within": [one.latency.p95 for one in moments],
        "longest": [one.latency.longest for one in moments],
    }
    middles = [one.at + one.seconds / 2 for one in moments]
    plots = (
        plot(f"{title}: calls", "a second", middles, calls, until=seconds),
        plot(f"{title}: latency", "seconds, including retries", middles, latencies, until=seconds),
        plot(f"{title}: rows", "a second", middles, rows, until=seconds),
    )
    name = f"{title}, in numbers"
    return f'<div class="plots">{"".join(plots)}</div>{_folded(name, _table(name, [*map(_row, moments)]))}'


def _stream(index: int, stream: StreamReport, seconds: float) -> str:
    parts = [
        f'<section class="stream" id="stream-{index}"><h2>Stream {_text(stream.stream)}</h2><div class="side">',
        _pairs("Rejected rows by reason", stream.rejected_by_reason),
        _pairs("Dropped properties by reason", stream.set_aside_by_reason),
        "</div>",
        _course(f"Stream {shown.line(stream.stream)}", stream.over_time, seconds),
    ]
    for title, names in (("Event names", stream.event_names), ("Property names", stream.property_names)):
        if names is not None and names.listed:
            parts.append(_folded(title, f"<p>{', '.join(map(_text, names.listed))}</p>"))
    return "\n".join([*parts, "</section>"])


def _table(caption: str, rows: Sequence[Row], anchor: str = "") -> str:
    """Write a table; the first cell of a row is its head, and with an anchor it leads to `#ANCHOR-NUMBER`."""
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in rows[0])
    lines = []
    for index, (head, *rest) in enumerate([*map(_cell, row.values())] for row in rows):
        first = f'<a href="{anchor}{index}">{head}</a>' if anchor else head
        lines.append(f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _pairs(title: str, pairs: Mapping[str, object]) -> str:
    return _table(title, [{"Name": name, "Value": value} for name, value in pairs.items()])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return number(value)
    return f"{value:,}" if isinstance(value, int) else _text(str(value), 2000)


def _note(kind: str, word: str, text: str) -> str:
    """Write a note in the colours of `good`, `warn` or `stop`."""
    return f'<p class="note {kind}"><strong>{word}:</strong> {_text(text, 3000)}</p>'


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def _text(text: str, limit: int = shown.SHOWN_CHARACTERS) -> str:
    """Sanitize and escape a text from data."""
    return escape(shown.line(text, limit))


def _count(names: Names) -> str:
    return f"{'more than ' if names.more else ''}{names.distinct:,}"


def plot(
    title: str, unit: str, moments: Sequence[float], lines: Mapping[str, Sequence[float | None]], *, until: float
) -> str:
    """Draw at most three lines as SVG, in colours from the page's CSS; an empty text if none has a value.

    `moments` and `until`, where the time ends, are in seconds. A line is broken where a value is missing. The highest
    value is at the top; the words beneath say which it is.
    """
    values = {name: [value for value in line if value is not None] for name, line in lines.items()}
    drawn = [name for name in lines if values[name]]
    top = max((max(values[name]) for name in drawn), default=0) or 1.0
    paths, words = [], []
    for index, name in enumerate(drawn):
        path, is_gap = "", True
        for moment, value in zip(moments, lines[name], strict=True):
            if value is not None:
                x, y = _WIDTH * moment / max(until, 1e-3), _HEIGHT - _HEIGHT * value / top
                # A line of no length, behind a gap, is a dot: its ends are round.
                path += f"M{x:.1f},{y:.1f}h0" if is_gap else f"L{x:.1f},{y:.1f}"
            is_gap = value is None
        paths.append(f'<path class="line-{index}" d="{path}"/>')
        words.append(f"{name}: from {number(min(values[name]))} to {number(max(values[name]))}")
    legend = "".join(f'<li><span class="line-{index}"></span>{line}</li>' for index, line in enumerate(words))
    figure = (
        f"<figure><figcaption>{escape(title)} <span class=soft>({escape(unit)})</span></figcaption>"
        f'<svg class="plot" viewBox="-8 -8 {_WIDTH + 16} {_HEIGHT + 16}" role="img" '
        f'aria-label="{escape(title)}. {"; ".join(words)}">{"".join(paths)}</svg>'
        f'<ul class="legend">{legend}</ul></figure>'
    )
    return figure if drawn else ""


def number(value: float) -> str:
    """Write a number with three significant digits, or whole."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
