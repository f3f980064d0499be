"""Lines of the input."""

from __future__ import annotations

import io
from typing import IO, Any, cast

import pytest

from target_kissmetrics.errors import InputError
from target_kissmetrics.singer import reader
from target_kissmetrics.singer.reader import MessageReader

MESSAGE = '{"type": "STATE", "value": 1}'


def read(lines: IO[Any]) -> list[dict[str, Any]]:
    taken: list[dict[str, Any]] = []
    MessageReader().process_lines(cast("IO[str]", lines), {"STATE": taken.append})
    return taken


@pytest.mark.parametrize("ends", ["\n", ""])
@pytest.mark.parametrize("kind", [str, bytes])
def test_a_line_has_a_longest_length(monkeypatch: pytest.MonkeyPatch, kind: type, ends: str) -> None:
    def given(text: str) -> IO[Any]:
        return io.StringIO(text) if kind is str else io.BytesIO(text.encode())

    monkeypatch.setattr(reader, "MAX_LINE_BYTES", 1 << 20)
    longest = MESSAGE + " " * ((1 << 20) - len(MESSAGE) - len(ends)) + ends
    assert len(read(given(f"{MESSAGE}\n\n{longest}"))) == 2
    with pytest.raises(InputError, match="line 3 of the input is longer than 1 MiB; fix the tap"):
        read(given(f"{MESSAGE}\n\n {longest}"))


def test_a_line_without_an_end_takes_no_more_memory_than_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_LINE_BYTES", 1 << 20)

    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            self.given += len(buffer)
            assert self.given < 1 << 21
            buffer[:] = b"x" * len(buffer)
            return len(buffer)

    with pytest.raises(InputError, match="line 1 of the input is longer than 1 MiB"):
        read(io.BufferedReader(Endless()))
