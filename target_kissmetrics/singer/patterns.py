"""Which patterns of a schema can be matched in a bounded time: Python's `re` backtracks, and cannot be stopped."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

MAX_STEPS = 10_000_000
"""Of one match, roughly: a second."""

_MANY = 20
"""A repetition of at most so many times is counted as none."""


def is_quick(pattern: str, text: str) -> bool:
    """Return whether matching a text takes at most `MAX_STEPS`. A pattern that Python cannot read is never quick."""
    loops = _loops(pattern)
    return loops is not None and (len(text) + 1) ** (loops + 1) <= MAX_STEPS


@lru_cache(maxsize=1000)
def _loops(pattern: str) -> int | None:
    """Return how many open repetitions a pattern has; None if one is within another, or repeats alternatives."""
    try:
        return _count(re._parser.parse(pattern), is_repeated=False)  # type: ignore[attr-defined]  # noqa: SLF001
    except (re.error, OverflowError, RecursionError, _Unbounded):
        return None


class _Unbounded(Exception):  # noqa: N818 - it reads as what was found
    """A repetition whose steps grow exponentially."""


def _count(parts: Any, *, is_repeated: bool) -> int:
    loops = 0
    for operator, argument in parts:
        name = str(operator)
        is_open = name.endswith("_REPEAT") and argument[1] > _MANY
        if name.startswith("GROUPREF") or (is_repeated and (is_open or name == "BRANCH")):
            raise _Unbounded
        inner = [_count(part, is_repeated=is_repeated or is_open) for part in _inner(name, argument)]
        loops += is_open + max(inner, default=0)
    return loops


def _inner(name: str, argument: Any) -> list[Any]:
    if name == "BRANCH":
        return list(argument[1])
    if name == "ATOMIC_GROUP":
        return [argument]
    return [argument[-1]] if name == "SUBPATTERN" or name.endswith("_REPEAT") or name.startswith("ASSERT") else []
