"""Reads Singer messages: fast, exact, and stoppable between two of them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import IO, Any, cast

import msgspec
from singer_sdk.singerlib.encoding.base import GenericSingerReader

from target_kissmetrics.errors import InputError

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_MAX_INT_DIGITS = 4000


class Stopped(Exception):  # noqa: N818 - it reads as what happened
    """Raised by a signal's handler while the reader waits for input, and by nothing else."""


class MessageReader(GenericSingerReader[str]):
    """Reads lines from standard input or a file.

    Numbers with a point become `Decimal`, so that no digit of an amount is lost. Lines that are blank are passed over.

    Attributes:
        stop_requested: Set from a signal's handler; reading ends before the next message.
        waiting: The thread waits for input: a handler may raise `Stopped`.
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
        """Standard input, as bytes: decoding is the JSON reader's business."""
        return cast("IO[str]", getattr(sys.stdin, "buffer", sys.stdin))

    def process_lines(
        self, file_input: IO[str] | None, callbacks: dict[str, Callable[[dict[str, Any]], None]]
    ) -> Counter[str]:
        """Read messages until the input ends or a stop is asked for.

        Args:
            file_input: Lines of text or bytes; standard input when None.
            callbacks: Message type -> what takes it.

        Raises:
            InputError: A line is no Singer message. The text names the line's number, not its content.
        """
        lines = iter(file_input or self.default_input)
        counts: Counter[str] = Counter()
        try:
            while (line := self._next(lines)) is not None:
                if not line.strip():
                    continue
                message = self.deserialize_json(line)
                self._take(message, callbacks.get(message["type"], self._process_unknown_message))
                counts[message["type"]] += 1
        except BaseException:
            self.on_failure()
            raise
        return counts

    def _take(self, message: dict[str, Any], take: Callable[[dict[str, Any]], None]) -> None:
        """Hand a message on. What the SDK makes of odd ones, other than rows, is turned into one clear line."""
        if message["type"] == "RECORD":
            take(message)
            return
        try:
            take(message)
        except Exception as error:
            if type(error).__module__.startswith(("target_kissmetrics.", "singer_sdk.")):
                raise
            why = (isinstance(error, OSError) and error.strerror) or type(error).__name__
            raise InputError(
                f"the {message['type']} message in line {self._line_number} of the input, or a file that it names, "
                f"cannot be used: {why}; mend the tap"
            ) from error

    def _next(self, lines: Any) -> str | None:
        """Give the next line; None at the end of the input, or when a signal ended the wait, wherever in it."""
        try:
            return self._wait_for(lines)
        except Stopped:
            return None

    def _wait_for(self, lines: Any) -> str | None:
        try:
            self.waiting = True
            if self.stop_requested:
                return None
            line = next(lines, None)
            self._line_number += 1
        except UnicodeDecodeError:
            raise InputError(f"line {self._line_number + 1} of the input is not UTF-8: mend the tap") from None
        finally:
            self.waiting = False
        return cast("str | None", line)

    def _process_unknown_message(self, message_dict: dict[str, Any]) -> None:
        where = f"line {self._line_number} of the input has"
        raise InputError(
            f"{where} the unknown type {message_dict['type'][:60]!r}: mend the tap",
            without_data=f"{where} an unknown type: mend the tap",
        )

    def deserialize_json(self, line: str) -> dict[str, Any]:
        """Read one line.

        Raises:
            InputError: It is no JSON object with a `type`.
        """
        try:
            message = decode(line)
        except (ValueError, RecursionError):
            cut = "" if line[-1:] in {"\n", b"\n"} else "; the input ends in the middle of it"
            raise InputError(
                f"line {self._line_number} of the input is no JSON that can be read{cut}: mend the tap, whose own log "
                "may say more"
            ) from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise InputError(
                f"line {self._line_number} of the input is no Singer message, it has no type: pipe a tap in, or mend it"
            )
        return message


def decode(line: str | bytes) -> Any:
    """Read JSON, numbers with a point as `Decimal`.

    Raises:
        ValueError: It is none.
        RecursionError: It is nested too deep.
    """
    try:
        return _DECODER.decode(line)
    except msgspec.DecodeError:
        # What some taps write although JSON has no word for it: NaN, infinities, halves of characters.
        return json.loads(line, parse_float=Decimal, parse_int=_integer)


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < _MAX_INT_DIGITS else Decimal(digits)
