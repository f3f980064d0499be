"""What a mapping is told: how one stream is read, and what holds for all of them. Frozen values, no defaults to look
up elsewhere: `target_kissmetrics.config.settings` reads them from a config."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Literal

from target_kissmetrics.errors import ConfigError

Kind = Literal["event", "user_attributes", "alias", "experiment", "segment", "mparticle", "kissmetrics", "ignore"]

KINDS: tuple[Kind, ...] = (
    "event",
    "user_attributes",
    "alias",
    "experiment",
    "segment",
    "mparticle",
    "kissmetrics",
    "ignore",
)

FLAT_KINDS: tuple[Kind, ...] = ("event", "user_attributes", "alias", "experiment")
"""Kinds whose rows are flat: one event, one person's attributes, one alias or one assignment a row."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """An entry of `streams`. None: left out, the candidates of the specification are tried.

    Attributes:
        place: How an error names the entry: `streams[2]`.
        stream: A stream's name or a glob.
        revenue: Fields that hold the amount; empty: `false`, none.
    """

    place: str = "streams"
    stream: str = "*"
    kind: Kind | None = None
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
        """Whether the entry is written for streams of more than one kind and make."""
        return "*" in self.stream or "?" in self.stream


@dataclass(frozen=True, slots=True)
class MappingSettings:
    """The settings that every stream's mapping shares, named as in the config."""

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


_PERSON_KEYS = frozenset({"customer_id", "device_id", "timestamp"})
PROPERTY_KEYS = frozenset({"include", "exclude", "rename"})
_EVENT_KEYS = frozenset(
    {"event_name", "revenue", "refund", "line_items", "user_attributes", "once", "spread_duplicates"}
)
_KEYS_OF_KIND: dict[Kind, frozenset[str]] = {
    "event": _PERSON_KEYS | PROPERTY_KEYS | _EVENT_KEYS,
    "user_attributes": _PERSON_KEYS | PROPERTY_KEYS,
    "alias": _PERSON_KEYS | {"previous_id"},
    "experiment": _PERSON_KEYS | {"experiment", "variant"},
    "segment": frozenset(),
    "mparticle": frozenset(),
    "kissmetrics": frozenset(),
    "ignore": _PERSON_KEYS | PROPERTY_KEYS | _EVENT_KEYS | {"previous_id", "experiment", "variant"},
}


def kinds_of(key: str) -> tuple[Kind, ...]:
    """Give the kinds for which a key of an entry has a meaning, `ignore` aside."""
    return tuple(kind for kind in KINDS if kind != "ignore" and key in _KEYS_OF_KIND[kind])


ALL_KEYS = frozenset(key.name for key in fields(StreamSettings)) - {"place", "stream", "kind"}


def check_keys(entry: StreamSettings, kind: Kind, keys: Collection[str] = ALL_KEYS) -> None:
    """Make sure that every key that an entry gives has a meaning for the stream's kind.

    Args:
        entry: The entry.
        kind: The stream's kind.
        keys: Those that are looked at.

    Raises:
        ConfigError: A key would be passed over in silence.
    """
    for key in fields(StreamSettings):
        given = key.name in keys and getattr(entry, key.name) != key.default
        if given and key.name not in _KEYS_OF_KIND[kind]:
            what_to_do = "give such streams an entry of their own, before it" if entry.is_glob else "change the kind"
            raise ConfigError(
                f"{entry.place}.{key.name}", f"has no meaning for kind {kind}; take it out, or {what_to_do}"
            )
