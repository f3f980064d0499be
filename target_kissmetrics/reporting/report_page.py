"""The report of a run as one HTML page: opens offline, can be attached to a ticket, holds no personal data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from html import escape

from target_kissmetrics.reporting import display as shown
from target_kissmetrics.reporting.counts import FIGURES
from target_kissmetrics.reporting.html_page import document, note, table
from target_kissmetrics.reporting.plot import number, plot
from target_kissmetrics.reporting.report import Latency, Moment, Names, RunReport, StreamReport

MANY_EVENT_NAMES = 200
"""A stream with more distinct names than this likely makes them from data."""

_ENDINGS = {
    "complete": ("good", "Complete", "Every row that was read is delivered or in the rejects file."),
    "failed": ("stop", "Failed", "What was acknowledged is stored; the next run resumes at the last STATE."),
    "stopped": ("warn", "Stopped", "The next run resumes at the last STATE."),
}

_DELIVERIES = {
    "api": "",
    "files": '<p class="soft">Calls were written to import files; Kissmetrics has them once it has read the files.</p>',
    "dry run": note("warn", "this was a dry run. Nothing was sent or stored; calls are those that would be sent."),
}

_ALWAYS = ("rows", "record_calls", "set_calls", "alias_calls", "unchanged", "rejected")
"""Figures that are shown at zero, too."""


def as_page(report: RunReport) -> str:
    """Write a report as a page."""
    kind, word, meaning = _ENDINGS[report.ended_as]
    reason = f"{report.reason.rstrip('.')}. " if report.reason else ""
    took = f"{number(report.seconds)} s" if report.seconds < 120 else f"{timedelta(seconds=round(report.seconds))} h"
    client = f", requests sent by {report.client}" if report.client else ""
    what = f"target-kissmetrics {report.version}, Meltano SDK {report.sdk}, {report.python}{client}"
    names = "" if report.has_names else ", nor names of events and properties except those in the settings"
    body = [
        '<a class="skip" href="#main">Skip to the figures</a>',
        "<header><h1>Run of target-kissmetrics</h1>",
        f'<p class="soft">Started {report.started}, took {took}. {_text(what)}.</p></header>',
        note(kind, f"{reason}{meaning}", word),
        _DELIVERIES[report.delivery],
        '<main id="main">',
        _totals(report),
        *(note("warn", text) for text in findings(report)),
        _course("All streams", report.over_time, report.seconds),
        _streams(report.streams),
        _slowest(report),
        _counted("Retries by cause", report.retries_by_cause),
        *(_stream(index, stream, report.seconds) for index, stream in enumerate(report.streams)),
        '<section class="stream"><h2>Settings</h2>',
        _folded("All settings", _pairs("Settings", report.settings.items())),
        "</section></main>",
        f'<footer class="soft">This page holds no identity, no value of a property and no API key{names}.</footer>',
    ]
    return document("Run of target-kissmetrics", body)


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
            f"Kissmetrics drops {shown.plural(figures['collisions'], 'event')} as duplicates of another row's (same "
            "person, name and second): set spread_duplicates: true in the stream's entry to give each its own second."
        )
    if figures["amount_collisions"]:
        lines.append(
            f"{shown.plural(figures['amount_collisions'], 'amount')} lost: Kissmetrics keeps one amount of a person a "
            "second, whatever the events' names. Set spread_duplicates: true in the stream's entry to keep all."
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
    numbers = table(
        f"{title}, in numbers",
        ("From second", "Rows", "Calls", "Calls a second", "Median", "95 % within", "Longest"),
        [
            (f"{one.at:.1f}", f"{one.rows:,}", f"{one.calls:,}", number(rate), *_latencies(one.latency))
            for one, rate in zip(moments, calls, strict=True)
        ],
        numbers=range(1, 7),
    )
    return (
        '<div class="plots">'
        + plot(f"{title}: calls", "a second", middles, {"calls": calls}, until=seconds)
        + plot(f"{title}: latency", "seconds, including retries", middles, latencies, until=seconds)
        + plot(f"{title}: rows", "a second", middles, {"rows read": rows}, until=seconds)
        + "</div>"
        + _folded(f"{title}, in numbers", numbers)
    )


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
    return f"<h2>Streams</h2>{table('Rows and calls of each stream', heads, rows, numbers=range(1, len(heads)))}"


def _stream(index: int, stream: StreamReport, seconds: float) -> str:
    facts = [
        ("First event or attribute", stream.first_time or "none"),
        ("Last event or attribute", stream.last_time or "none"),
        ("Distinct event names", _count(stream.event_names)),
        ("Distinct property names", _count(stream.property_names)),
    ]
    listed = {"Event names": stream.event_names, "Property names": stream.property_names}
    return "\n".join(
        [
            f'<section class="stream" id="stream-{index}" aria-labelledby="title-{index}">',
            f'<h2 id="title-{index}">Stream {_text(stream.stream)}</h2>',
            f'<div class="side">{_pairs("Figures", facts, numbers=(1,))}',
            _counted("Rejected rows by reason", stream.rejected_by_reason),
            _counted("Dropped properties by reason", stream.set_aside_by_reason),
            "</div>",
            _course(f"Stream {shown.line(stream.stream)}", stream.over_time, seconds),
            *(
                _folded(title, f"<p>{', '.join(map(_text, names.listed))}</p>")
                for title, names in listed.items()
                if names is not None and names.listed
            ),
            "</section>",
        ]
    )


def _slowest(report: RunReport) -> str:
    if not report.slowest_calls:
        return ""
    rows = [
        (call.type, _text(call.stream), number(call.seconds), f"{call.attempts:,}", f"{call.moment:.1f}")
        + ((_text(call.event or ""),) if report.has_names else ())
        for call in report.slowest_calls
    ]
    heads = ["Call", "Stream", "Seconds", "Attempts", "Answered at second", "Event"][: len(rows[0])]
    slowest = table("Slowest calls, first attempt to last answer", heads, rows, numbers=(2, 3, 4))
    return f'<div class="side">{slowest}</div>'


def _counted(title: str, counts: Mapping[str, int]) -> str:
    return _pairs(title, [(name, f"{count:,}") for name, count in counts.items()], numbers=(1,)) if counts else ""


def _pairs(title: str, pairs: Iterable[tuple[str, str]], *, numbers: Sequence[int] = ()) -> str:
    rows = [(_text(name, 300), _text(value, 2000)) for name, value in pairs]
    return table(title, ("Name", "Value"), rows, numbers=numbers)


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
