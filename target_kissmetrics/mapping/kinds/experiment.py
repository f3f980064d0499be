"""Kind `experiment`: a row says which variant of an A/B test a person got.

In Kissmetrics an A/B test is a property named after the experiment, with the variant as its value. It is change-tracked
like any attribute. Source: support.kissmetrics.io, "A/B test report".
"""

from __future__ import annotations

from target_kissmetrics.mapping.reject_codes import Code, Rejected
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.clock import ATTRIBUTE_TIME_CANDIDATES
from target_kissmetrics.mapping.rules.fields import FirstOf, Row
from target_kissmetrics.mapping.rules.plan import TrackingPlan
from target_kissmetrics.mapping.rules.values import Values, is_scalar
from target_kissmetrics.mapping.settings import PERSON_KEYS
from target_kissmetrics.mapping.stream import Kind, Stream

EXPERIMENT_CANDIDATES = ("experiment", "experiment_name", "test")
VARIANT_CANDIDATES = ("variant", "variation", "group")


def detect(stream: Stream) -> str | None:
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


KIND = Kind("experiment", keys=PERSON_KEYS | {"experiment", "variant"}, detect=detect, mapping=ExperimentMapping)
