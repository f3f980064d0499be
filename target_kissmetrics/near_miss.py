"""Guesses what somebody meant to type."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """Give `; did you mean 'api_key'?` for a near miss, else an empty text."""
    near = difflib.get_close_matches(typed.lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
