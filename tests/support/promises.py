"""What decides whether a promise is kept: one oracle for each, which every test of it asks.

The catalogue is `docs/explanation/promises.md`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from target_kissmetrics.sandbox.answers import Json

TRACKED = {"plan", "city"}
"""Sent when they change. After a kill, a value may be set again at its second, by a call with fewer properties: that is
no second version of an event, and the history stays the same."""

IN_ORDER = {"click_id", "plan", "city", "signup_id"}
"""Whose seconds follow the source's order; orders of one day get theirs in any."""


@dataclass
class Expected:
    """What Kissmetrics has to hold of one person.

    Attributes:
        values: Property -> values, in the order of the source's rows.
        events: Names -> how many.
        others: Identities that are the same person.
    """

    values: dict[str, list[Any]] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    others: set[str] = field(default_factory=set)


class Held(Protocol):
    """What Kissmetrics holds: behind a faulty host, or of import files."""

    requests: int
    served: Counter[str]

    def summary(self) -> Json: ...
    def person(self, identity: str) -> Json | None: ...
    def not_kept(self) -> Counter[str]: ...


def _held(held: Held, person: str) -> tuple[dict[str, list[Any]], Counter[str], set[str]]:
    shown = held.person(person)
    if shown is None:
        return {}, Counter(), set()
    values = {}
    for name, entries in shown["properties"].items():
        held_at = [(entry["timestamp"], entry["value"]) for entry in entries]
        values[name] = [value for _, value in (dict.fromkeys(held_at) if name in TRACKED else held_at)]
    return values, Counter(event["name"] for event in shown["events"]), set(shown["identities"])


def missing(held: Held, person: str, expected: Expected) -> list[str]:
    """Give what Kissmetrics has to hold of a person and does not: what is lost, or what a STATE is ahead of."""
    values, events, identities = _held(held, person)
    missing = [f"{person} is not {other}" for other in expected.others - identities]
    missing += [
        f"{person} has {events[name]} events {name!r}, not {count}"
        for name, count in expected.events.items()
        if events[name] < count
    ]
    for name, wanted in expected.values.items():
        short = Counter(wanted) - Counter(values.get(name, []))
        missing += [f"{person} has no {name} {value!r}" for value in short]
    return missing


def surplus(held: Held, person: str, expected: Expected) -> list[str]:
    """Give what it holds of a person more than once, or in another order."""
    values, events, _ = _held(held, person)
    surplus = [
        f"{person} has {count} events {name!r}, not {expected.events[name]}"
        for name, count in events.items()
        if count > expected.events[name]
    ]
    for name, wanted in expected.values.items():
        found = values.get(name, [])
        surplus += [f"{person} has {name} {value!r} too often" for value in Counter(found) - Counter(wanted)]
        if name in IN_ORDER and found != wanted:
            surplus.append(f"{person} has {name} {found}, not {wanted}")
    return surplus


def unaccounted(counts: Mapping[str, int]) -> int:
    """Give how many rows of a stream ended as none of accepted, rejected, deleted and filtered, or as several."""
    ended = counts["accepted"] + counts["rejected"] + counts["deleted"] + counts["filtered"]
    # In a format that batches events, each of them may be rejected beside an accepted row.
    is_batch = counts["parts"] + counts["deleted"] + counts["filtered"] > counts["rows"]
    return 0 if is_batch and counts["rows"] < ended else abs(counts["rows"] - ended)


def leaks(texts: Mapping[str, bytes | str], secrets: Iterable[str]) -> list[str]:
    """Give the lines that show a secret, of all that a run wrote and printed, by name."""
    return [
        f"{name}: {line!r} shows {secret!r}"
        for name, text in texts.items()
        for secret in secrets
        for line in (text if isinstance(text, str) else text.decode("utf-8", "replace")).splitlines()
        if secret in line
    ]


def growth(peaks: Mapping[int, int]) -> int:
    """Give by how many bytes the peak of memory of the largest input is above that of the smallest, by rows."""
    return peaks[max(peaks)] - peaks[min(peaks)]
