"""Kind `kissmetrics`: lines of a Kissmetrics data export or import file, sent again unchanged.

`_p` and `_t` are required; `_n` is the name of an event, `_p2` the other identity of an alias, `_ip` and `_ua` the
person's address and user agent. Every other name is a property, unless it starts with `_`. Source:
support.kissmetrics.io, "Importing data" and "Exporting data".
"""

import re
from dataclasses import replace
from functools import lru_cache

from target_kissmetrics.kissmetrics.calls import Alias, Set
from target_kissmetrics.mapping.formats.message_parts import Sender, event_name, message_maker, passable
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.fields import MAX_NAME_SETS, FirstOf, Row, is_empty
from target_kissmetrics.mapping.rules.identity import IdentityRule
from target_kissmetrics.mapping.rules.tracking_plan import TrackingPlan
from target_kissmetrics.mapping.stream import Kind, Stream

_NO_PROPERTIES = ("_p", "_p2", "_n", "_t", "_ip", "_ua", "_d", "_c", "_u", "_server_timestamp", "_k")
"""The parts of a call, and what Kissmetrics and its clients add: `_d` says that `_t` counts, as it always does here."""

_OCTAL = re.compile(r"(?:\\[23][0-7]{2})+")  # bytes past ASCII, as some exports write UTF-8: `\302\243` is a pound sign
_PERSON, _OTHER = FirstOf(("_p",)), FirstOf(("_p2",))


def detect(stream: Stream) -> str | None:
    """Recognize lines by `_p` and `_t`, which a warehouse may return in capitals."""
    marks = [name for name in stream.fields if name.lower() in {"_p", "_t"}]
    return f"it has {marks[0]!r} and {marks[1]!r}" if len(marks) == 2 else None


class ExportMapping:
    """Maps the lines of one stream."""

    def __init__(self, stream: Stream) -> None:
        self._identity = IdentityRule(stream.settings, _PERSON, FirstOf(()))
        self._clock = stream.row_clock(FirstOf(("_t",)), required=True)
        self._plan = TrackingPlan(stream.settings)
        self._passes_sender = stream.settings.send_ip_and_user_agent
        # Without the schema: a text that it calls a date was written by Kissmetrics, and stays.
        self._maker = message_maker(replace(stream, schema={}))

    def describe(self) -> str:
        """Return which fields have which role, in one line."""
        return "lines of an export or import file; person: _p; other identity: _p2; event: _n; time: _t"

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return a line's calls."""
        mapped = Mapped()
        row = _decoded(row)
        person = self._identity.require(row, _PERSON)
        time, _ = self._clock.read(row, extracted)
        properties = self._maker.make(row, mapped.rejections, used=_NO_PROPERTIES)
        address, user_agent = (row.get("_ip"), row.get("_ua")) if self._passes_sender else (None, None)
        sender = Sender(person, time, passable(address), passable(user_agent))
        if not is_empty(row.get("_n")):
            name = event_name(row["_n"], "_n")
            self._plan.check_event(name, "_n")
            sender.add_event(mapped, name, properties)
        elif properties:
            mapped.calls.append(Set(person, time, properties, sender.address, sender.user_agent))
        if not is_empty(row.get("_p2")):
            other = self._identity.require(row, _OTHER)
            if other != person:
                mapped.calls.append(Alias(person, other, time))
                mapped.alias_field = "_p2"
        return mapped


def _decoded(row: Row) -> Row:
    """Return a line with its known names in lower case, and the letters that octal escapes stand for."""
    capitals = _in_capitals(tuple(row))
    if capitals:
        row = {capitals.get(name, name): value for name, value in row.items()}
    escaped = [name for name, value in row.items() if "\\" in name or (isinstance(value, str) and "\\" in value)]
    if not escaped:
        return row
    return {
        _OCTAL.sub(_letters, name): _OCTAL.sub(_letters, value) if isinstance(value, str) else value
        for name, value in row.items()
    }


@lru_cache(MAX_NAME_SETS)
def _in_capitals(names: tuple[str, ...]) -> dict[str, str]:
    return {name: name.lower() for name in names if name not in _NO_PROPERTIES and name.lower() in _NO_PROPERTIES}


def _letters(escapes: re.Match[str]) -> str:
    try:
        return bytes(int(digits, 8) for digits in escapes[0].split("\\")[1:]).decode()
    except UnicodeDecodeError:
        return escapes[0]


KIND = Kind("kissmetrics", keys=frozenset(), detect=detect, mapping=ExportMapping)
