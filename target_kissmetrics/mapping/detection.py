"""The kind of a stream that names none, decided once, from its schema.

Kissmetrics can delete nothing, so what is not plain stops the run: an `orders` or `products` table must not become
people's attributes by a guess.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.formats.segment import tables as segment_tables
from target_kissmetrics.mapping.rules.identity import CUSTOMER_ID_CANDIDATES, DEVICE_ID_CANDIDATES
from target_kissmetrics.mapping.settings import Kind, StreamSettings

EVENT_NAME_CANDIDATES = ("event_name", "event", "eventName", "screen_name")
PREVIOUS_ID_CANDIDATES = ("previous_id", "previousId", "alias")
EXPERIMENT_CANDIDATES = ("experiment", "experiment_name", "test")
VARIANT_CANDIDATES = ("variant", "variation", "group")

_PEOPLE = frozenset({"user", "customer", "contact", "person", "profile", "member", "visitor", "lead"})
_PEOPLE_PLURAL = frozenset({f"{name}s" for name in _PEOPLE} - {"persons"} | {"people", "persons"})


class Detected(NamedTuple):
    """A kind, and why."""

    kind: Kind
    why: str


def detect(stream: str, fields: Collection[str], key_properties: Sequence[str], entry: StreamSettings) -> Detected:
    """Decide a stream's kind.

    Args:
        stream: Its name.
        fields: Its schema's top-level fields.
        key_properties: Its key.
        entry: Its entry of `streams`, without a kind; what it names counts as found.

    Raises:
        ConfigError: It could be anything. The text lists the fields and the entries to choose from.
    """
    identity = (
        _named(entry, "customer_id", fields)
        or _named(entry, "device_id", fields)
        or _first(CUSTOMER_ID_CANDIDATES + DEVICE_ID_CANDIDATES, fields)
    )
    messages = _messages(stream, fields)
    if messages:
        return messages
    if identity:
        decided = _with_identity(identity, fields, entry)
        if decided:
            return decided
    identities = {entry.customer_id, entry.device_id, *CUSTOMER_ID_CANDIDATES, *DEVICE_ID_CANDIDATES}
    person = _person(stream, identity, identities, key_properties)
    if person:
        return person
    raise ConfigError("streams", _undecided(stream, fields))


def _messages(stream: str, fields: Collection[str]) -> Detected | None:
    """Tell the message formats, which name their people in ways of their own."""
    beside = _first(("userId", "anonymousId", "messageId"), fields)
    if "type" in fields and beside:
        return Detected("segment", f"it has 'type' and {beside!r}")
    beside = _first(("user_identities", "device_info", "mpid"), fields)
    if "events" in fields and beside:
        return Detected("mparticle", f"it has 'events' and {beside!r}")
    if "_p" in fields and "_t" in fields:
        return Detected("kissmetrics", "it has '_p' and '_t'")
    marks = segment_tables.has_marks(stream, fields)
    table = segment_tables.table_of(stream, fields) if marks else None
    if table:
        return Detected("segment", f"it has {marks}, as a warehouse table of messages ({table})")
    return None


def _with_identity(identity: str, fields: Collection[str], entry: StreamSettings) -> Detected | None:
    previous = _named(entry, "previous_id", fields) or _first(("previous_id", "previousId"), fields)
    if previous:
        return Detected("alias", f"it has {identity!r} and {previous!r}")
    experiment = _named(entry, "experiment", fields) or _first(EXPERIMENT_CANDIDATES, fields)
    variant = _named(entry, "variant", fields) or _first(VARIANT_CANDIDATES, fields)
    if experiment and variant:
        return Detected("experiment", f"it has {identity!r}, {experiment!r} and {variant!r}")
    name = entry.event_name or _first(EVENT_NAME_CANDIDATES, fields)
    if name:
        return Detected("event", f"it has {identity!r} and {name!r}")
    return None


def _person(
    stream: str, identity: str | None, identities: Collection[str | None], key_properties: Sequence[str]
) -> Detected | None:
    only_key = key_properties[0] if len(key_properties) == 1 else None
    if only_key in identities and only_key is not None:
        return Detected("user_attributes", f"{only_key!r}, an identity, is its only key")
    if named_for_people(stream) and (identity or only_key):
        return Detected("user_attributes", f"its name is one for people, and it has {identity or only_key!r}")
    return None


def named_for_people(stream: str) -> bool:
    """Tell `users`, `Customer`, `public-users`, `crm.contacts` from other names."""
    last = stream.lower().replace(".", "-").replace("/", "-").rpartition("-")[2].strip()
    return last in _PEOPLE or last in _PEOPLE_PLURAL


def _named(entry: StreamSettings, key: str, fields: Collection[str]) -> str | None:
    """Give the field that the entry names; an entry for many streams may name one that this stream does not have."""
    path: str | None = getattr(entry, key)
    if path and entry.is_glob and path not in fields and path.partition(".")[0] not in fields:
        return None
    return path


def _first(candidates: Sequence[str], fields: Collection[str]) -> str | None:
    return next((name for name in candidates if name in fields), None)


def _undecided(stream: str, fields: Collection[str]) -> str:
    shown = ", ".join(list(fields)[:40]) or "none"
    more = f" and {len(fields) - 40} more" if len(fields) > 40 else ""
    return (
        f"stream {stream!r} could be anything, and Kissmetrics can delete nothing, so say what it is. "
        f"Its fields: {shown}{more}. Add one of these to streams: "
        f"{{stream: {stream}, kind: event, customer_id: FIELD, event_name: NAME, timestamp: FIELD}}, "
        f"{{stream: {stream}, kind: user_attributes, customer_id: FIELD}}, "
        f"{{stream: {stream}, kind: alias, customer_id: FIELD, previous_id: FIELD}}, "
        f"{{stream: {stream}, kind: experiment, customer_id: FIELD, experiment: FIELD, variant: FIELD}}, "
        f"{{stream: {stream}, kind: ignore}}"
    )
