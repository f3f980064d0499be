"""What can go wrong, classed by what can be done about it.

    TargetError
    |-- ConfigError        mend the configuration; the run stopped before its first call
    |   `-- ExpressionError    mend an expression of a stream map, which a row may be the first to show wrong
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

from target_kissmetrics.mapping.reasons import Code, Problem, sentence


class TargetError(Exception):
    """Ends the run in one line. Its text says what to do, and never holds the API key.

    Args:
        text: For the person who runs it.
        without_data: The same for everybody, where the text holds something of a row.
    """

    def __init__(self, text: str, *, without_data: str | None = None) -> None:
        super().__init__(text)
        self.without_data = without_data or text


def _one_line(text: str) -> str:
    """Write out what a line cannot hold: a name in a config may be anything."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


class ConfigError(TargetError):
    """A mistake in the configuration.

    Args:
        setting: The setting (or `streams[2].kind`) at fault.
        problem: What is wrong with it and what would be right.
    """

    def __init__(self, setting: str, problem: str) -> None:
        self.setting = _one_line(setting)
        super().__init__(f"{self.setting}: {_one_line(problem)}")


class ExpressionError(ConfigError):
    """A stream map's expression cannot be read, or fails for a row."""


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
        problem: What is wrong with this row, for a person.
        field: The field at fault, if it is one.
        to_do: What to do about it, when it is not what `REASONS` says of the code.
    """

    def __init__(self, code: Code, problem: str, field: str | None = None, *, to_do: str | None = None) -> None:
        super().__init__(problem)
        self.code: Code = code
        self.problem = problem
        self.field = field
        self.to_do = to_do

    @classmethod
    def of(cls, problem: Problem, field: str | None) -> RowRejected:
        """Reject a row for what is wrong with one of its fields."""
        return cls(problem.code, problem.problem, field, to_do=problem.to_do)

    @property
    def reason(self) -> str:
        """What is wrong and what to do, in one line. It may show what the row holds: no log has it."""
        return sentence(self.code, self.problem, self.to_do)

    def __str__(self) -> str:
        """Give the reason."""
        return self.reason
