"""Patterns that can be matched in a bounded time, and those that cannot."""

from __future__ import annotations

import re
import time

import pytest

from target_kissmetrics.singer.validation import is_quick


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z]{3}$",
        "^a+b*$",
        r"^\d{4}-\d{2}$",
        "(ab)+",
        "^(a|b)$",
        "[ab]+c",
        "(?=.*x).{3,}",
        r"^\+[0-9]{1,3} [0-9]{3}$",
        "(x{2}){3}",
        "(a|b){30}c",
        "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,4}$",
        r"^(\d{1,3}\.){3}\d{1,3}$",
        r"^-?[0-9]+(\.[0-9]{1,2})?$",
        r"^\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z?$",
        r"^[A-Z]{2}\d{2}([A-Z0-9]{4}){2,7}[A-Z0-9]{1,3}$",
        "",
    ],
)
def test_plain_patterns_are_run(pattern: str) -> None:
    assert is_quick(pattern, "x" * 100)
    start = time.perf_counter()
    re.search(pattern, "ab" * 50 + "!")
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a*)*b",
        "(a|aa)+$",
        "((a+)b?)+c",
        "(a+){30}b",
        "(a{1,20})+",
        "(ab|cd){30}c",
        r"(a+)\1+b",
        "(",
        r"\p{Lu}",
        "(?x)^ (a+) + $",
        "(a?){30}a{30}",
        "a?" * 30 + "a" * 30,
        "((a{1,3}){1,9}){1,9}b",
    ],
)
def test_patterns_that_may_run_forever_are_not(pattern: str) -> None:
    assert not is_quick(pattern, "a" * 100)


def test_a_long_text_is_matched_with_few_repetitions_only() -> None:
    assert is_quick("a+b", "a" * 3000)
    assert not is_quick("a+a+a+b", "a" * 3000)
