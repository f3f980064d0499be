"""A sandbox: a model, and the journal that keeps its calls in a file when one is asked for."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from target_kissmetrics.sandbox.journal import Journal
from target_kissmetrics.sandbox.model import Model

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from target_kissmetrics.sandbox.model import Call

REVENUE_PROPERTY: Final = "Billing Amount"
"""The property that holds revenue, unless another one is named."""


class Sandbox:
    """Kissmetrics on one's own machine, without its HTTP side. Not for several threads at once.

    Attributes:
        model: What is kept of all calls so far; another object after a reset.
    """

    def __init__(self, *, revenue_property: str = REVENUE_PROPERTY, store: Path | None = None) -> None:
        """Start with what the store holds, or empty.

        Args:
            revenue_property: The property whose numbers are summed up as revenue.
            store: The file that keeps everything; in memory alone when None.

        Raises:
            JournalError: The store cannot be used.
        """
        self._revenue_property = revenue_property
        self._journal = None if store is None else Journal(store)
        self.model = Model(revenue_property)
        for call in self._journal or ():
            self.model.take(call)

    def take(self, call: Call) -> None:
        """Take a call.

        Raises:
            JournalError: The call could not be written down. The model has taken it all the same.
        """
        self.model.take(call)
        if self._journal is not None:
            self._journal.append(call)

    def take_all(self, calls: Iterable[Call]) -> int:
        """Take many calls at once, much faster than one by one when there is a store.

        The store has all of them or, when there is an error on the way, none; the model keeps those before the error.

        Returns:
            How many calls there were.

        Raises:
            JournalError: They could not be written down.
        """
        count = 0
        with nullcontext() if self._journal is None else self._journal.all_or_nothing():
            for call in calls:
                self.take(call)
                count += 1
        return count

    def reset(self) -> None:
        """Forget everything, in the store too.

        Raises:
            JournalError: The store could not be written.
        """
        if self._journal is not None:
            self._journal.clear()
        self.model = Model(self._revenue_property)

    def close(self) -> None:
        """Close the store."""
        if self._journal is not None:
            self._journal.close()
