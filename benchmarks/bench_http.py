"""Cases about calls: this target's two HTTP clients beside the official client and beside drt, latency, TLS, faults."""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import hosts
import rows
from measuring import HERE, ROOT, Line, Subject, compare, forget, measure, run, target

BIN = "Scripts" if os.name == "nt" else "bin"
OFFICIAL = ROOT / ".venv-benchmarks" / BIN
DRT = ROOT / ".venv-benchmarks-drt" / BIN

LATENCY_SECONDS = 0.05
LATENCY_RUN_SECONDS = 15
"""Long beside what starting a process takes more, or less, from one time to the next."""
DRT_LATENCY_ROWS = 200


def _official(lines: Path, count: int, url: str) -> Subject:
    command = [str(OFFICIAL / "python"), str(HERE / "official_client.py"), url]
    return Subject("py-KISSmetrics", [command], lines, count)


def calls(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Events as calls, answered at once."""
    lines = rows.source(folder, "events", options.rows)
    with hosts.host(folder) as url:
        subjects = [_official(lines, options.rows, url)]
        for client in ("requests", "curl"):
            command = target(folder, client, tracking_url=url, http_client=client)
            subjects.append(Subject(f"http_client: {client}", command, lines, options.rows, partial(forget, folder)))
        yield from compare(subjects, folder, options.rounds, "py-KISSmetrics")


def latency(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Events as calls, each answered after 50 ms: beside connections / latency."""
    with hosts.host(folder, LATENCY_SECONDS) as url:
        subjects = [(_official(rows.source(folder, "events", 60), 60, url), 1)]
        for client, connections in (("requests", 32), ("curl", 64), ("curl", 256)):
            subjects.append((_connections(folder, url, client, connections), connections))
        measure([subject for subject, _ in subjects], folder, max(1, options.rounds - 2))
    for subject, connections in subjects:
        ratio = subject.rate * LATENCY_SECONDS / connections
        yield Line(f"{subject.name}, 50 ms", subject.rate, ratio, "connections / latency", cpu=subject.cpu)


def _connections(folder: Path, url: str, client: str, connections: int) -> Subject:
    """Give a client over so many connections, with what it sends in `LATENCY_RUN_SECONDS` at a latency of 50 ms."""
    count = int(connections / LATENCY_SECONDS * LATENCY_RUN_SECONDS)
    settings = {"tracking_url": url, "http_client": client, "max_connections": connections}
    command = target(folder, f"{client}{connections}", **settings)
    lines = rows.source(folder, "events", count)
    return Subject(f"http_client: {client}, {connections} connections", command, lines, count, partial(forget, folder))


def tls(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Events as calls to nginx over TLS, by HTTP/1.1 and HTTP/2, beside plain HTTP; the CA is one of our own."""
    lines = rows.source(folder, "events", options.rows)
    trust = {"REQUESTS_CA_BUNDLE": str(hosts.certify(folder))}
    with ExitStack() as stack:
        url = {kind: stack.enter_context(hosts.host(folder, tls=kind)) for kind in ("", "ssl", "ssl http2")}
        for client, kinds in (
            ("requests", {"http": "", "https, HTTP/1.1": "ssl"}),
            ("curl", {"http": "", "https, HTTP/1.1": "ssl", "https, HTTP/2": "ssl http2"}),
        ):
            subjects = []
            for what, kind in kinds.items():
                command = target(folder, f"{client}-{kind}", tracking_url=url[kind], http_client=client)
                name = f"http_client: {client}, {what}"
                subjects.append(Subject(name, command, lines, options.rows, partial(forget, folder), trust))
            yield from compare(subjects, folder, options.rounds, f"{client} over http")


def drt(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Rows POSTed by drt from a DuckDB table, beside our libcurl: without latency, and 200 of drt's at 50 ms."""
    with hosts.host(folder) as url:
        lines = rows.source(folder, "events", options.rows)
        command = target(folder, "curl", tracking_url=url, http_client="curl")
        subjects = [
            _drt(folder / "drt", lines, options.rows, url),
            Subject("http_client: curl, 64 connections", command, lines, options.rows, partial(forget, folder)),
        ]
        yield from compare(subjects, folder, options.rounds, "drt")
    with hosts.host(folder, LATENCY_SECONDS) as url:
        lines = rows.source(folder, "events", DRT_LATENCY_ROWS)
        subjects = [_drt(folder / "drt-latency", lines, DRT_LATENCY_ROWS, url)]
        subjects += [_connections(folder, url, "curl", connections) for connections in (64, 256)]
        for subject in subjects:
            subject.name += ", 50 ms"
        yield from compare(subjects, folder, max(1, options.rounds - 2), "drt")


def _drt(project: Path, lines: Path, count: int, url: str) -> Subject:
    """Set up a project of drt: no limit of its rate, one batch, no template, so that it is as fast as it can be."""
    (project / ".drt").mkdir(parents=True)
    (project / "syncs").mkdir()
    database = project / "rows.duckdb"
    # JSON is YAML, too.
    (project / ".drt" / "profiles.yml").write_text(json.dumps({"bench": {"type": "duckdb", "database": str(database)}}))
    (project / "drt_project.yml").write_text(json.dumps({"name": "bench", "version": "0.1", "profile": "bench"}))
    for name, model in (("full", "SELECT * FROM events"), ("none", "SELECT * FROM events LIMIT 0")):
        sync = {
            "name": name,
            "model": model,
            "destination": {"type": "rest_api", "url": f"{url}/rows", "method": "POST"},
            "sync": {"batch_size": count, "rate_limit": {"requests_per_second": 0}, "on_error": "fail"},
        }
        (project / "syncs" / f"{name}.yml").write_text(json.dumps(sync))
    fill = [str(DRT / "python"), str(HERE / "drt_source.py"), str(database)]
    run(Subject("DuckDB", [fill], lines, count), project)
    # `env -C`: drt reads the project of the folder in which it runs.
    command = ["env", "-C", str(project), str(DRT / "drt"), "run", "--select"]
    environment = {"HOME": str(project), "DO_NOT_TRACK": "1"}
    return Subject("drt", [[*command, "full"]], lines, count, environment=environment, idle=[[*command, "none"]])


def overload(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Hosts that are overloaded or seem so, each beside the same host without its fault."""
    for client in ("requests", "curl"):
        for fault, count in (("stray", 600), ("stray", options.rows), ("limit", 4_000), ("outage", options.rows)):
            seconds = {}
            for kind in ("none", fault):
                with hosts.host(folder, LATENCY_SECONDS, kind) as url:
                    command = target(folder, f"{client}-{kind}", tracking_url=url, http_client=client)
                    lines = rows.source(folder, "events", count)
                    subject = Subject(f"{client}, {kind}", command, lines, count, partial(forget, folder))
                    measure([subject], folder, 1)
                    seconds[kind] = statistics.median(full.wall for full, _ in subject.found)
            name = f"http_client: {client}, {count:,} calls, {fault}"
            if fault == "limit":
                yield Line(name, subject.rate, subject.rate / hosts.LIMIT, "the limit")
            elif fault == "outage":
                late = seconds[fault] - seconds["none"] - 10
                yield Line(name, count / seconds[fault], late, "a second more than the outage")
            else:
                yield Line(name, count / seconds[fault], seconds[fault] / seconds["none"], "the time without")
