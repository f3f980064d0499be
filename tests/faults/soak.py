"""The long version of `test_kills.py` and `test_shared_store.py`; `make soak` runs it and prints its figures.

python tests/faults/soak.py [--kills 200] [--rows 100000] [--seed 1] [--jobs 3] [--client curl] [--delivery files]
    [--slices 2] [--duplicates legacy]

A third of the sources are delivered by runs that are killed at exact points between a row and its STATE, the others at
random moments.

Exit 1 when anything was lost, kept twice, or ahead of delivery, or when what is remembered is not what was sent.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from crashing import ANYWHERE, POINTS
from faulty_host import HARMLESS, RETRIED
from kill_runner import Findings, Job
from long_faults import KINDS
from postgres_server import binaries, running_postgres
from shared_store import run as run_shared

from target_kissmetrics.sandbox.model import Duplicates

ROWS = 200
KILLS_A_JOB = 5
FAULTS = 0.05
POINTED = 1 / 3
SHOWN = 20


def main() -> int:
    """Run; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="at least so many runs are killed")
    parser.add_argument("--source-rows", type=int, default=ROWS, help="rows of each source that runs are killed over")
    parser.add_argument("--seed", type=int, default=1, help="the first seed; each job has one of its own")
    parser.add_argument("--jobs", type=int, default=3, help="so many at once")
    parser.add_argument("--rows", type=int, default=100_000, help="attribute rows of two processes over one store")
    parser.add_argument(
        "--client", choices=["auto", "requests", "curl"], default="auto", help="http_client of the runs"
    )
    parser.add_argument("--delivery", choices=["api", "files"], default="api", help="delivery of the runs")
    parser.add_argument("--slices", type=int, default=1, help="processes that share the rows and the store (shard)")
    parser.add_argument(
        "--duplicates", choices=get_args(Duplicates), default="current", help="the rule that the sandbox keeps"
    )
    parser.add_argument("--long-faults", nargs="*", choices=KINDS, default=[], help="a run but the last meets one")
    parser.add_argument("--fault-seconds", type=float, default=3.0, help="how long such a fault takes")
    arguments = parser.parse_args()
    problems = [*(_shared_store(arguments.rows) if arguments.rows else []), *_kills(arguments)]
    for problem in problems[:SHOWN]:
        _tell(f"  {problem}")
    return 1 if problems else 0


def _shared_store(rows: int) -> list[str]:
    """Let two processes share a store, SQLite and PostgreSQL; give what is wrong then."""
    problems: list[str] = []
    with TemporaryDirectory() as folder:
        sqlite = f"sqlite:///{Path(folder, 'store.db').as_posix()}"
        with running_postgres() if binaries() else nullcontext() as server:
            for url in [sqlite, server] if server else [sqlite]:
                began = time.monotonic()
                outcome = run_shared(url, rows)
                _tell(
                    f"2 processes, {rows} attribute rows, {url.partition(':')[0]}: {len(outcome.sent)} attributes, "
                    f"remembered otherwise than sent: {len(outcome.wrong)}, two values with one last second: "
                    f"{len(outcome.conflicts)}, in {time.monotonic() - began:.0f} s"
                )
                problems += outcome.wrong + outcome.conflicts
    return problems


def _kills(arguments: argparse.Namespace) -> list[str]:
    """Kill runs; give what is wrong then."""
    began = time.monotonic()
    found = Findings()
    jobs = 0
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for seeds in _rounds(arguments.seed, arguments.jobs * 2):
            for findings in pool.map(partial(_job, arguments), seeds):
                found.add(findings)
                jobs += 1
            wrong = len([*found.lost, *found.twice, *found.ahead, *found.other])
            _tell(f"{found.kills} killed after {time.monotonic() - began:.0f} s, {wrong} things wrong")
            if found.kills >= arguments.kills:
                break
    kinds = [kind for kind in (*RETRIED, *HARMLESS, *KINDS) if found.faults[kind]]
    _tell(
        f"\n{jobs} sources of {arguments.source_rows} rows, {found.runs} runs of the target, "
        f"{found.kills} of them killed with kill -9, "
        f"{found.requests} requests, {sum(found.faults.values())} faults of {len(kinds)} kinds, "
        f"{found.states} STATE messages, {found.events} events, in {time.monotonic() - began:.0f} s"
    )
    _tell(f"lost: {len(found.lost)}; kept twice: {len(found.twice)}; states ahead of delivery: {len(found.ahead)}")
    return [*found.lost, *found.twice, *found.ahead, *found.other]


def _rounds(seed: int, size: int) -> Iterator[range]:
    while True:
        yield range(seed, seed + size)
        seed += size


def _job(arguments: argparse.Namespace, seed: int) -> Findings:
    draw = random.Random(seed)  # noqa: S311 - it draws tests, no secrets
    points: list[tuple[str, int]] = []
    if draw.random() < POINTED and not arguments.long_faults:
        there = list(POINTS if arguments.delivery == "files" else ANYWHERE)
        points = [(point, draw.randrange(1, 4)) for point in draw.sample(there, KILLS_A_JOB)]
    with TemporaryDirectory() as folder:
        return Job(
            Path(folder),
            seed,
            rows=arguments.source_rows,
            kills=KILLS_A_JOB,
            faults=FAULTS,
            client=arguments.client,
            delivery=arguments.delivery,
            slices=arguments.slices,
            points=points,
            duplicates=arguments.duplicates,
            long_faults=arguments.long_faults,
            fault_seconds=arguments.fault_seconds,
            is_forked=sys.platform != "win32",
        ).run()


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
