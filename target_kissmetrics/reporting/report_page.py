"""The report of a run as one HTML page: opens offline, can be attached to a ticket, holds no personal data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from target_kissmetrics.reporting import display as shown
from target_kissmetrics.reporting import html_page, plot
from target_kissmetrics.reporting.run_report import Latency, Moment, Names, RunReport, StreamReport

MANY_EVENT_NAMES = 200
"""More distinct names than this in one stream are likely made from data."""

_ENDINGS = {
    "complete": ("good", "Complete", "all that was read was delivered, or is in the rejects file."),
    "failed": ("stop", "Failed", "what was delivered before is remembered; the next run goes on from the last STATE."),
    "stopped": ("warn", "Stopped", "what was not delivered comes with the next run."),
}

_TITLES = {
    "rows": "Rows read",
    "record_calls": "Record calls",
    "set_calls": "Set calls",
    "alias_calls": "Alias calls",
    "unchanged": "Unchanged not sent",
    "rejected": "Rejected",
    "set_aside": "Properties set aside",
    "deleted": "Deleted at the source",
    "moved": "Events moved to a second of their own",
    "collisions": "Events taken for another row's",
    "amount_collisions": "Amounts lost to another event's",
    "item_collisions": "Line items that lose a value",
    "left_out": "Parts of batches left out",
    "deleted_attributes": "Attributes deleted at the source",
}
"""What the figures are, by the names that the metrics give them."""

_ALWAYS = ("rows", "record_calls", "set_calls", "alias_calls", "unchanged", "rejected")

_STYLE = f"""
.good {{ border-color: var(--good); background: var(--panel); }}
dl.figures {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .5rem;
  margin: 0 0 1rem; }}
dl.figures > div {{ background: var(--panel); border: 1px solid var(--line); border-radius: .4rem;
  padding: .4rem .7rem; }}
