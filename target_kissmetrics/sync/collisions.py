"""Events of this run that Kissmetrics would take for one: two different rows with one person, name and second."""

from __future__ import annotations

REMEMBERED_EVENTS = 200_000
"""How far back a row's twin is seen: the last 100,000 to 200,000 events, so that memory stays bounded."""


class Collisions:
    """Watches events go by.

    Attributes:
        repeated: Events that came again with the same row.
    """

    def __init__(self, remembered: int = REMEMBERED_EVENTS) -> None:
        self._half = max(1, remembered // 2)
        self._young: dict[int, bytes] = {}
        self._old: dict[int, bytes] = {}
        self.repeated = 0

    def seen(self, person: str, event: str, time: int, row: bytes) -> bool:
        """Take note of an event; true when a different row was this very event to Kissmetrics.

        Args:
            person: Identity.
            event: Name, folded.
            time: Second.
            row: What tells the row from others.
        """
        key = hash((person, event, time))
        other = self._young.get(key) or self._old.get(key)
        if other is not None:
            self.repeated += other == row
            return other != row
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = row
        return False
