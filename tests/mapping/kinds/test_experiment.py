from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from mapping_streams import ISO, NOW, SECONDS, mapping_of, set_of, stream_of

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias, Set
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped

ROW = {"customer_id": "ann", "experiment": "Button: Color", "variant": "green", "updated_at": ISO}


def map_experiment(row: dict[str, Any], entry: dict[str, Any] | None = None, **about: Any) -> Mapped:
    row = {**ROW, **row}
    return mapping_of(stream_of(row, {"kind": "experiment", **(entry or {})}, **about)).map(row)


def rejected(row: dict[str, Any]) -> Rejected:
    with pytest.raises(Rejected) as problem:
        map_experiment(row)
    return problem.value


def test_an_experiment_is_a_change_tracked_property_with_its_variant() -> None:
    mapped = map_experiment({"other": "no property"})
    assert mapped == Mapped(calls=[Set("ann", SECONDS, {"Button  Color": "green"}, distinct=True)])


@pytest.mark.parametrize("field", ["experiment", "experiment_name", "test"])
def test_each_candidate_names_the_experiment(field: str) -> None:
    row = {"customer_id": "ann", field: "Color", "variant": "green"}
    assert set_of(mapping_of(stream_of(row)).map(row)).properties == {"Color": "green"}


@pytest.mark.parametrize("field", ["variant", "variation", "group"])
def test_each_candidate_gives_the_variant(field: str) -> None:
    row = {"customer_id": "ann", "test": "Color", field: "green"}
    assert set_of(mapping_of(stream_of(row)).map(row)).properties == {"Color": "green"}


def test_fields_that_the_entry_names_are_the_only_ones_tried() -> None:
    entry = {"experiment": "flag.name", "variant": "flag.on"}
    mapped = map_experiment({"flag": {"name": "New Menu", "on": True}}, entry)
    assert set_of(mapped).properties == {"New Menu": "true"}


@pytest.mark.parametrize(("variant", "text"), [(1, "1"), (False, "false"), (Decimal("0.50"), "0.5"), (" b ", " b ")])
def test_a_variant_is_written_as_any_value(variant: Any, text: str) -> None:
    assert set_of(map_experiment({"variant": variant})).properties == {"Button  Color": text}


def test_an_experiment_with_a_number_for_a_name_is_named_by_it() -> None:
    assert set_of(map_experiment({"experiment": 7})).properties == {"7": "green"}


@pytest.mark.parametrize("name", ["_k", " _p", ":_t", "\u200b_n", "_anything"])
def test_an_experiment_can_never_become_a_reserved_parameter(name: str) -> None:
    problem = rejected({"experiment": name})
    assert (problem.code, problem.field) == ("reserved-name", "experiment")


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"customer_id": None}, "no-identity", None),
        ({"customer_id": "nil"}, "blocked-identity", "customer_id"),
        ({"experiment": None}, "no-experiment", "experiment"),
        ({"experiment": " "}, "no-experiment", "experiment"),
        ({"experiment": ["a"]}, "no-experiment", "experiment"),
        ({"experiment": ","}, "no-property-name", "experiment"),
        ({"experiment": "n" * 256}, "name-too-long", "experiment"),
        ({"experiment": "n\ud800"}, "bad-text", "experiment"),
        ({"variant": None}, "no-variant", "variant"),
        ({"variant": ""}, "no-variant", "variant"),
        ({"variant": {}}, "no-variant", "variant"),
        ({"variant": "v" * 9000}, "value-too-long", "variant"),
        ({"variant": Decimal("NaN")}, "bad-number", "variant"),
        ({"updated_at": "2001-01-01"}, "too-old", "updated_at"),
    ],
)
def test_an_assignment_that_kissmetrics_would_not_keep_is_rejected(
    row: dict[str, Any], code: str, field: str | None
) -> None:
    problem = rejected(row)
    assert (problem.code, problem.field) == (code, field)


def test_the_time_is_found_as_for_attributes() -> None:
    row = {"customer_id": "ann", "test": "a", "group": "b", "created_at": ISO}
    assert set_of(mapping_of(stream_of(row)).map(row)).time == NOW


def test_both_ids_are_aliased_when_asked_for() -> None:
    mapped = map_experiment({"device_id": "d1"}, alias_identities=True)
    assert mapped.calls[1:] == [Alias("d1", "ann", SECONDS)]
    assert mapped.alias_field == "customer_id"


@pytest.mark.parametrize(("missing", "key"), [("experiment", "experiment"), ("variant", "variant")])
def test_a_stream_that_lacks_one_of_the_two_stops_the_run(missing: str, key: str) -> None:
    fields = [field for field in ROW if field != missing]
    with pytest.raises(ConfigError, match=rf"streams\[0\].{key}: .*its fields: customer_id"):
        mapping_of(stream_of(fields, {"kind": "experiment"}))


def test_the_stream_is_described_by_what_is_read_as_what() -> None:
    assert mapping_of(stream_of(ROW)).describe() == (
        "person: customer_id; experiment: experiment; variant: variant; time: updated_at, else time_extracted, else now"
    )


@pytest.mark.parametrize("is_listed", [True, False])
@pytest.mark.parametrize("names", [("USER_ID", "EXPERIMENT_NAME", "VARIATION"), ("userId", "Test", "Group")])
def test_the_experiment_and_the_variant_may_be_spelled_otherwise(names: tuple[str, ...], is_listed: bool) -> None:
    mapping = mapping_of(stream_of(names if is_listed else (), {"kind": "experiment"}))
    assert set_of(mapping.map(dict(zip(names, "uab", strict=True)))).properties == {"a": "b"}
