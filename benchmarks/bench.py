"""`make bench`: this target beside the official client and beside a target that does nothing, on the same rows.

Every subject is a process that reads Singer lines from a file. What is measured is the time of the whole process less
that of the same process over no rows; subjects take turns, round after round, and what is shown are medians and ratios
within this one run. Load goes to loopback alone.

    python benchmarks/bench.py [--rounds 5] [--rows 20000] [--only calls,latency,files,unchanged]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import hosts
import rows

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BIN = "Scripts" if os.name == "nt" else "bin"
OFFICIAL = ROOT / ".venv-benchmarks" / BIN / "python"
DEADLINE_SECONDS = 900
PICTURE = ROOT / "docs" / "assets" / "bench.svg"


@dataclass
class Subject:
    """What is measured.

    Attributes:
        name: As the table calls it.
        command: Reads Singer lines from standard input.
        count: How many rows it gets.
        fresh: Makes a folder ready before each run.
        seconds: Of the whole process, one figure a round.
        empty: The same over no rows.
    """

    name: str
    command: list[str]
    count: int
    fresh: Callable[[Path], None] = field(default=lambda _: None)
    seconds: list[float] = field(default_factory=list)
    empty: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Rows a second, the median of all rounds."""
        return self.count / max(statistics.median(self.seconds) - statistics.median(self.empty), 0.001)


@dataclass
class Line:
    """A line of the table."""

    name: str
    rate: float
    ratio: float
    against: str


def run(command: list[str], lines: Path, folder: Path) -> float:
    """Run a subject over a file; give its seconds.

    Raises:
        SystemExit: It failed.
    """
    log = folder / "log.txt"
    with lines.open("rb") as source, log.open("wb") as told:
        began = time.perf_counter()
        done = subprocess.run(
            command, stdin=source, stdout=told, stderr=told, cwd=folder, timeout=DEADLINE_SECONDS, check=False
        )
        seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{command} failed:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")
    return seconds


def target(folder: Path, name: str, **config: Any) -> list[str]:
    """Give the command of this target with a config."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"api_key": "0123456789abcdef", **config}), encoding="utf-8")
    return [sys.executable, "-m", "target_kissmetrics", "--config", str(path)]


def forget(folder: Path) -> None:
    """Remove what a run left."""
    for path in folder.glob("*.db*"):
        path.unlink()
    for path in folder.glob("kissmetrics-import/*"):
        path.unlink()


def measure(subjects: list[Subject], source: Callable[[int], Path], folder: Path, rounds: int) -> None:
    """Run all subjects in turn, round after round, each once over its rows and once over none."""
    for number in range(rounds):
        for subject in subjects:
            subject.fresh(folder)
            subject.empty.append(run(subject.command, source(0), folder))
            subject.fresh(folder)
            subject.seconds.append(run(subject.command, source(subject.count), folder))
            print(f"  round {number + 1}: {subject.name}: {subject.rate:,.0f} rows/s so far", file=sys.stderr)


class Sources:
    """Files of Singer lines, written once each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def events(self, count: int) -> Path:
        """Give a file of events."""
        path = self._folder / f"events-{count}.jsonl"
        return path if path.exists() else rows.write(path, rows.EVENTS, rows.events(count))

    def users(self, count: int) -> Path:
        """Give a file of people."""
        path = self._folder / f"users-{count}.jsonl"
        return path if path.exists() else rows.write(path, rows.USERS, rows.users(count))


def calls(folder: Path, sources: Sources, options: argparse.Namespace) -> Iterator[Line]:
    """Events as calls, answered at once."""
    with hosts.host(folder) as url:
        subjects = [Subject("py-KISSmetrics", [str(OFFICIAL), str(HERE / "official_client.py"), url], options.rows)]
        for client in ("requests", "curl"):
            command = target(folder, client, tracking_url=url, http_client=client)
            subjects.append(Subject(f"http_client: {client}", command, options.rows, forget))
        measure(subjects, sources.events, folder, options.rounds)
    for subject in subjects:
        yield Line(subject.name, subject.rate, subject.rate / subjects[0].rate, "py-KISSmetrics")


LATENCY_SECONDS = 0.05
LATENCY_RUN_SECONDS = 15
"""Long beside what starting a process takes more, or less, from one time to the next."""


