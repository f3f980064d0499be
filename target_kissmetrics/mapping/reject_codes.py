"""Why something is not sent: every code there is, what it means, and what to do about it.

The one place for all of them: the rejects file, the log, the preview and the documentation take their words from here.
A code is part of the public interface and never changes its meaning. What is told of one row is `sentence`: what is
wrong with this very row, then what to do, in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Code = Literal[
    "no-identity",
    "blocked-identity",
    "identity-too-long",
    "alias-limit",
    "no-event-name",
    "event-name-too-long",
    "no-timestamp",
    "bad-timestamp",
    "too-old",
    "schema",
    "no-type",
    "unknown-type",
    "bad-message",
    "no-experiment",
    "no-variant",
    "no-property-name",
    "name-too-long",
    "reserved-name",
    "value-too-long",
    "bad-number",
    "bad-text",
    "bad-datetime",
    "bad-amount",
    "too-deep",
]
"""Short and steady, for counting. A type, so that no other can be written."""

Lost = Literal["row", "property", "alias", "amount", "row or property"]


class Reason(NamedTuple):
    """What a code stands for.

    Attributes:
        lost: What is not sent. Of a batch, or a list in a message, one event or item is lost where others lose a row.
        meaning: What is wrong, for a person.
        to_do: What to do next, for a person: follows `meaning` in a sentence, and begins with a verb.
        in_messages: The same for the kinds `segment`, `mparticle` and `kissmetrics`, whose entries of `streams` name no
            fields; None: the same words.
    """

    lost: Lost
    meaning: str
    to_do: str
    in_messages: str | None = None


_LEAVE_OUT = "leave the field out: exclude in the stream's entry (kinds event, user_attributes), or a stream map"
_RENAME = "rename it (rename in the stream's entry, kinds event and user_attributes; or a stream map)"
_MEND = "mend it at the source, or put it right with a stream map"
_FILTER = "filter such rows out with a stream map (__filter__)"

REASONS: Mapping[Code, Reason] = {
    "no-identity": Reason(
        "row",
        "no field that holds an ID has one, so nobody is named",
        "name customer_id or device_id in the stream's entry, the field that holds one, or fill it in at the source",
        f"fill one in at the source, or {_FILTER}",
    ),
    "blocked-identity": Reason(
        "row",
        "the ID is one that many share (blocked_identities): all of them would become one person, for ever",
        "name another field as customer_id or device_id in the stream's entry, or mend it at the source; if it is "
        "one person's own ID after all, take it out of blocked_identities",
        f"mend it at the source, or {_FILTER}; if it is one person's own ID after all, take it out of "
        "blocked_identities",
    ),
    "identity-too-long": Reason(
        "row",
        "the ID has more than 255 characters, which Kissmetrics does not take",
        "name the field of a shorter ID as customer_id or device_id in the stream's entry, or make a digest of it with "
        "a stream map (md5)",
        "use a shorter ID at the source, or make a digest of it with a stream map (md5)",
    ),
    "alias-limit": Reason(
        "alias",
        "an alias would give one identity more partners than max_aliases_per_identity",
        "look whether it is one person's own ID: add one that many share to blocked_identities, and raise "
        "max_aliases_per_identity only for a person who really has so many",
    ),
    "no-event-name": Reason(
        "row",
        "the event has no name: a field that it is made of is absent, null, empty or no text",
        "name event_name in the stream's entry (a field in braces, or a constant), or fill the field in at the source",
        _MEND,
    ),
    "event-name-too-long": Reason(
        "row",
        "the event's name has more than 255 characters, which Kissmetrics does not take",
        "name the event by something shorter: event_name in the stream's entry, or a stream map",
        "use a shorter name at the source, or cut it with a stream map",
    ),
    "no-timestamp": Reason(
        "row",
        "the field that holds the time is null or empty, and any other time would make a new event in each run",
        "fill it in at the source, or name another field as timestamp in the stream's entry",
        _MEND,
    ),
    "bad-timestamp": Reason(
        "row",
        "the time cannot be read, or lies after the year 2100",
        "mend it at the source or with a stream map, or name another field as timestamp in the stream's entry",
        _MEND,
    ),
    "too-old": Reason(
        "row",
        "the time lies before 2009-01-01, and Kissmetrics keeps nothing from before",
        f"{_FILTER}; if the year is wrong, mend it at the source, or name another field as timestamp in the stream's "
        "entry",
        f"{_FILTER}; if the year is wrong, mend it at the source",
    ),
    "schema": Reason(
        "row",
        "the row does not fit the schema that the tap gave for its stream",
        "mend the tap or its catalog, or set validate_records to false to send such rows all the same",
    ),
    "no-type": Reason(
        "row",
        "the message, or the event of a batch, does not say what it is",
        "fill in its type at the source; a stream that is no stream of messages needs another kind in its entry",
    ),
    "unknown-type": Reason(
        "row",
        "the message has a type that is none of Segment's",
        f"mend the type at the source, or {_FILTER}",
    ),
    "bad-message": Reason(
        "row or property",
        "a part of the message is of another shape than its format says",
        _MEND,
    ),
    "no-experiment": Reason(
        "row",
        "the assignment names no experiment",
        "name the field that does as experiment in the stream's entry, or fill it in at the source",
    ),
    "no-variant": Reason(
        "row",
        "the assignment names no variant",
        "name the field that does as variant in the stream's entry, or fill it in at the source",
    ),
    "no-property-name": Reason(
        "property",
        "nothing is left of the property's name once space, commas and colons around it are cut",
        f"{_RENAME}, or leave it out",
    ),
    "name-too-long": Reason(
        "property",
        "the property's name has more than 255 characters, which Kissmetrics does not take",
        f"{_RENAME}, or leave it out",
    ),
    "reserved-name": Reason(
        "property",
        "the property's name would start with '_', and Kissmetrics keeps such names for itself",
        f"{_RENAME}, or leave it out",
    ),
    "value-too-long": Reason(
        "property",
        "the value has more than 8,192 bytes, which Kissmetrics does not take",
        f"cut it with a stream map, or {_LEAVE_OUT}",
    ),
    "bad-number": Reason(
        "property",
        "the number is none that Kissmetrics could take: not finite, or of hundreds of digits",
        f"mend it at the source, or {_LEAVE_OUT}",
    ),
    "bad-text": Reason(
        "row or property",
        "the text holds half of a character (a lone surrogate), which cannot be sent",
        "mend it where the text was cut, at the source or in the tap",
    ),
    "bad-datetime": Reason(
        "property",
        "the schema says date or date-time, and the value is none",
        f"mend it at the source, correct the schema in the tap's catalog, or {_LEAVE_OUT}",
    ),
    "bad-amount": Reason(
        "amount",
        "the field that should hold the revenue holds no amount",
        "mend it at the source, or name another field as revenue in the stream's entry",
    ),
    "too-deep": Reason(
        "row or property",
        "objects or lists are nested deeper than anybody looks",
        f"flatten them at the source or with a stream map, or {_LEAVE_OUT}",
    ),
}
"""Every code. Where a mapping knows better than `to_do`, it says so itself."""


def advice(code: Code, *, in_messages: bool) -> str:
    """Say what to do of a row."""
    reason = REASONS[code]
    return reason.in_messages or reason.to_do if in_messages else reason.to_do


def sentence(code: Code, problem: str, to_do: str | None = None) -> str:
    """Give the line for a person: what is wrong, and what to do.

    Args:
        code: Why.
        problem: What is wrong with this very row or part.
        to_do: What to do about it, when it is not what helps against most of the code's kind.
    """
    return f"{problem}; {to_do or REASONS[code].to_do}"


class Problem(ValueError):  # noqa: N818 - a reason, not an error
    """A part of a row that cannot be what it should be.

    Args:
        code: As in the rejects file.
        problem: What is wrong, for a person.
        to_do: What to do about it, when it is not what the code's reason says.
    """

    def __init__(self, code: Code, problem: str, to_do: str | None = None) -> None:
        self.code: Code = code
        self.problem = problem
        self.to_do = to_do
        super().__init__(problem)

    @property
    def reason(self) -> str:
        """What is wrong and what to do, in one line."""
        return sentence(self.code, self.problem, self.to_do)


class RowRejected(Exception):  # noqa: N818 - it reads as what happened
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
