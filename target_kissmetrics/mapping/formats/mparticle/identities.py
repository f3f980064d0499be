"""Who an mParticle batch is about, and the identities that Kissmetrics does not know, such as an e-mail address.

Sources: mParticle's "HTTP Events API" (`user_identities` as an object), its outbound feeds (a list of `{identity_type,
identity}`), and "IDSync: supported identities" for the names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from target_kissmetrics.mapping.formats.message_parts import object_or_nothing, objects_in
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, getter, is_empty
from target_kissmetrics.mapping.rules.identity import IdentityRule, Person
from target_kissmetrics.mapping.settings import MappingSettings

IDENTITIES = "user_identities"
CUSTOMER_ID = f"{IDENTITIES}.customer_id"

DEVICE_IDS = (
    "mp_deviceid", "device_info.android_uuid", "device_info.ios_idfv", "device_info.ios_advertising_id",
    "device_info.android_advertising_id", "device_info.roku_publisher_id", "mpid",
)  # fmt: skip

_NAMES = {
    "email": "Email", "facebook": "Facebook", "facebookcustomaudienceid": "Facebook Custom Audience ID",
    "google": "Google", "microsoft": "Microsoft", "mobilenumber": "Mobile Number", "other": "Other",
    "phonenumber2": "Phone Number 2", "phonenumber3": "Phone Number 3", "twitter": "Twitter", "yahoo": "Yahoo",
    **{f"other{number}": f"Other {number}" for number in range(2, 11)},
    **{f"otherid{number}": f"Other {number}" for number in range(2, 11)},
}  # fmt: skip
_WITHOUT_SEPARATORS = str.maketrans("", "", "_- ")


class MParticleIdentities:
    """Decides who the batches of one stream are about."""

    def __init__(self, settings: MappingSettings) -> None:
        self._rule = IdentityRule(settings, FirstOf((CUSTOMER_ID,)), FirstOf(DEVICE_IDS))
        self._devices = [(path, getter(path)) for path in DEVICE_IDS]

    def describe(self) -> str:
        """Return which fields hold the identity, in the order they are tried."""
        return self._rule.describe()

    def identify(self, batch: Row, rejections: list[Rejection]) -> tuple[Person, dict[str, Any]]:
        """Return the person, and the other identities as attributes: property name -> value.

        Raises:
            Rejected: The batch has no identity, or a blocked or too long one.
        """
        ids: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for kind, value in _identities(batch.get(IDENTITIES), rejections):
            plain = kind.translate(_WITHOUT_SEPARATORS).lower()
            if plain in {"customerid", "customer"}:
                ids.setdefault(CUSTOMER_ID, value)
            elif plain:
                others.setdefault(_NAMES.get(plain) or " ".join(kind.replace("_", " ").split()).title(), value)
        for path, get in self._devices:
            value = get(batch)
            if value is not None:
                ids[path] = value
        return self._rule.identify(ids), others


def _identities(value: object, rejections: list[Rejection]) -> Iterator[tuple[str, Any]]:
    """Yield the identities that are not empty, from an object or a list."""
    if not isinstance(value, list):
        found = object_or_nothing(value, IDENTITIES, rejections)
        yield from ((str(kind), identity) for kind, identity in found.items() if not is_empty(identity))
        return
    for item in objects_in(value, IDENTITIES, rejections):
        if isinstance(item.get("identity_type"), str) and not is_empty(item.get("identity")):
            yield item["identity_type"], item["identity"]
