"""PURE: what is known of a person as the store keeps it, 32 bytes a property, unpacked only when it is to change.

Most of what a run reads has not changed since the last one: that a property has its value still is seen in the packed
bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping

from target_kissmetrics.memory.changes import Known

_PROPERTY = struct.Struct("<8s8sqq")
"""The property's key, the digest of its value, the second it was sent with, its row's second."""


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


def pack(properties: Mapping[bytes, Known]) -> bytes:
    """Write what is known of a person."""
    return b"".join([_PROPERTY.pack(key, *known) for key, known in properties.items()])


def unpack(packed: bytes) -> dict[bytes, Known]:
    """Read what `pack` wrote."""
    # A named tuple's own constructor would take twice as long.
    make = tuple.__new__
    return {fields[0]: make(Known, fields[1:]) for fields in _PROPERTY.iter_unpack(packed)}
