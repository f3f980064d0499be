"""Runs the target as Meltano would, kills it in the middle, and starts it again from its last STATE.

A `Source` says, for each of its rows, what Kissmetrics has to hold once a STATE behind the row came out; a `Job` checks
that at the moment a STATE comes out, and that at the end the sandbox holds exactly what the source held.
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from faulty_host import HARMLESS, RETRIED, faulty_host
from forked_runs import Forked
from held_in_files import HeldInFiles
from kill_source import STREAMS, Source
from long_faults import HOST, IN_PROCESS, MAY_END_A_RUN
from postgres_server import Postgres, postgres_server
from promises import Held, missing, surplus

from target_kissmetrics.mapping.shard import Shard
from target_kissmetrics.sandbox.model import Duplicates

COMMAND = [sys.executable, "-m", "target_kissmetrics"]
CRASHING = Path(__file__).with_name("crashing.py")
LONG_FAULTS = Path(__file__).with_name("long_faults.py")
KEY = "0123456789abcdef"
RUN_SECONDS = 900.0
"""No run of the target takes longer, on a machine that does much else."""

FILES, BASE = "files", "km"


@dataclass
class Findings:
    """What went wrong, and figures of how much went right."""

    runs: int = 0
    kills: int = 0
    states: int = 0
    requests: int = 0
    events: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    ahead: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, more: Findings) -> None:
        for name, value in vars(more).items():
            setattr(self, name, getattr(self, name) + value)


Run = subprocess.Popen[bytes] | Forked


@dataclass
class Slice:
    """A process after another, each going on from the last one's STATE.

    Attributes:
        shard: Whose rows they send.
        random: Whatever is drawn for them is drawn from it.
        position: Of the last STATE.
    """

    shard: Shard
    random: random.Random
    position: int = 0


class Job:
    """One source delivered by as many runs as it takes.

    Args:
        folder: For the store, the rejects and the config.
        seed: Whatever is drawn is drawn from it.
        rows: Rows of the source.
        kills: Runs that are killed; the one after them may end.
        faults: The part of all requests that meets a fault.
        client: `http_client` of the runs.
        delivery: `delivery` of the runs.
        slices: So many processes share the rows and the store, side by side.
        points: Kill at these exact points, and not at random moments: each by a run of its own, in this order.
        long_faults: Kinds of `long_faults.KINDS`; the runs but the last meet one each, in turn.
        fault_seconds: How long they take.
        is_forked: Start the runs as forks, and not as commands.
        duplicates: The rule that the sandbox keeps. Under `current`, a second version of an event is kept twice.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        rows: int,
        kills: int,
        faults: float,
        client: str = "auto",
        delivery: str = "api",
        slices: int = 1,
        points: Sequence[tuple[str, int]] = (),
        duplicates: Duplicates = "current",
        is_forked: bool = False,
        long_faults: Sequence[str] = (),
        fault_seconds: float = 2.0,
    ) -> None:
        self._long_faults = long_faults
        self._fault_seconds = fault_seconds
        self._postgres: Postgres | None = None
        self._port = 0
        self._timers: list[threading.Timer] = []
        self._is_forked = is_forked
        self._folder = folder
        self._random = random.Random(seed)  # noqa: S311 - it draws tests, no secrets
        self._source = Source(seed, rows)
        self._rows = rows
        self._kills = len(points) or kills
        self._points = points
        self._faults = faults
        self._client = client
        self._delivery = delivery
        self._duplicates = duplicates
        self._slices = [
            Slice(Shard(index, slices), random.Random(seed * 1000 + index))  # noqa: S311 - likewise
            for index in range(slices)
        ]
        self._watching: dict[int, Callable[[int], None]] = {}
        self._name = f"seed {seed}"
        self._stores_rejects = seed % 2 == 1 and "postgres" not in long_faults
        self._lock = threading.Lock()
        self._is_stuck = False
        self.findings = Findings()

    def run(self) -> Findings:
        """Deliver the source, and tell what was found."""
        if self._delivery == "files":
            self._run_all(HeldInFiles(self._folder / FILES, BASE, self._duplicates), "http://127.0.0.1:9")
        else:
            with faulty_host(duplicates=self._duplicates) as host, self._store():
                host.at_random(self._random, self._faults, {**RETRIED, **HARMLESS})
                host.on_request = self._on_request
                self._port = host.server_address[1]
                self._host = host
                self._run_all(host, host.url)
        return self.findings

    @contextlib.contextmanager
    def _store(self) -> Iterator[None]:
        with postgres_server() if "postgres" in self._long_faults else contextlib.nullcontext() as self._postgres:
            yield
            for timer in self._timers:
                timer.join()

    def _on_request(self, number: int) -> None:
        for watching in list(self._watching.values()):
            watching(number)

    def _run_all(self, held: Held, url: str) -> None:
        for attempt in range(self._kills + 1):
            with ThreadPoolExecutor(len(self._slices)) as pool:
                list(pool.map(lambda one, attempt=attempt: self._run(held, url, one, attempt), self._slices))
        if self._is_stuck:
            self.findings.other.append(f"{self._name}: a run took longer than {RUN_SECONDS:g} s")
            return
        for one in self._slices:
            if one.position != self._rows:
                self.findings.other.append(f"{self._name}: the last run ended at {one.position} of {self._rows}")
        self._check_end(held)
        self.findings.requests = held.requests
        self.findings.faults += held.served

    def _run(self, held: Held, url: str, one: Slice, attempt: int) -> None:
        """Run the target once, and let it be killed, but for the last time."""
        is_last = attempt == self._kills
        point = None if is_last or not self._points else self._points[attempt]
        fault = None if is_last or not self._long_faults else self._long_faults[attempt % len(self._long_faults)]
        with self._start(url, one, point, fault) as process:
            if fault is not None:
                self.findings.faults[fault] += 1
                self._begin(fault, one)
            guard = threading.Timer(RUN_SECONDS, self._end_by_force, [process])
            guard.start()
            is_spared = fault is not None and one.random.random() < 0.5
            kill_after_states = None if is_last or point or is_spared else self._arrange_kill(held, one, process)
            feeder = threading.Thread(target=self._feed, args=(process, one.position))
            feeder.start()
            assert process.stdout is not None
            for line in process.stdout:
                one.position = json.loads(line)["position"]
                self._check_state(held, one)
                if kill_after_states is not None:
                    kill_after_states -= 1
                    if kill_after_states <= 0:
                        process.kill()
            code = process.wait()
            feeder.join()
            guard.cancel()
            self._watching.pop(one.shard.index, None)
        with self._lock:
            self.findings.runs += 1
            self.findings.kills += code == -9
            ended_by_fault = code == 1 and fault in MAY_END_A_RUN and "Traceback" not in self._log()
            if (code not in {0, -9} and not ended_by_fault) or (is_last and code):
                self.findings.other.append(f"{self._name}, {fault}: exit code {code}: {self._log()[-2000:]}")

    def _log(self) -> str:
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def _begin(self, fault: str, one: Slice) -> None:
        """Begin a long fault that is not of the process."""
        begins = 0.5 + one.random.random()
        if fault == "silent":
            self._timers.append(threading.Timer(begins, self._host.fall_silent, [self._fault_seconds]))
        elif fault == "postgres":
            assert self._postgres is not None
            self._timers.append(threading.Timer(begins, self._postgres.restart))
        else:
            return
        self._timers[-1].start()

    def _end_by_force(self, process: Run) -> None:
        self._is_stuck = True
        process.kill()

    def _start(self, url: str, one: Slice, point: tuple[str, int] | None, fault: str | None) -> Run:
        index, count = one.shard.index, one.shard.count
        config = {
            "api_key": KEY,
            "tracking_url": f"http://{HOST}:{self._port}" if fault == "dns" else url,
            "http_client": self._client,
            "delivery": self._delivery,
            "files_url": FILES,
            "files_base_name": BASE,
            "files_max_rows": 5 if point else one.random.choice([5, 23, 1000]),
            "use_customer_id": True,
            "alias_identities": True,
            "streams": STREAMS,
            "request_timeout_seconds": 1,
            "retry_timeout_seconds": 60,
            "max_connections": one.random.randrange(1, 9),
            # Another cut each time: what a run repeats lies in other batches than it lay in before.
            "batch_size_rows": 7 if point else one.random.choice([1, 7, 40, 1000]),
            # So slow that a fault begins while rows are sent.
            **({"max_requests_per_second": self._rows / 3} if fault else {}),
            **({"rejects_path": "store"} if self._stores_rejects else {}),
            **({"attribute_store_url": self._postgres.url} if self._postgres else {}),
            **({"shard": {"index": index, "count": count}} if count > 1 else {}),
        }
        path = self._folder / f"config-{index}.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        if self._is_forked and fault not in IN_PROCESS:
            return Forked(["--config", str(path)], self._folder, point)
        crashing = [sys.executable, str(CRASHING), point[0], str(point[1])] if point else COMMAND
        if fault in IN_PROCESS:
            crashing = [sys.executable, str(LONG_FAULTS), fault, str(self._fault_seconds)]
            crashing += [str(one.random.randrange(1 << 30)), str(self._port)]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*crashing, "--config", str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._folder,
            )

    def _feed(self, process: Run, position: int) -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError), process.stdin as pipe:
            for message in self._source.messages(position):
                pipe.write(json.dumps(message).encode() + b"\n")

    def _arrange_kill(self, held: Held, one: Slice, process: Run) -> int | None:
        """Let the process be killed at a moment of some kind; give after how many STATE messages, if it is that."""
        kinds = ["request", "request", "states", "time"] if self._delivery == "api" else ["states", "time"]
        kind = one.random.choice(kinds)
        if kind == "states":
            return one.random.randrange(1, 6)
        delay = one.random.random() * 0.8
        if self._delivery == "files":
            starts_in = 0.0 if self._is_forked else 0.5
            threading.Timer(starts_in + delay, process.kill).start()
            return None
        first = held.requests
        last = first + one.random.randrange(1, max(2, self._rows // 3))

        def begin(number: int) -> None:
            # From the first request on: before it, there is little to be killed.
            if number == first + 1:
                threading.Timer(delay, process.kill).start()

        def end(number: int) -> None:
            if number >= last:
                process.kill()

        self._watching[one.shard.index] = begin if kind == "time" else end
        return None

    # What is held

    def _check_state(self, held: Held, one: Slice) -> None:
        """Find what a STATE covers and Kissmetrics does not hold."""
        ahead = [
            what
            for person, expected in self._source.expected(one.position).items()
            if one.shard.takes(person)
            for what in missing(held, person, expected)
        ]
        if one.shard.takes_rows_without_person:
            rejects = self._rejects()
            ahead += [f"no reject {record}" for record in self._source.rejected(one.position) if record not in rejects]
        with self._lock:
            self.findings.states += 1
            self.findings.ahead += [f"{self._name}, STATE {one.position}: {what}" for what in ahead]

    def _check_end(self, held: Held) -> None:
        revenue = Decimal(0)
        for stream, record in self._source.rows:
            revenue += Decimal(str(record["total"])) if stream == "orders" else 0
        for person, expected in self._source.expected(self._rows).items():
            self.findings.events += sum(expected.events.values())
            self.findings.lost += [f"{self._name}: {what}" for what in missing(held, person, expected)]
            self.findings.twice += [f"{self._name}: {what}" for what in surplus(held, person, expected)]
        total = Decimal(held.summary()["revenue"])
        if total != revenue:
            (self.findings.lost if total < revenue else self.findings.twice).append(
                f"{self._name}: revenue {total}, not {revenue}"
            )
        odd = set(held.not_kept()) - {"duplicate-event", "duplicate-property"}
        if odd:
            self.findings.other.append(f"{self._name}: not kept for {odd}")

    def _rejects(self) -> list[dict[str, Any]]:
        path = self._folder / "target-kissmetrics-rejects.jsonl"
        lines = (
            self._stored_rejects() if self._stores_rejects else path.read_bytes().splitlines() if path.exists() else []
        )
        found = []
        for line in lines:
            # A run that was killed may leave half a line.
            with contextlib.suppress(ValueError):
                found.append(json.loads(line)["record"])
        return found

    def _stored_rejects(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self._folder / "target-kissmetrics.db")) as store:
            query = "SELECT line FROM target_kissmetrics_rejects WHERE code IS NOT NULL"
            return [line for (line,) in store.execute(query)]
