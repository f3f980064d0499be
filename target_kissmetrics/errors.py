"""What can go wrong, classified by what can be done about it.

    TargetError            ends the run with one line
    |-- ConfigError        fix the configuration; rows before the error were delivered
    |   `-- ExpressionError    fix a stream map's expression; the first row that it fails for ends the run
    |-- InputError         fix the tap (or the input file); STATE for later messages is not emitted
    |-- TooManyRejects     fix the mapping; STATE for the rejected rows is not emitted
    |-- StoreError         fix the attribute store; STATE for what was not stored is not emitted
    `-- DeliveryError      a call was not acknowledged
        |-- Unreachable        run again later: nothing was lost, its STATE was not emitted
        `-- Refused            fix `tracking_url`, the proxy or the key; a retry ends the same

`mapping.reject_codes.Rejected` rejects one row; the run goes on.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable


class TargetError(Exception):
    """Ends the run in one line. Its text says what to do, and never holds the API key.

    Args:
        text: For the person who runs it.
        without_data: The same for everybody, where the text holds something of a row.
    """

    def __init__(self, text: str, *, without_data: str | None = None) -> None:
        super().__init__(text)
        self.without_data = without_data or text


def one_line(text: str) -> str:
    """Write characters that a line cannot hold as their codes: controls, line separators, marks that reorder text."""
    return text if text.isprintable() else "".join(char if char.isprintable() else _code(char) for char in text)


def _code(char: str) -> str:
    # A control is one in JSON already; the rest stays JSON where the text is.
    return char.encode("unicode_escape").decode() if char < "\x7f" else json.dumps(char)[1:-1]


class ConfigError(TargetError):
    """A mistake in the configuration.

    Args:
        setting: The setting (or `streams[2].kind`) at fault.
        problem: What is wrong with it and what would be right.
    """

    def __init__(self, setting: str, problem: str) -> None:
        self.setting = one_line(setting)
        self.problem = one_line(problem)
        super().__init__(f"{self.setting}: {self.problem}")


class ExpressionError(ConfigError):
    """A stream map's expression cannot be read, or fails for a row."""


class InputError(TargetError):
    """The input is not what the Singer specification allows."""


class TooManyRejects(TargetError):  # noqa: N818 - it reads as what happened
    """More rows were rejected than `max_rejects`, `max_reject_ratio` or the probation allow."""


class StoreError(TargetError):
    """The store of what was sent cannot be read or written."""


class DeliveryError(TargetError):
    """Kissmetrics did not acknowledge a call, and the delivery stopped. The text never holds a request's URL."""


class Unreachable(DeliveryError):  # noqa: N818 - it reads as what happened
    """Retried for the whole retry budget without an answer that counts."""


class Refused(DeliveryError):  # noqa: N818 - it reads as what happened
    """Answered in a way that no retry fixes."""


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """Give `; did you mean 'api_key'?` for a near miss, else an empty text."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(typed.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""
