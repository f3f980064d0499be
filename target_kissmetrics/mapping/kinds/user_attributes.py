"""Kind `user_attributes`: a row is a person's current attributes.

The row becomes one *set* call. Change tracking later drops the properties that equal the last sent value.
"""

from __future__ import annotations

from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.clock import ATTRIBUTE_TIME_CANDIDATES
from target_kissmetrics.mapping.rules.fields import Row, spelled
from target_kissmetrics.mapping.rules.identity import CUSTOMER_ID_CANDIDATES, DEVICE_ID_CANDIDATES
from target_kissmetrics.mapping.settings import PERSON_KEYS, PROPERTY_KEYS
from target_kissmetrics.mapping.stream import Kind, Stream

_PEOPLE = frozenset({"user", "customer", "contact", "person", "profile", "member", "visitor", "lead"})


def detect(stream: Stream) -> str | None:
    """Recognize a stream whose only key is an identity, or whose name is one for people."""
    key, identity = stream.only_key, stream.identity_field
    named = {*(stream.entry.customer_id or ()), *(stream.entry.device_id or ())}
    candidates = CUSTOMER_ID_CANDIDATES + DEVICE_ID_CANDIDATES
    if key is not None and (key in named or key in spelled(candidates, stream.fields or (key,)).values()):
        return f"{key!r}, an identity, is its only key"
    if named_for_people(stream.name) and (identity or key):
        return f"its name is one for people, and it has {identity or key!r}"
    return None


def named_for_people(stream: str) -> bool:
    """Return whether a stream's name is one for people: `users`, `Customer`, `public-users`, `crm.contacts`."""
    last = stream.lower().replace(".", "-").replace("/", "-").rpartition("-")[2].strip()
    return last == "people" or last.removesuffix("s") in _PEOPLE


class UserAttributesMapping:
    """Maps the rows of one stream of people."""

    def __init__(self, stream: Stream) -> None:
        self._identity = stream.identity_rule(key_is_person=True)
        self._clock = stream.clock(ATTRIBUTE_TIME_CANDIDATES)
        self._maker = stream.property_maker()

    def describe(self) -> str:
        """Return which fields have which role, in one line."""
        return f"person: {self._identity.describe()}; time: {self._clock.describe()}"

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return a row's attributes."""
        mapped = Mapped()
        person = self._identity.identify(row)
        time, time_field = self._clock.read(row, extracted)
        properties = self._maker.make(row, mapped.rejections, used=(*person.used, time_field))
        mapped.is_undated = time_field is None
        mapped.add_attributes(person.identity, time, properties)
        mapped.add_alias(person, time)
        return mapped


KIND = Kind("user_attributes", keys=PERSON_KEYS | PROPERTY_KEYS, detect=detect, mapping=UserAttributesMapping)
