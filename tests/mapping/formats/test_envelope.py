from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from mapping_streams import stream_of

from target_kissmetrics.mapping.formats.envelope import Envelope
from target_kissmetrics.mapping.result import Rejection

FIELDS = ("type", "userId", "event")
CONTAINERS = {"properties": (), "traits": (), "context": ("campaign", "traits")}


def envelope(*listed: str, warnings: list[str] | None = None) -> Envelope:
    return Envelope(stream_of(listed, warnings=warnings), FIELDS, CONTAINERS)


def opened(row: dict[str, Any], *listed: str) -> dict[str, Any]:
    rejections: list[Rejection] = []
    message = envelope(*listed).open(row, rejections)
    assert rejections == []
    return dict(message)


def test_a_message_as_its_format_defines_it_is_the_row_itself() -> None:
    row = {"type": "track", "userId": "u1", "properties": {"a": 1}, "more": 5}
    assert envelope("type", "userId", "properties").open(row, []) is row


@pytest.mark.parametrize("name", ["user_id", "USERID", "User-Id", "user id"])
def test_a_field_is_found_in_any_spelling(name: str) -> None:
    assert opened({"TYPE": "track", name: "u1"}) == {"type": "track", "userId": "u1"}


def test_an_exact_spelling_wins_over_another_one() -> None:
    assert opened({"user_id": "row-7", "userId": "u1"})["userId"] == "u1"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"traits__city": "Oslo", "traits__order__id": 7}, {"traits": {"city": "Oslo", "order.id": 7}}),
        ({"traits.city": "Oslo", "traits.order.id": 7}, {"traits": {"city": "Oslo", "order.id": 7}}),
        ({"traits_city": "Oslo", "traits_order_id": 7}, {"traits": {"city": "Oslo", "order_id": 7}}),
        ({"PROPERTIES__PLAN": "Gold"}, {"properties": {"PLAN": "Gold"}}),
        (
            {"context_ip": "203.0.113.9", "context_campaign_source": "ads", "context_traits_first_name": "Ada"},
            {"context": {"ip": "203.0.113.9", "campaign": {"source": "ads"}, "traits": {"first_name": "Ada"}}},
        ),
        ({"traits__a": None, "traits__b": 1}, {"traits": {"b": 1}}),
        ({"traits__a": 1, "traits__a__b": 2}, {"traits": {"a": 1, "a.b": 2}}),
        ({"traits__a__b": 2, "traits__a": 1}, {"traits": {"a.b": 2, "a": 1}}),
    ],
)
@pytest.mark.parametrize("is_listed", [True, False])
def test_flattened_columns_are_a_container(columns: dict[str, Any], message: Any, *, is_listed: bool) -> None:
    assert opened(columns, *(columns if is_listed else ())) == message


def test_they_are_not_where_the_container_is_there() -> None:
    row = {"traits": {"city": "Oslo"}, "traits_city": "Bergen"}
    assert opened(row) == opened(row, *row) == {"traits": {"city": "Oslo"}}


@pytest.mark.parametrize("row", [{"traits": None}, {"traits": " "}, {}])
def test_they_are_where_it_is_empty(row: dict[str, Any]) -> None:
    expected = {"traits": {"city": "Bergen"}}
    assert opened({**row, "traits_city": "Bergen"}, "traits", "traits_city") == expected


def test_a_container_of_json_text_is_parsed_with_exact_numbers() -> None:
    assert opened({"properties": ' {"price": 9.90, "n": {"a": [1]}}', "traits": " "}) == {
        "properties": {"price": Decimal("9.90"), "n": {"a": [1]}},
        "traits": None,
    }


@pytest.mark.parametrize("text", ["{", "[1", "hello", "{" * 100_000, "[" * 100_000, '{"a": 1} x'])
def test_a_text_that_is_no_json_is_rejected_alone(text: str) -> None:
    rejections: list[Rejection] = []
    message = envelope().open({"userId": "u1", "PROPERTIES": text}, rejections)
    assert message == {"userId": "u1", "properties": None}
    assert [(one.code, one.field) for one in rejections] == [("bad-message", "PROPERTIES")]
    assert len(rejections[0].reason) < 300


@pytest.mark.parametrize("listed", [("properties",), ("TRAITS",), ("context_ip",), ("traits.a",), ()])
def test_messages_have_a_container_in_any_shape(listed: tuple[str, ...]) -> None:
    assert envelope("type", *listed).has_container == bool(listed)
    assert envelope(*listed).has_container


@pytest.mark.parametrize("part", ["campaign", "traits"])
def test_an_object_within_a_container_may_be_json_text_too(part: str) -> None:
    assert opened({"context": {part: '{"a": 1}', "page": "home"}}) == {"context": {part: {"a": 1}, "page": "home"}}
    rejections: list[Rejection] = []
    message = envelope().open({f"context__{part}": "{", "context__ip": "x"}, rejections)
    assert message == {"context": {part: None, "ip": "x"}}
    assert [(one.code, one.field) for one in rejections] == [("bad-message", f"context.{part}")]
