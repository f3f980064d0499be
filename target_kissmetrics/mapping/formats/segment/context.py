"""The context of a Segment or RudderStack message: the person's address, user agent and campaign."""

from __future__ import annotations

from collections.abc import Mapping

from target_kissmetrics.kissmetrics.calls import Properties
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.formats.message_parts import object_or_nothing, passable
from target_kissmetrics.mapping.formats.segment.fields import Places
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, is_empty
from target_kissmetrics.mapping.rules.values import Values, is_scalar
from target_kissmetrics.mapping.stream import Stream


class SegmentContext:
    """Reads the context of one stream's messages.

    Args:
        stream: The stream.
        places: Where its parts are.
    """

    def __init__(self, stream: Stream, places: Places) -> None:
        settings, columns = stream.settings, stream.fields
        self._path = places.context
        sent = settings.send_ip_and_user_agent
        may_have = bool(self._path) or not columns
        self._address = FirstOf([name for name in places.address if sent and (may_have or name in columns)])
        self._user_agent = FirstOf([name for name in places.user_agent if sent and (may_have or name in columns)])
        self._campaign: list[tuple[str, str, list[tuple[str, str, str]]]] = []
        for part, fields in places.campaign if settings.campaign_properties else ():
            path = f"{self._path}.{part}." if self._path else ""
            chosen = [(field, name, folded(name)) for field, name in fields.items() if path or field in columns]
            self._campaign.append((part, path, chosen))
        self._values = Values(settings)

    def of(self, row: Row, rejections: list[Rejection]) -> Row:
        """Return a message's context; without one, or with an invalid one, the message is sent all the same."""
        return object_or_nothing(row.get(self._path), self._path, rejections) if self._path else row

    def sender(self, context: Row) -> tuple[str | None, str | None]:
        """Return the person's address and user agent, if they are known and may be passed on."""
        if not context:
            return None, None
        address, user_agent = self._address.find(context), self._user_agent.find(context)
        return passable(address[1]) if address else None, passable(user_agent[1]) if user_agent else None

    def add_campaign(self, context: Row, properties: Properties, rejections: list[Rejection]) -> None:
        """Add the campaign's properties to those of an event, unless it has such a property."""
        taken: set[str] | None = None
        for part, path, fields in self._campaign:
            holder = context.get(part) if part else context
            if not isinstance(holder, Mapping):
                continue
            for field, name, folded_name in fields:
                value = holder.get(field)
                if value is None or not is_scalar(value) or is_empty(value):
                    continue
                if taken is None:
                    taken = {folded(name) for name in properties}
                if folded_name in taken:
                    continue
                taken.add(folded_name)
                try:
                    properties[name] = self._values.write(value)
                except Rejected as problem:
                    rejections.append(Rejection.of(problem, f"{path}{field}"))
