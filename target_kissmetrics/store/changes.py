"""PURE: a call and what is known of its person -> what is to be sent, and what will then be known.

Kissmetrics keeps one value of a property for each person and second, the first that arrives; so another value in the
very second of the last one is sent one second later. A value equal to the last one is not sent, so that the time of an
unchanged attribute is not moved. An older value is sent with its own time, and does not replace what is known.

An *intent* is what a run was about to send, noted until its STATE was passed on: Kissmetrics may have it or not. What
is sent again takes the very second of its intent, and nothing else takes that second: so a run that was killed half-way
repeats itself, wherever its batches begin and end. Two values in one second are the exception: where the first run
sent the last of them alone and the next one, cut elsewhere, sends both, they move on to later seconds, for what counts
is that the last one is the latest.

An attribute that was deleted at its source stays as it is at Kissmetrics, which deletes nothing. Here its value is
forgotten, so that the attribute is sent again when it comes back, while the seconds it had are not: what comes back in
the second of the last value still moves on, and what is older than the deletion still does not count as the latest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from target_kissmetrics.store import digests


class Known(NamedTuple):
    """What is known of one property of one person.

    Attributes:
        value: Digest of the value last sent.
        time: The second it was sent with.
        row_time: The second its row had: earlier than `time` when it had to move. A row of a second in between is
            newer than this one, although Kissmetrics' second is later.
    """

    value: bytes
    time: int
    row_time: int


KnownPerson = Mapping[bytes, Known]
"""Property key -> what is known."""


class Said(NamedTuple):
    """What a row says of one property of one person (or that it records an event once)."""

    person: bytes
    key: bytes
    value: bytes
    row_time: int


class Intent(NamedTuple):
    """What is about to be sent: what a row said, and the second it goes out with."""

    said: Said
    time: int


ALIAS_CUT = digests.PERSON_BYTES - digests.VALUE_BYTES
"""An intent's key and value hold the other person together."""

NO_TIME = -1
"""The second of an intent to alias: an alias has none."""


def alias_intent(one: bytes, other: bytes) -> Intent:
    """Note that two people are about to become one."""
    return Intent(Said(one, other[:ALIAS_CUT], other[ALIAS_CUT:], NO_TIME), NO_TIME)


@dataclass(slots=True)
class Unanswered:
    """Intents without an answer: of runs that ended before it came, and of processes that run beside this one.

    Attributes:
        partners: Person -> whom an alias may have made one with it.
        later: What other processes intend since this one began, by the number of their note.
    """

    times: dict[Said, int] = field(default_factory=dict)
    values: dict[tuple[bytes, bytes, int], bytes] = field(default_factory=dict)
    once: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    latest: dict[tuple[bytes, bytes], tuple[Intent, Intent | None]] = field(default_factory=dict)
    history: dict[tuple[bytes, bytes], list[Intent]] = field(default_factory=dict)
    partners: dict[bytes, set[bytes]] = field(default_factory=dict)
    later: dict[int, Unanswered] = field(default_factory=dict)

    @classmethod
    def of(cls, intents: Iterable[Intent]) -> Unanswered:
        """Arrange intents for look-ups."""
        unanswered = cls()
        for intent in intents:
            said, time = intent
            if time == NO_TIME:
                unanswered._note_partners(said.person, said.key + said.value)
                continue
            unanswered.times[said] = time
            unanswered.values[said.person, said.key, time] = said.value
            if said.value == digests.NO_VALUE:
                unanswered.once.setdefault((said.person, said.key), time)
            unanswered.history.setdefault((said.person, said.key), []).append(intent)
            unanswered._note_latest(intent)
        return unanswered

    @property
    def is_empty(self) -> bool:
        """Whether every intent that is known of was answered."""
        return not self.times and not self.later

    def partners_of(self, person: bytes) -> set[bytes]:
        """Give whom an alias may have made one with a person, though nobody saw it answered."""
        return {partner for found in self._all() for partner in found.partners.get(person, ())}

    def _note_partners(self, one: bytes, other: bytes) -> None:
        self.partners.setdefault(one, set()).add(other)
        self.partners.setdefault(other, set()).add(one)

    def _note_latest(self, intent: Intent) -> None:
        """Keep the latest intent of a property, and the latest one of another value."""
        key = (intent.said.person, intent.said.key)
        latest, other = self.latest.get(key, (intent, None))
        if intent.time >= latest.time:
            self.latest[key] = (intent, latest if latest.said.value != intent.said.value else other)
        elif intent.said.value != latest.said.value and (other is None or intent.time >= other.time):
            self.latest[key] = (latest, intent)

    def intended(self, said: Said) -> int | None:
        """Give the second that the very same was about to be sent with."""
        return next((found.times[said] for found in self._all() if said in found.times), None)

    def once_second(self, said: Said) -> int | None:
        """Give the second that an event was about to be recorded with, for once."""
        key = (said.person, said.key)
        return next((found.once[key] for found in self._all() if key in found.once), None)

    def second(self, said: Said, earliest: int) -> int:
        """Give the second to send with: the intended one, else the first that no other value may hold already."""
        intended = self.intended(said)
        if intended is not None:
            if intended >= earliest:
                return intended
        else:
            earliest = max(earliest, self.surpassed(said) + 1)
        while any(
            found.values.get((said.person, said.key, earliest), said.value) != said.value for found in self._all()
        ):
            earliest += 1
        return earliest

    def was_unchanged(self, said: Said) -> bool:
        """Tell whether the last that is noted up to this row's second has its value already.

        So it is for a row that is read again after a crash between the memory's commit and the STATE: what is known is
        newer than the row, which had not changed anything in its time.
        """
        earlier = [
            intent
            for found in self._all()
            for intent in found.history.get((said.person, said.key), ())
            if intent.said.row_time <= said.row_time
        ]
        if not earlier:
            return False
        return max(earlier, key=lambda intent: (intent.said.row_time, intent.time)).said.value == said.value

    def surpassed(self, said: Said) -> int:
        """Give the latest second at which Kissmetrics may hold another value that is not newer than this one.

        Whether it was taken is not known: what comes after it has to be sent, and with a later second. -1: none.
        """
        second = -1
        for found in self._all():
            for intent in found.latest.get((said.person, said.key), ()):
                is_another = intent is not None and intent.said.value != said.value
                if intent is not None and is_another and intent.said.row_time <= said.row_time:
                    second = max(second, intent.time)
        return second

    def _all(self) -> Iterable[Unanswered]:
        return (self, *self.later.values()) if self.later else (self,)


