"""Where the parts of a Segment or RudderStack message are: in a JSON message, or in the columns of a warehouse table.

Sources: Segment's "Spec: Common Fields" and "Warehouse schemas"; RudderStack's "Warehouse schema". Legacy spellings
(`sessionId` for `anonymousId`, `from` and `to` of an alias) are those of Segment's segmentio-facade.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from target_kissmetrics.mapping.rules.properties import CAMPAIGN_PROPERTIES

MessageType = Literal["identify", "track", "page", "screen", "group", "alias"]
TYPES: tuple[MessageType, ...] = get_args(MessageType)

_CAMPAIGN = {
    "source": "Campaign Source", "medium": "Campaign Medium", "name": "Campaign Name", "term": "Campaign Terms",
    "content": "Campaign Content",
}  # fmt: skip
"""Segment's names in `context.campaign`, and the properties that Kissmetrics' reports know."""

_UTM = {field: name for field, name in CAMPAIGN_PROPERTIES.items() if field.startswith("utm_")}
_REFERRER = {field: name for field, name in CAMPAIGN_PROPERTIES.items() if field not in _UTM}


@dataclass(frozen=True, slots=True)
class Places:
    """Fields, as paths, each in the order they are tried. The defaults are those of a JSON message.

    Attributes:
        category: The category of a page or screen, used where it has no name.
        previous_id: The other identity of an alias.
        aliased_id: The first one.
        properties: The object of properties; empty: the row itself.
        traits: The objects of traits, of which the first with content counts; empty: the row itself.
        own: Names and globs of the row's fields that are neither property nor trait.
        context: The object of the context; empty: the row itself. `address` and `user_agent` are within it.
        campaign: Objects within the context (empty: itself), and the property that each of their fields becomes.
    """

    customer_id: tuple[str, ...] = ("userId",)
    device_id: tuple[str, ...] = ("anonymousId", "sessionId")
    timestamp: tuple[str, ...] = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
    message_id: tuple[str, ...] = ("messageId",)
    event: tuple[str, ...] = ("event",)
    name: tuple[str, ...] = ("name",)
    category: tuple[str, ...] = ("category",)
    group_id: tuple[str, ...] = ("groupId",)
    previous_id: tuple[str, ...] = ("previousId", "from")
    aliased_id: tuple[str, ...] = ("userId", "to")
    properties: str = "properties"
    traits: tuple[str, ...] = ("traits", "context.traits")
    own: tuple[str, ...] = ()
    context: str = "context"
    address: tuple[str, ...] = ("ip",)
    user_agent: tuple[str, ...] = ("userAgent", "user_agent")
    campaign: tuple[tuple[str, Mapping[str, str]], ...] = (
        ("campaign", {**_CAMPAIGN, **_UTM}),
        ("page", {**_REFERRER, **_UTM}),
    )


MESSAGE = Places()
FIELDS = (
    "type", "userId", "anonymousId", "sessionId", "timestamp", "originalTimestamp", "sentAt", "receivedAt", "messageId",
    "event", "name", "category", "groupId", "previousId", "from", "to",
)  # fmt: skip
"""Of a message, but for its containers."""
CONTAINERS = ("properties", "traits", "context")
PARTS = {"context": ("campaign", "page", "traits")}
"""Objects in the context that a mapping reads."""
TABLE = Places(
    customer_id=("user_id",),
    device_id=("anonymous_id",),
    timestamp=("timestamp", "original_timestamp", "sent_at", "received_at"),
    message_id=("id",),
    event=("event_text", "event"),
    name=("name",),
    category=("category",),
    group_id=("group_id",),
    previous_id=("previous_id",),
    aliased_id=("user_id",),
    properties="",
    traits=("",),
    own=(
        "id", "user_id", "anonymous_id", "event", "event_text", "timestamp", "original_timestamp", "received_at",
        "sent_at", "loaded_at", "uuid_ts", "uuid", "channel", "context_*",
    ),
    context="",
    address=("context_ip",),
    user_agent=("context_user_agent",),
    campaign=(("", {f"context_campaign_{field}": name for field, name in _CAMPAIGN.items()}
               | {f"context_page_{field}": name for field, name in _REFERRER.items()}),),
)  # fmt: skip
"""`id` is the message's; `event` is the name of the event's table, `event_text` the name as it was sent."""
