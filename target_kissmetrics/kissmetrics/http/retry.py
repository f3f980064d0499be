"""What to do after an attempt: pure policy, no clock, no network.

Retried: no answer, 408, 425, 429 and 5xx, with exponential back-off and full jitter; `Retry-After` (seconds or a date,
RFC 9110 section 10.2.3) is a minimum. Not retried: any other 4xx, a redirect, an HTML page. Repeating is safe: a call
carries its own second, and Kissmetrics ignores the second of two with the same person, name and second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import backoff

from target_kissmetrics.kissmetrics.http.transport import Outcome

RETRIED_STATUSES = frozenset({408, 425, 429})
"""Beside every 5xx."""

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
LONGEST_RETRY_AFTER_SECONDS = 120.0
"""A host may ask for more; it is then asked again after this."""


@dataclass(frozen=True, slots=True)
class Done:
    """Kissmetrics took the call."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again.

    Attributes:
        seconds: After this long.
        why: What happened, in words.
        overloaded: The host asked everybody to slow down, not this call alone.
    """

    seconds: float
    why: str
    overloaded: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Stop.

    Attributes:
        why: What happened, in words.
        hopeless: No later try would end otherwise; else only the budget ran out.
    """

    why: str
    hopeless: bool


Verdict = Done | Wait | GiveUp


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long, and how patiently, one call is retried.

    Attributes:
        budget: Seconds from a call's first attempt until it is given up.
        jitter: A longest wait -> the wait to take; full jitter by default.
    """

    budget: float
    jitter: Callable[[float], float] = backoff.full_jitter

    def judge(self, outcome: Outcome, *, attempts: int, elapsed: float, now: float) -> Verdict:
        """Say what to do.

        Args:
            outcome: What came of the latest attempt.
            attempts: Attempts made, this one among them; from 1.
            elapsed: Seconds since the first attempt began.
            now: Seconds since the Unix epoch, for a `Retry-After` that is a date.
        """
        if _taken(outcome):
            return Done()
        why = _describe(outcome)
        if not _retriable(outcome):
            return GiveUp(why, hopeless=True)
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(attempts - 1, 16))
        asked = _retry_after(outcome.retry_after, now)
        seconds = max(self.jitter(longest), asked or 0.0)
        remaining = self.budget - elapsed
        if remaining <= 0:
            return GiveUp(why, hopeless=False)
        overloaded = asked is not None or outcome.status in {429, 503}
        return Wait(min(seconds, remaining), why, overloaded=overloaded)


def _taken(outcome: Outcome) -> bool:
    """2xx that is no HTML page; 304 as well, as Kissmetrics' Android SDK has it."""
    if outcome.status is None or outcome.html:
        return False
    return 200 <= outcome.status < 300 or outcome.status == 304


def _retriable(outcome: Outcome) -> bool:
    if outcome.status is None:
        return not outcome.hopeless
    return outcome.status in RETRIED_STATUSES or outcome.status >= 500


def _describe(outcome: Outcome) -> str:
    if outcome.status is None:
        return outcome.cause or "no answer"
    if 300 <= outcome.status < 400 and outcome.status != 304:
        return f"it answered {outcome.status}, a redirect (not followed, it would carry the API key away)"
    if outcome.html and 200 <= outcome.status < 300:
        return f"it answered {outcome.status} with an HTML page, which Kissmetrics never does"
    return f"it answered {outcome.status}"


def _retry_after(header: str | None, now: float) -> float | None:
    """Read `Retry-After` as seconds from now, clamped; None when absent or unreadable."""
    if not header:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    seconds = (moment - datetime.fromtimestamp(now, tz=timezone.utc)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)
