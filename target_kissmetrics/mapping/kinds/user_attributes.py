"""Kind `user_attributes`: a row is a person as they are now.

The row becomes one *set* call, change-tracked: what is equal to what was last sent for that person falls away later, in
the memory.
"""

from __future__ import annotations

from target_kissmetrics.kissmetrics.calls import Alias, Set
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.stream import Stream


class UserAttributesMapping:
    """Maps the rows of one stream of people."""

    def __init__(self, stream: Stream) -> None:
        self._people = stream.people(key_is_person=True)
        self._clock = stream.attribute_clock()
        self._maker = stream.property_maker()

    def describe(self) -> str:
        """Say which fields were understood as what, in one line."""
        return f"person: {self._people.describe()}; time: {self._clock.describe()}"

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Give a row's calls.

        Raises:
            RowRejected: No identity, or a time that Kissmetrics would not keep.
        """
        mapped = Mapped()
        person = self._people.identify(row)
        time, time_field = self._clock.read(row, extracted)
        properties = self._maker.make(row, mapped.asides, used=(*person.used, time_field))
        if properties:
            mapped.calls.append(Set(person.identity, time, properties, distinct=True))
        if person.other is not None:
            mapped.calls.append(Alias(person.identity, person.other, time))
            mapped.alias_field = person.other_field
        return mapped