def latency(folder: Path, sources: Sources, options: argparse.Namespace) -> Iterator[Line]:
    """Events as calls, each answered after 50 ms: held against connections / latency."""
    with hosts.host(folder, LATENCY_SECONDS) as url:
        subjects = [(Subject("py-KISSmetrics", [str(OFFICIAL), str(HERE / "official_client.py"), url], 60), 1)]
        for client, connections in (("requests", 32), ("curl", 64), ("curl", 256)):
            command = target(
                folder, f"{client}{connections}", tracking_url=url, http_client=client, max_connections=connections
            )
            count = int(connections / LATENCY_SECONDS * LATENCY_RUN_SECONDS)
            name = f"http_client: {client}, {connections} connections"
            subjects.append((Subject(name, command, count, forget), connections))
        measure([subject for subject, _ in subjects], sources.events, folder, max(1, options.rounds - 2))
    for subject, connections in subjects:
        yield Line(
            f"{subject.name}, 50 ms",
            subject.rate,
            subject.rate * LATENCY_SECONDS / connections,
            "connections / latency",
        )


def _nothing(count: int) -> Subject:
    return Subject("an SDK target that does nothing", [sys.executable, str(HERE / "nothing_target.py")], count)


def files(folder: Path, sources: Sources, options: argparse.Namespace) -> Iterator[Line]:
    """Events into import files."""
    command = target(folder, "files", delivery="files")
    subjects = [_nothing(options.rows * 2), Subject("delivery: files", command, options.rows * 2, forget)]
    measure(subjects, sources.events, folder, options.rounds)
    for subject in subjects:
        yield Line(f"{subject.name} (events)", subject.rate, subject.rate / subjects[0].rate, "doing nothing")


def unchanged(folder: Path, sources: Sources, options: argparse.Namespace) -> Iterator[Line]:
    """People of whom nothing changed since the run before."""
    count = options.rows * 2
    with hosts.host(folder) as url:
        command = target(folder, "unchanged", tracking_url=url)
        forget(folder)
        run(command, sources.users(count), folder)
        subjects = [_nothing(count), Subject("unchanged attributes", command, count)]
        measure(subjects, sources.users, folder, options.rounds)
    for subject in subjects:
        yield Line(f"{subject.name} (people)", subject.rate, subject.rate / subjects[0].rate, "doing nothing")


CASES: dict[str, Callable[[Path, Sources, argparse.Namespace], Iterator[Line]]] = {
    "calls": calls,
    "latency": latency,
    "files": files,
    "unchanged": unchanged,
}


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield Path(folder)


def peak(folder: Path, sources: Sources, options: argparse.Namespace) -> Iterator[Line]:
    """Peak memory, many beside few: people (each with values of its own), streams, and names of events and properties.

    The rate is in KiB, the ratio MiB above the first.
    """
    # The first of each is past the calls that a run has in flight (10,000): what grows after it grows without limit.
    sizes = (options.rows, options.rows * 5, options.rows * 15)
    given = {
        "people": [(count, sources.users(count)) for count in sizes],
        "streams of 20 people": [
            (count, rows.streams(folder / f"streams-{count}.jsonl", count, 20)) for count in (10, 250, 1_000)
        ],
        "names of events and properties": [
            (count, rows.names(folder / f"names-{count}.jsonl", count)) for count in sizes
        ],
    }
    with hosts.host(folder) as url:
        command = target(folder, "peak", tracking_url=url)
        for what, files in given.items():
            first = 0
            for count, lines in files:
                forget(folder)
                kib = _peak_kib(command, lines, folder)
                first = first or kib
                print(f"  {count:,} {what}: {kib:,} KiB", file=sys.stderr)
                name = f"peak memory in KiB, {count:,} {what}"
                yield Line(name, kib, (kib - first) / 1024, f"MiB above {files[0][0]:,}")


def _peak_kib(command: list[str], lines: Path, folder: Path) -> int:
    """Run a subject; give the most memory it held (Linux and macOS)."""
    with lines.open("rb") as source, (folder / "log.txt").open("wb") as told:
        process = subprocess.Popen(command, stdin=source, stdout=told, stderr=told, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} failed")
    return usage.ru_maxrss


def _used(command: list[str], lines: Path, folder: Path) -> tuple[float, float]:
    """Run a subject; give the seconds of the whole process, and those of the processor (Linux and macOS)."""
    began = time.perf_counter()
    with lines.open("rb") as source, (folder / "log.txt").open("wb") as told:
        process = subprocess.Popen(command, stdin=source, stdout=told, stderr=told, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} failed:\n{(folder / 'log.txt').read_text(encoding='utf-8', errors='replace')[-3000:]}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime


