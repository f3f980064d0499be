"""A sandbox: a model, and the journal that keeps its calls in a file when one is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from target_kissmetrics.sandbox.calls import Call
from target_kissmetrics.sandbox.journal import Journal
from target_kissmetrics.sandbox.model import Model

REVENUE_PROPERTY: Final = "Billing Amount"
"""The property that holds revenue, unless another one is named."""


class Sandbox:
    """A local Kissmetrics, without its HTTP side. Not thread-safe.

    Args:
        revenue_property: The property whose numbers are summed up as revenue.
        store: The file that keeps everything; in memory alone when None.

    Attributes:
        model: What is kept of all calls so far; another object after a reset.

    Raises:
        JournalError: The store cannot be used; also from `take`, `take_all` and `reset`, when it cannot be written.
    """

    def __init__(self, *, revenue_property: str = REVENUE_PROPERTY, store: Path | None = None) -> None:
        self._revenue_property = revenue_property
        self._journal = None if store is None else Journal(store)
        self.model = Model(revenue_property)
        for call in self._journal or ():
            self.model.take(call)

    def take(self, call: Call) -> None:
        """Take a call. The model takes it also when the store cannot be written."""
        self.model.take(call)
        if self._journal is not None:
            self._journal.append(call)

    def take_all(self, calls: Iterable[Call]) -> int:
        """Take many calls at once, much faster than one by one when there is a store; return how many.

        After an error in between, the store has none of them; the model keeps those before the error.
        """
        count = 0
        with nullcontext() if self._journal is None else self._journal.all_or_nothing():
            for call in calls:
                self.take(call)
                count += 1
        return count

    def reset(self) -> None:
        """Delete everything, in the store too."""
        if self._journal is not None:
            self._journal.clear()
        self.model = Model(self._revenue_property)

    def close(self) -> None:
        """Close the store."""
        if self._journal is not None:
            self._journal.close()
