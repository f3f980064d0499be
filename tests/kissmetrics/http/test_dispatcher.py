"""Many calls over many connections: all acknowledged, or stopped with one reason."""

from __future__ import annotations

import time

import pytest
from fakes import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import SECONDS, Result, ScriptedTransport, calls, deliver, make, outgoing

from target_kissmetrics.errors import DeliveryError, Refused, Unreachable
from target_kissmetrics.kissmetrics.calls import Call, Set
from target_kissmetrics.kissmetrics.http.dispatcher import LOG_INTERVAL_SECONDS, SILENT_ATTEMPTS
from target_kissmetrics.kissmetrics.http.pacing import Pacing
from target_kissmetrics.kissmetrics.http.transport import HTML_PAGE, Outcome
from target_kissmetrics.kissmetrics.wire import Request


def test_a_batch_is_acknowledged_once_every_call_is() -> None:
    transport = ScriptedTransport(Outcome(500), Outcome(cause="reset"), Outcome(429), Outcome(304))
    result = deliver(transport, calls(5))
    assert result.batches == [0]
    assert not result.errors
    assert len(transport.started) == 8


def test_an_empty_batch_is_acknowledged_at_once_without_a_connection() -> None:
    transport = ScriptedTransport()
    assert deliver(transport, []).batches == [0]
    assert transport.closed == 0


def test_a_batch_waits_for_its_last_call_but_for_no_other_batch() -> None:
    transport, result = ScriptedTransport(), Result()
    transport.stall(lambda request: "person-0&" in request.target)
    dispatcher = make(transport, result, connections=2)
    try:
        dispatcher.send(outgoing(calls(2)), result.batch(0))
        dispatcher.send(outgoing(calls(1, start=2)), result.batch(1))
        result.wait(lambda: result.batches == [1])
        transport.stall(lambda _: False)
        result.wait(lambda: result.batches == [1, 0])
    finally:
        dispatcher.close(SECONDS)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=6),
    st.lists(st.sampled_from([200, 304, 408, 425, 429, 500, 503, None]), max_size=30),
    st.integers(1, 8),
)
def test_after_failures_that_pass_every_call_and_batch_is_acknowledged_once(
    sizes: list[int], statuses: list[int | None], connections: int
) -> None:
    transport = ScriptedTransport(*[Outcome(status, cause=None if status else "reset") for status in statuses])
    batches = [calls(size, start=100 * place) for place, size in enumerate(sizes)]
    result = deliver(transport, *batches, connections=connections)
    assert sorted(result.batches) == list(range(len(sizes)))
    assert not result.errors
    people = [call.person for batch in batches for call in batch]
    assert sorted(call.person for call, _, _ in result.calls) == sorted(people)
    assert len({request.target for request in transport.started}) == len(people)
    assert transport.most <= connections
    assert transport.closed == bool(people)


@pytest.mark.parametrize(
    "outcome", [Outcome(404), Outcome(302), Outcome(200, body=HTML_PAGE), Outcome(204), Outcome(permanent=True)]
)
def test_an_answer_that_no_retry_fixes_stops_everything_with_one_reason(outcome: Outcome) -> None:
    transport = ScriptedTransport(answer=lambda _: outcome)
    result = deliver(transport, calls(50), calls(50, start=50), connections=4)
    assert not result.batches
    (error,) = result.errors
    assert isinstance(error, Refused)
    assert str(error).startswith("https://trk.example: ")
    assert "tracking_url" in str(error)
    assert "s3cret" not in str(error)
    assert "_k" not in str(error)
    assert len(transport.started) <= 4
    assert (result.calls, result.retries) == ([], [])


def test_a_spent_budget_names_its_setting_and_says_that_running_again_is_safe() -> None:
    result = deliver(ScriptedTransport(answer=lambda _: Outcome(503)), calls(3), budget=0)
    assert not result.batches
    (error,) = result.errors
    assert isinstance(error, Unreachable)
    assert "answered 503" in str(error)
    assert "retry_timeout_seconds" in str(error)
    assert "Run again: calls that were not acknowledged are sent again" in str(error)


def test_a_host_that_asks_for_more_time_than_the_budget_leaves_ends_the_run_at_once() -> None:
    transport = ScriptedTransport(Outcome(503, retry_after="60"))
    result = deliver(transport, calls(1), budget=10)
    (error,) = result.errors
    assert isinstance(error, Unreachable)
    assert "asked for a wait of 60 s" in str(error)
    assert "10 s are left of retry_timeout_seconds" in str(error)
    assert len(transport.started) == 1


def test_calls_in_flight_when_another_fails_still_count() -> None:
    transport = ScriptedTransport(answer=lambda request: Outcome(404 if "person-1&" in request.target else 200))
    result = Result()
    transport.stall(lambda request: "person-0&" in request.target)
    dispatcher = make(transport, result, connections=2)
    dispatcher.send(outgoing(calls(1)), result.batch(0))
    dispatcher.send(outgoing(calls(1, start=1)), result.batch(1))
    result.wait(lambda: bool(result.errors))
    transport.stall(lambda _: False)
    dispatcher.close(SECONDS)
    assert result.batches == [0]
    assert len(result.errors) == 1


