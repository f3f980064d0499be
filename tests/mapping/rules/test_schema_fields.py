"""What a schema says of fields."""

from __future__ import annotations

from typing import Any

import pytest

from target_kissmetrics.mapping.rules.schemas import holds, meant, times_in

ORDER: dict[str, Any] = {"type": ["null", "object"], "properties": {"Total": {}, "shop": {"properties": {"id": {}}}}}
FIELDS: dict[str, Any] = {
    "order": ORDER,
    "composed": {"anyOf": [{"type": "null"}, ORDER]},
    "any": {"type": "object"},
    "open": {"properties": {"a": {}}, "additionalProperties": True},
    "plain": {"type": "string"},
    "dotted.name": {},
}


@pytest.mark.parametrize(
    ("path", "is_there"),
    [
        ("order", True),
        ("order.Total", True),
        ("order.total", False),
        ("order.shop.id", True),
        ("order.shop.ids", False),
        ("composed.Total", True),
        ("composed.totl", False),
        ("any.thing.at.all", True),
        ("open.b", True),
        ("dotted.name", True),
        ("dotted.other", False),
        ("absent.Total", False),
    ],
)
def test_a_path_is_checked_as_far_as_the_schema_lists_fields(path: str, is_there: bool) -> None:
    assert holds(FIELDS, path) is is_there


@pytest.mark.parametrize(
    ("candidate", "path"),
    [
        ("ORDER.total", "order.Total"),
        ("Order", "order"),
        ("composed.shop.ID", "composed.shop.id"),
        ("dotted.NAME", "dotted.name"),
        ("any.thing", "any.thing"),
        ("order.totl", None),
        ("absent.total", None),
    ],
)
def test_a_dotted_candidate_means_a_path_in_any_spelling(candidate: str, path: str | None) -> None:
    assert meant(FIELDS, candidate) == path


@pytest.mark.parametrize(
    "name", ["shipped_at", "shippedAt", "SHIPPED_AT", "Shipped At", "start_time", "due-date", "dueDate", "my_tstamp"]
)
def test_a_field_looks_like_a_time_by_its_name(name: str) -> None:
    assert [*times_in({"properties": {name: {"type": "integer"}, "a": {"properties": {name: {}}}}})] == [
        name,
        f"a.{name}",
    ]


@pytest.mark.parametrize(
    "name", ["format", "FORMAT", "cat", "at", "update", "overtime", "attribute", "_sdc_batched_at"]
)
def test_a_field_does_not_look_like_a_time_by_its_last_letters(name: str) -> None:
    assert [*times_in({"properties": {name: {"type": "string"}}})] == []


def test_a_field_is_a_time_by_its_format_but_not_within_a_list_nor_of_a_loader() -> None:
    day, moment = {"type": ["null", "string"], "format": "date"}, {"anyOf": [{"format": "date-time"}, {"type": "null"}]}
    items = {"type": "array", "items": {"properties": {"sold": moment, "sold_at": {}}}}
    schema = {"properties": {"booked": moment, "checkin": day, "items": items, "_fivetran_synced": moment}}
    assert [*times_in(schema)] == ["booked", "checkin"]
