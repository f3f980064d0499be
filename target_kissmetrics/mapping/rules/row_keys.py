"""What identifies a row across runs: its key or its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec

from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules.fields import Row, getter, is_empty
from target_kissmetrics.mapping.rules.values import plain_number

_SORTED_JSON = msgspec.json.Encoder(order="sorted")


class RowKey:
    """The key of one stream's rows, unique in `salt`; the order in which the tap lists its parts does not matter."""

    def __init__(self, salt: str, key_properties: Sequence[str]) -> None:
        self._salt = _as_bytes(salt)
        self._getters = tuple(getter(key) for key in sorted(key_properties))

    def of(self, row: Row) -> bytes | None:
        """Return the row's key; None if a part of it is absent, null or empty."""
        values = [get(row) for get in self._getters]
        if not values or any(is_empty(value) for value in values):
            return None
        return b"\0".join([self._salt, *map(_key_bytes, values)])


def digest(salt: str, content: Any) -> bytes:
    """Return what identifies a row by its content, the same in every run; Rejected if that is nested too deeply."""
    return hashlib.blake2b(salt.encode("utf-8", "surrogatepass") + b"\0" + _as_bytes(content), digest_size=8).digest()


def _key_bytes(value: Any) -> bytes:
    """Serialize a part of a row's key: equal numbers alike, and no number like a text."""
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        with suppress(Rejected):
            return plain_number(value).encode()
    return _as_bytes(value)


def _as_bytes(content: Any) -> bytes:
    try:
        return _SORTED_JSON.encode(content)
    except (UnicodeEncodeError, TypeError, ValueError):
        return json.dumps(content, sort_keys=True, default=str).encode()
    except RecursionError:
        raise Rejected("too-deep", "objects or lists are nested too deeply to identify the row") from None
