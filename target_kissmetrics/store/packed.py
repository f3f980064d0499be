"""PURE: the last sent values of a person as the store keeps them: 32 bytes a property, unpacked only to change them.

Most people that a run reads are unchanged. That a property still has a value can be seen in the packed bytes. That
every property of a call still has its value can be seen in the 16 bytes behind them: a digest of the last call that
changed something, and a digest of the bytes before, which shows whether the first one still holds. A writer that does
not know of such a call leaves the 16 bytes out, which costs nothing but time.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from target_kissmetrics.store import digests
from target_kissmetrics.store.intents import LastSent, PersonValues

_PROPERTY = struct.Struct("<8s8sqq")
"""The property's key, the digest of its value, the second it was sent with, its row's second."""
_LAST_SENT, _SECONDS = struct.Struct("<8sqq"), struct.Struct("<qq")

_PAIR_BYTES = digests.KEY_BYTES + digests.VALUE_BYTES
_LAST_CALL_BYTES = UNIT = 2 * digests.VALUE_BYTES
"""The bytes behind the properties; a person takes a multiple of them."""


class LastCall(NamedTuple):
    """The last call that changed a person: its digest, and the keys and digests of values that it sets, joined."""

    digest: bytes
    pairs: Collection[bytes]


class PackedPerson(Mapping[bytes, LastSent]):
    """The last sent values of a person, by property, as `pack` wrote them."""

    __slots__ = ("_packed",)

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def __bytes__(self) -> bytes:
        """Give what `pack` wrote."""
        return self._packed

    def has_values(self, pairs: Iterable[bytes]) -> bool:
        """Tell whether these are the last values of properties: keys and digests of values, joined.

        True is certain. False may be wrong, very rarely: compare the properties then.
        """
        return not self.missing(pairs)

    def missing(self, pairs: Iterable[bytes]) -> list[bytes]:
        """Return those of some keys and digests of values, joined, that are not last values; see `has_values`."""
        find, size = self._packed.find, _PROPERTY.size
        return [pair for pair in pairs if find(pair) % size]

    def was_set_by(self, call: bytes) -> bool:
        """Tell whether a call, given by its digest, sets nothing but the last sent values. False says nothing."""
        packed = self._packed
        size = len(packed) - _LAST_CALL_BYTES
        if size % _PROPERTY.size or not packed.startswith(call, size):
            return False
        return packed.endswith(digests.content(packed[:size]))

    @property
    def last_call(self) -> LastCall | None:
        """The last call that changed the person, if it is known; its pairs are those of all properties."""
        call = self._packed[-_LAST_CALL_BYTES : -digests.VALUE_BYTES]
        if not self.was_set_by(call):
            return None
        starts = range(0, len(self) * _PROPERTY.size, _PROPERTY.size)
        return LastCall(call, [self._packed[start : start + _PAIR_BYTES] for start in starts])

    def __getitem__(self, key: bytes) -> LastSent:
        """Give the last sent value of a property."""
        place = _place(self._packed, key)
        if place < 0:
            raise KeyError(key)
        return LastSent(*_LAST_SENT.unpack_from(self._packed, place + digests.KEY_BYTES))

    def __iter__(self) -> Iterator[bytes]:
        """Give the keys of properties."""
        return iter(unpack(self._packed))

    def __len__(self) -> int:
        """Give the number of properties."""
        return len(self._packed) // _PROPERTY.size


NOBODY = PackedPerson(b"")
"""Somebody of whom nothing is known."""


def pack(properties: PersonValues, call: LastCall | None = None) -> bytes:
    """Write the last sent values of a person, and a call if it sets nothing else."""
    return _with_call(b"".join([_PROPERTY.pack(key, *last) for key, last in properties.items()]), call)


def unpack(packed: bytes) -> dict[bytes, LastSent]:
    """Read the properties that `pack` wrote."""
    # A named tuple's own constructor takes twice as long.
    make = tuple.__new__
    return {fields[0]: make(LastSent, fields[1:]) for fields in _PROPERTY.iter_unpack(_properties(packed))}


def units(pairs: Iterable[bytes], second: int) -> list[bytes]:
    """Write the properties of one call, given by keys and digests of values, joined, in the second of its row."""
    seconds = _SECONDS.pack(second, second)
    return [pair + seconds for pair in pairs]


def new_person(units: Iterable[bytes], call: bytes) -> PackedPerson:
    """Make a person of what `units` gives for one call, and the digest of that call."""
    packed = b"".join(units)
    return PackedPerson(packed + call + digests.content(packed))


def joined(stored: bytes | None, new: PersonValues, call: LastCall | None) -> bytes:
    """Write what `merge` gives of a person that may be stored, and the last call that changed it."""
    if stored is None and isinstance(new, PackedPerson):
        return bytes(new)
    if call is None and isinstance(new, PackedPerson):
        call = new.last_call
    return _with_call(merge(stored or b"", new), call)


def merge(stored: bytes, new: PersonValues, *, always: bool = False) -> bytes:
    """Join what another process may have stored meanwhile with what this one adds: the later second wins.

    With `always`, what is new wins.
    """
    merged = bytearray(_properties(stored))
    for key, last in new.items():
        place = _place(merged, key)
        if place < 0:
            merged += _PROPERTY.pack(key, *last)
        elif always or last.time >= _LAST_SENT.unpack_from(merged, place + digests.KEY_BYTES)[1]:
            _PROPERTY.pack_into(merged, place, key, *last)
    return bytes(merged)


def _properties(packed: bytes) -> bytes:
    return packed[: len(packed) - len(packed) % _PROPERTY.size]


def _place(packed: bytes | bytearray, key: bytes) -> int:
    """Return where a property begins; -1 if it is none of them."""
    size = _PROPERTY.size
    end, place = len(packed) - len(packed) % size, packed.find(key)
    while place % size and place > 0:  # within another one
        place = packed.find(key, place + 1)
    return place if place < end else -1


def _with_call(packed: bytes, call: LastCall | None) -> bytes:
    if call is None or not PackedPerson(packed).has_values(call.pairs):
        return packed
    return packed + call.digest + digests.content(packed)
