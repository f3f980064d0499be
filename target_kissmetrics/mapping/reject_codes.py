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
    "not-in-plan", "too-many-names", "call-too-large",
]  # fmt: skip
Lost = Literal["row", "property", "alias", "amount", "row or property"]


class Reason(NamedTuple):
    """What a code stands for.

    Attributes:
        lost: What is not sent. In a batch, or a list in a message, `row` is one event or item.
        meaning: What is wrong.
        to_do: What to do next. It follows `meaning` in a sentence and begins with a verb.
    """

    lost: Lost
    meaning: str
    to_do: str


_FIX = "fix it at the source or with a stream map"
_FILTER = "filter out such rows with a stream map (__filter__)"
_RENAME = "rename it (rename in the stream's entry, or a stream map) or drop it"
_EXCLUDE = "drop the field (exclude in the stream's entry, or a stream map)"
_ENTRY = "in the stream's entry (not for message formats)"
_ID_ELSEWHERE = f"set customer_id or device_id (previous_id of an alias) {_ENTRY}"

REASONS: Mapping[Code, Reason] = {
    "no-identity": Reason(
        "row",
        "no identity: every field that can hold an ID is empty",
        f"fill one in at the source, {_ID_ELSEWHERE} to the field that holds it, or {_FILTER}",
    ),
    "blocked-identity": Reason(
        "row",
        "many people share this ID (all zeros, or in blocked_identities), which would merge them permanently",
        f"{_FIX}, or {_ID_ELSEWHERE}; if it is one person's, remove it from blocked_identities",
    ),
    "bad-identity": Reason(
        "row",
        "the ID is an object, an array, a boolean or no finite number",
        f"{_FIX}, or {_ID_ELSEWHERE} to the field of the ID itself (user.id)",
    ),
    "identity-too-long": Reason(
        "row",
        "the ID is longer than 255 characters, the limit of Kissmetrics",
        f"use a shorter ID: hash it with a stream map (md5), or {_ID_ELSEWHERE}",
    ),
    "alias-limit": Reason(
        "alias",
        "the alias would give one identity more partners than max_aliases_per_identity",
        "check whether the ID is one person's: add a shared one to blocked_identities, else raise the limit",
    ),
    "no-event-name": Reason(
        "row",
        "no event name: a field of the name is absent, null, empty or not a scalar",
        f"{_FIX}, or set event_name {_ENTRY}: a field in braces, or a constant",
    ),
    "event-name-too-long": Reason(
        "row",
        "the event name is longer than 255 characters, the limit of Kissmetrics",
        f"use a shorter name: cut it with a stream map, or set event_name {_ENTRY}",
    ),
    "no-timestamp": Reason(
        "row",
        "the time is null or empty, and a guessed time would create a new event in each run",
        f"{_FIX}, or set timestamp {_ENTRY} to another field",
    ),
    "bad-timestamp": Reason(
        "row",
        "the time cannot be read, or is after the year 2100",
        f"{_FIX}, or set timestamp {_ENTRY} to another field",
    ),
    "future-timestamp": Reason(
        "row",
        "the time is further ahead of the clock than max_future_seconds",
        f"{_FIX}, set timestamp {_ENTRY} to another field, or raise max_future_seconds",
    ),
    "too-old": Reason(
        "row",
        "the time is before 2009-01-01, and Kissmetrics keeps no older data",
        f"{_FILTER}; if the year is wrong, fix it at the source, or set timestamp {_ENTRY} to another field",
    ),
    "no-key": Reason(
        "row", "the row lacks a key property of its stream", "fix the tap, or set __key_properties__ with a stream map"
    ),
    "schema": Reason(
        "row",
        "the row does not match the schema that the tap sent for its stream",
        "fix the tap or its catalog, or set validate_records to false to send such rows anyway",
    ),
    "no-type": Reason(
        "row", "the message has no type", "fill it in at the source; if the rows are no messages, set another kind"
    ),
    "unknown-type": Reason(
        "row", "the type of the message is not one of Segment's", f"fix it at the source, or {_FILTER}"
    ),
    "bad-message": Reason("row or property", "a part does not have the shape that its format requires", _FIX),
    "no-experiment": Reason("row", "the row names no experiment", f"{_FIX}, or set experiment to another field"),
    "no-variant": Reason("row", "the row names no variant", f"{_FIX}, or set variant to another field"),
    "no-property-name": Reason("property", "the property name is empty but for spaces, commas and colons", _RENAME),
    "name-too-long": Reason("property", "the property name is longer than 255 characters, Kissmetrics' limit", _RENAME),
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
    "bad-amount": Reason("amount", "the revenue field holds no amount", f"{_FIX}, or set revenue to another field"),
    "too-deep": Reason("row or property", "objects or lists are nested too deeply", f"flatten them, or {_EXCLUDE}"),
    "not-in-plan": Reason(
        "row or property",
        "the event or the property is not in the tracking plan",
        "fix its name, leave it out (exclude in the stream's entry, or a stream map), or add it to allowed_events or "
        "allowed_properties",
    ),
    "too-many-names": Reason(
        "row or property",
        "its name would be one more than max_event_names or max_property_names; Kissmetrics keeps 65,535 of each",
        "if names are made from data (an order number, a URL), send that part as a property's value, or drop the "
        "field; raise the setting only for names that you chose yourself",
    ),
    "call-too-large": Reason(
        "row",
        "the host refused the call for its size (413, 414)",
        "cut its fields with a stream map, or drop some (exclude in the stream's entry); or raise the limit of a proxy "
        "in between",
    ),
}
"""Every code."""

ZEROS_ADVICE = REASONS["blocked-identity"].to_do.partition("; if it is")[0]
"""For an ID of zeros, which no setting lets through."""


class Rejected(Exception):  # noqa: N818 - it reads as what happened
    """A row, or a part of it, cannot be sent.

    Args:
        code: The reject code.
        problem: What is wrong with this row or part.
        field: The field at fault, as a path.
        to_do: What to do about it, where the code's own advice does not fit.

    Attributes:
        reason: What is wrong and what to do, in one line. It may hold data of the row, so it must not be logged.
    """

    def __init__(self, code: Code, problem: str, field: str | None = None, *, to_do: str | None = None) -> None:
        self.code: Code = code
        self.problem = problem
        self.field = field
        self.to_do = to_do or REASONS[code].to_do
        self.reason = f"{problem}; {self.to_do}"
        super().__init__(self.reason)

    def at(self, field: str | None) -> Rejected:
        """Return the same rejection for a field."""
        return Rejected(self.code, self.problem, field, to_do=self.to_do)
