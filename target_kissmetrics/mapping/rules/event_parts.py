"""Properties of an event and of its items: `prefix_properties`, and one *set* call for each item."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from target_kissmetrics.kissmetrics.calls import Properties, Set
from target_kissmetrics.kissmetrics.limits import MAX_NAME_CHARACTERS
from target_kissmetrics.mapping.reject_codes import Code, Rejected
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.mapping.rules.properties import PropertyMaker
from target_kissmetrics.mapping.settings import MappingSettings


class EventParts:
    """Names an event's properties, and makes the sets of its items.

    Args:
        settings: Whether properties are named `{event} - {property}`.
        unprefixed: Names that stay as they are, besides the revenue property.
    """

    def __init__(self, settings: MappingSettings, unprefixed: Collection[str] = ()) -> None:
        self._prefixes = settings.prefix_properties
        self._unprefixed = {settings.revenue_key, *unprefixed}

    def named(self, event: str, properties: Properties, rejections: list[Rejection]) -> Properties:
        """Return an event's properties under their final names; `rejections` gets those whose name is invalid."""
        if not self._prefixes:
            return properties
        named: Properties = {}
        for name, value in properties.items():
            full = name if name in self._unprefixed else f"{event} - {name}"
            if len(full) > MAX_NAME_CHARACTERS or full.startswith("_"):
                code: Code = "name-too-long" if len(full) > MAX_NAME_CHARACTERS else "reserved-name"
                problem = f"with prefix_properties its name would be {full[:60]!r}, which Kissmetrics does not accept"
                rejections.append(Rejection.of(Rejected(code, problem, name)))
            else:
                named[full] = value
        return named

    def item_sets(  # noqa: PLR0913 - what the sets of an event consist of
        self,
        items: Sequence[Mapping[str, Any]],
        maker: PropertyMaker,
        rejections: list[Rejection],
        *,
        event: str,
        under: str,
        person: str,
        time: int,
        taken: Collection[str],
    ) -> list[Set]:
        """Return a set for each item that has properties, each in its own second.

        Kissmetrics keeps one value of a property a second.

        Args:
            items: The objects of a list.
            maker: Makes their properties.
            rejections: Gets the dropped properties.
            event: The event's name.
            under: The path of the list.
            person: Identity.
            time: The second of the first item.
            taken: Names of properties that the event has and no item may have, folded.
        """
        sets = []
        for index, item in enumerate(items):
            properties = self.named(event, maker.make(item, rejections, taken=taken, under=under), rejections)
            if properties:
                sets.append(Set(person, time + index, properties))
        return sets
