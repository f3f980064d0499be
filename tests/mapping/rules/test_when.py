"""Rows that `when` chooses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from mapping_streams import EVENT, mapping_of, stream_of

from target_kissmetrics.config.stream_entries import read_entry
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.rules.unwrap import When


def chooses(when: dict[str, Any], row: dict[str, Any]) -> bool:
    return When(stream_of(when, {"when": when})).matches(row)


@pytest.mark.parametrize(
    ("when", "row", "is_chosen"),
    [
        ({"a": "x"}, {"a": "x"}, True),
        ({"a": "x"}, {"a": "X"}, False),
        ({"a": "5"}, {"a": 5}, False),
        ({"a": 5}, {"a": "5"}, False),
        ({"a": 5}, {"a": Decimal("5.00")}, True),
        ({"a": 0.1}, {"a": Decimal("0.1")}, True),
        ({"a": 0.1}, {"a": 0.1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": True}, {"a": True}, True),
        ({"a": True}, {"a": "true"}, False),
        ({"a": False}, {"a": None}, False),
        ({"a": None}, {}, True),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {"a": ""}, False),
        ({"a": ["x", None, 5]}, {"a": 5}, True),
        ({"a": ["x", None, 5]}, {"a": "y"}, False),
        ({"a.b": "x"}, {"a": {"b": "x"}}, True),
        ({"a.b": "x"}, {"a.b": "x"}, True),
        ({"a": "x", "b": 1}, {"a": "x", "b": 1}, True),
        ({"a": "x", "b": 1}, {"a": "x", "b": 2}, False),
        ({"a": "x"}, {"a": ["x"]}, False),
        ({"a": "x"}, {"a": {"b": 1}}, False),
        ({"a": 5}, {"a": float("nan")}, False),
    ],
)
def test_a_row_matches_if_each_field_has_one_of_its_values(when: Any, row: Any, is_chosen: bool) -> None:
    assert chooses(when, row) is is_chosen


def test_other_rows_are_filtered_and_the_field_stays_a_property() -> None:
    mapping = mapping_of(stream_of([*EVENT, "status"], {"kind": "event", "when": {"status": ["paid", "shipped"]}}))
    assert mapping.map({**EVENT, "status": "paid"}).calls[0].properties == {"status": "paid"}  # type: ignore[union-attr]
    # Also rows that would be rejected.
    for row in ({**EVENT, "status": "open"}, {"status": None}, {}):
        mapped = mapping.map(row)
        assert (mapped.is_filtered, mapped.calls, mapped.rejections) == (True, [], [])
    assert "rows by status" in mapping.describe()


def test_a_field_that_the_stream_does_not_have_stops_it() -> None:
    with pytest.raises(ConfigError, match=r"streams\[0\].when: stream 'things' has no field 'stat'"):
        mapping_of(stream_of([*EVENT, "status"], {"kind": "event", "when": {"stat": "paid"}}))


@pytest.mark.parametrize("kind", ["user_attributes", "alias", "experiment", "segment", "mparticle", "kissmetrics"])
def test_every_kind_has_it(kind: str) -> None:
    assert read_entry({"stream": "a", "kind": kind, "when": {"a": 1}}, 0).when == (("a", (1,)),)
