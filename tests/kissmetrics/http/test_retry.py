"""When a call is tried again, how patiently, and when it is given up."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.kissmetrics.http.retry import GiveUp, Retry, RetryPolicy, is_acknowledged
from target_kissmetrics.kissmetrics.http.transport import HTML_PAGE, Outcome, unexpected_body

NOW = 1_700_000_000.0


def judge(
    outcome: Outcome, *, attempts: int = 1, elapsed: float = 0.0, budget: float = 300.0, share: float = 1.0
) -> Retry | GiveUp:
    policy = RetryPolicy(budget, lambda longest: longest * share)
    return policy.judge(outcome, attempts=attempts, elapsed=elapsed, now=NOW)


@pytest.mark.parametrize("status", [200, 304])
def test_these_acknowledge_a_call(status: int) -> None:
    assert is_acknowledged(Outcome(status))


RETRIED = [Outcome(status) for status in (408, 425, 429, 500, 502, 503, 504, 520, 599)]
RETRIED += [Outcome(cause="connection failed (Connection reset by peer)"), Outcome(503, body=HTML_PAGE)]


@pytest.mark.parametrize("outcome", RETRIED)
def test_these_are_tried_again_with_waits_that_double_up_to_a_longest(outcome: Outcome) -> None:
    waits = [judge(outcome, attempts=attempts) for attempts in (1, 2, 3, 4, 5, 6, 7, 8, 5000)]
    assert [wait.seconds for wait in waits if isinstance(wait, Retry)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize("outcome", RETRIED)
def test_they_are_given_up_when_the_budget_is_spent_but_not_permanently(outcome: Outcome) -> None:
    verdict = judge(outcome, elapsed=300.0)
    assert isinstance(verdict, GiveUp)
    assert not verdict.permanent


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [(Outcome(status), f"answered {status}") for status in (100, 400, 401, 403, 404, 407, 410, 413, 414, 422)]
    + [(Outcome(status), "a redirect") for status in (300, 301, 302, 303, 307, 308)]
    + [(Outcome(200, body=HTML_PAGE), "an HTML page"), (Outcome(304, body="JSON"), "JSON")]
    + [(Outcome(status), f"answered {status}, which Kissmetrics never does") for status in (201, 202, 204, 206, 299)]
    + [(Outcome(cause="its certificate is not trusted", permanent=True), "its certificate is not trusted")],
)
def test_these_end_it_at_once(outcome: Outcome, expected: str) -> None:
    assert not is_acknowledged(outcome)
    verdict = judge(outcome)
    assert isinstance(verdict, GiveUp)
    assert verdict.permanent
    assert expected in verdict.why


def test_an_attempt_without_answer_says_why() -> None:
    verdict = judge(Outcome(cause="no answer in time"))
    assert isinstance(verdict, Retry)
    assert verdict.why == "no answer in time"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        (format_datetime(datetime.fromtimestamp(NOW + 9, UTC), usegmt=True), 9.0),
        (format_datetime(datetime.fromtimestamp(NOW - 9, UTC), usegmt=True), 0.0),
        (datetime.fromtimestamp(NOW + 9, UTC).strftime("%A, %d-%b-%y %H:%M:%S GMT"), 9.0),
        (datetime.fromtimestamp(NOW + 9, UTC).strftime("%a %b %d %H:%M:%S %Y"), 9.0),
        ("300", 300.0),
    ],
)
def test_retry_after_is_a_minimum(header: str, seconds: float) -> None:
    verdict = judge(Outcome(429, retry_after=header), share=0.0)
    assert verdict == Retry(seconds, "it answered 429", asked=seconds)


@pytest.mark.parametrize("header", ["", "soon", "-5", "1.5", "٣", "Fri, 99 Foo 2024", "0, 5", ",", "Mon,"])
def test_a_retry_after_that_cannot_be_read_is_passed_over(header: str) -> None:
    assert judge(Outcome(500, retry_after=header)) == Retry(0.5, "it answered 500")


@given(st.text(max_size=60))
def test_no_retry_after_upsets_the_policy(header: str) -> None:
    verdict = judge(Outcome(503, retry_after=header), share=0.0)
    assert isinstance(verdict, GiveUp) or 0.0 <= verdict.seconds <= 300.0


@pytest.mark.parametrize(
    ("header", "elapsed", "expected"),
    [
        ("301", 0.0, "asked for a wait of 301 s (Retry-After), but 300 s are left of retry_timeout_seconds (300 s)"),
        ("120", 200.0, "asked for a wait of 120 s (Retry-After), but 100 s are left of retry_timeout_seconds (300 s)"),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 299.0, "a wait of 90 s"),
        ("9" * 5000, 0.0, "asked for a wait of"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 0.0, "asked for a wait of"),
    ],
)
def test_a_retry_after_past_the_budget_ends_it(header: str, elapsed: float, expected: str) -> None:
    verdict = judge(Outcome(503, retry_after=header), elapsed=elapsed)
    assert isinstance(verdict, GiveUp)
    assert not verdict.permanent
    assert expected in verdict.why


def test_a_wait_that_is_longer_than_asked_stays() -> None:
    assert judge(Outcome(429, retry_after="3"), attempts=5) == Retry(8.0, "it answered 429", asked=3.0)


@given(
    st.sampled_from(RETRIED),
    st.integers(1, 10_000),
    st.floats(0, 1000),
    st.floats(0, 1000),
    st.floats(0, 1),
)
def test_no_wait_goes_past_the_budget(
    outcome: Outcome, attempts: int, elapsed: float, budget: float, share: float
) -> None:
    verdict = judge(outcome, attempts=attempts, elapsed=elapsed, budget=budget, share=share)
    if elapsed >= budget:
        assert isinstance(verdict, GiveUp)
    else:
        assert isinstance(verdict, Retry)
        assert 0 <= verdict.seconds <= min(30.0, budget - elapsed)


def test_the_jitter_is_full_when_nothing_else_is_asked_for() -> None:
    policy = RetryPolicy(300.0)
    waits = [policy.judge(Outcome(500), attempts=7, elapsed=0, now=NOW) for _ in range(200)]
    seconds = [wait.seconds for wait in waits if isinstance(wait, Retry)]
    assert len(seconds) == 200
    assert 0 <= min(seconds) < 10
    assert 20 < max(seconds) <= 30


@pytest.mark.parametrize(
    ("content_type", "start", "body"),
    [
        ("image/gif", b"GIF89a", None),
        ("", b"GIF89a", None),
        ("", b"", None),
        ("text/html", b"", None),
        ("text/html", b"GIF89a", None),
        ("application/octet-stream", b"\x89PNG\r\n", None),
        ("image/x-icon", b"\x00\x00\x01\x00", None),
        ("text/html; charset=utf-8", b"Log in", "an HTML page"),
        ("application/xhtml+xml", b"\xef\xbb\xbf<html>", "an HTML page"),
        ("", b"\xef\xbb\xbf \n<!DOCTYPE html>", "an HTML page"),
        ("image/gif", b"\r\n  <!DOCTYPE html>", "an HTML page"),
        ("image/gif", b'{"error": "x"}', "JSON"),
        ("application/problem+json", b"null", "JSON"),
        ("text/plain", b"ok", "text"),
        ("", b"Access denied", "text"),
    ],
)
def test_a_body_is_an_image_or_empty_by_its_first_bytes_or_its_type(
    content_type: str, start: bytes, body: str | None
) -> None:
    assert unexpected_body(content_type, start) == body
