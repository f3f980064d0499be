"""Kind `alias`: a row says that two identities are one person, permanently.

Source: support.kissmetrics.io, "Identities and aliases": an alias cannot be undone, has no order, and may be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable

from target_kissmetrics.kissmetrics.calls import Alias, Call
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped, Rejection
from target_kissmetrics.mapping.rules.clock import EVENT_TIME_CANDIDATES
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.settings import PERSON_KEYS
from target_kissmetrics.mapping.stream import Kind, Stream

PREVIOUS_ID_CANDIDATES = ("previous_id", "alias")


def detect(stream: Stream) -> str | None:
    """Recognize a stream with an identity and a previous ID. A field `alias` may be a name, so it does not count."""
    identity = stream.identity_field
    previous = stream.named("previous_id") or stream.field_for(("previous_id",))
    return f"it has {identity!r} and {previous!r}" if identity and previous else None


class AliasMapping:
    """Maps the rows of one stream of aliases: the previous ID and the row's customer ID, else its device ID."""

    def __init__(self, stream: Stream) -> None:
        self._identity = stream.identity_rule()
        self._current = stream.id_fields()
        self._previous = stream.choose("previous_id", PREVIOUS_ID_CANDIDATES)
        # Only import files have the time of an alias, so a guessed one does no harm.
        self._clock = stream.clock(EVENT_TIME_CANDIDATES)
        if not self._previous.paths:
            raise stream.missing("previous_id", "the previous ID")

    def describe(self) -> str:
        """Return which fields have which role, in one line."""
        current = ", else ".join(str(fields) for fields in self._current if fields.paths)
        return f"person: {current}; previous ID: {self._previous}"

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return a row's alias, or one for each ID in a list; none for two IDs that are the same.

        An ID of a list that cannot be aliased is rejected alone.
        """
        person = self._identity.require(row, *self._current)
        time, _ = self._clock.read(row, extracted)
        found = self._previous.find(row)
        if found is None or not isinstance(found[1], (list, tuple)):
            previous = self._identity.require(row, self._previous)
            return Mapped(calls=_aliases(person, [previous], time))
        mapped = Mapped(alias_field=found[0], is_filtered=not found[1])
        previous_ids = []
        for index, value in enumerate(found[1]):
            try:
                previous_ids.append(self._identity.read(value, f"{found[0]}[{index}]"))
            except Rejected as problem:
                mapped.rejections.append(Rejection.of(problem))
        mapped.calls += _aliases(person, previous_ids, time)
        return mapped


def _aliases(person: str, previous: Iterable[str], time: int) -> list[Call]:
    return [Alias(person, one, time) for one in dict.fromkeys(previous) if one and one != person]


KIND = Kind("alias", keys=PERSON_KEYS | {"previous_id"}, detect=detect, mapping=AliasMapping)
