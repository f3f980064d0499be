"""What is logged about a host that does not acknowledge calls."""

from __future__ import annotations

import pytest

from target_kissmetrics.errors import Refused, Unreachable
from target_kissmetrics.kissmetrics.http.host_log import INTERVAL_SECONDS, SILENT_ATTEMPTS, HostLog
from target_kissmetrics.kissmetrics.http.retry import GiveUp, Retry

RETRY = Retry(1.5, "connection failed (Connection refused)")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def log(lines: list[str], clock: Clock) -> HostLog:
    return HostLog("https://trk.example", 300, lines.append, clock)


def test_repeated_failures_of_a_call_are_logged_at_intervals(log: HostLog, lines: list[str], clock: Clock) -> None:
    for attempts in range(1, SILENT_ATTEMPTS + 1):
        log.retried(RETRY, attempts)
    assert lines == []
    for _ in range(100):
        log.retried(RETRY, SILENT_ATTEMPTS + 1)
    (first,) = lines
    assert first.startswith("https://trk.example: connection failed (Connection refused); calls are retried for up to")
    assert "300 s (retry_timeout_seconds); no call was acknowledged so far: check tracking_url" in first
    clock.now += INTERVAL_SECONDS
    log.has_acknowledged = True
    log.retried(RETRY, 9)
    assert lines[1:] == [first.partition("; no call")[0]]


def test_a_pause_is_logged_with_its_length(log: HostLog, lines: list[str]) -> None:
    log.paused(Retry(15.0, "it answered 429", asked=12.04))
    assert lines == ["https://trk.example: it answered 429; all connections wait 12.0 s"]


def test_the_error_says_what_to_do_next(log: HostLog) -> None:
    never = log.error(GiveUp("its name cannot be resolved", permanent=False))
    assert isinstance(never, Unreachable)
    assert "No call was ever acknowledged: check tracking_url, the network and any proxy. Run again: " in str(never)
    log.has_acknowledged = True
    outage = log.error(GiveUp("it answered 503", permanent=False))
    assert isinstance(outage, Unreachable)
    assert str(outage).endswith("it answered 503. Run again: calls that were not acknowledged are sent again")
    permanent = log.error(GiveUp("it answered 404", permanent=True))
    assert isinstance(permanent, Refused)
    assert str(permanent).endswith("check tracking_url and any proxy in between")
