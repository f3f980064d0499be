"""20,000 messages that no honest tap writes; `hostile_messages.py` sends a million."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hostile_messages import run

SEEDS = 20


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_message_is_one_of_sent_rejected_or_deleted_or_ends_the_run_in_one_line(seed: int) -> None:
    messages, counts, problems = run(seed)
    assert messages >= 1000
    assert counts["calls"] > 100
    assert counts["rejects"] > 100
    assert problems == []
