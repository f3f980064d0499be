"""PURE: what is known of a person as the store keeps it, 32 bytes a property, unpacked only when it is to change.

Most of what a run reads has not changed since the last one. That a property has its value still is seen in the packed
bytes; that all properties of a call have, in the 16 bytes behind them: a digest of the last call that left nothing to
be changed, and one of the bytes before, which tells whether that holds still. Whoever changes a property without
knowing of such a call leaves them out, and nothing is lost but time.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from target_kissmetrics.store import digests
from target_kissmetrics.store.changes import Known

_PROPERTY = struct.Struct("<8s8sqq")
"""The property's key, the digest of its value, the second it was sent with, its row's second."""

_PAIR_BYTES = digests.KEY_BYTES + digests.VALUE_BYTES
_GLANCE_BYTES = 2 * digests.VALUE_BYTES


class Glance(NamedTuple):
    """A call that leaves nothing to be changed where a person has these properties.

    Attributes:
        call: The digest of all that it sets.
        pairs: The key of each property and the digest of its value, joined.
    """

    call: bytes
    pairs: Collection[bytes]


class PackedPerson(Mapping[bytes, Known]):
    """What is known of a person, by property.

    Args:
        packed: From `pack`.
    """

    __slots__ = ("_packed", "_unpacked")

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._unpacked: dict[bytes, Known] | None = None

    def plainly_has(self, properties: Iterable[bytes]) -> bool:
        """Tell whether the last values of properties are these.

        Args:
            properties: The property's key and the digest of its value, joined.

        Returns:
            False may be wrong, once in a very long while: look them up then.
        """
        find, size = self._packed.find, _PROPERTY.size
        for each in properties:  # noqa: SIM110 - a generator would take half as long again
            if find(each) % size:
                return False
        return True

    def was_left_by(self, call: bytes) -> bool:
        """Tell whether a call sets nothing but what is known already. False tells nothing.

        Args:
            call: The digest of all that it sets.
        """
        packed = self._packed
        size = len(packed) - _GLANCE_BYTES
        if size % _PROPERTY.size or not packed.startswith(call, size):
            return False
        return packed.endswith(digests.content(packed[:size]))

    @property
    def glance(self) -> Glance | None:
        """The call that left the person so, if it is known; its pairs are all there are."""
        call = self._packed[-_GLANCE_BYTES : -digests.VALUE_BYTES]
        if not self.was_left_by(call):
            return None
        starts = range(0, len(self) * _PROPERTY.size, _PROPERTY.size)
        return Glance(call, [self._packed[start : start + _PAIR_BYTES] for start in starts])

    def __getitem__(self, key: bytes) -> Known:
        """Give what is known of a property."""
        return self._all()[key]

    def __iter__(self) -> Iterator[bytes]:
        """Give the keys of properties."""
        return iter(self._all())

    def __len__(self) -> int:
        """Give how many properties are known."""
        return len(self._packed) // _PROPERTY.size

    def _all(self) -> dict[bytes, Known]:
        if self._unpacked is None:
            self._unpacked = unpack(self._packed)
        return self._unpacked


def pack(properties: Mapping[bytes, Known], glance: Glance | None = None) -> bytes:
    """Write what is known of a person.

    Args:
        properties: By key.
        glance: A call; it is noted if it sets nothing else.
    """
    packed = b"".join([_PROPERTY.pack(key, *known) for key, known in properties.items()])
    if glance is None or not PackedPerson(packed).plainly_has(glance.pairs):
        return packed
    return packed + glance.call + digests.content(packed)


def unpack(packed: bytes) -> dict[bytes, Known]:
    """Read the properties that `pack` wrote."""
    # A named tuple's own constructor would take twice as long.
    make = tuple.__new__
    properties = packed[: len(packed) - len(packed) % _PROPERTY.size]
    return {fields[0]: make(Known, fields[1:]) for fields in _PROPERTY.iter_unpack(properties)}
