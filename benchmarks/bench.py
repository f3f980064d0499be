"""`make bench`: this target beside the official client and beside a target that does nothing, on the same rows.

Every subject is a process that reads Singer lines from a file. What is measured is the time of the whole process less
that of the same process over no rows; subjects take turns, round after round, and what is shown are medians and ratios
within this one run. Load goes to loopback alone.

    python benchmarks/bench.py [--rounds 5] [--rows 20000] [--only calls,latency,...]

Without --only, the cases of the picture in docs/explanation/speed.md run, and it is drawn again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape

import bench_growth
import bench_http
import hosts
import rows
from measuring import ROOT, Line, Subject, compare, forget, nothing, restore, run, target

PICTURE = ROOT / "docs" / "assets" / "bench.svg"
NOTHING = "doing nothing"


def _into_files(kind: str, what: str, name: str, folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Rows of a kind into import files, over an empty store."""
    count = options.rows * 2
    lines = rows.source(folder, kind, count)
    subject = Subject(name, target(folder, kind, delivery="files"), lines, count, partial(forget, folder))
    yield from compare([nothing(what, lines, count), subject], folder, options.rounds, NOTHING)


def files(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Events into import files."""
    return _into_files("events", "events", "delivery: files (events)", folder, options)


def formats(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """The same events as flat rows, Segment messages and mParticle batches, into import files."""
    command = target(folder, "formats", delivery="files", use_customer_id=True)
    for what, kind, each in (
        ("flat rows", "events", 1),
        ("Segment track messages", "segment", 1),
        ("mParticle batches of five events", "mparticle", rows.BATCH_EVENTS),
    ):
        count = options.rows * 2 // each
        lines = rows.source(folder, kind, count)
        subjects = [nothing(what, lines, count), Subject(what, command, lines, count, partial(forget, folder))]
        yield from compare(subjects, folder, options.rounds, NOTHING)


def unchanged(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """People of whom nothing changed since the run before."""
    count = options.rows * 2
    lines = rows.source(folder, "users", count)
    with hosts.host(folder) as url:
        subject = Subject("unchanged attributes (people)", target(folder, "unchanged", tracking_url=url), lines, count)
        forget(folder)
        run(subject, folder)
        yield from compare([nothing("people", lines, count), subject], folder, options.rounds, NOTHING)


def new(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """People with ten properties in a first run, into import files."""
    return _into_files("people", "new people", "new attributes, delivery: files", folder, options)


def changed(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """People with ten properties, of whom a fifth changed in one since the run before, into import files."""
    count = options.rows * 2
    lines = rows.source(folder, "people", count, changed_every=5)
    command = target(folder, "changed", delivery="files")
    store = folder / "before.store"
    forget(folder)
    run(Subject("the run before", command, rows.source(folder, "people", count), count), folder)
    (folder / "target-kissmetrics.db").rename(store)
    subjects = [
        nothing("changed people", lines, count),
        Subject("20 % changed, delivery: files", command, lines, count, partial(restore, folder, store)),
    ]
    yield from compare(subjects, folder, options.rounds, NOTHING)


def batch(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """People of whom nothing changed, in RECORD messages, and in the files of one BATCH message."""
    count = options.rows * 5
    lines = rows.source(folder, "users", count)
    with hosts.host(folder) as url:
        command = target(folder, "batch", tracking_url=url)
        forget(folder)
        run(Subject("the run before", target(folder, "fill", delivery="files"), lines, count), folder)
        subjects = [Subject("RECORD messages", command, lines, count)]
        for name, message in rows.batches(folder, lines).items():
            subjects.append(Subject(f"BATCH: {name}", command, message, count))
        yield from compare(subjects, folder, options.rounds, "RECORD messages")


def peak(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Peak memory, many beside few: people (each with values of its own), streams, and names of events and properties.

    With --people-sizes, only people. The ratio is MiB above the first.
    """
    # The first of each is past the calls that a run has in flight (10,000): what grows after it grows without limit.
    sizes = (options.rows, options.rows * 5, options.rows * 15)
    few = (10, 250, 1_000)
    given: dict[str, list[tuple[int, Callable[[], Path]]]] = {
        "people": [(count, partial(rows.source, folder, "users", count)) for count in options.people_sizes or sizes]
    }
    if not options.people_sizes:
        path = folder / "peak.jsonl"
        given["streams of 20 people"] = [(count, partial(rows.streams, path, count, 20)) for count in few]
        given["names of events and properties"] = [(count, partial(rows.names, path, count)) for count in sizes]
    with hosts.host(folder) as url:
        command = target(folder, "peak", tracking_url=url)
        for what, counts in given.items():
            first = 0.0
            for count, write in counts:
                forget(folder)
                lines = write()
                mib = run(Subject(what, command, lines, count), folder).peak_kib / 1024
                lines.unlink()
                first = first or mib
                print(f"  {count:,} {what}: {mib:,.0f} MiB", file=sys.stderr)
                yield Line(f"peak memory, {count:,} {what}", mib, mib - first, f"MiB above {counts[0][0]:,}", "MiB")


CASES: dict[str, Callable[[Path, argparse.Namespace], Iterator[Line]]] = {
    "calls": bench_http.calls,
    "latency": bench_http.latency,
    "tls": bench_http.tls,
    "drt": bench_http.drt,
    "overload": bench_http.overload,
    "files": files,
    "formats": formats,
    "unchanged": unchanged,
    "new": new,
    "changed": changed,
    "batch": batch,
    "store": bench_growth.store,
    "growth": bench_growth.growth,
    "peak": peak,
}
PICTURED = ("calls", "latency", "files", "unchanged", "new", "changed")


def show(lines: list[Line], rounds: int) -> None:
    """Draw the table as the picture in docs/explanation/speed.md."""
    height = 30 + 22 * len(lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{height}"',
        'font-family="sans-serif" font-size="12">',
        f'<text x="8" y="18" font-weight="bold">rows/s, medians of {rounds} rounds on one machine (ratios)</text>',
    ]
    most = max((line.rate for line in lines), default=1.0)
    for number, line in enumerate(lines):
        y = 30 + 22 * number
        width = max(1.0, 330 * line.rate / most)
        parts.append(f'<text x="8" y="{y + 14}">{escape(line.name)}</text>')
        parts.append(f'<rect x="400" y="{y + 3}" width="{width:.0f}" height="15" fill="#3b7dd8"/>')
        parts.append(f'<text x="{404 + width:.0f}" y="{y + 14}">{line.rate:,.0f} ({line.ratio:.2f})</text>')
    PICTURE.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def main() -> None:
    """Run the cases and show what came out."""
    about = "\n".join(f"  {name:10} {(case.__doc__ or '').splitlines()[0]}" for name, case in CASES.items())
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nCases:\n{about}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--people", type=int, default=1_000_000, help="of the larger store of the case store")
    parser.add_argument(
        "--people-sizes",
        type=lambda text: [int(size) for size in text.split(",")],
        help="of growth (10000,100000,1000000,5000000) and peak, with commas",
    )
    parser.add_argument("--sample", type=int, default=200_000, help="rows that a second run of growth reads at most")
    parser.add_argument("--only", help="cases, with commas")
    options = parser.parse_args()
    lines: list[Line] = []
    for name in options.only.split(",") if options.only else PICTURED:
        print(f"{name}:", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            lines.extend(CASES[name](Path(folder), options))
    if not options.only:
        show(lines, options.rounds)
    for line in lines:
        cpu = "" if line.cpu is None else f"  {line.cpu:6.1f} us CPU a row"
        print(f"{line.name:60} {line.rate:>9,.0f} {line.unit:6} {line.ratio:6.2f} x {line.against}{cpu}")


if __name__ == "__main__":
    main()
