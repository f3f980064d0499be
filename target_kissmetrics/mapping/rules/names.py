"""Names of events and properties as Kissmetrics takes them.

At most 255 characters; `,` and `:` become spaces; case does not tell two names apart; a name that starts with `_` is a
parameter of the call, never a property. Source: support.kissmetrics.io, "API Specifications".
"""

from __future__ import annotations

from functools import lru_cache

from target_kissmetrics.kissmetrics.limits import MAX_NAME_CHARACTERS
from target_kissmetrics.mapping.reject_codes import Code, Problem

_SPACED = str.maketrans({",": " ", ":": " "})


def _characters(*ranges: tuple[int, int]) -> str:
    return "".join(chr(code) for first, last in ranges for code in range(first, last + 1))


_SPACE = _characters(
    (0x00, 0x20), (0x7F, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
    (0x205F, 0x205F), (0x2800, 0x2800), (0x3000, 0x3000),
)  # fmt: skip
_UNSEEN = _characters(
    (0xAD, 0xAD), (0x61C, 0x61C), (0x180E, 0x180E), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F),
    (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB),
)  # fmt: skip
_UNSEEN_IN_FRONT = _characters(
    (0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x3164, 0x3164), (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE01EF),
)  # fmt: skip
"""Unicode's other characters without a shape of their own. Behind a letter or an emoji they belong to it, and stay."""

_IN_FRONT = _SPACE + _UNSEEN + _UNSEEN_IN_FRONT
"""Space and what nobody sees: in front of a `_` it must not hide the `_`."""
_BEHIND = _SPACE + _UNSEEN
_ASCII_SPACE = _characters((0x00, 0x20), (0x7F, 0x7F))


class NameProblem(Problem):
    """A text that cannot be a name."""


def clean(text: str) -> str:
    """Write a name as Kissmetrics would make it: `,` and `:` as spaces, no space around."""
    if "," in text or ":" in text:
        text = text.translate(_SPACED)
    return text.strip(_ASCII_SPACE) if text.isascii() else text.lstrip(_IN_FRONT).rstrip(_BEHIND)


def event_name(text: str) -> str:
    """Make an event's name.

    Raises:
        NameProblem: Empty, too long, or not text that UTF-8 can hold.
    """
    return _short_event_name(text) if len(text) <= MAX_NAME_CHARACTERS else _event_name(text)


def _event_name(text: str) -> str:
    name = clean(text)
    if not name:
        raise NameProblem("no-event-name", "the event's name is empty")
    _check(name, "event-name-too-long", "the event's name")
    return name


_short_event_name = lru_cache(maxsize=4096)(_event_name)
"""Many events have few names."""


def property_name(text: str) -> str:
    """Make a property's name.

    Raises:
        NameProblem: Empty, reserved, too long, or not text that UTF-8 can hold.
    """
    name = clean(text)
    if not name:
        raise NameProblem("no-property-name", "the property's name is empty")
    if name.startswith("_"):
        raise NameProblem(
            "reserved-name",
            f"a property's name may not start with '_' ({name[:40]!r}): Kissmetrics keeps such names for itself",
        )
    _check(name, "name-too-long", "the property's name")
    return name


def _check(name: str, code: Code, what: str) -> None:
    if len(name) > MAX_NAME_CHARACTERS:
        raise NameProblem(code, f"{what} has {len(name)} characters, Kissmetrics takes {MAX_NAME_CHARACTERS}")
    if not name.isascii() and not is_utf8(name):
        raise NameProblem("bad-text", f"{what} holds half of a character (a lone surrogate)")


def is_utf8(text: str) -> bool:
    """Tell whether UTF-8 can hold the text: no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
