"""Parts of what a row becomes: prefixed properties, sets a second apart, what tells rows from each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from target_kissmetrics.kissmetrics.calls import Properties, Set
from target_kissmetrics.kissmetrics.limits import MAX_NAME_CHARACTERS
from target_kissmetrics.mapping.reject_codes import Code
from target_kissmetrics.mapping.result import Aside
from target_kissmetrics.mapping.rules.properties import PropertyMaker


def row_token(content: object) -> bytes:
    """Tell rows apart within this process."""
    return hash(content).to_bytes(8, "big", signed=True)


def prefixed(prefix: str, properties: Properties, asides: list[Aside], keep: Collection[str] = ()) -> Properties:
    """Name properties `{prefix} - {property}`, but for those in `keep`."""
    named: Properties = {}
    for name, value in properties.items():
        full = name if name in keep else f"{prefix} - {name}"
        if len(full) > MAX_NAME_CHARACTERS or full.startswith("_"):
            code: Code = "name-too-long" if len(full) > MAX_NAME_CHARACTERS else "reserved-name"
            asides.append(Aside.because(code, f"as {full[:60]!r} it would be no name that Kissmetrics takes", name))
        else:
            named[full] = value
    return named


class SetsASecondApart:
    """Makes sets of objects in a list, a second apart: Kissmetrics keeps one value of a property for each second.

    Args:
        maker: Of the stream.
        asides: Takes what is set aside.
        prefix: Put in front of the properties' names, if any.
        keep: Names that get no prefix.
        taken: Properties that the event has, folded, and that no set may hold: the amount's.
    """

    def __init__(
        self,
        maker: PropertyMaker,
        asides: list[Aside],
        prefix: str | None = None,
        *,
        keep: Collection[str] = (),
        taken: Collection[str] = (),
    ) -> None:
        self._maker = maker
        self._asides = asides
        self._prefix = prefix
        self._keep = keep
        self._taken = taken

    def sets(self, items: Sequence[Mapping[str, Any]], under: str, person: str, time: int) -> list[Set]:
        """Give one set for each object that holds anything; each keeps its own second.

        Args:
            items: The objects.
            under: The path of the list.
            person: Identity.
            time: The first object's second.
        """
        calls = []
        for index, item in enumerate(items):
            properties = self._maker.make(item, self._asides, taken=self._taken, under=under)
            if self._prefix:
                properties = prefixed(self._prefix, properties, self._asides, self._keep)
            if properties:
                calls.append(Set(person, time + index, properties))
        return calls
