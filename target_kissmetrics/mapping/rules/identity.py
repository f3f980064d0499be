"""Who a row is about.

An identity has at most 255 characters; `,` and `:` become spaces in it, as Kissmetrics and its clients make them. Some
texts are no identity at all (`anonymous`, `null`, ...): everybody who shares one would become one person for ever.
Source: support.kissmetrics.io, "Identities and aliases".
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from target_kissmetrics.kissmetrics.limits import MAX_IDENTITY_CHARACTERS
from target_kissmetrics.mapping.reject_codes import Code, RowRejected, advice
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import FirstOf, Row
from target_kissmetrics.mapping.settings import MappingSettings

CUSTOMER_ID_CANDIDATES = ("customer_id", "customerid", "customerId", "user_id", "userId")
DEVICE_ID_CANDIDATES = (
    "device_id",
    "deviceId",
    "device_uuid",
    "mp_deviceid",
    "anonymous_id",
    "anonymousId",
    "visitor_id",
    "user_pseudo_id",
)


class Person(msgspec.Struct, frozen=True, gc=False):
    """Who a row is about.

    Attributes:
        identity: What calls name the person by.
        other: The row's other ID, when both are to be aliased.
        other_field: The field that holds it.
        used: The fields that held IDs.
    """

    identity: str
    other: str | None
    other_field: str | None
    used: tuple[str, ...]


class Id(msgspec.Struct, frozen=True, gc=False):
    """An identity, and the field that holds it."""

    field: str
    text: str


class People:
    """Tells who a row is about.

    Args:
        settings: Which ID is preferred, whether the other may stand in, what is blocked.
        customer_id: Fields of the customer ID, in the order they are tried.
        device_id: Fields of the device ID, likewise.
        in_messages: They are a message format's own, and no entry of `streams` can name others.
    """

    def __init__(
        self,
        settings: MappingSettings,
        customer_id: Sequence[str],
        device_id: Sequence[str],
        *,
        in_messages: bool = False,
    ) -> None:
        self._in_messages = in_messages
        self._settings = settings
        customer, device = FirstOf(customer_id), FirstOf(device_id)
        first = ("customer ID", customer), ("device ID", device)
        (self._preferred_name, self._preferred), (self._other_name, self._other) = (
            first if settings.use_customer_id else first[::-1]
        )

    def describe(self) -> str:
        """Say which fields hold the identity, for the line a stream starts with."""
        preferred = "/".join(self._preferred.paths)
        other = "/".join(self._other.paths)
        if not self._settings.identity_fallback:
            return preferred or f"no {self._preferred_name} field"
        return ", else ".join(fields for fields in (preferred, other) if fields) or "no ID field"

    def identify(self, row: Row) -> Person:
        """Give the person.

        Raises:
            RowRejected: The row names nobody, or a blocked or over-long identity.
        """
        preferred, other = find_id(self._preferred, row), find_id(self._other, row)
        chosen = preferred or (other if self._settings.identity_fallback else None)
        if chosen is None:
            raise self._rejected("no-identity", self._nobody(), None)
        self.check(chosen.text, chosen.field)
        if preferred is None or other is None:
            return Person(chosen.text, None, None, (chosen.field,))
        used = (preferred.field, other.field)
        partner = self._partner(chosen, preferred, other)
        if partner is None:
            return Person(chosen.text, None, None, used)
        return Person(chosen.text, partner.text, partner.field, used)

    def check(self, identity: str, field: str) -> None:
        """Make sure that Kissmetrics may know somebody by this identity.

        Raises:
            RowRejected: Blocked, over-long, or not text that UTF-8 can hold.
        """
        if len(identity) > MAX_IDENTITY_CHARACTERS:
            raise self._rejected(
                "identity-too-long",
                f"the identity has {len(identity)} characters, Kissmetrics takes {MAX_IDENTITY_CHARACTERS}",
                field,
            )
        if identity.lower() in self._settings.blocked_identities:
            raise self._rejected(
                "blocked-identity",
                f"{identity!r} is nobody's own identity (blocked_identities): all who share it would become one person",
                field,
            )
        if not identity.isascii() and not names.is_utf8(identity):
            raise RowRejected("bad-text", "the identity holds half of a character (a lone surrogate)", field)

    def _partner(self, chosen: Id, preferred: Id, other: Id) -> Id | None:
        """Give the other ID when it is to be aliased and may be."""
        if not self._settings.alias_identities:
            return None
        partner = other if chosen is preferred else preferred
        if partner.text == chosen.text:
            return None
        try:
            self.check(partner.text, partner.field)
        except RowRejected:
            return None
        return partner

    def _rejected(self, code: Code, problem: str, field: str | None) -> RowRejected:
        return RowRejected(code, problem, field, to_do=advice(code, in_messages=self._in_messages))

    def _nobody(self) -> str:
        tried = self._preferred.paths + (self._other.paths if self._settings.identity_fallback else ())
        fields = ", ".join(tried) or "none"
        hint = "" if self._settings.identity_fallback else ", and identity_fallback is off"
        return f"no identity: no field with an ID holds one (tried: {fields}){hint}"


def to_identity(value: object) -> str:
    """Write an identity as Kissmetrics would make it; empty when the value is none.

    Whole numbers lose their fraction (`5.0` is `5`); an object, a list or a boolean is no identity.
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
    if isinstance(value, int):
        return str(value) if value.bit_length() < 800 else ""
    return ""


def find_id(fields: FirstOf, row: Row) -> Id | None:
    """Give the first ID that some fields hold; what is no identity (an object, `true`) is passed over like a null."""
    if not fields.paths:
        return None
    for field, get in fields.getters:
        value = get(row)
        text = to_identity(value) if value is not None else ""
        if text:
            return Id(field, text)
    return None
