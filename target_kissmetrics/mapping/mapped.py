"""What a row became."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from target_kissmetrics.kissmetrics.calls import Call


class Aside(NamedTuple):
    """A part of a row that is not sent, while the rest is.

    Attributes:
        code: Short and steady, for counting: `value-too-long`.
        reason: For a person.
        field: The field it was, as a path.
    """

    code: str
    reason: str
    field: str | None


@dataclass(slots=True)
class EventSlot:
    """What tells a row's event from other events of the same person, name and second.

    Attributes:
        row: The same for the same row, in any run when `spread`; else in this process only.
        record: Which of the row's calls is the event.
        seconds: How many consecutive seconds the event and its line items take.
        spread: Move the event where another row holds its second.
        revenue_property: The property that holds its amount, when it has one: two amounts of one person in one
            second are one to Kissmetrics, whatever their events are called.
    """

    row: bytes
    record: int = 0
    seconds: int = 1
    spread: bool = False
    revenue_property: str | None = None


@dataclass(slots=True)
class Mapped:
    """Calls of one row.

    Attributes:
        calls: In no order that counts.
        asides: Parts that are not sent, each with its reason.
        slots: One for each event among the calls.
        alias_field: The field that held the other identity, when the calls alias one.
    """

    calls: list[Call] = field(default_factory=list)
    asides: list[Aside] = field(default_factory=list)
    slots: list[EventSlot] = field(default_factory=list)
    alias_field: str | None = None
