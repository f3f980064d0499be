"""Runs the target as Meltano would, kills it in the middle, and starts it again from its last STATE.

A `Source` says, for each of its rows, what Kissmetrics has to hold once a STATE behind the row came out; a `Job` checks
that at the moment a STATE comes out, and that at the end the sandbox holds exactly what the source held.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

from faulty_host import HARMLESS, RETRIED, FaultyHost, faulty_host

COMMAND = [sys.executable, "-m", "target_kissmetrics"]
KEY = "0123456789abcdef"
RUN_SECONDS = 120.0
"""No run of the target takes longer."""

PEOPLE = 6
DAY = datetime(2024, 1, 1, tzinfo=timezone.utc)

_TEXT = {"type": ["string", "null"]}
_SCHEMAS = {
    "orders": {
        "order_id": {"type": "integer"},
        "user_id": _TEXT,
        "day": _TEXT,
        "total": {"type": "number"},
        "items": {},
    },
    "clicks": {"click_id": {"type": "integer"}, "user_id": _TEXT, "at": _TEXT},
    "signups": {"signup_id": {"type": "integer"}, "user_id": _TEXT, "at": _TEXT},
    "users": {"user_id": _TEXT, "plan": _TEXT, "city": _TEXT, "updated_at": _TEXT},
    "links": {"user_id": _TEXT, "previous_id": _TEXT},
}
_KEYS = {
    "orders": ["order_id"],
    "clicks": ["click_id"],
    "signups": ["signup_id"],
    "users": ["user_id", "updated_at"],
    "links": ["user_id", "previous_id"],
}
STREAMS = [
    {
        "stream": "orders",
        "kind": "event",
        "customer_id": "user_id",
        "event_name": "Purchased",
        "timestamp": "day",
        "revenue": "total",
        "exclude": ["total"],
        "line_items": "items",
        "spread_duplicates": True,
    },
    {"stream": "clicks", "kind": "event", "customer_id": "user_id", "event_name": "Clicked", "timestamp": "at"},
    {
        "stream": "signups",
        "kind": "event",
        "customer_id": "user_id",
        "event_name": "Signed Up",
        "timestamp": "at",
        "once": True,
    },
    {"stream": "users", "kind": "user_attributes", "customer_id": "user_id", "timestamp": "updated_at"},
    {"stream": "links", "kind": "alias", "customer_id": "user_id"},
]


@dataclass
class Expected:
    """What Kissmetrics has to hold of one person.

    Attributes:
        values: Property -> values, in the order of the source's rows.
        events: Names -> how many.
        others: Identities that are the same person.
    """

    values: dict[str, list[Any]] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    others: set[str] = field(default_factory=set)


class Source:
    """Rows of five streams, in an order of their own, with a STATE after some of them.

    Args:
        seed: Whatever is drawn is drawn from it.
        rows: How many rows.
    """

    def __init__(self, seed: int, rows: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - it draws tests, no secrets
        self._plans: dict[str, tuple[str, str]] = {}
        self.rows = [self._row(number) for number in range(rows)]
        self.states = {position for position in range(1, rows) if self._random.random() < 0.2} | {rows}

    def messages(self, start: int) -> Iterator[dict[str, Any]]:
        """Give what the tap writes when it goes on from a STATE."""
        for stream, fields in _SCHEMAS.items():
            schema = {"type": "object", "properties": fields}
            yield {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": _KEYS[stream]}
        for position in range(start, len(self.rows) + 1):
            if position > start and position in self.states:
                yield {"type": "STATE", "value": {"position": position}}
            if position < len(self.rows):
                stream, record = self.rows[position]
                yield {"type": "RECORD", "stream": stream, "record": record}

    def expected(self, end: int) -> dict[str, Expected]:
        """Give what has to be held of the rows before a position, by person."""
        people: dict[str, Expected] = {}
        for stream, record in self.rows[:end]:
            if record["user_id"] == "guest":
                continue
            person = people.setdefault(record["user_id"], Expected())
            _ADD[stream](person, record)
        return people

    def rejected(self, end: int) -> list[dict[str, Any]]:
        """Give the rows before a position that have to be in the file of rejects."""
        return [record for _, record in self.rows[:end] if record["user_id"] == "guest"]

    def _row(self, number: int) -> tuple[str, dict[str, Any]]:
        draw = self._random
        person = f"u{draw.randrange(PEOPLE)}"
        # Every row has a second of its own, but for orders: they have a day.
        at = (DAY + timedelta(seconds=number * 7)).isoformat()
        kind = draw.random()
        if kind < 0.3:
            items = [{"sku": f"{number}-{place}", "quantity": place + 1} for place in range(draw.randrange(4))]
            day = (DAY + timedelta(days=30 + draw.randrange(2))).date().isoformat()
            total = draw.randrange(1, 100_000) / 100
            return "orders", {"order_id": number, "user_id": person, "day": day, "total": total, "items": items}
        if kind < 0.5:
            return "clicks", {"click_id": number, "user_id": person, "at": at}
        if kind < 0.6:
            return "signups", {"signup_id": number, "user_id": person, "at": at}
        if kind < 0.9:
            plan = draw.choice(["Free", "Gold", "Pro"])
            return "users", {"user_id": person, "plan": plan, "city": draw.choice(["Oslo", "Rome"]), "updated_at": at}
        if kind < 0.95:
            return "links", {"user_id": person, "previous_id": f"{person}-d{draw.randrange(4)}"}
        return "clicks", {"click_id": number, "user_id": "guest", "at": at}


def _add_order(person: Expected, record: dict[str, Any]) -> None:
    person.events["Purchased"] += 1
    person.values.setdefault("order_id", []).append(record["order_id"])
    for item in record["items"]:
        person.values.setdefault("sku", []).append(item["sku"])


def _add_click(person: Expected, record: dict[str, Any]) -> None:
    person.events["Clicked"] += 1
    person.values.setdefault("click_id", []).append(record["click_id"])


def _add_signup(person: Expected, record: dict[str, Any]) -> None:
    if not person.events["Signed Up"]:
        person.events["Signed Up"] += 1
        person.values["signup_id"] = [record["signup_id"]]


def _add_user(person: Expected, record: dict[str, Any]) -> None:
    for name in ("plan", "city"):
        values = person.values.setdefault(name, [])
        if values[-1:] != [record[name]]:
            values.append(record[name])


def _add_link(person: Expected, record: dict[str, Any]) -> None:
    person.others.add(record["previous_id"])


_ADD: dict[str, Callable[[Expected, dict[str, Any]], None]] = {
    "orders": _add_order,
    "clicks": _add_click,
    "signups": _add_signup,
    "users": _add_user,
    "links": _add_link,
}
_IN_ORDER = {"click_id", "plan", "city", "signup_id"}
"""Whose seconds follow the source's order; orders of one day get theirs in any."""


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


