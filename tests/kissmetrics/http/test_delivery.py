"""Many calls over many connections: all taken, or stopped with one reason."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import SECONDS, Ending, Kind, Script, ScriptedTransport, calls, deliver, make

from target_kissmetrics.errors import DeliveryError, Refused, Unreachable
from target_kissmetrics.kissmetrics.calls import Call, Outgoing, Set
from target_kissmetrics.kissmetrics.http.pacing import Pacing
from target_kissmetrics.kissmetrics.http.transport import Outcome
from target_kissmetrics.kissmetrics.wire import Request


@pytest.fixture(params=["threads", "loop"], scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    """Give each way to deliver through the API: all that is said here holds for both."""
    return cast("Kind", request.param)


def test_a_parcel_is_delivered_once_every_call_was_taken(kind: Kind) -> None:
    script = Script(Outcome(500), Outcome(cause="reset"), Outcome(429), Outcome(304))
    ending = deliver(script, calls(5), kind=kind)
    assert ending.parcels == [0]
    assert not ending.errors
    assert len(script.asked) == 8


def test_an_empty_parcel_is_delivered_at_once_without_a_connection(kind: Kind) -> None:
    script = Script()
    assert deliver(script, [], kind=kind).parcels == [0]
    assert script.opened == 0


def outgoing(parcel: list[Call]) -> list[Outgoing]:
    return [Outgoing(None, call) for call in parcel]


def test_a_parcel_waits_for_its_last_call_but_for_no_other_parcel(kind: Kind) -> None:
    held = threading.Event()

    class HoldingBack(ScriptedTransport):
        def attempt(self, request: Request) -> Outcome:
            if "person-0&" in request.target:
                assert held.wait(SECONDS)
            return super().attempt(request)

    script, ending = Script(), Ending()
    delivery = make(script, ending, connections=2, transport=lambda: HoldingBack(script), kind=kind)
    try:
        delivery.send(outgoing(calls(2)), ending.delivered(0))
        delivery.send(outgoing(calls(1, start=2)), ending.delivered(1))
        ending.wait(lambda: ending.parcels == [1])
        held.set()
        ending.wait(lambda: ending.parcels == [1, 0])
    finally:
        held.set()
        delivery.close(SECONDS)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=6),
    st.lists(st.sampled_from([200, 304, 408, 425, 429, 500, 503, None]), max_size=30),
    st.integers(1, 8),
)
def test_whatever_a_host_does_that_passes_every_call_is_taken_and_every_parcel_told_once(
    kind: Kind, sizes: list[int], statuses: list[int | None], connections: int
) -> None:
    script = Script(*[Outcome(status, cause=None if status else "reset") for status in statuses])
    parcels = [calls(size, start=100 * place) for place, size in enumerate(sizes)]
    ending = deliver(script, *parcels, connections=connections, kind=kind)
    assert sorted(ending.parcels) == list(range(len(sizes)))
    assert not ending.errors
    people = {call.person for parcel in parcels for call in parcel}
    assert len({request.target for request in script.asked}) == len(people)
    assert script.closed == script.opened <= connections
    assert script.most <= connections


def test_connections_are_opened_as_they_are_needed_and_kept(kind: Kind) -> None:
    script, ending = Script(), Ending()
    delivery = make(script, ending, connections=5, kind=kind)
    try:
        for number in range(10):
            delivery.send(outgoing(calls(1, start=number)), ending.delivered(number))
            ending.wait(lambda number=number: number in ending.parcels)  # type: ignore[misc]
        assert script.opened <= 2
        script.gate.clear()
        delivery.send(outgoing(calls(20, start=10)), ending.delivered(10))
        script.gate.set()
        ending.wait(lambda: 10 in ending.parcels)
        assert script.opened <= 5
    finally:
        script.gate.set()
        delivery.close(SECONDS)
    assert script.closed == script.opened


@pytest.mark.parametrize("outcome", [Outcome(404), Outcome(302), Outcome(200, html=True), Outcome(hopeless=True)])
def test_an_answer_that_no_retry_mends_stops_everything_with_one_reason(kind: Kind, outcome: Outcome) -> None:
    script = Script(answer=lambda _: outcome)
    ending = deliver(script, calls(50), calls(50, start=50), connections=4, kind=kind)
    assert not ending.parcels
    (error,) = ending.errors
    assert isinstance(error, Refused)
    assert str(error).startswith("https://trk.example: ")
    assert "tracking_url" in str(error)
    assert "s3cret" not in str(error)
    assert "_k" not in str(error)
    assert len(script.asked) <= 4


def test_a_spent_budget_names_its_setting_and_says_that_running_again_is_safe(kind: Kind) -> None:
    ending = deliver(Script(answer=lambda _: Outcome(503)), calls(3), budget=0, kind=kind)
    assert not ending.parcels
    (error,) = ending.errors
    assert isinstance(error, Unreachable)
    assert "answered 503" in str(error)
    assert "retry_timeout_seconds" in str(error)
    assert "Run again: what was not delivered is sent again" in str(error)


def test_calls_under_way_when_another_fails_still_count(kind: Kind) -> None:
    refused = threading.Event()

    def answer(request: Request) -> Outcome:
        return Outcome(404) if "person-1&" in request.target else Outcome(200)

    class Slow(ScriptedTransport):
        def attempt(self, request: Request) -> Outcome:
            if "person-0&" in request.target:
                assert refused.wait(SECONDS)
            return super().attempt(request)

    script, ending = Script(answer=answer), Ending()
    delivery = make(script, ending, connections=2, transport=lambda: Slow(script), kind=kind)
    delivery.send(outgoing(calls(1)), ending.delivered(0))
    delivery.send(outgoing(calls(1, start=1)), ending.delivered(1))
    ending.wait(lambda: bool(ending.errors))
    refused.set()
    delivery.close(SECONDS)
    assert ending.parcels == [0]
    assert len(ending.errors) == 1


def test_retries_are_counted(kind: Kind) -> None:
    script, ending = Script(Outcome(500), Outcome(500), Outcome(cause="reset")), Ending()
    delivery = make(script, ending, kind=kind)
    delivery.send(outgoing(calls(2)), ending.delivered(0))
    ending.wait(lambda: ending.parcels == [0])
    assert delivery.retries == 3
    delivery.close(SECONDS)


def test_an_overloaded_host_is_told_of_once_a_pause_not_once_a_connection(kind: Kind) -> None:
    script = Script(*[Outcome(429, retry_after="0")] * 3)
    assert len(deliver(script, calls(3), kind=kind).lines) == 0
    many = threading.Barrier(8)

    class Together(ScriptedTransport):
        first = True

        def attempt(self, request: Request) -> Outcome:
            if self.first:
                self.first = False
                many.wait(SECONDS)
                return Outcome(503)
            return super().attempt(request)

    script, ending = Script(), Ending()
    delivery = make(script, ending, connections=8, jitter=lambda _: 0.2, transport=lambda: Together(script), kind=kind)
    delivery.send(outgoing(calls(8)), ending.delivered(0))
    ending.wait(lambda: ending.parcels == [0])
    delivery.close(SECONDS)
    (line,) = ending.lines
    assert line == "https://trk.example: it answered 503; all connections wait 0.2 s"


def test_closing_ends_a_wait_between_two_attempts(kind: Kind) -> None:
    script, ending = Script(Outcome(500)), Ending()
    delivery = make(script, ending, budget=3600, jitter=lambda _: 3600.0, kind=kind)
    delivery.send(outgoing(calls(1)), ending.delivered(0))
    while delivery.retries == 0:
        threading.Event().wait(0.001)
    delivery.close(SECONDS)
    assert script.closed == script.opened == 1
    assert not ending.parcels
    assert not ending.errors


def test_a_call_that_cannot_be_written_stops_the_delivery_instead_of_hanging_it(kind: Kind) -> None:
    odd: list[Call] = [Set("p", 1, {"a": "\ud800"})]
    (error,) = deliver(Script(), odd, kind=kind).errors
    assert isinstance(error, DeliveryError)
    assert "UnicodeEncodeError" in str(error)


def test_a_transport_that_cannot_be_made_stops_the_delivery_instead_of_hanging_it(kind: Kind) -> None:
    def broken() -> ScriptedTransport:
        raise OSError("s3cret")

    ending = Ending()
    delivery = make(Script(), ending, transport=broken, kind=kind)
    delivery.send(outgoing(calls(1)), ending.delivered(0))
    ending.wait(lambda: bool(ending.errors))
    delivery.close(SECONDS)
    assert "OSError" in str(ending.errors[0])
    assert "s3cret" not in str(ending.errors[0])


def test_a_ceiling_on_the_rate_holds_for_all_connections_together(kind: Kind) -> None:
    moments: list[float] = []
    lock = threading.Lock()

    class Noting(Pacing):
        def reserve(self) -> float:
            wait = super().reserve()
            with lock:
                moments.append(clock() + wait)
            return 0.0

    now = [0.0]

    def clock() -> float:
        return now[0]

    script, ending = Script(), Ending()
    delivery = make(script, ending, connections=4, pacing=Noting(10, clock), kind=kind)
    delivery.send(outgoing(calls(20)), ending.delivered(0))
    ending.wait(lambda: ending.parcels == [0])
    delivery.close(SECONDS)
    assert len(moments) == 20
    assert all(later - earlier == pytest.approx(0.1) for earlier, later in pairwise(sorted(moments)))


class Watching:
    """Takes note of what a delivery tells."""

    def __init__(self) -> None:
        self.calls: list[tuple[Call, float, int]] = []
        self.causes: list[str] = []

    def acknowledged(self, outgoing: Outgoing, seconds: float, attempts: int) -> None:
        self.calls.append((outgoing.call, seconds, attempts))

    def retried(self, why: str) -> None:
        self.causes.append(why)


def test_who_watches_is_told_of_each_call_that_was_taken_and_of_each_retry(kind: Kind) -> None:
    script, ending, watching = Script(Outcome(503), Outcome(cause="reset")), Ending(), Watching()
    delivery = make(script, ending, connections=1, kind=kind, observer=watching)
    parcel = calls(3)
    try:
        delivery.send(outgoing(parcel), ending.delivered(0))
        ending.wait(lambda: ending.parcels == [0])
    finally:
        delivery.close(SECONDS)
    assert sorted(call.person for call, _, _ in watching.calls) == [call.person for call in parcel]
    assert all(any(call is one for one in parcel) for call, _, _ in watching.calls)
    assert sum(attempts for _, _, attempts in watching.calls) == 5
    assert all(seconds >= 0 for _, seconds, _ in watching.calls)
    assert sorted(watching.causes) == ["it answered 503", "reset"]


def test_who_watches_is_not_told_of_a_call_that_was_not_taken(kind: Kind) -> None:
    script, ending, watching = Script(Outcome(404)), Ending(), Watching()
    delivery = make(script, ending, connections=1, kind=kind, observer=watching)
    try:
        delivery.send(outgoing(calls(1)), ending.delivered(0))
        ending.wait(lambda: bool(ending.errors))
    finally:
        delivery.close(SECONDS)
    assert (watching.calls, watching.causes) == ([], [])
