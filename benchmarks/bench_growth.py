"""Cases about the size of the store: what a row costs in a second run, over few people and over many."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import hosts
import rows
from measuring import ROOT, Line, Subject, compare, measure, run, target

PICTURE = ROOT / "docs" / "assets" / "growth.svg"
SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
LATENCY_SECONDS = 0.002
PROCESSES = 8


def _fill(folder: Path, count: int, urls: Iterable[str]) -> None:
    """Make stores that know so many people: a run that writes files remembers the same as one that calls."""
    lines = rows.source(folder, "users", count)
    for number, url in enumerate(urls):
        print(f"  filling a store with {count:,} people", file=sys.stderr)
        command = target(folder, f"fill-{number}", delivery="files", attribute_store_url=url)
        run(Subject("fill", command, lines, count), folder)
        for path in (folder / "kissmetrics-import").iterdir():
            path.unlink()
    lines.unlink()


def store(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """A second run over few people, and over many, of a SQLite store each; and the bytes of a person."""
    with hosts.host(folder) as url:
        subjects = []
        for count in (10_000, options.people):
            path = folder / f"store-{count}.db"
            settings = {"tracking_url": url, "attribute_store_url": f"sqlite:///{path}"}
            _fill(folder, count, [settings["attribute_store_url"]])
            name = f"second run, {count:,} people ({path.stat().st_size / count:,.0f} bytes each)"
            lines = rows.source(folder, "users", count)
            subjects.append(Subject(name, target(folder, f"store-{count}", **settings), lines, count))
        yield from compare(subjects, folder, max(1, options.rounds - 2), "the few")


def growth(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """A second run over a sample of the people of larger and larger stores, SQLite and PostgreSQL, cold and warm.

    Cold: no page of the store is in the system's cache of files, nor in that of PostgreSQL, which starts anew. Warm:
    the run before read the same rows. It draws the picture.
    """
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    import psycopg  # noqa: PLC0415 - an extra of the target's
    from postgres_server import postgres_server  # noqa: PLC0415

    series: dict[str, dict[int, Subject]] = {}
    with postgres_server() as server, hosts.host(folder) as url, hosts.slow(server.url, LATENCY_SECONDS) as slow:
        with psycopg.connect(server.url, autocommit=True) as connection:
            (data,) = connection.execute("SHOW data_directory").fetchone() or ("",)

        def cool() -> None:
            server.restart()
            server.wait()
            _drop_from_cache(Path(data).rglob("*"))

        for size in options.people_sizes or SIZES:
            path = folder / f"store-{size}.db"
            sqlite = f"sqlite:///{path}"
            postgres, distant = (f"{of.rpartition('/')[0]}/people{size}" for of in (server.url, slow))
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE people{size}")
            _fill(folder, size, (sqlite, postgres))
            with psycopg.connect(postgres, autocommit=True) as connection:
                connection.execute(
                    "VACUUM ANALYZE"
                )  # so that it does not begin on its own, while something is measured
            lines = rows.source(folder, "sample", size, most=options.sample)
            count = -(-size // -(-size // options.sample))

            def second(store: str, fresh: Callable[[], object] = int, processes: int = 1) -> Subject:
                commands = _commands(folder, processes, tracking_url=url, attribute_store_url=store)
                return Subject("", commands, lines, count, fresh)  # noqa: B023 - it is called in this turn alone

            # Those that are warm follow one that read the same.
            for name, subject in {
                "SQLite, cold": second(sqlite, fresh=partial(_drop_from_cache, [path])),
                "SQLite, warm": second(sqlite),
                "PostgreSQL, cold": second(postgres, fresh=cool),
                "PostgreSQL, warm": second(postgres),
                "PostgreSQL, warm, 2 ms away": second(distant),
                f"PostgreSQL, warm, {PROCESSES} processes": second(postgres, processes=PROCESSES),
            }.items():
                subject.name = f"{name}, {size:,} people"
                series.setdefault(name, {})[size] = subject
        subjects = [of[size] for size in options.people_sizes or SIZES for of in series.values()]
        measure(subjects, folder, max(1, options.rounds - 2))
    _draw({name: {size: 1e6 / subject.rate for size, subject in of.items()} for name, of in series.items()})
    for of in series.values():
        first, *_ = of.values()
        for subject in of.values():
            ratio = first.rate / subject.rate
            yield Line(subject.name, subject.rate, ratio, "the time for a row of the fewest", cpu=subject.cpu)


def _commands(folder: Path, processes: int, **settings: Any) -> list[list[str]]:
    """Give the command of the target, or those of several with a slice each."""
    name = re.sub(r"\W", "-", settings["attribute_store_url"])
    if processes == 1:
        return target(folder, name, **settings)
    shards = [{"index": index, "count": processes} for index in range(processes)]
    return [*chain(*(target(folder, f"{name}-{shard['index']}", shard=shard, **settings) for shard in shards))]


def _drop_from_cache(paths: Iterable[Path]) -> None:
    """Take files out of the system's cache (Linux)."""
    for path in paths:
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)  # what is not written yet stays
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


_COLORS = ("#3b7dd8", "#9cc2f0", "#d8663b", "#f0b49c", "#5a9e4b", "#8a5ac8")


def _draw(series: dict[str, dict[int, float]]) -> None:
    """Draw microseconds a row over people, the latter by their logarithm."""
    sizes = sorted({size for of in series.values() for size in of})
    low, high = math.log10(sizes[0]), math.log10(sizes[-1] * 1.001)
    most = max(value for of in series.values() for value in of.values())

    def place(size: int, value: float) -> tuple[float, float]:
        return 60 + 480 * (math.log10(size) - low) / (high - low), 330 - 290 * value / most

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="860" height="370" font-family="sans-serif" font-size="12">',
        '<text x="8" y="18" font-weight="bold">microseconds a row in a second run, by people in the store</text>',
        '<path d="M60 40 V330 H540" fill="none" stroke="#888"/>',
    ]
    parts.extend(f'<text x="{place(size, 0)[0]:.0f}" y="350" text-anchor="middle">{size:,}</text>' for size in sizes)
    for part in range(5):
        value = most * part / 4
        parts.append(f'<text x="54" y="{place(sizes[0], value)[1] + 4:.0f}" text-anchor="end">{value:,.0f}</text>')
    for number, ((name, of), color) in enumerate(zip(series.items(), _COLORS, strict=True)):
        points = [place(size, value) for size, value in sorted(of.items())]
        line = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.extend(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="{color}"/>' for x, y in points)
        parts.append(f'<rect x="570" y="{45 + 22 * number}" width="15" height="15" fill="{color}"/>')
        parts.append(f'<text x="592" y="{57 + 22 * number}">{escape(name)}</text>')
    PICTURE.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")
