"""A slice of a stream: the rows of some of its people, so that several processes can share one stream.

A person's slice depends on the identity alone, so one process has all of a person's rows, in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.settings import setting


@dataclass(frozen=True, slots=True)
class Shard:
    """One slice; ConfigError if there is no such slice."""

    index: int = setting("Which slice, from 0.", required="write both, such as {index: 0, count: 4}", minimum=0)
    count: int = setting("How many slices there are.", required="write both, such as {index: 0, count: 4}", minimum=1)

    def __post_init__(self) -> None:  # noqa: D105
        if self.index >= self.count:
            problem = f"must be at most {self.count - 1} with count {self.count}, not {self.index}"
            raise ConfigError("shard.index", problem)

    def takes(self, person: str) -> bool:
        """Return whether a person is in this slice."""
        digest = blake2b(person.encode(), digest_size=8, person=b"km-shard").digest()
        return int.from_bytes(digest, "big") % self.count == self.index

    def takes_row(self, mapped: Mapped) -> bool:
        """Return whether a row is in this slice, by its first person."""
        named = mapped.calls or mapped.deletions
        return self.takes(named[0].person) if named else self.takes_rows_without_person

    @property
    def takes_rows_without_person(self) -> bool:
        """Whether rows without a person are in this slice: exactly one slice has to report them."""
        return self.index == 0
