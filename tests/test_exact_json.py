"""JSON with all digits of its numbers; what cannot be read exactly is named, and how deep it may nest is bounded."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.exact_json import MAX_DEPTH, decode, too_deep

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def lists(depth: int) -> str:
    return "[" * depth + "]" * depth


@given(values)
def test_json_is_read_as_by_the_standard_library(value: Any) -> None:
    text, lost = json.dumps(value), list[str]()
    assert decode(text, lost) == decode(text.encode(), lost) == value
    assert not lost


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.10", Decimal("1.10")),
        ("1e400", Decimal("1e400")),
        ("1" * 5000, Decimal("1" * 5000)),
        ("-0.0", Decimal("-0.0")),
    ],
)
def test_a_number_keeps_its_digits(text: str, number: Decimal) -> None:
    assert str(decode(text)) == str(number)


@pytest.mark.parametrize("text", ["1e9999999999999999999", "-1e-9999999999999999999", "1.5E+9999999999999999999"])
def test_a_number_beyond_decimal_is_infinite_and_named(text: str) -> None:
    lost: list[str] = []
    assert decode(f'{{"a": [{text}]}}', lost)["a"][0].is_infinite()
    assert lost == [f"has the number {text}, whose exponent is too large"]


@pytest.mark.parametrize("depth", [MAX_DEPTH, 300, 1])
def test_text_up_to_the_limit_is_read_whole(depth: int) -> None:
    lost: list[str] = []
    assert json.dumps(decode(lists(depth), lost)) == lists(depth)
    assert not lost


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 990, 1100, 100_000])
def test_what_is_nested_deeper_is_read_as_null_or_an_error(depth: int) -> None:
    text, lost = f'{{"a": {lists(depth - 1)}, "b": "[[\\"", "c": {lists(depth - 1)}, "d": 5}}', list[str]()
    row = decode(text, lost)
    assert (row["b"], row["d"]) == ('[["', 5)
    assert json.dumps(row["a"]) == json.dumps(row["c"]) == "[" * (MAX_DEPTH - 1) + "null" + "]" * (MAX_DEPTH - 1)
    assert lost == [f"is nested {depth:,} deep, where 500 is the limit"]
    with pytest.raises(ValueError, match=f"is nested {depth:,} deep, where 500 is the limit"):
        decode(text)


def test_a_text_of_many_lines_names_the_one_where_it_gets_too_deep() -> None:
    assert (
        too_deep("{\n" + '"a":\n[' * 3 + "]" * 3 + "}", 3)[0] == "is nested 4 deep from line 5 on, where 3 is the limit"
    )
    assert too_deep('{"a": "[[[[", "b": [[]]}', 3)[0] is None


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "[" * 600 + "]" * 50, '"' + "[" * 600, '"' + '\\"[' * 200_000, '"[' * 200_001]
)
def test_what_is_no_json_is_said_so_at_once(text: str) -> None:
    began = time.monotonic()
    for lost in (None, list[str]()):
        with pytest.raises(ValueError, match=r"^(is not valid JSON in UTF-8|is nested .* is the limit)$"):
            decode(text, lost)
    assert time.monotonic() - began < 20
