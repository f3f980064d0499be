"""Last sent values, and intents: what a run is about to send.

The planner adds intents to the store before their calls leave, and the run clears them after it emitted the STATE
behind the calls. So after a kill, pending intents say what Kissmetrics may have received: `sync/change_tracking.py` and
`sync/once.py` repeat the same value in the same second, and no other. A plain event has none; it is repeated as it is.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from target_kissmetrics.store import digests


class LastSent(NamedTuple):
    """The last value sent of one property of one person.

    Attributes:
        value: Digest of the value.
        time: The second it was sent with.
        row_time: The second of its row: earlier than `time` if another value had that second. A row with a second in
            between is newer than this one.
    """

    value: bytes
    time: int
    row_time: int


PersonValues = Mapping[bytes, LastSent]
"""Property key -> its last sent value."""


class NewValue(NamedTuple):
    """The value of one property of one person in a row; or of an event that is sent once, by its person or its row."""

    person: bytes
    key: bytes
    value: bytes
    row_time: int


class Intent(NamedTuple):
    """A value that is about to be sent with the second `time`."""

    new: NewValue
    time: int


_INTENT = struct.Struct("<16s8s8sqq")
INTENT_BYTES = _INTENT.size


def pack_intent(intent: Intent) -> bytes:
    """Write an intent as the store keeps it."""
    return _INTENT.pack(*intent.new, intent.time)


def pack_new(person: bytes, units: Iterable[bytes]) -> bytes:
    """Write the intents of values, as `packed.units` writes them: each is its person and the value."""
    return b"".join([person + unit for unit in units])


def unpack_intents(entries: bytes) -> list[Intent]:
    """Read intents."""
    return [Intent(NewValue(*new), moment) for *new, moment in _INTENT.iter_unpack(bytes(entries))]


_ALIAS_CUT = digests.PERSON_BYTES - digests.VALUE_BYTES
"""The key and the value of an alias's intent hold the other person's digest."""

NO_TIME = -1
"""The time of an alias's intent."""


def alias_intent(one: bytes, other: bytes) -> Intent:
    """Make the intent of an alias."""
    return Intent(NewValue(one, other[:_ALIAS_CUT], other[_ALIAS_CUT:], NO_TIME), NO_TIME)


class PropertyIntents:
    """The pending intents of one property of one person, in the order they were added."""

    def __init__(self, intents: Sequence[Intent] = ()) -> None:
        self._intents = intents
        self._times = {intent.new: intent.time for intent in intents}
        self._values: dict[int, set[bytes]] = {}
        for intent in intents:
            self._values.setdefault(intent.time, set()).add(intent.new.value)
        # The latest intent, and the latest one with another value.
        by_time = sorted(intents, key=lambda intent: intent.time, reverse=True)
        others = (intent for intent in by_time if intent.new.value != by_time[0].new.value)
        self._latest = [*by_time[:1], *itertools.islice(others, 1)]

    @property
    def first(self) -> Intent | None:
        """The first intent, which decides for an event that is sent once."""
        return self._intents[0] if self._intents else None

    def once_time(self, value: bytes) -> int | None:
        """Give the second of this value of an event that is sent once; None without an intent."""
        return next((intent.time for intent in self._intents if intent.new.value == value), None)

    def intended(self, new: NewValue) -> int | None:
        """Give the second of this very value; None without an intent."""
        return self._times.get(new)

    def second(self, new: NewValue, earliest: int) -> int:
        """Give the second to send a value with: its intended one, else the first that no other value may have."""
        intended = self._times.get(new)
        if intended is not None and intended >= earliest:
            return intended
        if intended is None:
            earliest = max(earliest, self.surpassed(new) + 1)
        while self._values.get(earliest, set()) - {new.value}:
            earliest += 1
        return earliest

    def surpassed(self, new: NewValue) -> int:
        """Give the latest second at which Kissmetrics may have another value that is not newer than this one; or -1.

        This value has to be sent with a later second, even if it equals the last sent value.
        """
        others = [intent for intent in self._latest if intent.new.value != new.value]
        return max((intent.time for intent in others if intent.new.row_time <= new.row_time), default=-1)

    def was_unchanged(self, new: NewValue) -> bool:
        """Tell whether the last intent up to this row's second has the same value.

        True for an unchanged row that is read again after a kill between the commit and its STATE: the last sent value
        is newer than the row.
        """
        earlier = [(intent.new.row_time, intent.time, intent.new.value) for intent in self._intents]
        earlier = [intent for intent in earlier if intent[0] <= new.row_time]
        return bool(earlier) and max(earlier)[2] == new.value


