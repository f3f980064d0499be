"""Kind `alias`: a row says that two identities are one person, for ever.

Source: support.kissmetrics.io, "Identities and aliases": irreversible, in either order, and harmless to repeat.
"""

from __future__ import annotations

from target_kissmetrics.kissmetrics.calls import Alias
from target_kissmetrics.mapping.detection import PREVIOUS_ID_CANDIDATES
from target_kissmetrics.mapping.reject_codes import RowRejected
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.fields import FirstOf, Row
from target_kissmetrics.mapping.rules.identity import CUSTOMER_ID_CANDIDATES, DEVICE_ID_CANDIDATES, People, find_id
from target_kissmetrics.mapping.stream import Stream


class AliasMapping:
    """Maps the rows of one stream of aliases: the previous ID and the row's customer ID, else its device ID."""

    def __init__(self, stream: Stream) -> None:
        customer = stream.choose("customer_id", CUSTOMER_ID_CANDIDATES)
        device = stream.choose("device_id", DEVICE_ID_CANDIDATES)
        self._fields = FirstOf((*customer, *device))
        self._previous = FirstOf(stream.choose("previous_id", PREVIOUS_ID_CANDIDATES))
        self._people = People(stream.settings, customer, device)
        self._clock = stream.alias_clock()
        if not self._fields.paths:
            raise stream.lacks("customer_id", "an ID")
        if not self._previous.paths:
            raise stream.lacks("previous_id", "the previous ID")

    def describe(self) -> str:
        """Say which fields were understood as what, in one line."""
        return f"person: {', else '.join(self._fields.paths)}; previous ID: {', else '.join(self._previous.paths)}"

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Give a row's alias; none when both identities are the same.

        Raises:
            RowRejected: One of the two is missing, blocked or too long.
        """
        person = self._identity(self._fields, row)
        previous = self._identity(self._previous, row)
        time, _ = self._clock.read(row, extracted)
        return Mapped(calls=[] if person == previous else [Alias(person, previous, time)])

    def _identity(self, fields: FirstOf, row: Row) -> str:
        found = find_id(fields, row)
        if found is None:
            raise RowRejected(
                "no-identity",
                f"no identity in {' or '.join(fields.paths)}: an alias needs two",
                fields.paths[0],
                to_do="name the fields that hold them as customer_id and previous_id in the stream's entry, or fill "
                "them in at the source",
            )
        self._people.check(found.text, found.field)
        return found.text
