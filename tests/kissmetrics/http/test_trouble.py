"""What is told of a host that does not take calls."""

from __future__ import annotations

import pytest

from target_kissmetrics.errors import Refused, Unreachable
from target_kissmetrics.kissmetrics.http.retry import GiveUp, Wait
from target_kissmetrics.kissmetrics.http.trouble import BLIPS, TOLD_EVERY_SECONDS, Trouble

WAIT = Wait(1.5, "connection failed (Connection refused)")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def trouble(told: list[str], clock: Clock) -> Trouble:
    return Trouble("https://trk.example", 300, told.append, clock)


def test_a_call_that_fails_again_and_again_is_told_of_now_and_then(
    trouble: Trouble, told: list[str], clock: Clock
) -> None:
    for attempts in range(1, BLIPS + 1):
        trouble.put_off(WAIT, attempts)
    assert told == []
    for _ in range(100):
        trouble.put_off(WAIT, BLIPS + 1)
    (first,) = told
    assert first == (
        "https://trk.example: connection failed (Connection refused); a call is tried again for up to 300 s "
        "(retry_timeout_seconds); no call was taken so far: check tracking_url and the network"
    )
    clock.now += TOLD_EVERY_SECONDS
    trouble.is_reached = True
    trouble.put_off(WAIT, 9)
    assert told[1:] == [first.partition("; no call")[0]]


def test_a_pause_is_told_of_with_its_length(trouble: Trouble, told: list[str]) -> None:
    trouble.paused(Wait(12.04, "it answered 429", overloaded=True))
    assert told == ["https://trk.example: it answered 429; all connections wait 12.0 s"]


def test_the_end_says_what_to_do_next(trouble: Trouble) -> None:
    never = trouble.ended(GiveUp("its name cannot be resolved", hopeless=False))
    assert isinstance(never, Unreachable)
    assert "No call was ever taken: check tracking_url, the network and any proxy. Run again: " in str(never)
    trouble.is_reached = True
    outage = trouble.ended(GiveUp("it answered 503", hopeless=False))
    assert isinstance(outage, Unreachable)
    assert str(outage).endswith("(retry_timeout_seconds). Run again: what was not delivered is sent again")
    hopeless = trouble.ended(GiveUp("it answered 404", hopeless=True))
    assert isinstance(hopeless, Refused)
    assert str(hopeless).endswith("check tracking_url and any proxy in between")
