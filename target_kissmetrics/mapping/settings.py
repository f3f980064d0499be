"""Frozen settings of the mapping: of one stream, and of all. `target_kissmetrics.config` reads them from a config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PERSON_KEYS = frozenset({"customer_id", "device_id", "timestamp"})
"""Keys of an entry that say who a row is about, and when."""

PROPERTY_KEYS = frozenset({"include", "exclude", "rename"})
"""Keys of an entry that choose and name properties."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """An entry of `streams`. None: the key is absent, and the known candidates are tried.

    Attributes:
        place: How an error names the entry: `streams[2]`.
        stream: A stream's name or a glob.
        kind: Name of a kind in `registry`; None: it is detected from the schema.
        revenue: Fields that hold the amount; empty: `false`, none.
    """

    place: str = "streams"
    stream: str = "*"
    kind: str | None = None
    customer_id: str | None = None
    device_id: str | None = None
    timestamp: str | None = None
    event_name: str | None = None
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    revenue: tuple[str, ...] | None = None
    refund: bool = False
    line_items: str | None = None
    user_attributes: str | None = None
    once: bool = False
    spread_duplicates: bool = False
    previous_id: str | None = None
    experiment: str | None = None
    variant: str | None = None

    @property
    def is_glob(self) -> bool:
        """Whether the entry is for several streams, which may be of different kinds."""
        return "*" in self.stream or "?" in self.stream


@dataclass(frozen=True, slots=True)
class MappingSettings:
    """The settings that all streams share, named as in the config."""

    use_customer_id: bool = False
    identity_fallback: bool = True
    revenue_key: str = "Billing Amount"
    revenue_fields: tuple[str, ...] = ("revenue",)
    alias_identities: bool = False
    blocked_identities: frozenset[str] = frozenset()
    campaign_properties: bool = True
    send_ip_and_user_agent: bool = True
    prefix_properties: bool = False
    datetime_format: Literal["unix", "iso8601"] = "unix"
