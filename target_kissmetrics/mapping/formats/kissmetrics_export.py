"""Kind `kissmetrics`: lines of a Kissmetrics data export or import file, sent again as they stand.

`_p` and `_t` always, `_n` for an event, `_p2` for an alias, `_ip` and `_ua` for a person's address and user agent,
every other name a property; other names that start with `_` are set aside. Texts and numbers stay what they are, and so
do names, but for what Kissmetrics would make of them anyway. Source: support.kissmetrics.io, "Importing data" and
"Exporting data".
"""

from __future__ import annotations

from dataclasses import replace

from target_kissmetrics.kissmetrics.calls import Alias, Record, Set
from target_kissmetrics.mapping.formats.message_parts import event_name, passable
from target_kissmetrics.mapping.reject_codes import RowRejected
from target_kissmetrics.mapping.result import EventSlot, Mapped
from target_kissmetrics.mapping.rules import clock, times
from target_kissmetrics.mapping.rules.call_parts import row_token
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, is_empty
from target_kissmetrics.mapping.rules.identity import People, find_id
from target_kissmetrics.mapping.rules.properties import PropertyMaker
from target_kissmetrics.mapping.stream import Stream

KNOWN = ("_p", "_p2", "_n", "_t", "_ip", "_ua", "_d")
"""`_d` says that `_t` counts, which it always does here."""

_MEND = "mend the line, in its file or with a stream map"


class ExportMapping:
    """Maps the lines of one stream."""

    def __init__(self, stream: Stream) -> None:
        self._people = People(stream.settings, ("_p",), (), in_messages=True)
        self._person = FirstOf(("_p",))
        self._other = FirstOf(("_p2",))
        self._passes_sender = stream.settings.send_ip_and_user_agent
        plain = replace(stream.settings, campaign_properties=False)
        # Without the schema: a text that it calls a date is one that Kissmetrics wrote, and stays.
        self._maker = PropertyMaker(stream.entry, plain, {}, stream.warn)

    def describe(self) -> str:
        """Say which fields were understood as what, in one line."""
        return "lines of an export or import file; person: _p; other identity: _p2; event: _n; time: _t"

    def map(self, row: Row, extracted: object = None) -> Mapped:  # noqa: ARG002 - a line has its own time, or none
        """Give a line's calls.

        Raises:
            RowRejected: No identity, time or name that Kissmetrics would keep.
        """
        mapped = Mapped()
        person = self._identity(self._person, row)
        time = _time(row.get("_t"))
        properties = self._maker.make(row, mapped.asides, used=KNOWN)
        address = user_agent = None
        if self._passes_sender:
            address, user_agent = passable(row.get("_ip")), passable(row.get("_ua"))
        if not is_empty(row.get("_n")):
            record = Record(person, event_name(row["_n"], "_n"), time, properties, address, user_agent)
            mapped.calls.append(record)
            mapped.slots.append(EventSlot(row_token(tuple(properties.items())), may_spread=False))
        elif properties:
            mapped.calls.append(Set(person, time, properties, address, user_agent))
        if not is_empty(row.get("_p2")):
            other = self._identity(self._other, row)
            if other != person:
                mapped.calls.append(Alias(person, other, time))
                mapped.alias_field = "_p2"
        return mapped

    def _identity(self, fields: FirstOf, row: Row) -> str:
        found = find_id(fields, row)
        if found is None:
            raise RowRejected("no-identity", f"no identity in {fields.paths[0]}", fields.paths[0], to_do=_MEND)
        self._people.check(found.text, found.field)
        return found.text


def _time(value: object) -> int:
    if is_empty(value):
        raise RowRejected(
            "no-timestamp", "_t holds no time: a line without one would count as of now", "_t", to_do=_MEND
        )
    try:
        seconds = times.to_seconds(value)
    except (ValueError, OverflowError) as problem:
        raise RowRejected("bad-timestamp", str(problem), "_t", to_do=_MEND) from None
    clock.check(seconds, "_t", in_messages=True)
    return seconds
