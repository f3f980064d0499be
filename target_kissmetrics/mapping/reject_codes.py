"""Reject codes: what each one means and what to do about it.

The rejects file, the log, the preview and the documentation take their words from `REASONS`. Codes are part of the
public interface: a code never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Code = Literal[
    "no-identity", "blocked-identity", "bad-identity", "identity-too-long", "alias-limit", "no-event-name",
    "event-name-too-long", "no-timestamp", "bad-timestamp", "future-timestamp", "too-old", "no-key", "schema",
    "no-type", "unknown-type", "bad-message", "no-experiment", "no-variant", "no-property-name", "name-too-long",
    "reserved-name", "value-too-long", "bad-number", "bad-text", "bad-datetime", "bad-amount", "too-deep",
    "not-in-plan", "too-many-names",
]  # fmt: skip
Lost = Literal["row", "property", "alias", "amount", "row or property"]


class Reason(NamedTuple):
    """What a code stands for.

    Attributes:
        lost: What is not sent. In a batch, or a list in a message, `row` is one event or item.
        meaning: What is wrong.
        to_do: What to do next. It follows `meaning` in a sentence and begins with a verb.
        in_messages: The same for message formats, whose entries of `streams` name no fields; None: the same words.
    """

    lost: Lost
    meaning: str
    to_do: str
    in_messages: str | None = None


_FIX = "fix it at the source or with a stream map"
_FILTER = "filter out such rows with a stream map (__filter__)"
_RENAME = "rename it (rename in the stream's entry, or a stream map) or drop it"
_EXCLUDE = "drop the field (exclude in the stream's entry, or a stream map)"

REASONS: Mapping[Code, Reason] = {
    "no-identity": Reason(
        "row",
        "no identity: every field that can hold an ID is empty",
        "set customer_id or device_id in the stream's entry to the field that holds the ID, or fill it in at the "
        "source",
        f"fill one in at the source, or {_FILTER}",
    ),
    "blocked-identity": Reason(
        "row",
        "many people share this ID (all zeros, or in blocked_identities), and it would merge them into one person "
        "permanently",
        "set customer_id or device_id (previous_id of an alias) in the stream's entry to another field, or fix it at "
        "the source; if the ID belongs to one person, remove it from blocked_identities",
        f"fix it at the source, or {_FILTER}; if the ID belongs to one person, remove it from blocked_identities",
    ),
    "bad-identity": Reason(
        "row",
        "the ID is an object, an array, a boolean or no finite number",
        "set customer_id or device_id (previous_id of an alias) in the stream's entry to the field that holds the ID "
        "itself (user.id), or take it out of the object with a stream map",
        _FIX,
    ),
    "identity-too-long": Reason(
        "row",
        "the ID is longer than 255 characters, the limit of Kissmetrics",
        "set customer_id or device_id (previous_id of an alias) in the stream's entry to the field of a shorter ID, or "
        "hash it with a stream map (md5)",
        "use a shorter ID at the source, or hash it with a stream map (md5)",
    ),
    "alias-limit": Reason(
        "alias",
        "the alias would give one identity more partners than max_aliases_per_identity",
        "check whether the ID belongs to one person: add a shared one to blocked_identities, and raise "
        "max_aliases_per_identity only for a person who really has so many",
    ),
    "no-event-name": Reason(
        "row",
        "no event name: a field of the name is absent, null, empty or not a scalar",
        "set event_name in the stream's entry (a field in braces, or a constant), or fill in the field at the source",
        _FIX,
    ),
    "event-name-too-long": Reason(
        "row",
        "the event name is longer than 255 characters, the limit of Kissmetrics",
        "use a shorter name: event_name in the stream's entry, or a stream map",
        "use a shorter name at the source, or cut it with a stream map",
    ),
    "no-timestamp": Reason(
        "row",
        "the time is null or empty, and a guessed time would create a new event in each run",
        "fill it in at the source or with a stream map, or set timestamp in the stream's entry to another field",
        _FIX,
    ),
    "bad-timestamp": Reason(
        "row",
        "the time cannot be read, or is after the year 2100",
        f"{_FIX}, or set timestamp in the stream's entry to another field",
        _FIX,
    ),
    "future-timestamp": Reason(
        "row",
        "the time is further ahead of the clock than max_future_seconds",
        f"{_FIX}, set timestamp in the stream's entry to another field, or raise max_future_seconds",
        f"{_FIX}, or raise max_future_seconds",
    ),
    "too-old": Reason(
        "row",
        "the time is before 2009-01-01, and Kissmetrics keeps no older data",
        f"{_FILTER}; if the year is wrong, fix it at the source, or set timestamp in the stream's entry to another "
        "field",
        f"{_FILTER}; if the year is wrong, fix it at the source",
    ),
    "no-key": Reason(
        "row",
        "the row lacks a key property of its stream",
        "fix the tap or its catalog, or set __key_properties__ with a stream map",
    ),
    "schema": Reason(
        "row",
        "the row does not match the schema that the tap sent for its stream",
        "fix the tap or its catalog, or set validate_records to false to send such rows anyway",
    ),
    "no-type": Reason(
        "row",
        "the message, or the event of a batch, has no type",
        "fill in its type at the source; if the stream holds no messages, set another kind in its entry",
    ),
    "unknown-type": Reason(
        "row", "the type of the message is not one of Segment's", f"fix the type at the source, or {_FILTER}"
    ),
    "bad-message": Reason(
        "row or property", "a part of the message does not have the shape that its format requires", _FIX
    ),
    "no-experiment": Reason(
        "row",
        "the row names no experiment",
        "set experiment in the stream's entry to the field that does, or fill it in at the source",
    ),
    "no-variant": Reason(
        "row",
        "the row names no variant",
        "set variant in the stream's entry to the field that does, or fill it in at the source",
    ),
    "no-property-name": Reason(
        "property", "the property name is empty once surrounding spaces, commas and colons are removed", _RENAME
    ),
    "name-too-long": Reason(
        "property", "the property name is longer than 255 characters, the limit of Kissmetrics", _RENAME
    ),
    "reserved-name": Reason("property", "the property name starts with '_', which Kissmetrics reserves", _RENAME),
    "value-too-long": Reason(
        "property",
        "the value has more characters than max_value_length; Kissmetrics keeps 512",
        f"cut it with a stream map, or {_EXCLUDE}",
    ),
    "bad-number": Reason(
        "property", "the number is not finite, or has hundreds of digits", f"fix it at the source, or {_EXCLUDE}"
    ),
    "bad-text": Reason(
        "row or property",
        "the text has an unpaired UTF-16 surrogate, which cannot be sent",
        "fix it where the text was cut: at the source, in the tap, or by a stream map",
    ),
    "bad-datetime": Reason(
        "property",
        "the value is not a date or date-time, as the schema says it is",
        f"fix it at the source, correct the schema in the tap's catalog, or {_EXCLUDE}",
    ),
    "bad-amount": Reason(
        "amount",
        "the revenue field holds no amount",
        "fix it at the source, or set revenue in the stream's entry to another field",
        _FIX,
    ),
    "too-deep": Reason(
        "row or property",
        "objects or lists are nested too deeply",
        f"flatten them at the source or with a stream map, or {_EXCLUDE}",
    ),
    "not-in-plan": Reason(
        "row or property",
        "the event or the property is not in the tracking plan",
        "fix its name, leave it out (exclude in the stream's entry, or a stream map), or add it to allowed_events or "
        "allowed_properties",
    ),
    "too-many-names": Reason(
        "row or property",
        "its name would be one more than max_event_names or max_property_names allows the product; Kissmetrics keeps "
        "65,535 of each, permanently",
        "if names are made from data (an order number, a URL), send that part of the name as a property's value, or "
        "drop the field; raise the setting only for names that you chose yourself",
    ),
}
"""Every code."""


def advice(code: Code, *, in_messages: bool) -> str:
    """Return what to do about a code, for a stream whose entry can name fields, or for a message format."""
    reason = REASONS[code]
    return (in_messages and reason.in_messages) or reason.to_do


def zeros_advice(*, in_messages: bool) -> str:
    """Return what to do about an ID of zeros, which no setting lets through."""
    return advice("blocked-identity", in_messages=in_messages).partition("; if the ID")[0]


class Rejected(Exception):  # noqa: N818 - it reads as what happened
    """A row, or a part of it, cannot be sent.

    Args:
        code: The reject code.
        problem: What is wrong with this row or part.
        field: The field at fault, as a path.
        to_do: What to do about it, where the code's own advice does not fit.
        in_messages: The row is of a message format, so that the advice must name no key of its entry.
    """

    def __init__(
        self, code: Code, problem: str, field: str | None = None, *, to_do: str | None = None, in_messages: bool = False
    ) -> None:
        super().__init__(problem)
        self.code: Code = code
        self.problem = problem
        self.field = field
        self.to_do = to_do or advice(code, in_messages=in_messages)

    @property
    def reason(self) -> str:
        """What is wrong and what to do, in one line. It may hold data of the row, so it must not be logged."""
        return f"{self.problem}; {self.to_do}"

    def at(self, field: str | None) -> Rejected:
        """Return the same rejection for a field."""
        return Rejected(self.code, self.problem, field, to_do=self.to_do)

    def __str__(self) -> str:
        """Return the reason."""
        return self.reason
