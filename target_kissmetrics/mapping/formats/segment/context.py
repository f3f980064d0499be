"""What a Segment or RudderStack message says beside its own matter: the person's address, user agent and campaign."""

from __future__ import annotations

from collections.abc import Mapping

from target_kissmetrics.kissmetrics.calls import Properties
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.formats.message_parts import object_at, passable
from target_kissmetrics.mapping.formats.segment.fields import Places
from target_kissmetrics.mapping.reject_codes import RowRejected
from target_kissmetrics.mapping.result import Aside
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, is_empty
from target_kissmetrics.mapping.rules.values import ValueProblem, Values, is_scalar
from target_kissmetrics.mapping.stream import Stream


class SegmentContext:
    """Reads the context of one stream's messages.

    Args:
        stream: The stream.
        places: Where things are.
    """

    def __init__(self, stream: Stream, places: Places) -> None:
        settings = stream.settings
        self._path = places.context
        known = stream.fields
        present = [name for name in (*places.address, *places.user_agent) if self._path or not known or name in known]
        sent = settings.send_ip_and_user_agent
        self._address = FirstOf([name for name in places.address if sent and name in present])
        self._user_agent = FirstOf([name for name in places.user_agent if sent and name in present])
        self._campaign: list[tuple[str, str, list[tuple[str, str, str]]]] = []
        for part, fields in places.campaign if settings.campaign_properties else ():
            path = f"{self._path}.{part}".strip(".")
            chosen = [(name, wanted, folded(wanted)) for name, wanted in fields.items() if path or name in known]
            if chosen:
                self._campaign.append((part, f"{path}." if path else "", chosen))
        self._values = Values(settings.datetime_format)

    def of(self, row: Row, asides: list[Aside]) -> Row:
        """Give a message's context. One that is no object is set aside: the message can do without."""
        if not self._path:
            return row
        try:
            return object_at(row.get(self._path), self._path)
        except RowRejected as problem:
            asides.append(Aside.of(problem, problem.field))
            return {}

    def sender(self, context: Row) -> tuple[str | None, str | None]:
        """Give the person's address and user agent, as far as they are known and may be passed on."""
        if not context:
            return None, None
        address, user_agent = self._address.find(context), self._user_agent.find(context)
        return passable(address[1]) if address else None, passable(user_agent[1]) if user_agent else None

    def add_campaign(self, context: Row, properties: Properties, asides: list[Aside]) -> None:
        """Add the campaign's properties to those of an event, which come first."""
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
                if folded_name not in taken:
                    taken.add(folded_name)
                    self._add(name, value, f"{path}{field}", properties, asides)

    def _add(self, name: str, value: object, path: str, properties: Properties, asides: list[Aside]) -> None:
        try:
            properties[name] = self._values.write(value)
        except ValueProblem as problem:
            asides.append(Aside.of(problem, path))
