"""Stand-ins for what lies outside: Kissmetrics, a connection, a clock, a database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record
from target_kissmetrics.kissmetrics.http.transport import Outcome
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.kissmetrics.wire import Request
from target_kissmetrics.store.digests import Digests
from target_kissmetrics.store.intents import Intent, IntentChanges, PersonValues, unpack_intents
from target_kissmetrics.store.packed import LastCall, PackedPerson, merge, pack, unpack
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.store.update import Claim, StoredRun, StoreUpdate

DEADLINE_SECONDS = 20.0
"""How long a test waits for what should happen at once, before it says that it did not."""


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Give the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move it on."""
        self.now += seconds


@dataclass
class FakeKissmetrics:
    """What Kissmetrics keeps of calls by each of its rules for duplicates.

    The older one keeps the first of two events, or values, with the same person, name and second. The current one
    ignores a call only if everything in it is the same.

    Attributes:
        distinct: What the current rule keeps: (person, event or None, second, names and values).
        events: (person, name, second) -> properties.
        properties: (person, name) -> second -> value.
        aliases: Pairs.
    """

    events: dict[tuple[str, str, int], dict[str, str]] = field(default_factory=dict)
    properties: dict[tuple[str, str], dict[int, str]] = field(default_factory=dict)
    aliases: set[frozenset[str]] = field(default_factory=set)
    distinct: set[tuple[str, str | None, int, frozenset[tuple[str, str]]]] = field(default_factory=set)

    def take(self, call: Call) -> None:
        """Keep a call, or not."""
        if isinstance(call, Alias):
            self.aliases.add(frozenset({call.person, call.other}))
            return
        name = call.event if isinstance(call, Record) else None
        self.distinct.add((call.person, name, call.time, frozenset(call.properties.items())))
        if isinstance(call, Record):
            self.events.setdefault((call.person, folded(call.event), call.time), call.properties)
        for name, value in call.properties.items():
            self.properties.setdefault((call.person, folded(name)), {}).setdefault(call.time, value)

    def current(self) -> dict[tuple[str, str], str]:
        """Give each property's latest value."""
        return {key: values[max(values)] for key, values in self.properties.items()}


@dataclass
class Database:
    """What a store keeps, whoever opens it."""

    people: dict[bytes, PersonValues] = field(default_factory=dict)
    last_calls: dict[bytes, LastCall] = field(default_factory=dict)
    partners: dict[bytes, set[bytes]] = field(default_factory=dict)
    seconds: dict[bytes, bytes] = field(default_factory=dict)
    intents: dict[int, list[Intent]] = field(default_factory=dict)
    made: int = 0
    names: dict[bytes, bool] = field(default_factory=dict)
    runs: dict[str, StoredRun] = field(default_factory=dict)


