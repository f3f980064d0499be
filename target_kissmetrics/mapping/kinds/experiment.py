"""Kind `experiment`: a row says which variant of an A/B test somebody got.

To Kissmetrics an A/B test is a property named after the experiment, with the variant as its value. Source:
support.kissmetrics.io, "A/B test report". It is change-tracked, like any attribute of a person.
"""

from __future__ import annotations

from target_kissmetrics.kissmetrics.calls import Alias, Set
from target_kissmetrics.mapping.detection import EXPERIMENT_CANDIDATES, VARIANT_CANDIDATES
from target_kissmetrics.mapping.reject_codes import Code, RowRejected
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import FirstOf, Row
from target_kissmetrics.mapping.rules.names import NameProblem
from target_kissmetrics.mapping.rules.values import ValueProblem, Values, is_scalar
from target_kissmetrics.mapping.stream import Stream


class ExperimentMapping:
    """Maps the rows of one stream of assignments."""

    def __init__(self, stream: Stream) -> None:
        self._people = stream.people()
        self._clock = stream.attribute_clock()
        self._experiment = FirstOf(stream.choose("experiment", EXPERIMENT_CANDIDATES))
        self._variant = FirstOf(stream.choose("variant", VARIANT_CANDIDATES))
        self._values = Values(stream.settings.datetime_format)
        if not self._experiment.paths:
            raise stream.lacks("experiment", "the experiment's name")
        if not self._variant.paths:
            raise stream.lacks("variant", "the variant")

    def describe(self) -> str:
        """Say which fields were understood as what, in one line."""
        return (
            f"person: {self._people.describe()}; experiment: {', else '.join(self._experiment.paths)}; "
            f"variant: {', else '.join(self._variant.paths)}; time: {self._clock.describe()}"
        )

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Give a row's assignment as a property.

        Raises:
            RowRejected: No identity, experiment or variant that Kissmetrics would keep.
        """
        person = self._people.identify(row)
        experiment, field = self._text(self._experiment, "no-experiment", row)
        variant, _ = self._text(self._variant, "no-variant", row)
        try:
            name = names.property_name(experiment)
        except NameProblem as problem:
            raise RowRejected.of(problem, field) from None
        time, _ = self._clock.read(row, extracted)
        mapped = Mapped(calls=[Set(person.identity, time, {name: variant}, distinct=True)])
        if person.other is not None:
            mapped.calls.append(Alias(person.identity, person.other, time))
            mapped.alias_field = person.other_field
        return mapped

    def _text(self, fields: FirstOf, absent: Code, row: Row) -> tuple[str, str]:
        found = fields.find(row)
        if found is None or not is_scalar(found[1]):
            told = f"no {absent.removeprefix('no-')} in {' or '.join(fields.paths)}"
            raise RowRejected(absent, told, fields.paths[0])
        try:
            return self._values.write(found[1]), found[0]
        except ValueProblem as problem:
            raise RowRejected.of(problem, found[0]) from None
