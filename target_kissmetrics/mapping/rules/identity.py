"""Who a row is about.

An identity has at most 255 characters; `,` and `:` become spaces in it, as in Kissmetrics and its clients. Blocked
identities (`BLOCKED_IDENTITIES` in `mapping/settings.py`, all zeros) count as missing: everybody who shares one would
become one person permanently.
Source: support.kissmetrics.io, "Identities and aliases".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from target_kissmetrics.kissmetrics.limits import MAX_IDENTITY_CHARACTERS
from target_kissmetrics.mapping.reject_codes import ZEROS_ADVICE, Rejected
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, are_empty, parsed
from target_kissmetrics.mapping.settings import MappingSettings

CUSTOMER_ID_CANDIDATES = ("customer_id", "user_id", "km_person", "distinct_id")
DEVICE_ID_CANDIDATES = (
    "device_id", "device_uuid", "mp_deviceid", "anonymous_id", "visitor_id", "user_pseudo_id", "$device_id",
    "domain_userid",
)  # fmt: skip

_PLAIN = re.compile(rf"[A-Za-z1-9][\w.@+=|/-]{{0,{MAX_IDENTITY_CHARACTERS - 1}}}", re.ASCII)
"""Of an identity that stays as it is, unless it is blocked."""
_LONG = 10**18
_ZEROS = "0-. {}"
"""Characters of an all-zero identity, such as the advertising ID of a phone with tracking limited."""


class Person(msgspec.Struct, frozen=True, gc=False):
    """Who a row is about.

    Attributes:
        other: The row's other ID, if both are to be aliased; `other_field` holds it.
        used: The fields that held IDs, also blocked ones.
        problem: Why the other ID cannot be aliased.
    """

    identity: str
    other: str | None
    other_field: str | None
    used: tuple[str, ...]
    problem: Rejected | None = None


class IdentityRule:
    """Decides who a row is about, by the fields of the customer ID and those of the device ID."""

    def __init__(self, settings: MappingSettings, customer_id: FirstOf, device_id: FirstOf) -> None:
        self._settings = settings
        self._lowercases, self._blocked = settings.lowercase_identities, settings.blocked_identities
        ids = [customer_id, device_id]
        self._preferred, self._other = ids if settings.use_customer_id else ids[::-1]
        tried = [one for one in (self._preferred, self._other) if one.paths]
        is_quick = len(tried) == 1 and not self._lowercases and (self._preferred.paths or settings.identity_fallback)
        self._first, self._read_first = (tried[0] if is_quick else FirstOf(())).first

    def describe(self) -> str:
        """Return which fields hold the identity, in the order they are tried."""
        preferred, other = "/".join(self._preferred.paths), "/".join(self._other.paths)
        tried = (preferred, other) if self._settings.identity_fallback else (preferred,)
        kind = "" if self._settings.identity_fallback else "customer " if self._settings.use_customer_id else "device "
        return ", else ".join(filter(None, tried)) or f"no {kind}ID field"

    def identify(self, row: Row) -> Person:
        """Return the person, or raise Rejected: the row has no identity that can be used."""
        value = self._read_first(row)
        text = str(value) if type(value) is int and value < _LONG else value
        if type(text) is str and _PLAIN.fullmatch(text) and text.lower() not in self._blocked:
            return Person(text, None, None, (self._first,))  # as most are
        return self._choose(row)

    def _choose(self, row: Row) -> Person:
        settings = self._settings
        used: list[str] = []
        blocked: list[Rejected] = []
        preferred = self._find(self._preferred, row, used, blocked)
        if preferred is not None and not settings.alias_identities:
            other = self._other.find(row) if self._other.paths else None
            return Person(preferred[1], None, None, (*used, other[0]) if other else tuple(used))
        other = problem = None
        try:
            if preferred is not None or settings.identity_fallback:
                other = self._find(self._other, row, used, blocked)
        except Rejected as rejected:
            if preferred is None:
                raise
            problem = rejected
        chosen = preferred or other
        if chosen is None:
            raise self._no_identity(blocked)
        if preferred is None or other is None or preferred[1] == other[1]:
            return Person(chosen[1], None, None, tuple(used), problem)
        return Person(chosen[1], other[1], other[0], tuple(used))

    def require(self, row: Row, *alternatives: FirstOf) -> str:
        """Return the first identity that some fields hold, or raise Rejected: they hold none that can be used."""
        blocked: list[Rejected] = []
        for fields in alternatives:
            found = self._find(fields, row, [], blocked)
            if found is not None:
                return found[1]
        if blocked:
            raise blocked[0]
        paths = [path for fields in alternatives for path in fields.paths]
        raise Rejected("no-identity", f"no identity: {are_empty(paths)}", paths[0])

    def read(self, value: object, field: str) -> str:
        """Return a field's identity, empty if the field is; raise Rejected: it is blocked, too long or none."""
        try:
            identity = to_identity(value)
        except ValueError as problem:
            raise Rejected("bad-identity", str(problem), field) from None
        if self._lowercases:
            identity = identity.lower()
        if len(identity) > MAX_IDENTITY_CHARACTERS:
            too_long = f"the identity has {len(identity)} characters, over the limit of {MAX_IDENTITY_CHARACTERS}"
            raise Rejected("identity-too-long", too_long, field)
        if identity[:1] in _ZEROS and "0" in identity and not identity.strip(_ZEROS):
            zeros = f"{identity!r} is all zeros, which many people share, and would merge them permanently"
            raise Rejected("blocked-identity", zeros, field, to_do=ZEROS_ADVICE)
        if identity.lower() in self._blocked:
            shared = f"{identity!r} is shared by many people (blocked_identities) and would merge them permanently"
            raise Rejected("blocked-identity", shared, field)
        if not names.is_utf8(identity):
            raise Rejected("bad-text", "the identity has an unpaired UTF-16 surrogate", field)
        return identity

    def _find(self, fields: FirstOf, row: Row, used: list[str], blocked: list[Rejected]) -> tuple[str, str] | None:
        """Return the first field that holds an acceptable identity, and the identity.

        `used` gets the fields that hold something, up to this one, `blocked` the blocked identities before it. Raises
        Rejected if none is acceptable, and what one of them holds is no identity, or too long.
        """
        problem: Rejected | None = None
        for field, value in fields.all(row):
            used.append(field)
            try:
                identity = self.read(value, field)
            except Rejected as rejected:
                if rejected.code == "blocked-identity":
                    blocked.append(rejected)
                else:
                    problem = problem or rejected
            else:
                if identity:
                    return field, identity
        if problem is not None:
            raise problem
        return None

    def _no_identity(self, blocked: list[Rejected]) -> Rejected:
        if blocked:
            return blocked[0]
        paths = self._preferred.paths + (self._other.paths if self._settings.identity_fallback else ())
        hint = "" if self._settings.identity_fallback else ", and identity_fallback is off"
        return Rejected("no-identity", f"no identity: {are_empty(paths)}{hint}")


def to_identity(value: object) -> str:
    """Return an identity as Kissmetrics stores it; empty if there is none. Whole numbers lose their fraction.

    Raises ValueError, whose text says what the value is instead.
    """
    if isinstance(value, str):
        if value[:1] in {"{", "["} and _is_json(value):
            raise ValueError("an ID must be a text or a number, not JSON text of an object or an array")
        return names.clean(value)
    if value is None:
        return ""
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= MAX_IDENTITY_CHARACTERS:
        whole = value.to_integral_value()
        return str(int(whole)) if value == whole else f"{value:f}".rstrip("0")  # normalize() would round it
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 800:
        return str(value)
    shapes = {bool: "a boolean", dict: "an object", list: "an array", tuple: "an array"}
    what = shapes.get(type(value)) or ("an object" if isinstance(value, Mapping) else "a number out of range")
    raise ValueError(f"an ID must be a text or a number, not {what}")


def _is_json(text: str) -> bool:
    """Return whether a text is JSON of a list or object with content; an empty one is in `blocked_identities`."""
    try:
        content = parsed(text)
    except ValueError:
        return False
    return bool(content) and not isinstance(content, str)