class MemoryStore(SqlStore):
    """A store over a `Database`: open another one over the same for another run."""

    digests = Digests(b"p" * 16)

    def __init__(self, database: Database | None = None) -> None:
        self.database = database or Database()
        self.is_closed = False

    def last_sent(self, people: Collection[bytes]) -> dict[bytes, PackedPerson]:
        """Give them packed, as a database would."""
        known, calls = self.database.people, self.database.last_calls
        return {person: PackedPerson(pack(known[person], calls.get(person))) for person in people if person in known}

    def partners(self, people: Collection[bytes]) -> dict[bytes, set[bytes]]:
        """Give copies, as a database would."""
        return {person: set(self.database.partners[person]) for person in people if person in self.database.partners}

    def claimed(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Give what is claimed."""
        return {key: self.database.seconds[key] for key in keys if key in self.database.seconds}

    def claim(self, claims: Sequence[Claim]) -> dict[bytes, bytes]:
        """Claim seconds, each claim whole or not at all."""
        claimed = self.claimed([key for claim in claims for key in claim])
        for claim in claims:
            if claim.keys().isdisjoint(claimed):
                self.database.seconds.update(claim)
        return claimed

    @contextmanager
    def planning(self) -> Iterator[None]:
        """Exclude nobody."""
        yield

    def pending_intents(self, seen: Collection[int]) -> IntentChanges:
        """Give the intents that are not among the seen ones."""
        intents = self.database.intents
        new = {number: intents[number] for number in intents if number not in seen}
        return IntentChanges(new, [number for number in seen if number not in intents])

    def add_intents(self, entries: bytes) -> int:
        """Add intents."""
        self.database.made += 1
        self.database.intents[self.database.made] = unpack_intents(entries)
        return self.database.made

    def commit(self, update: StoreUpdate, cleared: Collection[int]) -> None:
        """Store an update, and clear intents."""
        for person, properties in update.people.items():
            self.database.people[person] = unpack(merge(pack(self.database.people.get(person, {})), properties))
        self.database.last_calls.update(update.last_calls)
        for one, other in update.aliases:
            self.database.partners.setdefault(one, set()).add(other)
            self.database.partners.setdefault(other, set()).add(one)
        for number in cleared:
            self.database.intents.pop(number, None)

    def add_names(self, new: Mapping[bytes, bool]) -> dict[bytes, bool]:
        """Add names, and give all."""
        self.database.names.update(new)
        return dict(self.database.names)

    def put_run(self, run: StoredRun) -> None:
        """Keep a run."""
        self.database.runs[run.run_id] = run

    def close(self) -> None:
        """Take note."""
        self.is_closed = True


def pending(store: SqlStore) -> list[Intent]:
    """Give the intents that are pending in a store."""
    return [intent for _, intents in sorted(store.pending_intents(()).new.items()) for intent in intents]


class ScriptedTransport:
    """Answers requests as a script says; after its end, as the last line of it.

    Args:
        script: Outcomes in order, or what gives one for a request.
    """

    def __init__(self, script: Sequence[Outcome] | Callable[[Request], Outcome]) -> None:
        self._script = script
        self._lock = threading.Lock()
        self.requests: list[Request] = []
        self.closed = 0

    def attempt(self, request: Request) -> Outcome:
        """Give the next outcome."""
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
        if callable(self._script):
            return self._script(request)
        return self._script[min(number, len(self._script)) - 1]

    def close(self) -> None:
        """Take note."""
        with self._lock:
            self.closed += 1


class RecordingDelivery:
    """Takes calls, and answers when it is told to.

    Attributes:
        parcels: Calls of each `send` that is not answered yet, with what to call then.
        sent: All calls ever sent.
    """

    retries = 0

    def __init__(self, *, answer_at_once: bool = False) -> None:
        self._answer_at_once = answer_at_once
        self.changed = threading.Condition()
        self.parcels: list[tuple[Sequence[Call], Callable[[], None]]] = []
        self.sent: list[Call] = []
        self.is_closed = False
        self.failed: Callable[[BaseException], None] = lambda _: None

    def __call__(self, failed: Callable[[BaseException], None]) -> RecordingDelivery:
        """Be made, as the pipeline makes its delivery."""
        self.failed = failed
        return self

    def send(self, calls: Sequence[Call], delivered: Callable[[], None]) -> None:
        """Take a parcel."""
        with self.changed:
            self.sent += calls
            if calls and not self._answer_at_once:
                self.parcels.append((calls, delivered))
            self.changed.notify_all()
        if not calls or self._answer_at_once:
            delivered()

    def close(self, patience: float) -> None:  # noqa: ARG002
        """Take note."""
        self.is_closed = True

    def wait_for(self, parcels: int) -> None:
        """Wait until so many parcels are unanswered."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.parcels) >= parcels, DEADLINE_SECONDS), "nothing was sent"

    def answer(self, index: int = 0) -> None:
        """Answer a parcel, by its place among those that are unanswered."""
        with self.changed:
            _, delivered = self.parcels.pop(index)
        delivered()