def test_a_host_that_asks_for_a_pause_is_logged_once_for_all_connections() -> None:
    assert deliver(ScriptedTransport(*[Outcome(429, retry_after="0")] * 2), calls(3)).lines == []
    transport = ScriptedTransport(*[Outcome(503, retry_after="1")] * 8)
    result = deliver(transport, calls(8), connections=8)
    assert result.lines == ["https://trk.example: it answered 503; all connections wait 1.0 s"]


def test_repeated_failures_of_a_call_are_logged_at_intervals() -> None:
    assert deliver(ScriptedTransport(*[Outcome(503)] * SILENT_ATTEMPTS), calls(1)).lines == []
    (line,) = deliver(ScriptedTransport(*[Outcome(503)] * 50), calls(1)).lines
    assert line == (
        "https://trk.example: it answered 503; calls are retried for up to 10 s (retry_timeout_seconds); "
        "no call was ever acknowledged: check tracking_url, the network and any proxy"
    )
    (line,) = deliver(ScriptedTransport(Outcome(200), *[Outcome(503)] * 50), calls(2)).lines
    assert line.endswith("(retry_timeout_seconds)")


def test_after_an_interval_the_failures_are_logged_again() -> None:
    clock, result = FakeClock(), Result()

    def answer(_: Request) -> Outcome:
        clock.advance(LOG_INTERVAL_SECONDS)
        return Outcome(503 if len(result.retries) < SILENT_ATTEMPTS + 2 else 200)

    dispatcher = make(ScriptedTransport(answer=answer), result, budget=3600, clock=clock)
    dispatcher.send(outgoing(calls(1)), result.batch(0))
    result.wait(lambda: result.batches == [0])
    dispatcher.close(SECONDS)
    assert len(result.lines) == 2


def test_the_error_says_whether_a_call_was_ever_acknowledged() -> None:
    never = "; no call was ever acknowledged: check tracking_url, the network and any proxy. Run again: "
    (error,) = deliver(ScriptedTransport(answer=lambda _: Outcome(503)), calls(1), budget=0).errors
    assert never in str(error)
    (error,) = deliver(ScriptedTransport(Outcome(200), *[Outcome(503)] * 9), calls(2), budget=0).errors
    assert isinstance(error, Unreachable)
    assert never not in str(error)


def test_closing_ends_a_wait_between_two_attempts() -> None:
    transport, result = ScriptedTransport(Outcome(408)), Result()
    dispatcher = make(transport, result, budget=3600, wait=3600)
    dispatcher.send(outgoing(calls(1)), result.batch(0))
    result.wait(lambda: bool(result.retries))
    dispatcher.close(SECONDS)
    assert transport.closed == 1
    assert len(transport.started) == 1
    assert not result.batches
    assert not result.errors


def test_closing_does_not_wait_longer_than_its_patience() -> None:
    transport, result = ScriptedTransport(), Result()
    transport.stall(lambda _: True)
    dispatcher = make(transport, result)
    dispatcher.send(outgoing(calls(1)), result.batch(0))
    began = time.monotonic()
    dispatcher.close(0.05)
    assert time.monotonic() - began < SECONDS
    transport.stall(lambda _: False)


def test_a_call_that_cannot_be_encoded_stops_the_delivery_instead_of_hanging_it() -> None:
    odd: list[Call] = [Set("p", 1, {"a": "\ud800"})]
    (error,) = deliver(ScriptedTransport(), odd).errors
    assert isinstance(error, DeliveryError)
    assert "UnicodeEncodeError" in str(error)


def test_a_transport_that_cannot_be_made_stops_the_delivery_instead_of_hanging_it() -> None:
    def broken() -> ScriptedTransport:
        raise OSError("s3cret")

    result = Result()
    dispatcher = make(broken, result)
    dispatcher.send(outgoing(calls(1)), result.batch(0))
    result.wait(lambda: bool(result.errors))
    dispatcher.close(SECONDS)
    assert "OSError" in str(result.errors[0])
    assert "s3cret" not in str(result.errors[0])


def test_no_request_starts_ahead_of_the_pacing() -> None:
    moments: list[float] = []

    def answer(_: Request) -> Outcome:
        moments.append(time.monotonic())
        return Outcome(200)

    result = Result()
    dispatcher = make(ScriptedTransport(answer=answer), result, connections=4, pacing=Pacing(100))
    dispatcher.send(outgoing(calls(10)), result.batch(0))
    result.wait(lambda: result.batches == [0])
    dispatcher.close(SECONDS)
    assert moments[-1] - moments[0] >= 0.08


def test_the_monitor_gets_each_acknowledged_call_and_each_retry() -> None:
    batch = calls(3)
    result = deliver(ScriptedTransport(Outcome(503), Outcome(cause="reset")), batch)
    assert sorted(call.person for call, _, _ in result.calls) == [call.person for call in batch]
    assert all(any(call is one for one in batch) for call, _, _ in result.calls)
    assert sum(attempts for _, _, attempts in result.calls) == 5
    assert all(seconds >= 0 for _, seconds, _ in result.calls)
    assert sorted(result.retries) == ["it answered 503", "reset"]
