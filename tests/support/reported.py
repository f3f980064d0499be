"""A run as a recorder sees it, for tests of its report."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from fakes import FakeClock

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.run_recorder import RunRecorder
from target_kissmetrics.reporting.run_report import About, Ending, RunReport, make_report

NOW = datetime(2024, 5, 1, 12, 0, 0, tzinfo=timezone.utc)
SECOND = 1_704_067_200
PERSON = "ada@example.com"
ABOUT = About("1.2.3", "0.54.0", "api", "curl", {"rejects_path": "rejects.jsonl", "tracking_url": "http://h"})


def record(event: str = "Bought", at: int = 0, properties: dict[str, str] | None = None) -> Record:
    return Record(PERSON, event, SECOND + at, properties or {})


def properties_of(at: int = 0) -> Set:
    return Set(PERSON, SECOND + at, {"Plan": "Gold"})


def alias() -> Alias:
    return Alias(PERSON, "device-1", SECOND)


class Reported:
    """A run that is made up, step by step."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.recorder = RunRecorder(self.clock)
        self.streams: dict[str, StreamCounts] = {}

    def stream(self, name: str, rows: int = 0) -> StreamCounts:
        counts = self.streams.setdefault(name, StreamCounts(name))
        counts.rows += rows
        return counts

    def send(self, stream: str, *calls: Call, seconds: float | None = 0.05, attempts: int = 1) -> None:
        """Let calls be taken; without `seconds` they are written, as into files."""
        counts = self.stream(stream, len(calls))
        for call in calls:
            if seconds is not None:
                self.recorder.taken(call, seconds, attempts)
                for _ in range(attempts - 1):
                    self.recorder.put_off("it answered 503")
            counts.delivered(call)
        self.recorder.settled([(counts, call) for call in calls])

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.recorder.tick(self.streams.values())

    def report(self, ending: Ending | None = None, about: About = ABOUT, **given: Any) -> RunReport:
        whole = {"retries": 0, "names": False, **given}
        return make_report(
            recorder=self.recorder,
            streams=list(self.streams.values()),
            about=about,
            ending=ending or Ending("complete"),
            now=NOW,
            **whole,
        )
