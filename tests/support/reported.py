"""A run as a recorder sees it, for tests of its report."""

from __future__ import annotations

from datetime import UTC, datetime

from fakes import FakeClock

from target_kissmetrics.kissmetrics.calls import Alias, Call, Outgoing, Record, Set
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.report import About, Ending, Recorder, RunReport

NOW = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
SECOND = 1_704_067_200
PERSON = "ada@example.com"
ABOUT = About(
    run_id="20260102T030405Z-1a2b3c",
    version="1.2.3",
    sdk="0.54.0",
    delivery="api",
    client="curl",
    settings={"rejects_path": "rejects.jsonl", "tracking_url": "http://h"},
)


def record(event: str = "Bought", at: int = 0, properties: dict[str, str] | None = None) -> Record:
    return Record(PERSON, event, SECOND + at, properties or {})


def properties_of(at: int = 0) -> Set:
    return Set(PERSON, SECOND + at, {"Plan": "Gold"})


def alias() -> Alias:
    return Alias(PERSON, "device-1", SECOND)


COMPLETE = Ending("complete")


class Reported:
    """A run that is made up, step by step."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.recorder = Recorder(self.clock)
        self.streams: dict[str, StreamCounts] = {}

    def stream(self, name: str, rows: int = 0) -> StreamCounts:
        counts = self.streams.setdefault(name, StreamCounts(name))
        counts.rows += rows
        return counts

    def send(self, stream: str, *calls: Call, seconds: float | None = 0.05, attempts: int = 1) -> None:
        """Let calls be acknowledged; without `seconds` they are written, as into files."""
        counts = self.stream(stream, len(calls))
        outgoing = [Outgoing(counts, call) for call in calls]
        for one in outgoing:
            if seconds is not None:
                self.recorder.acknowledged(one, seconds, attempts)
                for _ in range(attempts - 1):
                    self.recorder.retried("it answered 503")
            counts.delivered(one.call)
        self.recorder.batch_acknowledged(outgoing)

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.recorder.tick(self.streams.values())

    def report(self, ending: Ending | None = None, about: About = ABOUT, *, names: bool = False) -> RunReport:
        return self.recorder.report(
            list(self.streams.values()), about, ending or Ending("complete"), names=names, now=NOW
        )