class Sent(NamedTuple):
    """A property that is to be sent.

    Attributes:
        time: With this second.
        remember: It will be the last value sent; false for one older than what is known.
    """

    time: int
    remember: bool


def property_change(
    known: Known | None, said: Said, unanswered: Unanswered, *, always: bool = False, after: int = -1
) -> Sent | None:
    """Decide about one property of one person.

    Args:
        known: What is known of it, if anything.
        said: What the row says of it.
        unanswered: Intents of earlier runs.
        always: Send an unchanged value too (`include_all_user_attributes`).
        after: The latest second at which a value that this one replaced, in its own second, may have been taken.

    Returns:
        What to send, or None when nothing changed.
    """
    if known is None:
        return Sent(unanswered.second(said, max(said.row_time, after + 1)), remember=True)
    # What a run that died may have sent after the last known value is a change to take back.
    changed = said.value != known.value
    if not changed and not always and max(unanswered.surpassed(said), after) <= known.time:
        return None
    if said.row_time < known.row_time:
        found = unanswered.intended(said)
        if found is None and unanswered.was_unchanged(said):
            return None
        intended = said.row_time if found is None else found
        return Sent(intended if intended < known.time else said.row_time, remember=False)
    # In the second of the last value, or where that one had moved to: another value moves on, the same one stays.
    return Sent(unanswered.second(said, max(said.row_time, known.time + changed, after + 1)), remember=True)


def forgotten(known: Known | None, time: int) -> Known | None:
    """Decide about an attribute that was deleted at its source.

    Args:
        known: What is known of it, if anything.
        time: When it was deleted.

    Returns:
        What is known from now on; None when that is nothing new: it was set after it was deleted, or is forgotten.
    """
    if known is None:
        return Known(digests.FORGOTTEN, 0, time)
    if known.row_time > time or (known.value == digests.FORGOTTEN and known.row_time == time):
        return None
    return Known(digests.FORGOTTEN, known.time, time)


def once_time(known: Mapping[bytes, Known], said: Said, unanswered: Unanswered) -> int | None:
    """Decide about an event that is recorded once: the second to record it with, or None when it was already."""
    if said.key in known:
        return None
    intended = unanswered.once_second(said)
    return said.row_time if intended is None else intended


def merge(stored: Mapping[bytes, Known], learned: Mapping[bytes, Known]) -> dict[bytes, Known]:
    """Join what another process may have stored meanwhile with what this one learned: the later second wins."""
    merged = dict(stored)
    for key, new in learned.items():
        old = merged.get(key)
        if old is None or new.time >= old.time:
            merged[key] = new
    return merged
