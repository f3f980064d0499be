"""Every person is in one slice, whoever asks."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.config.settings import read_settings
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias, Set
from target_kissmetrics.mapping.result import Deletion, Mapped
from target_kissmetrics.mapping.shard import Shard


@given(st.text(st.characters(codec="utf-8"), max_size=20), st.integers(1, 50))
def test_a_person_is_in_one_slice_and_no_other(person: str, count: int) -> None:
    assert [Shard(index, count).takes(person) for index in range(count)].count(True) == 1


def test_slices_are_about_even() -> None:
    people = [f"user-{number}" for number in range(4000)]
    for index in range(4):
        assert 850 < sum(Shard(index, 4).takes(person) for person in people) < 1150


def test_the_slice_of_a_person_never_changes_between_versions() -> None:
    assert [Shard(0, 3).takes(person) for person in ("a", "b", "c", "d")] == [True, False, True, False]


def test_a_row_is_where_its_person_is() -> None:
    shard = Shard(0, 2)
    for person in ("a", "b", "c"):
        assert shard.takes_row(Mapped(calls=[Set(person, 1, {"a": "b"}), Alias(person, "z", 1)])) == shard.takes(person)
        assert shard.takes_row(Mapped(deletions=[Deletion(person, "plan", 1)])) == shard.takes(person)
    assert [Shard(index, 2).takes_row(Mapped()) for index in (0, 1)] == [True, False]


MISTAKES = [
    ({"index": 4, "count": 4}, "shard.index"),
    ({"index": -1, "count": 4}, "shard.index"),
    ({"index": 0, "count": 0}, "shard.count"),
    ({"index": 0}, "shard"),
    ({"index": 0, "cuont": 4}, "did you mean 'count'"),
    ({"index": "x", "count": 4}, "shard.index"),
    ("0/4", "shard"),
    ([0, 4], "shard"),
]


@pytest.mark.parametrize(("given_value", "told"), MISTAKES)
def test_a_mistake_is_named(given_value: object, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        read_settings({"api_key": "k", "shard": given_value})


def test_it_is_read() -> None:
    assert read_settings({"api_key": "k", "shard": {"index": "1", "count": 4}}).shard == Shard(1, 4)
    assert read_settings({"api_key": "k"}).shard is None