class Job:
    """One source delivered by as many runs as it takes.

    Args:
        folder: For the store, the rejects and the config.
        seed: Whatever is drawn is drawn from it.
        rows: Rows of the source.
        kills: Runs that are killed; the one after them may end.
        faults: The part of all requests that meets a fault.
        client: `http_client` of the runs.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self, folder: Path, seed: int, *, rows: int, kills: int, faults: float, client: str = "auto"
    ) -> None:
        self._folder = folder
        self._random = random.Random(seed)  # noqa: S311 - it draws tests, no secrets
        self._source = Source(seed, rows)
        self._rows = rows
        self._kills = kills
        self._faults = faults
        self._client = client
        self._name = f"seed {seed}"
        self.findings = Findings()

    def run(self) -> Findings:
        """Deliver the source, and tell what was found."""
        position = 0
        with faulty_host() as host:
            host.at_random(self._random, self._faults, {**RETRIED, **HARMLESS})
            for attempt in range(self._kills + 1):
                position = self._run(host, position, is_last=attempt == self._kills)
            if position != self._rows:
                self.findings.other.append(f"{self._name}: the last run ended at {position} of {self._rows}")
            self._check_end(host)
            self.findings.requests = host.requests
            self.findings.faults = host.served
        return self.findings

    def _run(self, host: FaultyHost, position: int, *, is_last: bool) -> int:
        """Run the target once; give the position of the last STATE."""
        with self._start(host) as process:
            guard = threading.Timer(RUN_SECONDS, process.kill)
            guard.start()
            kill_after_states = None if is_last else self._arrange_kill(host, process)
            feeder = threading.Thread(target=self._feed, args=(process, position))
            feeder.start()
            assert process.stdout is not None
            for line in process.stdout:
                position = json.loads(line)["position"]
                self._check_state(host, position)
                if kill_after_states is not None:
                    kill_after_states -= 1
                    if kill_after_states <= 0:
                        process.kill()
            code = process.wait()
            feeder.join()
            guard.cancel()
            host.on_request = lambda _: None
        self.findings.runs += 1
        self.findings.kills += code == -9
        if code not in {0, -9} or (is_last and code):
            log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
            self.findings.other.append(f"{self._name}: exit code {code}: {log[-2000:]}")
        return position

    def _start(self, host: FaultyHost) -> subprocess.Popen[bytes]:
        config = {
            "api_key": KEY,
            "tracking_url": host.url,
            "http_client": self._client,
            "use_customer_id": True,
            "streams": STREAMS,
            "request_timeout_seconds": 1,
            "retry_timeout_seconds": 60,
            "max_connections": self._random.randrange(1, 9),
            # Another cut each time: what a run repeats lies in other batches than it lay in before.
            "batch_size_rows": self._random.choice([1, 7, 40, 1000]),
        }
        path = self._folder / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*COMMAND, "--config", str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._folder,
            )

    def _feed(self, process: subprocess.Popen[bytes], position: int) -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError), process.stdin as pipe:
            for message in self._source.messages(position):
                pipe.write(json.dumps(message).encode() + b"\n")

    def _arrange_kill(self, host: FaultyHost, process: subprocess.Popen[bytes]) -> int | None:
        """Let the process be killed at a moment of some kind; give after how many STATE messages, if it is that."""
        kind = self._random.choice(["request", "request", "states", "time"])
        if kind == "states":
            return self._random.randrange(1, 6)
        if kind == "time":
            # From the first request on: before it, there is little to be killed.
            delay = self._random.random() * 0.8

            def begin(number: int) -> None:
                if number == first + 1:
                    threading.Timer(delay, process.kill).start()

            first = host.requests
            host.on_request = begin
            return None
        last = host.requests + self._random.randrange(1, max(2, self._rows // 3))

        def end(number: int) -> None:
            if number >= last:
                process.kill()

        host.on_request = end
        return None

    # What is held

    def _check_state(self, host: FaultyHost, position: int) -> None:
        """Find what a STATE covers and Kissmetrics does not hold."""
        self.findings.states += 1
        for person, expected in self._source.expected(position).items():
            self.findings.ahead += [
                f"{self._name}, STATE {position}: {what}" for what in _missing(host, person, expected)
            ]
        rejects = self._rejects()
        self.findings.ahead += [
            f"{self._name}, STATE {position}: no reject {record}"
            for record in self._source.rejected(position)
            if record not in rejects
        ]

    def _check_end(self, host: FaultyHost) -> None:
        revenue = Decimal(0)
        for stream, record in self._source.rows:
            revenue += Decimal(str(record["total"])) if stream == "orders" else 0
        for person, expected in self._source.expected(self._rows).items():
            self.findings.events += sum(expected.events.values())
            self.findings.lost += [f"{self._name}: {what}" for what in _missing(host, person, expected)]
            self.findings.twice += [f"{self._name}: {what}" for what in _surplus(host, person, expected)]
        held = Decimal(host.summary()["revenue"])
        if held != revenue:
            (self.findings.lost if held < revenue else self.findings.twice).append(
                f"{self._name}: revenue {held}, not {revenue}"
            )
        odd = set(host.not_kept()) - {"duplicate-event", "duplicate-property"}
        if odd:
            self.findings.other.append(f"{self._name}: not kept for {odd}")

    def _rejects(self) -> list[dict[str, Any]]:
        path = self._folder / "target-kissmetrics-rejects.jsonl"
        if not path.exists():
            return []
        found = []
        for line in path.read_bytes().splitlines():
            # A run that was killed may leave half a line.
            with contextlib.suppress(ValueError):
                found.append(json.loads(line)["record"])
        return found


def _held(host: FaultyHost, person: str) -> tuple[dict[str, list[Any]], Counter[str], set[str]]:
    shown = host.person(person)
    if shown is None:
        return {}, Counter(), set()
    values = {name: [entry["value"] for entry in entries] for name, entries in shown["properties"].items()}
    return values, Counter(event["name"] for event in shown["events"]), set(shown["identities"])


def _missing(host: FaultyHost, person: str, expected: Expected) -> list[str]:
    values, events, identities = _held(host, person)
    missing = [f"{person} is not {other}" for other in expected.others - identities]
    missing += [
        f"{person} has {events[name]} events {name!r}, not {count}"
        for name, count in expected.events.items()
        if events[name] < count
    ]
    for name, wanted in expected.values.items():
        short = Counter(wanted) - Counter(values.get(name, []))
        missing += [f"{person} has no {name} {value!r}" for value in short]
    return missing


def _surplus(host: FaultyHost, person: str, expected: Expected) -> list[str]:
    values, events, _ = _held(host, person)
    surplus = [
        f"{person} has {count} events {name!r}, not {expected.events[name]}"
        for name, count in events.items()
        if count > expected.events[name]
    ]
    for name, wanted in expected.values.items():
        found = values.get(name, [])
        surplus += [f"{person} has {name} {value!r} too often" for value in Counter(found) - Counter(wanted)]
        if name in _IN_ORDER and found != wanted:
            surplus.append(f"{person} has {name} {found}, not {wanted}")
    return surplus