dt {{ color: var(--soft); font-size: .85rem; }}
dd {{ margin: 0; font-size: 1.2rem; font-variant-numeric: tabular-nums; }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 0 1.5rem; }}
thead th {{ overflow-wrap: normal; }} td.number {{ white-space: nowrap; }}
.side {{ display: flex; flex-wrap: wrap; gap: 0 2.5rem; }} .side table {{ width: auto; }}
@media print {{ details > * {{ display: block; }} }}
{plot.STYLE}
"""


def as_page(report: RunReport) -> str:
    """Write a report as a page."""
    body = [
        '<a class="skip" href="#main">Skip to the figures</a>',
        "<header><h1>Run of target-kissmetrics</h1>",
        f'<p class="soft">{escape(_when_and_what(report))}</p></header>',
        _ending(report),
        '<main id="main">',
        _figures(report),
        *(html_page.note("warn", text) for text in worth_a_look(report)),
        _course("All streams", report.over_time, report.seconds),
        _streams_table(report.streams),
        _slowest(report),
        _causes(report),
        *(_stream(number, stream, report.seconds) for number, stream in enumerate(report.streams)),
        _settings(report.about.settings),
        "</main>",
        '<footer class="soft"><p>This page holds no identity, no value of a property and no API key'
        + ("" if _has_names(report) else ", nor names of events and properties but those that the settings name")
        + ". The same figures for programs are in the .json file of the same name.</p></footer>",
    ]
    return html_page.document("Run of target-kissmetrics", body, style=_STYLE)


def worth_a_look(report: RunReport) -> list[str]:
    """Give what a person should look into, each with what to do."""
    figures = report.figures
    lines = []
    if figures.get("rejected") or figures.get("set_aside"):
        lines.append(
            f"{shown.plural(figures['rejected'], 'row')} rejected, {shown.plural(figures['set_aside'], 'part')} of "
            f"rows set aside: see rejects_path ({report.about.settings.get('rejects_path', '')}), each with "
            "its reason. Mend the mapping, then send them again with target-kissmetrics-replay."
        )
    if figures.get("collisions"):
        lines.append(
            f"Kissmetrics takes {shown.plural(figures['collisions'], 'event')} for another row's (same person, name "
            "and second) and keeps the first alone: spread_duplicates: true in the stream's entry gives each a second "
            "of its own."
        )
    if figures.get("amount_collisions"):
        lines.append(
            f"{shown.plural(figures['amount_collisions'], 'amount')} lost: Kissmetrics keeps one amount of a person "
            "for a second, whatever its events are called. spread_duplicates: true in the stream's entry keeps all."
        )
    lines += [
        f"Stream {stream.stream}: {_names(stream.event_names)} distinct event names. Kissmetrics has 65,535 for all "
        "time: make event_name of fields with few values."
        for stream in report.streams
        if stream.event_names is not None and stream.event_names.distinct > MANY_EVENT_NAMES
    ]
    if report.calls and report.retries * 20 > report.calls:
        lines.append(
            f"{shown.plural(report.retries, 'attempt')} had to be made again, more than one for 20 calls: where the "
            "host is overloaded, max_requests_per_second or fewer max_connections may be faster."
        )
    return lines


def _when_and_what(report: RunReport) -> str:
    what = f"target-kissmetrics {report.about.version}, Meltano SDK {report.about.sdk}, {report.python}"
    client = f", requests sent by {report.about.client}" if report.about.client else ""
    return f"Started {report.started}, took {_duration(report.seconds)}. {what}{client}."


def _ending(report: RunReport) -> str:
    kind, word, means = _ENDINGS[report.ending.ended_as]
    if report.ending.reason:
        means = f"{report.ending.reason.rstrip('.')}. {means[0].upper()}{means[1:]}"
    dry = (
        html_page.note(
            "warn", "this was a dry run. Nothing was sent, nothing was remembered; calls are those that would be sent."
        )
        if report.about.delivery == "dry run"
        else ""
    )
    files = (
        '<p class="soft">Calls were written to import files; Kissmetrics has them once it has taken the files.</p>'
        if report.about.delivery == "files"
        else ""
    )
    return f'<p class="note {kind}"><strong>{word}:</strong> {escape(shown.line(means, 3000))}</p>{dry}{files}'


def _figures(report: RunReport) -> str:
    rate = report.calls / report.seconds if report.seconds else 0.0
    shown_figures = [
        (_TITLES[name], shown.count(value)) for name, value in report.figures.items() if _is_told(name, value)
    ]
    shown_figures += [
        ("Retries", shown.count(report.retries)),
        ("Calls a second", plot.number(rate)),
        ("Median latency", _seconds(report.latency.median)),
        ("95 % answered within", _seconds(report.latency.p95)),
    ]
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in shown_figures)
    return f'<h2>In all</h2><dl class="figures">{items}</dl>'


def _is_told(name: str, value: int) -> bool:
    return bool(value) or name in _ALWAYS


def _course(title: str, moments: Sequence[Moment], seconds: float) -> str:
    """Plot a course, with a table of its numbers behind."""
    if not moments:
        return ""
    middles = [moment.at + moment.seconds / 2 for moment in moments]
    calls = [plot.Line("calls", [moment.calls_per_second for moment in moments])]
    rows = [plot.Line("rows read", [moment.rows_per_second for moment in moments])]
    latencies = [
        plot.Line("median", [moment.latency.median for moment in moments]),
        plot.Line("95 % within", [moment.latency.p95 for moment in moments]),
        plot.Line("longest", [moment.latency.longest for moment in moments]),
    ]
    plots = [
        plot.plot(f"{title}: calls", "a second", middles, calls, until=seconds),
        plot.plot(f"{title}: latency", "seconds, retries too", middles, latencies, until=seconds),
        plot.plot(f"{title}: rows", "a second", middles, rows, until=seconds),
    ]
    return f'<div class="plots">{"".join(plots)}</div>{_numbers(title, moments)}'


def _numbers(title: str, moments: Sequence[Moment]) -> str:
    rows = [
        (
            f"{moment.at:.1f}",
            shown.count(moment.rows),
            shown.count(moment.calls),
            plot.number(moment.calls_per_second),
            *_latency_cells(moment.latency),
        )
        for moment in moments
    ]
    heads = ("From second", "Rows", "Calls", "Calls a second", "Median", "95 % within", "Longest")
    table = html_page.table(f"{title}, in numbers", heads, rows, numbers=range(1, 7))
    return f"<details><summary>{escape(title)}, in numbers</summary>{table}</details>"


def _streams_table(streams: Sequence[StreamReport]) -> str:
    if not streams:
        return "<p>The input held no stream.</p>"
    names = [name for name in _TITLES if any(_is_told(name, stream.figures.get(name, 0)) for stream in streams)]
    heads = ["Stream", *(escape(_TITLES[name]) for name in names), "Retries", "Median", "95 % within"]
    rows = [
        (
            f'<a href="#stream-{number}">{escape(shown.line(stream.stream))}</a>',
            *(shown.count(stream.figures[name]) for name in names),
            "" if stream.retries is None else shown.count(stream.retries),
            *_latency_cells(stream.latency)[:2],
        )
        for number, stream in enumerate(streams)
    ]
    table = html_page.table("What became of each stream's rows", heads, rows, numbers=range(1, len(heads)))
    return f"<h2>Streams</h2>{table}"


def _stream(number: int, stream: StreamReport, seconds: float) -> str:
    parts = [
        f'<section class="stream" id="stream-{number}" aria-labelledby="title-{number}">',
        f'<h2 id="title-{number}">Stream {escape(shown.line(stream.stream))}</h2>',
        '<div class="side">',
        _facts(stream),
        _reasons("Rejected rows, by reason", stream.rejected_by_reason),
        _reasons("Properties set aside, by reason", stream.set_aside_by_reason),
        "</div>",
        _course(f"Stream {shown.line(stream.stream)}", stream.over_time, seconds),
        _listed("Event names", stream.event_names),
        _listed("Property names", stream.property_names),
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _facts(stream: StreamReport) -> str:
    facts = [(_TITLES[name], shown.count(value)) for name, value in stream.figures.items() if _is_told(name, value)]
    facts += [
        ("Retries", "not counted" if stream.retries is None else shown.count(stream.retries)),
        ("First event or attribute", stream.first_time or "none"),
        ("Last event or attribute", stream.last_time or "none"),
        ("Distinct event names", _names(stream.event_names)),
        ("Distinct property names", _names(stream.property_names)),
    ]
    rows = [(escape(name), escape(value)) for name, value in facts]
    return html_page.table("Figures", ("What", "Figure"), rows, numbers=(1,))


def _names(names: Names | None) -> str:
    if names is None:
        return "not counted"
    return f"more than {names.distinct:,}" if names.more else shown.count(names.distinct)


def _listed(title: str, names: Names | None) -> str:
    if names is None or not names.listed:
        return ""
    items = ", ".join(escape(shown.line(name)) for name in names.listed)
    return f"<details><summary>{escape(title)}</summary><p>{items}</p></details>"


def _has_names(report: RunReport) -> bool:
    return any(stream.event_names is not None and stream.event_names.listed is not None for stream in report.streams)


def _reasons(title: str, counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    rows = [(f"<code>{escape(shown.line(code))}</code>", shown.count(count)) for code, count in counts.items()]
    return html_page.table(title, ("Reason", "Count"), rows, numbers=(1,))


def _slowest(report: RunReport) -> str:
    if not report.slowest_calls:
        return ""
    with_names = _has_names(report)
    heads = ("Call", "Stream", "Seconds", "Attempts", "Answered at second", *(("Event",) if with_names else ()))
    rows = [
        (
            call.type,
            escape(shown.line(call.stream)),
            plot.number(call.seconds),
            shown.count(call.attempts),
            f"{call.moment:.1f}",
            *((escape(shown.line(call.event or "")),) if with_names else ()),
        )
        for call in report.slowest_calls
    ]
    table = html_page.table("From the first attempt to the last answer", heads, rows, numbers=(2, 3, 4))
    return f'<h2>Slowest calls</h2><div class="side">{table}</div>'


def _causes(report: RunReport) -> str:
    if not report.retries_by_cause:
        return ""
    rows = [(escape(shown.line(cause, 300)), shown.count(count)) for cause, count in report.retries_by_cause.items()]
    table = html_page.table("By what had happened", ("Cause", "Retries"), rows, numbers=(1,))
    return f'<h2>Retries</h2><div class="side">{table}</div>'


def _settings(settings: Mapping[str, str]) -> str:
    rows = [(f"<code>{escape(name)}</code>", escape(shown.line(value, 2000))) for name, value in settings.items()]
    table = html_page.table("Settings", ("Setting", "Value"), rows)
    return (
        f'<section class="stream"><h2>Settings</h2><details><summary>All settings</summary>{table}</details></section>'
    )


def _latency_cells(latency: Latency) -> tuple[str, str, str]:
    return tuple(_seconds(value) for value in (latency.median, latency.p95, latency.longest))  # type: ignore[return-value]


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{plot.number(value * 1000)} ms" if value < 1 else f"{plot.number(value)} s"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{plot.number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
