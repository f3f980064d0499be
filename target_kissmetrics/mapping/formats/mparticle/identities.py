"""Who an mParticle batch is about, and the identities that name nobody at Kissmetrics: an e-mail address, and so on.

Sources: mParticle's "HTTP Events API" (`user_identities` as an object), its outbound feeds (a list of `{identity_type,
identity}`), and "IDSync: supported identities" for the names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from target_kissmetrics.mapping.formats.message_parts import list_at, object_at, objects_in
from target_kissmetrics.mapping.reject_codes import RowRejected
from target_kissmetrics.mapping.result import Aside
from target_kissmetrics.mapping.rules.fields import Row, getter, is_empty
from target_kissmetrics.mapping.rules.identity import People, Person
from target_kissmetrics.mapping.settings import MappingSettings

IDENTITIES = "user_identities"
CUSTOMER_ID = f"{IDENTITIES}.customer_id"

DEVICE_IDS = (
    "mp_deviceid",
    "device_info.android_uuid",
    "device_info.ios_idfv",
    "device_info.ios_advertising_id",
    "device_info.android_advertising_id",
    "device_info.roku_publisher_id",
    "mpid",
)

_NAMES = {
    "email": "Email",
    "facebook": "Facebook",
    "facebookcustomaudienceid": "Facebook Custom Audience ID",
    "google": "Google",
    "microsoft": "Microsoft",
    "mobilenumber": "Mobile Number",
    "other": "Other",
    "phonenumber2": "Phone Number 2",
    "phonenumber3": "Phone Number 3",
    "twitter": "Twitter",
    "yahoo": "Yahoo",
    **{f"other{number}": f"Other {number}" for number in range(2, 11)},
    **{f"otherid{number}": f"Other {number}" for number in range(2, 11)},
}
_CUSTOMER = frozenset({"customerid", "customer"})
_WITHOUT = str.maketrans("", "", "_- ")


class MParticlePeople:
    """Tells who the batches of one stream are about.

    Args:
        settings: Which ID is preferred, and so on.
    """

    def __init__(self, settings: MappingSettings) -> None:
        self._people = People(settings, (CUSTOMER_ID,), DEVICE_IDS, in_messages=True)
        self._devices = [(path, getter(path)) for path in DEVICE_IDS]

    def describe(self) -> str:
        """Say which fields hold the identity, for the line a stream starts with."""
        return self._people.describe()

    def identify(self, batch: Row, asides: list[Aside]) -> tuple[Person, dict[str, Any]]:
        """Give the person, and the other identities as attributes: property name -> value.

        Raises:
            RowRejected: The batch names nobody, or a blocked or over-long identity.
        """
        ids: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for kind, value in _identities(batch.get(IDENTITIES), asides):
            plain = kind.translate(_WITHOUT).lower()
            if plain in _CUSTOMER:
                ids.setdefault(CUSTOMER_ID, value)
            elif plain:
                others.setdefault(_NAMES.get(plain) or _title(kind), value)
        for path, get in self._devices:
            value = get(batch)
            if value is not None and not _is_zeros(value):
                ids[path] = value
        return self._people.identify(ids), others


def _identities(value: object, asides: list[Aside]) -> Iterator[tuple[str, Any]]:
    """Give the identities that hold something, in both shapes."""
    try:
        if not isinstance(value, list):
            found = object_at(value, IDENTITIES)
            yield from ((str(kind), identity) for kind, identity in found.items() if not is_empty(identity))
            return
        items = objects_in(list_at(value, IDENTITIES), IDENTITIES, asides)
    except RowRejected as problem:
        asides.append(Aside.of(problem, problem.field))
        return
    for item in items:
        if isinstance(item.get("identity_type"), str) and not is_empty(item.get("identity")):
            yield item["identity_type"], item["identity"]


def _is_zeros(value: object) -> bool:
    """Tell an advertising ID of nothing but zeros: what every device gives whose owner limits tracking."""
    return not str(value).strip("0-")


def _title(kind: str) -> str:
    return " ".join(kind.replace("_", " ").split()).title()