def _in_turn(subjects: dict[str, tuple[list[str], Path, int]], rounds: int, folder: Path) -> Iterator[Line]:
    """Run subjects in turn, and give the processor's time for a row beside the first one's.

    Args:
        subjects: By name: the command, the file of its rows, and how many there are.
        rounds: How often.
        folder: Where they run.
    """
    empty = rows.write(folder / "empty.jsonl", rows.USERS, [])
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    starts: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    for number in range(rounds):
        for name, (command, lines, _) in subjects.items():
            starts[name].append(_used(command, empty, folder))
            found[name].append(_used(command, lines, folder))
            print(f"  round {number + 1}: {name}: {found[name][-1][0]:.1f} s", file=sys.stderr)
    base = 0.0
    for name, (_, _, count) in subjects.items():
        wall, cpu = (
            max(
                statistics.median(one[at] for one in found[name]) - statistics.median(one[at] for one in starts[name]),
                0.001,
            )
            for at in (0, 1)
        )
        base = base or cpu / count
        yield Line(name, count / wall, cpu / count / base, "the processor's time for a row of the first")


def store(folder: Path, sources: Sources, options: argparse.Namespace) -> Iterator[Line]:
    """A second run over few people, and over many: the time for a row must not grow with the store."""
    with hosts.host(folder) as url:
        subjects = {}
        for count in (10_000, options.people):
            path = folder / f"store-{count}.db"
            settings = {"tracking_url": url, "attribute_store_url": f"sqlite:///{path}"}
            print(f"  filling a store with {count:,} people", file=sys.stderr)
            # What is remembered is the same, and files are written in a fraction of the time that calls take.
            _used(target(folder, f"fill{count}", delivery="files", **settings), sources.users(count), folder)
            size = sum(part.stat().st_size for part in folder.glob(f"{path.name}*"))
            name = f"second run, {count:,} people ({size / count:,.0f} bytes each)"
            subjects[name] = (target(folder, f"store{count}", **settings), sources.users(count), count)
        yield from _in_turn(subjects, max(1, options.rounds - 2), folder)


def batch(folder: Path, sources: Sources, options: argparse.Namespace) -> Iterator[Line]:
    """People of whom nothing changed, in RECORD messages, and in the files of one BATCH message."""
    count = options.rows * 5
    lines = sources.users(count)
    with hosts.host(folder) as url:
        command = target(folder, "batch", tracking_url=url)
        forget(folder)
        _used(target(folder, "fill", delivery="files"), lines, folder)
        subjects = {"RECORD messages": (command, lines, count)}
        for name, message in rows.batches(folder, lines).items():
            subjects[f"BATCH: {name}"] = (command, message, count)
        yield from _in_turn(subjects, options.rounds, folder)


CASES["peak"] = peak


def overload(folder: Path, sources: Sources, options: argparse.Namespace) -> Iterator[Line]:
    """Hosts that are overloaded or seem so, each beside the same host without its fault."""
    for client in ("requests", "curl"):
        for fault, count in (("stray", 600), ("stray", options.rows), ("limit", 4_000), ("outage", options.rows)):
            seconds = {}
            for kind in ("none", fault):
                with hosts.host(folder, LATENCY_SECONDS, kind) as url:
                    command = target(folder, f"{client}-{kind}", tracking_url=url, http_client=client)
                    subject = Subject(f"{client}, {kind}", command, count, forget)
                    measure([subject], sources.events, folder, 1)
                    seconds[kind] = statistics.median(subject.seconds)
            name = f"http_client: {client}, {count:,} calls, {fault}"
            if fault == "limit":
                yield Line(name, subject.rate, subject.rate / hosts.LIMIT, "the limit")
            elif fault == "outage":
                late = seconds[fault] - seconds["none"] - 10
                yield Line(name, count / seconds[fault], late, "a second more than the outage")
            else:
                yield Line(name, count / seconds[fault], seconds[fault] / seconds["none"], "the time without")


CASES["store"] = store
CASES["overload"] = overload
CASES["batch"] = batch


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--only", default="calls,latency,files,unchanged", help=", ".join(CASES))
    options = parser.parse_args()
    lines: list[Line] = []
    with _folder() as folder:
        sources = Sources(folder)
        for name in options.only.split(","):
            print(f"{name}:", file=sys.stderr)
            lines.extend(CASES[name](folder, sources, options))
    show(lines, options.rounds)
    for line in lines:
        print(f"{line.name:52} {line.rate:>9,.0f} rows/s  {line.ratio:6.2f} x {line.against}")


if __name__ == "__main__":
    main()
