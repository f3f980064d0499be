"""What to do after an attempt: pure policy, no clock, no network.

Retried: no answer, 408, 425, 429 and 5xx, with exponential backoff and full jitter. `Retry-After` (RFC 9110, section
10.2.3) is a minimum; one beyond the remaining budget gives up at once. `dispatcher` and `pacing` make all calls wait.
Not retried: any other answer. Repeating is safe: Kissmetrics ignores a call that is identical to an earlier one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz

import backoff

from target_kissmetrics.kissmetrics.http.transport import Outcome

RETRIED_STATUSES = frozenset({408, 425, 429})
"""In addition to every 5xx."""

TOO_LARGE_STATUSES = frozenset({413, 414})
"""A call that no later attempt makes smaller."""

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after `seconds`; `asked`: the minimum that the host asked for (`Retry-After`)."""

    seconds: float
    why: str
    asked: float = 0.0


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Stop. `permanent`: no retry can succeed; otherwise the retry budget does not suffice."""

    why: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`budget`: seconds from the first attempt until a call is given up; `jitter` draws a wait up to the longest."""

    budget: float
    jitter: Callable[[float], float] = backoff.full_jitter

    def judge(self, outcome: Outcome, *, attempts: int, elapsed: float, now: float) -> Retry | GiveUp:
        """Decide what to do after attempt number `attempts` failed, `elapsed` seconds after the first one began.

        `now` is in seconds since the Unix epoch, for a `Retry-After` that is a date.
        """
        why = _describe(outcome)
        status = outcome.status
        if outcome.permanent or (status is not None and status not in RETRIED_STATUSES and status < 500):
            return GiveUp(why, permanent=True)
        remaining = self.budget - elapsed
        asked = _retry_after(outcome.retry_after, now)
        if remaining <= 0:
            return GiveUp(f"{why}; gave up after {self.budget:g} s of retries (retry_timeout_seconds)", permanent=False)
        if asked > remaining:
            return GiveUp(
                f"{why} and asked for a wait of {asked:.0f} s (Retry-After), but {remaining:.0f} s are left of "
                f"retry_timeout_seconds ({self.budget:g} s)",
                permanent=False,
            )
        backoff_seconds = self.jitter(min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(attempts - 1, 16)))
        return Retry(min(max(backoff_seconds, asked), remaining), why, asked)


def is_acknowledged(outcome: Outcome) -> bool:
    """Tell whether Kissmetrics acknowledged the call: 200, or 304 as in its Android SDK, with an image or no body."""
    return outcome.status in {200, 304} and outcome.body is None


def _describe(outcome: Outcome) -> str:
    if outcome.status is None:
        return outcome.cause or "no answer"
    answered = f"it answered {outcome.status}"
    if outcome.status < 300 or outcome.status == 304:
        body = f" with {outcome.body}" if outcome.body else ""
        return f"{answered}{body}, which Kissmetrics never does (is it a login page?)"
    if outcome.status < 400:
        return f"{answered}, a redirect (not followed, it would carry the API key away)"
    return answered


def _retry_after(header: str | None, now: float) -> float:
    """Return `Retry-After` as seconds from now; 0 when it is absent or unreadable."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        date = parsedate_tz(text)
        return 0.0 if date is None else max(mktime_tz(date) - now, 0.0)
    except (ValueError, OverflowError):
        return 0.0
