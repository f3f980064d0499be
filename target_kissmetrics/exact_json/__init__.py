"""JSON as taps write it: with all digits of its numbers, and with what JSON lacks (NaN, unpaired surrogates).

How deep it may nest is the same under every version of Python, whose own limits differ.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

MAX_DEPTH = 500
"""Of objects and lists in each other."""

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[{]+|[\]}]+', re.DOTALL)


def decode(text: str | bytes, lost: list[str] | None = None) -> Any:
    """Read JSON, numbers with a point or an exponent as `Decimal`.

    Args:
        text: The JSON.
        lost: Gets what cannot be read as it is written, as a clause: a number beyond `Decimal`, which is read as
            infinite, and what is nested too deeply, which is read as null. None: the latter is an error.

    Raises:
        ValueError: It is not JSON, or nested too deeply. The text says which, as a clause without a subject.
    """
    opening = (b"[", b"{") if isinstance(text, bytes) else ("[", "{")
    # Most rows are shorter than that.
    if len(text) > MAX_DEPTH and text.count(opening[0]) + text.count(opening[1]) > MAX_DEPTH:  # type: ignore[arg-type]
        problem, pruned = too_deep(text)
        if problem:
            if lost is None:
                raise ValueError(problem)
            lost.append(problem)
            text = pruned
    try:
        return _DECODER.decode(text)
    except (ValueError, InvalidOperation):
        return _decode_what_json_lacks(text, [] if lost is None else lost)


def _decode_what_json_lacks(text: str | bytes, lost: list[str]) -> Any:
    def number(digits: str) -> Decimal:
        try:
            return Decimal(digits)
        except InvalidOperation:
            lost.append(f"has the number {digits[:40]}, whose exponent is too large")
            return Decimal("-Infinity" if digits.startswith("-") else "Infinity")

    try:
        return json.loads(text, parse_float=number, parse_int=_integer)
    except ValueError:
        raise ValueError("is not valid JSON in UTF-8") from None


def too_deep(text: str | bytes, limit: int = MAX_DEPTH) -> tuple[str | None, bytes]:
    """Return how deep a JSON text is nested, as a clause, if deeper than a limit; and the text without that part."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    depth = deepest = kept = 0
    starts: list[int] = []
    pieces: list[bytes] = []
    for token in _TOKENS.finditer(data):
        begin, end = token.span()
        if data[begin] in b"[{":
            if depth <= limit < depth + end - begin:
                starts.append(begin + limit - depth)
                pieces += data[kept : starts[-1]], b"null"
            depth += end - begin
            deepest = max(deepest, depth)
        elif data[begin] in b"]}":
            kept = begin + depth - limit if depth > limit >= depth - (end - begin) else kept
            depth -= end - begin
    if not starts:
        return None, data
    line = data.count(b"\n", 0, starts[0]) + 1
    where = f" from line {line} on" if line > 1 else ""
    rest = data[kept:] if depth < limit else b""  # not closed: what is left is no JSON
    return f"is nested {deepest:,} deep{where}, where {limit} is the limit", b"".join([*pieces, rest])


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < 4000 else Decimal(digits)  # `int` reads no more than 4,300