_NONE = PropertyIntents()


class IntentChanges(NamedTuple):
    """How the store's pending intents differ from those a process has seen.

    Attributes:
        new: Number -> intents that were added.
        cleared: Numbers that were cleared.
    """

    new: Mapping[int, Sequence[Intent]]
    cleared: Collection[int]


class PendingIntents:
    """The pending intents of killed runs, and of processes that run now.

    This process's own intents are not among them, only their numbers: it knows what it sends.
    """

    def __init__(self) -> None:
        self._intents: dict[int, Sequence[Intent]] = {}
        self._people: dict[bytes, dict[int, list[Intent]]] = {}
        self._properties: dict[tuple[bytes, bytes], PropertyIntents] = {}
        self._inherited: dict[int, list[Intent]] | None = None  # those that are not repeated yet
        self._repeated: dict[tuple[bytes, bytes], tuple[int, int] | None] = {}

    @property
    def numbers(self) -> Collection[int]:
        """Numbers that are known to be pending."""
        return self._intents.keys()

    def add_own(self, number: int) -> None:
        """Add the number of this process's own intents."""
        self._intents[number] = ()

    def update(self, changes: IntentChanges) -> None:
        """Follow the store. The first update brings the intents of killed runs, and of processes that run already."""
        if self._inherited is None:
            self._inherited = {number: list(intents) for number, intents in changes.new.items()}
            self._repeated = {_subject(intent): None for intents in changes.new.values() for intent in intents}
        if changes.new or changes.cleared:
            self._properties.clear()
        for number in changes.cleared:
            self._remove(number)
            self._inherited.pop(number, None)
        for number in sorted(changes.new):
            self._intents[number] = changes.new[number]
            for intent in changes.new[number]:
                for person in _people_of(intent):
                    self._people.setdefault(person, {}).setdefault(number, []).append(intent)

    def _remove(self, number: int) -> None:
        for person in {person for intent in self._intents.pop(number) for person in _people_of(intent)}:
            del self._people[person][number]
            if not self._people[person]:
                del self._people[person]

    def __contains__(self, person: bytes) -> bool:
        """Whether a person has a pending intent."""
        return person in self._people

    def of(self, person: bytes, key: bytes) -> PropertyIntents:
        """Give the pending intents of a property."""
        if person not in self._people:
            return _NONE
        found = self._properties.get((person, key))
        if found is None:
            subject = person, key
            found = PropertyIntents([intent for intent in self._of(person) if _subject(intent) == subject])
            self._properties[subject] = found
        return found

    def partners_of(self, person: bytes) -> set[bytes]:
        """Give the people whom a pending alias joins with a person."""
        aliases = [_people_of(intent) for intent in self._of(person) if intent.time == NO_TIME]
        return {partner for pair in aliases for partner in pair if partner != person}

    def repeated(self, planned: Intent) -> None:
        """Note that this run planned the row of a value, or an alias, again.

        Args:
            planned: The row's value, and the second of the last sent value after it.
        """
        subject = _subject(planned)
        if subject in self._repeated:
            row_time, time = self._repeated[subject] or (planned.new.row_time, planned.time)
            self._repeated[subject] = max(row_time, planned.new.row_time), max(time, planned.time)

    def superseded(self) -> list[int]:
        """Give the numbers whose rows this run planned again, each number once.

        They are needed until the STATE behind the repeated rows is emitted. Numbers that were added after this run
        began are never among them: their process may still run.
        """
        inherited = self._inherited or {}
        for remaining in inherited.values():
            while remaining and self._is_repeated(remaining[-1]):
                remaining.pop()
        numbers = [number for number, remaining in inherited.items() if not remaining]
        for number in numbers:
            del inherited[number]
        return numbers

    def _is_repeated(self, intent: Intent) -> bool:
        repeated = self._repeated[_subject(intent)]
        return repeated is not None and intent.new.row_time <= repeated[0] and intent.time <= repeated[1]

    def _of(self, person: bytes) -> Iterator[Intent]:
        return (intent for intents in self._people.get(person, {}).values() for intent in intents)


def _subject(intent: Intent) -> tuple[bytes, bytes]:
    """Give the person and the property's key, or the two people of an alias in order."""
    new = intent.new
    if intent.time != NO_TIME:
        return new.person, new.key
    other = new.key + new.value
    return min(new.person, other), max(new.person, other)


def _people_of(intent: Intent) -> tuple[bytes, ...]:
    return (intent.new.person,) if intent.time != NO_TIME else _subject(intent)
