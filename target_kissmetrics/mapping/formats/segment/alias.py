"""Segment's `alias`: the previous ID and the user's are one person, for ever.

Source: Segment's "Spec: Alias"; where one of the two is left out, the anonymous ID stands in, as Segment's own
libraries do it in the browser.
"""

from __future__ import annotations

from target_kissmetrics.kissmetrics.calls import Alias
from target_kissmetrics.mapping.formats.segment.fields import Places
from target_kissmetrics.mapping.reject_codes import RowRejected, advice
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.fields import FirstOf, Row
from target_kissmetrics.mapping.rules.identity import People, find_id


class SegmentAlias:
    """Maps the aliases among one stream's messages.

    Args:
        people: Of the stream.
        places: Where things are.
    """

    def __init__(self, people: People, places: Places) -> None:
        self._people = people
        self._user = FirstOf(places.aliased_id)
        self._previous = FirstOf(places.previous_id)
        self._device = FirstOf(places.device_id)

    def add(self, row: Row, time: int, mapped: Mapped) -> None:
        """Add the alias; none when both identities are the same.

        Raises:
            RowRejected: One of the two is missing, blocked or too long.
        """
        person = self._identity(self._user, row)
        previous = self._identity(self._previous, row)
        if person != previous:
            mapped.calls.append(Alias(person, previous, time))

    def _identity(self, fields: FirstOf, row: Row) -> str:
        found = find_id(fields, row) or find_id(self._device, row)
        if found is None:
            tried = " or ".join(fields.paths)
            raise RowRejected(
                "no-identity",
                f"no identity in {tried}: an alias needs two",
                fields.paths[0],
                to_do=advice("no-identity", in_messages=True),
            )
        self._people.check(found.text, found.field)
        return found.text
