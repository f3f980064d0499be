"""Names of events and properties.

A name has at most 255 characters; `,` and `:` become spaces; names compare without case; a name that starts with `_` is
a parameter of the call, never a property. Source: support.kissmetrics.io, "API Specifications".
"""

from __future__ import annotations

from target_kissmetrics.kissmetrics.limits import MAX_NAME_CHARACTERS
from target_kissmetrics.mapping.reject_codes import Code, Rejected

_SPACED = str.maketrans({",": " ", ":": " "})


def _characters(*ranges: tuple[int, int]) -> str:
    return "".join(chr(code) for first, last in ranges for code in range(first, last + 1))


_SPACE = _characters(
    (0x00, 0x20), (0x7F, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
    (0x205F, 0x205F), (0x2800, 0x2800), (0x3000, 0x3000),
)  # fmt: skip
_INVISIBLE = _characters(
    (0xAD, 0xAD), (0x61C, 0x61C), (0x180E, 0x180E), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F),
    (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB),
)  # fmt: skip
_INVISIBLE_IN_FRONT = _characters(
    (0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x3164, 0x3164), (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE01EF),
)  # fmt: skip
"""Unicode's other characters without a shape of their own. After a letter or an emoji they belong to it, and stay."""

_LEADING = _SPACE + _INVISIBLE + _INVISIBLE_IN_FRONT
"""Characters that must not hide a `_` behind them."""
_TRAILING = _SPACE + _INVISIBLE
_ASCII_SPACE = _characters((0x00, 0x20), (0x7F, 0x7F))


def clean(text: str) -> str:
    """Return a name as Kissmetrics stores it: `,` and `:` as spaces, without surrounding space."""
    if "," in text or ":" in text:
        text = text.translate(_SPACED)
    return text.strip(_ASCII_SPACE) if text.isascii() else text.lstrip(_LEADING).rstrip(_TRAILING)


def event_name(text: str) -> str:
    """Return an event's name, or raise Rejected: it is empty or too long, or cannot be encoded as UTF-8."""
    name = clean(text)
    if not name:
        raise Rejected("no-event-name", "the event name is empty")
    _check(name, "event-name-too-long", "the event name")
    return name


def property_name(text: str) -> str:
    """Return a property's name, or raise Rejected: it is empty, reserved or too long, or cannot be encoded as UTF-8."""
    name = clean(text)
    if not name:
        raise Rejected("no-property-name", "the property name is empty")
    if name.startswith("_"):
        raise Rejected("reserved-name", f"the property name {name[:40]!r} starts with '_', which Kissmetrics reserves")
    _check(name, "name-too-long", "the property name")
    return name


def _check(name: str, code: Code, what: str) -> None:
    if len(name) > MAX_NAME_CHARACTERS:
        raise Rejected(code, f"{what} has {len(name)} characters, over the limit of {MAX_NAME_CHARACTERS}")
    if not is_utf8(name):
        raise Rejected("bad-text", f"{what} has an unpaired UTF-16 surrogate")


def is_utf8(text: str) -> bool:
    """Return whether the text can be encoded as UTF-8: it has no unpaired surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
