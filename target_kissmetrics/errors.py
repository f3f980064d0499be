"""What can go wrong, classed by what can be done about it.

    TargetError
    |-- ConfigError        mend the configuration; the run stopped before its first call
    |-- InputError         mend the tap (or the file piped in); the run stops, no STATE for what follows
    |-- TooManyRejects     mend the mapping; the run stops, no STATE for the rows rejected
    |-- StoreError         mend the attribute store; the run stops, no STATE for what was not remembered
    `-- RowRejected        set the row aside with its reason and go on

What the Kissmetrics client raises is in `target_kissmetrics.kissmetrics.errors`, since that package knows
nothing of this one:

    DeliveryError
    |-- Unreachable        run again later: nothing was lost, STATE did not come out
    `-- Refused            mend `tracking_url`, the proxy or the key; another try would end the same
"""

from __future__ import annotations


class TargetError(Exception):
    """Ends the run in one line. Its text says what to do, and never holds the API key.

    Args:
        text: For the person who runs it.
        without_data: The same for everybody, where the text holds something of a row.
    """

    def __init__(self, text: str, *, without_data: str | None = None) -> None:
        super().__init__(text)
        self.without_data = without_data or text


class ConfigError(TargetError):
    """A mistake in the configuration.

    Args:
        setting: The setting (or `streams[2].kind`) at fault.
        problem: What is wrong with it and what would be right.
    """

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting}: {problem}")
        self.setting = setting


class InputError(TargetError):
    """The input is not what the Singer specification allows."""


class TooManyRejects(TargetError):  # noqa: N818 - it reads as what happened
    """A stream whose rows are rejected so steadily that its mapping must be wrong."""


class StoreError(TargetError):
    """The store that remembers what was sent cannot be read or written."""


class RowRejected(TargetError):  # noqa: N818 - it reads as what happened
    """This row cannot become calls.

    Args:
        code: Short and steady, for counting: `no-identity`.
        reason: For a person: what is wrong, and what to do next.
        field: The field at fault, if it is one.
    """

    def __init__(self, code: str, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.field = field
