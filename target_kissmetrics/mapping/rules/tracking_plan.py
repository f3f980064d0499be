"""The tracking plan: which events and properties may be sent (`allowed_events`, `allowed_properties`)."""

from __future__ import annotations

from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules.fields import Globs
from target_kissmetrics.mapping.settings import MappingSettings


class TrackingPlan:
    """Checks names against the plan; without one, every name is in it."""

    def __init__(self, settings: MappingSettings) -> None:
        self._events = None if settings.allowed_events is None else Globs(settings.allowed_events)
        self._properties = None if settings.allowed_properties is None else Globs(settings.allowed_properties)
        self._revenue = folded(settings.revenue_key)

    def check_event(self, event: str, field: str | None) -> None:
        """Raise Rejected if an event, whose name a field may hold, is not in the plan."""
        if self._events is not None and not self._events.match(event):
            raise Rejected("not-in-plan", f"event {event[:80]!r} is not in allowed_events", field)

    def check_property(self, name: str, field: str | None) -> None:
        """Raise Rejected if a property is not in the plan; that of revenue always is."""
        if self._properties is not None and folded(name) != self._revenue and not self._properties.match(name):
            raise Rejected("not-in-plan", f"property {name[:80]!r} is not in allowed_properties", field)
