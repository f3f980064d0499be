"""Who a row is about.

An identity has at most 255 characters; `,` and `:` become spaces in it, as in Kissmetrics and its clients. Blocked
identities (`anonymous`, `null`, ...) are rejected: everybody who shares one would become one person permanently.
Source: support.kissmetrics.io, "Identities and aliases".
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from target_kissmetrics.kissmetrics.limits import MAX_IDENTITY_CHARACTERS
from target_kissmetrics.mapping.reject_codes import Code, Rejected
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import FirstOf, Row
from target_kissmetrics.mapping.settings import MappingSettings

CUSTOMER_ID_CANDIDATES = ("customer_id", "user_id", "distinct_id")
DEVICE_ID_CANDIDATES = (
    "device_id", "device_uuid", "mp_deviceid", "anonymous_id", "visitor_id", "user_pseudo_id", "$device_id",
    "domain_userid",
)  # fmt: skip


class Person(msgspec.Struct, frozen=True, gc=False):
    """Who a row is about.

    Attributes:
        identity: The identity in the row's calls.
        other: The row's other ID, if both are to be aliased.
        other_field: The field that holds it.
        used: The fields that held IDs.
    """

    identity: str
    other: str | None
    other_field: str | None
    used: tuple[str, ...]


class IdentityRule:
    """Decides who a row is about.

    Args:
        settings: Which ID is preferred, whether the other may stand in, which identities are blocked.
        customer_id: Fields of the customer ID, in the order they are tried.
        device_id: Fields of the device ID, likewise.
        in_messages: The fields are those of a message format, which no entry of `streams` can change.
    """

    def __init__(
        self,
        settings: MappingSettings,
        customer_id: FirstOf,
        device_id: FirstOf,
        *,
        in_messages: bool = False,
    ) -> None:
        self._settings = settings
        self._in_messages = in_messages
        ids = [customer_id, device_id]
        self._preferred, self._other = ids if settings.use_customer_id else ids[::-1]

    def describe(self) -> str:
        """Return which fields hold the identity, in the order they are tried."""
        preferred, other = "/".join(self._preferred.paths), "/".join(self._other.paths)
        if not self._settings.identity_fallback:
            return preferred or f"no {'customer' if self._settings.use_customer_id else 'device'} ID field"
        return ", else ".join(fields for fields in (preferred, other) if fields) or "no ID field"

    def identify(self, row: Row) -> Person:
        """Return the person.

        Raises:
            Rejected: The row has no identity, or a blocked or too long one.
        """
        preferred, other = find_id(self._preferred, row), find_id(self._other, row)
        chosen = preferred or (other if self._settings.identity_fallback else None)
        if chosen is None:
            raise self._no_identity()
        field, identity = chosen
        self._check(identity, field)
        if preferred is None or other is None:
            return Person(identity, None, None, (field,))
        other_field, partner = other
        if not self._settings.alias_identities or partner == identity or not self._is_allowed(partner, other_field):
            return Person(identity, None, None, (field, other_field))
        return Person(identity, partner, other_field, (field, other_field))

    def require(self, row: Row, *alternatives: FirstOf, needed_for: str = "", to_do: str | None = None) -> str:
        """Return the first identity that some fields hold.

        Args:
            row: The row.
            alternatives: The fields, in the order they are tried.
            needed_for: Why there must be one, as a clause.
            to_do: What to do if there is none, instead of the usual advice.

        Raises:
            Rejected: There is none, or it is blocked or too long.
        """
        for fields in alternatives:
            found = find_id(fields, row)
            if found is not None:
                self._check(found[1], found[0])
                return found[1]
        paths = [path for fields in alternatives for path in fields.paths]
        raise self._rejected("no-identity", f"no identity: {_empty(paths)}{needed_for}", paths[0], to_do)

    def _is_allowed(self, identity: str, field: str) -> bool:
        try:
            self._check(identity, field)
        except Rejected:
            return False
        return True

    def _check(self, identity: str, field: str) -> None:
        if len(identity) > MAX_IDENTITY_CHARACTERS:
            problem = f"the identity has {len(identity)} characters, over the limit of {MAX_IDENTITY_CHARACTERS}"
            raise self._rejected("identity-too-long", problem, field)
        if identity.lower() in self._settings.blocked_identities:
            problem = f"{identity!r} is shared by many people (blocked_identities) and would merge them permanently"
            raise self._rejected("blocked-identity", problem, field)
        if not names.is_utf8(identity):
            raise self._rejected("bad-text", "the identity has an unpaired UTF-16 surrogate", field)

    def _no_identity(self) -> Rejected:
        paths = self._preferred.paths + (self._other.paths if self._settings.identity_fallback else ())
        hint = "" if self._settings.identity_fallback else ", and identity_fallback is off"
        return self._rejected("no-identity", f"no identity: {_empty(paths)}{hint}")

    def _rejected(self, code: Code, problem: str, field: str | None = None, to_do: str | None = None) -> Rejected:
        return Rejected(code, problem, field, to_do=to_do, in_messages=self._in_messages)


def _empty(paths: Sequence[str]) -> str:
    """Return a clause for fields that are all empty: `customer_id and device_id are both empty`."""
    if len(paths) < 2:
        return f"{paths[0]} is empty" if paths else "no field can hold one"
    return f"{', '.join(paths[:-1])} and {paths[-1]} are {'both' if len(paths) == 2 else 'all'} empty"


def to_identity(value: object) -> str:
    """Return an identity as Kissmetrics stores it; empty if the value cannot be one.

    Whole numbers lose their fraction (`5.0` is `5`); objects, lists and booleans are no identities.
    """
    if isinstance(value, str):
        return names.clean(value)
    if isinstance(value, bool):
        return ""
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > MAX_IDENTITY_CHARACTERS:
            return ""
        whole = value.to_integral_value()
        return str(int(whole)) if value == whole else f"{value:f}"
    return str(value) if isinstance(value, int) and value.bit_length() < 800 else ""


def find_id(fields: FirstOf, row: Row) -> tuple[str, str] | None:
    """Return the first identity that some fields hold, as (field, identity); other values count as empty."""
    for field, get in fields.getters(row):
        value = get(row)
        text = to_identity(value) if value is not None else ""
        if text:
            return field, text
    return None
