"""How everything is measured: whole processes that read Singer lines, in turn, less the same over no rows; medians."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


class Used(NamedTuple):
    """What a run took: seconds from start to end, those of the processor, and the most memory."""

    wall: float
    cpu: float
    peak_kib: int


@dataclass
class Subject:
    """What is measured.

    Attributes:
        name: As the table calls it.
        commands: Read Singer lines from standard input. Several run at once, each over all lines.
        lines: What they read.
        count: How many rows that is.
        fresh: Makes everything ready before each run.
        environment: Variables besides those of this process.
        idle: The commands for no rows; None: the same ones, over lines without rows.
        found: Of each round: the run, and the run over no rows.
    """

    name: str
    commands: list[list[str]]
    lines: Path
    count: int
    fresh: Callable[[], object] = field(default=lambda: None)
    environment: Mapping[str, str] = field(default_factory=dict)
    idle: list[list[str]] | None = None
    found: list[tuple[Used, Used]] = field(default_factory=list)

    def median(self, at: int) -> float:
        """Give the median of a figure of `Used`, less that of the runs over no rows."""
        full, none = (statistics.median(one[at] for one in of) for of in zip(*self.found, strict=True))
        return max(float(full - none), 0.001)

    @property
    def rate(self) -> float:
        """Rows a second, the median of all rounds."""
        return self.count / self.median(0)

    @property
    def cpu(self) -> float:
        """Microseconds of the processor for a row, the median of all rounds."""
        return self.median(1) / self.count * 1e6


@dataclass
class Line:
    """A line of the table."""

    name: str
    rate: float
    ratio: float
    against: str
    unit: str = "rows/s"
    cpu: float | None = None


def run(subject: Subject, folder: Path, *, idle: bool = False) -> Used:
    """Run a subject once, over its lines or over none (Linux and macOS).

    Raises:
        SystemExit: It failed.
    """
    lines = without_rows(subject.lines) if idle else subject.lines
    commands = subject.idle if idle and subject.idle else subject.commands
    log = folder / "log.txt"
    cpu, peak = 0.0, 0
    with log.open("wb") as told:
        began = time.perf_counter()
        running = []
        for command in commands:
            with lines.open("rb") as source:
                environment = {**os.environ, **subject.environment}
                running.append(
                    subprocess.Popen(command, stdin=source, stdout=told, stderr=told, cwd=folder, env=environment)
                )
        for process in running:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu += usage.ru_utime + usage.ru_stime
            peak = max(peak, usage.ru_maxrss)
        seconds = time.perf_counter() - began
    if any(process.returncode for process in running):
        sys.exit(f"{subject.name} failed:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")
    return Used(seconds, cpu, peak)


def measure(subjects: list[Subject], folder: Path, rounds: int) -> None:
    """Run all subjects in turn, round after round, each once over no rows and once over its rows."""
    for number in range(rounds):
        for subject in subjects:
            subject.fresh()
            idle = run(subject, folder, idle=True)
            subject.fresh()
            subject.found.append((run(subject, folder), idle))
            print(f"  round {number + 1}: {subject.name}: {subject.rate:,.0f} rows/s so far", file=sys.stderr)


def compare(subjects: list[Subject], folder: Path, rounds: int, against: str) -> Iterator[Line]:
    """Measure subjects, and give a line for each with its rate beside the first one's."""
    measure(subjects, folder, rounds)
    for subject in subjects:
        yield Line(subject.name, subject.rate, subject.rate / subjects[0].rate, against, cpu=subject.cpu)


def target(folder: Path, name: str, **config: Any) -> list[list[str]]:
    """Give the command of this target with a config."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"api_key": "0123456789abcdef", **config}), encoding="utf-8")
    return [[sys.executable, "-m", "target_kissmetrics", "--config", str(path)]]


def nothing(what: str, lines: Path, count: int) -> Subject:
    """Give the SDK target that does nothing, to compare with."""
    command = [sys.executable, str(HERE / "nothing_target.py")]
    return Subject(f"an SDK target that does nothing ({what})", [command], lines, count)


def forget(folder: Path) -> None:
    """Remove what a run left."""
    for path in [*folder.glob("*.db*"), *folder.glob("kissmetrics-import/*"), *folder.glob("*-rejects.jsonl")]:
        path.unlink()


def restore(folder: Path, store: Path) -> None:
    """Remove what a run left, and put a store where it is by default."""
    forget(folder)
    shutil.copyfile(store, folder / "target-kissmetrics.db")


def without_rows(lines: Path) -> Path:
    """Give a file with the schema of another one, and no rows."""
    path = lines.with_suffix(".none")
    if not path.exists():
        with lines.open(encoding="utf-8") as source:
            path.write_text(source.readline() + '{"type":"STATE","value":{}}\n', encoding="utf-8")
    return path
