"""A slice of a stream: the rows of some of its people, so that several processes can share one stream.

Which slice a person is in depends on the identity alone, so all that is said of one person goes through one process,
and each process keeps the order and the memory of its own people.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from target_kissmetrics.mapping.result import Mapped


@dataclass(frozen=True, slots=True)
class Shard:
    """One slice.

    Attributes:
        index: Which one, from 0.
        count: How many there are.
    """

    index: int
    count: int

    def takes(self, person: str) -> bool:
        """Tell whether a person is in this slice."""
        digest = blake2b(person.encode(), digest_size=8, person=b"km-shard").digest()
        return int.from_bytes(digest, "big") % self.count == self.index

    def takes_row(self, mapped: Mapped) -> bool:
        """Tell whether a row is in this slice, by the first person that it names."""
        named = mapped.calls or mapped.deletions
        return self.takes(named[0].person) if named else self.takes_nobody

    @property
    def takes_nobody(self) -> bool:
        """Whether rows that name nobody are this slice's: one slice alone has to set them, or parts of them, aside."""
        return self.index == 0
