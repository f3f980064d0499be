"""Reads Singer messages, with exact numbers, and stops between two of them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import IO, Any, AnyStr, cast

from singer_sdk.exceptions import SingerSDKError
from singer_sdk.singerlib.encoding.base import GenericSingerReader
from singer_sdk.singerlib.exceptions import SingerError

from target_kissmetrics.errors import InputError, TargetError
from target_kissmetrics.exact_json import decode

MAX_LINE_BYTES = 64 << 20
"""Of a message, and of a row in a BATCH file."""


class Stopped(Exception):  # noqa: N818 - it reads as what happened
    """Raised by a signal's handler while the reader waits for input, and by nothing else."""


class MessageReader(GenericSingerReader[str]):
    """Reads lines from standard input or a file.

    Numbers with a point become `Decimal`, so that no digit of an amount is lost. Blank lines are skipped.

    Attributes:
        stop_requested: Set from a signal's handler; reading ends before the next message.
        waiting: The thread waits for input; a handler may raise `Stopped`.
        on_failure: Called before an error leaves the reader.
    """

    def __init__(self, on_failure: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.stop_requested = False
        self.waiting = False
        self.on_failure = on_failure
        self._line_number = 0

    @property
    def default_input(self) -> IO[str]:
        """Standard input, as bytes: decoding is the JSON reader's business. If it is closed, that is an InputError."""
        if sys.stdin is None:
            raise InputError("standard input is closed; pipe a tap into this target")
        return cast("IO[str]", getattr(sys.stdin, "buffer", sys.stdin))

    def process_lines(
        self, file_input: IO[str] | None, callbacks: dict[str, Callable[[dict[str, Any]], None]]
    ) -> Counter[str]:
        """Read messages, from lines of text or bytes, until the input ends or a stop is requested.

        A line that is no Singer message is an InputError, whose text names the line's number and not its content.
        """
        counts: Counter[str] = Counter()
        try:
            lines = file_input or self.default_input
            while line := self._next(lines):
                if not line.strip():
                    continue
                message = self.deserialize_json(line)
                kind = message["type"]
                take = callbacks.get(kind, self._process_unknown_message)
                if kind == "RECORD":
                    take(message)
                else:
                    self._take(message, take)
                counts[kind] += 1
        except BaseException:
            self.on_failure()
            raise
        return counts

    def _take(self, message: dict[str, Any], take: Callable[[dict[str, Any]], None]) -> None:
        """Hand a message other than a RECORD on. Any error that an odd one causes in the SDK becomes one line."""
        try:
            take(message)
        except (TargetError, SingerSDKError, SingerError):
            raise
        except Exception as error:
            why = (isinstance(error, OSError) and error.strerror) or type(error).__name__
            what = f"the {message['type']} message, or a file that it names, cannot be used"
            raise self._wrong(f": {what}: {why}; fix the tap") from error

    def _next(self, lines: IO[str]) -> str | None:
        """Give the next line; nothing at the end of the input, or when a signal ended the wait, wherever in it."""
        try:
            return self._wait_for(lines)
        except Stopped:
            return None

    def _wait_for(self, lines: IO[str]) -> str | None:
        try:
            self.waiting = True
            if self.stop_requested:
                return None
            line = read_line(lines, self._line_number + 1, " of the input")
            self._line_number += 1
        except (UnicodeDecodeError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            where = f"line {self._line_number + 1} of the input cannot be read"
            raise InputError(f"{where}: {why}; pipe a tap into this target") from None
        finally:
            self.waiting = False
        return line

    def _process_unknown_message(self, message_dict: dict[str, Any]) -> None:
        where = f"line {self._line_number} of the input has"
        raise InputError(
            f"{where} the unknown type {message_dict['type'][:60]!r}; fix the tap",
            without_data=f"{where} an unknown type; fix the tap",
        )

    def deserialize_json(self, line: str) -> dict[str, Any]:
        """Read one line: a JSON object with a `type`, and no STATE that cannot be emitted as it is (an InputError)."""
        lost: list[str] = []
        try:
            message = decode(line, lost)
        except ValueError as problem:
            cut = "" if line[-1:] in {"\n", b"\n"} else "; the input ends in the middle of it"
            raise self._wrong(f" {problem}{cut}; fix the tap, whose own log may say more") from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise self._wrong(" is not a Singer message: it has no type; pipe in a tap")
        if lost and message["type"] == "STATE":
            raise self._wrong(f": STATE {lost[0]}, and cannot be emitted as it is; fix the tap")
        return message

    def _wrong(self, problem: str) -> InputError:
        return InputError(f"line {self._line_number} of the input{problem}")


def read_line(lines: IO[AnyStr], number: int, of: str = "") -> AnyStr:
    """Read a line, nothing at the end; one longer than `MAX_LINE_BYTES` is an InputError."""
    line = lines.readline(MAX_LINE_BYTES + 1)
    if len(line) > MAX_LINE_BYTES:
        raise InputError(f"line {number}{of} is longer than {MAX_LINE_BYTES >> 20} MiB; fix the tap")
    return line
