"""What a row became."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from target_kissmetrics.kissmetrics.calls import Call
from target_kissmetrics.mapping.reject_codes import Code, Problem, RowRejected, sentence


class Aside(NamedTuple):
    """A part of a row that is not sent, while the rest is.

    Attributes:
        code: Short and steady, for counting: `value-too-long`.
        reason: For a person: what is wrong, and what to do.
        field: The field it was, as a path: `events[3].data`.
        rejected: It is what a row is in other formats, an event of a batch say, and counts as one that was rejected.
    """

    code: Code
    reason: str
    field: str | None
    rejected: bool = False

    @classmethod
    def of(cls, problem: Problem | RowRejected, field: str | None) -> Aside:
        """Set a part aside for what is wrong with it."""
        return cls(problem.code, problem.reason, field)

    @classmethod
    def because(cls, code: Code, problem: str, field: str | None, *, to_do: str | None = None) -> Aside:
        """Set a part aside.

        Args:
            code: Why.
            problem: What is wrong with this very part.
            field: The field it was.
            to_do: What to do about it, when it is not what `REASONS` says of the code.
        """
        return cls(code, sentence(code, problem, to_do), field)


class Deletion(NamedTuple):
    """A user attribute that was deleted at its source. Kissmetrics keeps it, so it is forgotten here: when it comes
    back, it is sent again, whatever its value.

    Attributes:
        person: One identity of the person.
        name: The property's name.
        time: When it was deleted, in seconds since the Unix epoch.
    """

    person: str
    name: str
    time: int


class EventSlot(msgspec.Struct, gc=False):
    """What tells a row's event from other events of the same person, name and second.

    Attributes:
        row: The same for the same row, in any run when `spread`; else in this process only.
        record: Which of the row's calls is the event.
        seconds: How many consecutive seconds the event and its line items take.
        spread: Move the event where another row holds its second.
        may_spread: The stream's entry may ask for that.
        revenue_property: The property that holds its amount, when it has one: two amounts of one person in one
            second are one to Kissmetrics, whatever their events are called.
    """

    row: bytes
    record: int = 0
    seconds: int = 1
    spread: bool = False
    may_spread: bool = True
    revenue_property: str | None = None


class Mapped(msgspec.Struct):
    """Calls of one row.

    Attributes:
        calls: In no order that counts.
        asides: Parts that are not sent, each with its reason.
        slots: One for each event among the calls.
        alias_field: The field that held the other identity, when the calls alias one.
        deletions: Attributes that were deleted at their source, before the calls' own are set.
        left_out: Types of the parts that have no meaning for Kissmetrics, one for each part.
    """

    calls: list[Call] = []
    asides: list[Aside] = []
    slots: list[EventSlot] = []
    alias_field: str | None = None
    deletions: list[Deletion] = []
    left_out: list[str] = []
