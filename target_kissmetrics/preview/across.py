"""Streams that name the same people by different IDs, as far as the sampled values tell.

Bounded by the profiles: of each field at most 500 different values are kept, and of an ID's alone an index is made.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from target_kissmetrics.preview import roles
from target_kissmetrics.preview.profile import FieldProfile, Profile

MAX_STREAMS = 100
MAX_TOLD = 20

_FEW = 2
_ENOUGH = 5


@dataclass(frozen=True, slots=True)
class Named:
    """A stream whose rows name people.

    Attributes:
        profile: What its fields hold.
        ids: The fields that hold their IDs, the first of which counts.
        key: Its only key where its rows are people, or None: that of other rows numbers them.
    """

    profile: Profile
    ids: Collection[str]
    key: str | None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Two streams that name people by different IDs, one of which the other has in another field.

    Attributes:
        one: A stream.
        one_id: Its ID.
        other: The other stream.
        other_id: The other's ID.
        same: The other's field that holds the first one's IDs.
        is_free: The other may change: no stream names people by its ID, and `same` is there wherever the ID is.
    """

    one: str
    one_id: str
    other: str
    other_id: str
    same: str
    is_free: bool

    def __str__(self) -> str:
        """Tell a person, with what to do."""
        return (
            f"{self.one} names people by {self.one_id}, {self.other} by {self.other_id}; {self.other} has the values "
            f"of {self.one_id} in {self.same}. Kissmetrics takes these for different people: name them by the same, "
            f"such as customer_id: {self.same} in {self.other}"
        )

    @property
    def settled(self) -> str:
        """What the one ID for both is, why, and what the other choice was."""
        return (
            f"customer_id of {self.other} is {self.same}, whose values {self.one} has in {self.one_id}: by "
            f"{self.other_id} they would be other people to Kissmetrics. To keep {self.other_id} (customer_id: "
            f"{self.other_id}, and out of exclude), give {self.one} a field that has it"
        )


def mismatches(streams: Mapping[str, Named]) -> list[Mismatch]:
    """Give the pairs of streams that name the same people by different IDs, each pair once."""
    few = dict(list(streams.items())[:MAX_STREAMS])
    known = _index(few)
    found: dict[frozenset[str], Mismatch] = {}
    for other, named in few.items():
        for mismatch in _held_by(other, named, few, known):
            pair = frozenset({mismatch.one, other})
            if pair not in found and len(found) < MAX_TOLD:
                found[pair] = mismatch
    return list(found.values())


def _index(streams: Mapping[str, Named]) -> Mapping[str, list[str]]:
    """Give each sampled ID with the streams that name people by it."""
    known: defaultdict[str, list[str]] = defaultdict(list)
    for name, named in streams.items():
        for value in _values(_id_field(named)):
            known[value].append(name)
    return known


def _held_by(
    other: str, named: Named, streams: Mapping[str, Named], known: Mapping[str, list[str]]
) -> Iterator[Mismatch]:
    own = _id_field(named)
    if own is None:
        return
    same_ids = _shared(own, known)
    for field in [*named.profile.fields.values(), *named.profile.nested.values()]:
        if field.name in named.ids:
            continue
        for one, count in _shared(field, known).items():
            held = _id_field(streams[one])
            if one == other or held is None or same_ids[one] or not _is_no_chance(field, held, count, named):
                continue
            is_free = not (same_ids.keys() - {other}) and not own.where & ~field.where
            yield Mismatch(one, held.name, other, own.name, field.name, is_free)


def _shared(field: FieldProfile, known: Mapping[str, list[str]]) -> Counter[str]:
    return Counter(stream for value in _values(field) for stream in known.get(value, ()))


def _is_no_chance(field: FieldProfile, held: FieldProfile, count: int, named: Named) -> bool:
    """Tell whether so many values are shared that it is no chance; small numbers are found in any column."""
    if count < _FEW or (count < _ENOUGH and count * 2 < min(len(field.distinct), len(held.distinct))):
        return False
    if not all(value.isdigit() for value in held.distinct):
        return True
    if named.key is not None and field.name in {"id", named.key}:
        return True
    return field.name in roles.customer_ids(named.profile, named.key)


def _id_field(named: Named) -> FieldProfile | None:
    found = (named.profile.field(path) for path in named.ids)
    return next((field for field in found if field is not None and field.filled), None)


def _values(field: FieldProfile | None) -> Collection[str]:
    return field.distinct if field is not None else ()
