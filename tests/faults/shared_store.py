"""Processes that send attributes of the same people over one store, and what they left.

No call goes anywhere: a process tells what it would send, and remembers it as it does once it was answered.
"""

from __future__ import annotations

import multiprocessing
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from target_kissmetrics.kissmetrics.calls import Call, Set
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.store.digests import Digests
from target_kissmetrics.store.intents import PersonValues
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.sync.batch import Batch, BatchRow
from target_kissmetrics.sync.planner import Planner

PRODUCT = "p" * 16
PEOPLE = 300
SECONDS = 200
"""Few enough that both processes have other values for one second of one person."""

CHUNK_ROWS = 500
CHUNKS_UNDER_WAY = 3
T0 = 1_700_000_000

Sent = list[tuple[str, str, int, str]]
"""Person, property, second, value."""


@dataclass
class Outcome:
    """What processes left.

    Attributes:
        sent: (person, property) -> second -> values that were sent with it.
        wrong: What is remembered and was not the last to be sent, or was sent and is not remembered.
    """

    sent: dict[tuple[str, str], dict[int, set[str]]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def conflicts(self) -> list[str]:
        """Two values with the last second of a property: Kissmetrics would show either.

        (An older value goes out with its own second, whatever was sent with it before: it is the last one that counts.)
        """
        return [
            f"{key} at {max(by_second)}: {values}"
            for key, by_second in self.sent.items()
            if len(values := by_second[max(by_second)]) > 1
        ]


def run(url: str, rows: int, processes: int = 2) -> Outcome:
    """Let processes send so many rows together, and look at what is remembered then."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        batches = pool.starmap(work, [(url, seed, rows // processes) for seed in range(processes)])
    outcome = Outcome()
    for person, name, second, value in (call for batch in batches for call in batch):
        outcome.sent.setdefault((person, name), {}).setdefault(second, set()).add(value)
    store = SqlStore(url, PRODUCT)
    own = store.digests
    known = store.last_sent([own.person(f"u{number}") for number in range(PEOPLE)])
    left = store.pending_intents(()).new
    store.close()
    outcome.wrong = _wrong(outcome, known, own)
    if left:
        outcome.wrong.append(f"{len(left)} plans of intents are left")
    return outcome


def work(url: str, seed: int, rows: int) -> Sent:
    """Send rows, some chunks at a time; give what was sent."""
    draw = random.Random(seed)  # noqa: S311 - it draws tests, no secrets
    store = SqlStore(url, PRODUCT)
    planner = Planner(
        store=store,
        include_all=False,
        max_aliases=10,
        reject=lambda *_: None,
        warn=lambda *_: None,
    )
    counts = StreamCounts("users")
    sent: Sent = []
    in_flight: deque[Batch] = deque()
    for start in range(0, rows, CHUNK_ROWS):
        # Both go through the same time, each with rows of its own.
        moment = T0 + start * SECONDS // rows
        batch = Batch(rows=[_row(counts, draw, moment) for _ in range(min(CHUNK_ROWS, rows - start))])
        planner.plan([batch])
        in_flight.append(batch)
        sent += [one for outgoing in batch.calls for one in _properties(outgoing.call)]
        if len(in_flight) > CHUNKS_UNDER_WAY:
            _commit(store, planner, in_flight.popleft())
    for batch in in_flight:
        _commit(store, planner, batch)
    store.close()
    return sent


def _row(counts: StreamCounts, draw: random.Random, moment: int) -> BatchRow:
    properties = {"plan": draw.choice("ABCDEF"), "city": draw.choice("xyz")}
    call = Set(f"u{draw.randrange(PEOPLE)}", moment + draw.randrange(3), properties, distinct=True)
    return BatchRow(counts, Mapped(calls=[call]), {})


def _properties(call: Call) -> Sent:
    assert isinstance(call, Set)
    return [(call.person, name, call.time, value) for name, value in call.properties.items()]


def _commit(store: SqlStore, planner: Planner, batch: Batch) -> None:
    store.commit(batch.update, batch.intents)
    planner.committed(batch)


def _wrong(outcome: Outcome, known: Mapping[bytes, PersonValues], own: Digests) -> list[str]:
    wrong = []
    for (person, name), by_second in outcome.sent.items():
        last = max(by_second)
        remembered = known.get(own.person(person), {}).get(own.property_key(name))
        if remembered is None:
            wrong.append(f"{person} {name}: nothing is remembered")
        elif remembered.time != last or remembered.value not in {own.value(value) for value in by_second[last]}:
            wrong.append(f"{person} {name}: {remembered.time - T0} is remembered, {last - T0} was the last sent")
    return wrong
