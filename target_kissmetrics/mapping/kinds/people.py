"""Kinds whose rows say something of a person: `user_attributes`, `alias` and `experiment`.

A row of attributes becomes one *set* call; change tracking later drops the properties that equal the last sent value.
An alias says that two identities are one person: it cannot be undone, has no order, and may be repeated. An A/B test is
a property named after the experiment, with the person's variant as its value, change-tracked like any attribute.
Sources: support.kissmetrics.io, "Identities and aliases", "A/B test report".
"""

from __future__ import annotations

from collections.abc import Iterable

from target_kissmetrics.kissmetrics.calls import Alias, Call
from target_kissmetrics.mapping.reject_codes import Code, Rejected
from target_kissmetrics.mapping.result import Mapped, Rejection
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.clock import ATTRIBUTE_TIME_CANDIDATES, EVENT_TIME_CANDIDATES
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, spelled
from target_kissmetrics.mapping.rules.identity import CUSTOMER_ID_CANDIDATES, DEVICE_ID_CANDIDATES
from target_kissmetrics.mapping.rules.tracking_plan import TrackingPlan
from target_kissmetrics.mapping.rules.values import Values, is_scalar
from target_kissmetrics.mapping.settings import PERSON_KEYS, PROPERTY_KEYS
from target_kissmetrics.mapping.stream import Kind, Stream

PREVIOUS_ID_CANDIDATES = ("previous_id", "alias")
EXPERIMENT_CANDIDATES = ("experiment", "experiment_name", "test")
VARIANT_CANDIDATES = ("variant", "variation", "group")
_PEOPLE = frozenset({"user", "customer", "contact", "person", "profile", "member", "visitor", "lead"})


def detect_user_attributes(stream: Stream) -> str | None:
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


USER_ATTRIBUTES = Kind(
    "user_attributes", keys=PERSON_KEYS | PROPERTY_KEYS, detect=detect_user_attributes, mapping=UserAttributesMapping
)


def detect_alias(stream: Stream) -> str | None:
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


ALIAS = Kind("alias", keys=PERSON_KEYS | {"previous_id"}, detect=detect_alias, mapping=AliasMapping)


def detect_experiment(stream: Stream) -> str | None:
    """Recognize a stream with an identity, an experiment and a variant."""
    identity = stream.identity_field
    experiment = stream.named("experiment") or stream.field_for(EXPERIMENT_CANDIDATES)
    variant = stream.named("variant") or stream.field_for(VARIANT_CANDIDATES)
    return f"it has {identity!r}, {experiment!r} and {variant!r}" if identity and experiment and variant else None


class ExperimentMapping:
    """Maps the rows of one stream of assignments."""

    def __init__(self, stream: Stream) -> None:
        self._identity = stream.identity_rule()
        self._clock = stream.clock(ATTRIBUTE_TIME_CANDIDATES)
        self._experiment = stream.choose("experiment", EXPERIMENT_CANDIDATES)
        self._variant = stream.choose("variant", VARIANT_CANDIDATES)
        self._plan = TrackingPlan(stream.settings)
        self._values = Values(stream.settings, stream.entry.zone)
        if not self._experiment.paths:
            raise stream.missing("experiment", "the experiment")
        if not self._variant.paths:
            raise stream.missing("variant", "the variant")

    def describe(self) -> str:
        """Return which fields have which role, in one line."""
        return (
            f"person: {self._identity.describe()}; experiment: {', else '.join(self._experiment.paths)}; "
            f"variant: {', else '.join(self._variant.paths)}; time: {self._clock.describe()}"
        )

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return a row's assignment as a property."""
        person = self._identity.identify(row)
        experiment, field = self._text(self._experiment, "no-experiment", row)
        variant, _ = self._text(self._variant, "no-variant", row)
        try:
            name = names.property_name(experiment)
            self._plan.check_property(name, field)
        except Rejected as problem:
            raise problem.at(field) from None
        time, time_field = self._clock.read(row, extracted)
        mapped = Mapped(is_undated=time_field is None)
        mapped.add_attributes(person.identity, time, {name: variant})
        mapped.add_alias(person, time)
        return mapped

    def _text(self, fields: FirstOf, absent: Code, row: Row) -> tuple[str, str]:
        found = fields.find(row)
        if found is None or not is_scalar(found[1]):
            problem = f"no {absent.removeprefix('no-')}: {' or '.join(fields.paths)} must hold a text or a number"
            raise Rejected(absent, problem, fields.paths[0])
        try:
            return self._values.write(found[1]), found[0]
        except Rejected as problem:
            raise problem.at(found[0]) from None


EXPERIMENT = Kind(
    "experiment", keys=PERSON_KEYS | {"experiment", "variant"}, detect=detect_experiment, mapping=ExperimentMapping
)
