"""Kind `mparticle`: a row is a batch of mParticle's, as its Events API and its outbound feeds write it.

    custom_event, screen_view  see `events`
    commerce_event             see `commerce`
    user_attribute_change      set; a deleted attribute is forgotten
    user_attributes, user_identities
                               one set, at the time of the batch's last event. mParticle's reserved attributes lose
                               their `$`; a tag, whose value is null, is `true`
    deleted_user_attributes    Kissmetrics cannot delete: counted, warned of once, and forgotten in the store, so that
                               the attribute is sent again if it comes back
    all other event types      skipped, and counted by type, as are parts of a batch that have no meaning here

An invalid event is rejected alone, with its place in the batch; the rest is sent. Attributes of people are
change-tracked; lists of scalars are joined with ",". Sources: mParticle's "HTTP Events API", "Outbound data feeds: JSON
reference" and "Kissmetrics event integration".
"""

from __future__ import annotations

from collections.abc import Callable

from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.formats.envelope import Envelope
from target_kissmetrics.mapping.formats.message_parts import (
    MESSAGE_ITEM_KEYS,
    MESSAGE_KEYS,
    EventRules,
    Sender,
    check_once,
    list_or_nothing,
    message_maker,
    object_at,
    object_or_nothing,
    passable,
    set_keys,
)
from target_kissmetrics.mapping.formats.mparticle.commerce import Commerce
from target_kissmetrics.mapping.formats.mparticle.events import DATA, MParticleEvents
from target_kissmetrics.mapping.formats.mparticle.identities import IDENTITIES, MParticleIdentities
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Deletion, Mapped, Rejection
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.clock import RowClock
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, is_empty
from target_kissmetrics.mapping.rules.identity import Person
from target_kissmetrics.mapping.rules.row_keys import RowKey
from target_kissmetrics.mapping.stream import Kind, Stream

EVENTS = "events"
TIME = "timestamp_unixtime_ms"
USER_ATTRIBUTES = "user_attributes"
DELETED = "deleted_user_attributes"


FIELDS = (TIME, "ip", "mpid", "mp_deviceid", DELETED)
PARTS = frozenset((*FIELDS, EVENTS, IDENTITIES, USER_ATTRIBUTES, "device_info"))
"""Fields of a batch that a mapping reads."""


def detect(stream: Stream) -> str | None:
    """Recognize batches by `events` beside an identity."""
    events, beside = stream.field_for((EVENTS,)), stream.field_for((IDENTITIES, "device_info", "mpid"))
    return f"it has {events!r} and {beside!r}" if events and beside else None


class _BatchTime:
    """The time of a batch, read when it is needed, and that of its last event so far."""

    def __init__(self, row: Row, extracted: object, clock: RowClock, guess: RowClock) -> None:
        self._row = row
        self._extracted = extracted
        self._clock = clock
        self._guess = guess
        self._own: int | None = None
        self._last: int | None = None

    def own(self) -> int:
        """Return the batch's time."""
        if self._own is None:
            self._own, _ = self._clock.read(self._row, self._extracted)
        return self._own

    def of_event(self, data: Row) -> int:
        """Return an event's time, else the batch's."""
        value = data.get(TIME)
        time = self.own() if is_empty(value) else self._clock.seconds_of(value, f"{DATA}.{TIME}")
        self._last = time if self._last is None else max(time, self._last)
        return time

    def last(self) -> tuple[int, bool]:
        """Return the time of the last event, else the batch's, else a guess; and whether it is one."""
        if self._last is not None:
            return self._last, False
        time, field = self._guess.read(self._row, self._extracted)
        return time, field is None


_Adder = Callable[[Row, Sender, Mapped], None]
_CHANGE = "user_attribute_change"
_TYPES = frozenset({"custom_event", "screen_view", "commerce_event", _CHANGE})


def _adders(stream: Stream) -> dict[str, _Adder]:
    events = MParticleEvents(stream)
    return {
        "custom_event": events.add_custom,
        "screen_view": events.add_screen,
        "commerce_event": Commerce(stream, events).add,
    }


class MParticleMapping:
    """Maps the batches of one stream."""

    def __init__(self, stream: Stream) -> None:
        self._identities = MParticleIdentities(stream.settings)
        self._clock = stream.row_clock(FirstOf((TIME,)), required=True)
        self._guess = stream.row_clock(FirstOf((TIME,)), required=False)
        self._passes_address = stream.settings.send_ip_and_user_agent
        self._warn = stream.warn
        self._warned_of_deletion = False
        check_once(stream)
        self._stream = stream
        self._row_key = RowKey(stream.name, stream.key_properties)
        self._events = EventRules(stream, _adders)
        self._attributes = message_maker(stream, reserved=(folded(stream.settings.revenue_key),))
        self._envelope = Envelope(stream, FIELDS, (EVENTS, IDENTITIES, USER_ATTRIBUTES, "device_info"), rows=(EVENTS,))

    def describe(self) -> str:
        """Return which fields have which role, in one line."""
        return f"batches; person: {self._identities.describe()}; time: each event's {TIME}, else the batch's"

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return a batch's calls."""
        mapped = Mapped()
        batch, row = row, self._envelope.open(row, mapped.rejections)
        mapped.skipped_types += [name for name, part in row.items() if name not in PARTS and _is_filled(part)]
        person, identities = self._identities.identify(row, mapped.rejections)
        address = passable(row.get("ip")) if self._passes_address else None
        time = _BatchTime(row, extracted, self._clock, self._guess)
        for index, event in enumerate(list_or_nothing(row.get(EVENTS), EVENTS, mapped.rejections)):
            before, known = len(mapped.rejections), len(mapped.slots)
            try:
                self._add_event(event, person.identity, address, time, mapped)
            except Rejected as problem:
                mapped.rejections.append(Rejection.of(problem, EVENTS, counts_as_row=True))
            for slot in mapped.slots[known:]:
                slot.place = f"{EVENTS}[{index}]"
            if len(mapped.rejections) > before:
                mapped.rejections[before:] = [_placed(one, index) for one in mapped.rejections[before:]]
        try:
            self._add_attributes(row, person, identities, address, time, mapped)
        except Rejected as problem:
            mapped.rejections.append(Rejection.of(problem, counts_as_row=True))
        set_keys(self._stream, batch, mapped, self._row_key)
        return mapped

    def _add_event(self, event: object, person: str, address: str | None, time: _BatchTime, mapped: Mapped) -> None:
        if event is None:
            raise Rejected("bad-message", "must be an object, not null", EVENTS)
        whole = object_at(event, EVENTS)
        kind = whole.get("event_type")
        if not isinstance(kind, str) or not kind.strip():
            raise Rejected("no-type", "the event has no event_type", f"{EVENTS}.event_type")
        kind = kind if kind in _TYPES else kind.strip().lower()
        data = whole.get("data")
        if kind not in _TYPES:
            mapped.skipped_types.append(str(whole["event_type"]).strip()[:60])
            self._note_time(data, time)
            return
        data = object_at(data, DATA)
        sender = Sender(person, time.of_event(data), address)
        if kind == _CHANGE:
            self._add_change(data, sender, mapped)
        else:
            self._events.add(mapped, lambda adders, to: adders[kind](data, sender, to))

    @staticmethod
    def _note_time(data: object, time: _BatchTime) -> None:
        """Note the time of a skipped event: it may be the batch's last."""
        if isinstance(data, dict) and not is_empty(data.get(TIME)):
            try:
                time.of_event(data)
            except Rejected:
                return

    def _add_change(self, data: Row, sender: Sender, mapped: Mapped) -> None:
        path = f"{DATA}.user_attribute_name"
        name = data.get("user_attribute_name")
        if not isinstance(name, str):
            raise Rejected("no-property-name", "the change names no attribute", path, to_do="fix it at the source")
        if data.get("deleted") is True:
            self._delete(name, sender.person, sender.time, mapped, path)
            return
        rejections: list[Rejection] = []
        changed = {name.removeprefix("$"): data.get("new")}
        properties = self._attributes.make(changed, rejections, under=USER_ATTRIBUTES)
        mapped.rejections += [one._replace(field=f"{DATA}.new") for one in rejections]
        if not properties and not rejections:
            mapped.skipped_types.append("user_attribute_change without a value")
        sender.add_attributes(mapped, properties)

    def _add_attributes(  # noqa: PLR0913, PLR0917 - what a batch says of its person
        self, row: Row, person: Person, identities: Row, address: str | None, time: _BatchTime, mapped: Mapped
    ) -> None:
        rejections = mapped.rejections
        properties = self._attributes.make(identities, rejections, under=IDENTITIES)
        attributes = object_or_nothing(row.get(USER_ATTRIBUTES), USER_ATTRIBUTES, rejections, counts_as_row=True)
        listed = list_or_nothing(row.get(DELETED), DELETED, rejections)
        deleted = [name for name in listed if isinstance(name, str) and name.strip()]
        if not properties and not attributes and not deleted and person.other is None:
            return
        last, mapped.is_undated = time.last()
        taken = {folded(name) for name in properties}
        plain = _plain_attributes(attributes)
        properties |= self._attributes.make(plain, rejections, taken=taken, under=USER_ATTRIBUTES)
        sender = Sender(person.identity, last, address)
        sender.add_attributes(mapped, properties)
        present = {folded(name) for name in properties}
        for name in deleted:
            if folded(names.clean(name.removeprefix("$"))) not in present:
                self._delete(name, person.identity, last, mapped, DELETED)
        sender.add_alias(mapped, person)

    def _delete(self, name: str, person: str, time: int, mapped: Mapped, path: str) -> None:
        try:
            mapped.deletions.append(Deletion(person, names.property_name(name.removeprefix("$")), time))
        except Rejected as problem:
            mapped.rejections.append(Rejection.of(problem, path))
            return
        if not self._warned_of_deletion:
            self._warned_of_deletion = True
            self._warn(
                f"user attribute {name[:80]!r} was deleted at the source, but Kissmetrics cannot delete it: it keeps "
                "the value, and the attribute is sent again if it comes back; further deletions are counted, not logged"
            )


def _plain_attributes(attributes: Row) -> Row:
    """Return user attributes with the names and values that Kissmetrics gets.

    mParticle's own (`$FirstName`) lose their `$`, but for one that is there without it; a tag has no value.
    """
    if not any(value is None or name.startswith("$") for name, value in attributes.items()):
        return attributes
    plain = {name: "true" if value is None else value for name, value in attributes.items() if name[:1] != "$"}
    taken = set(map(folded, plain))
    reserved = ((name[1:], value) for name, value in attributes.items() if name[:1] == "$")
    return {**plain, **{name: value for name, value in reserved if folded(name) not in taken}}


def _is_filled(part: object) -> bool:
    return isinstance(part, (dict, list)) and bool(part)


def _placed(rejection: Rejection, index: int) -> Rejection:
    """Name the event that a part belongs to: `events[3].data` for `events.data`."""
    field = rejection.field or EVENTS
    if field.startswith(EVENTS):
        return rejection._replace(field=f"{EVENTS}[{index}]{field.removeprefix(EVENTS)}")
    return rejection._replace(field=f"{EVENTS}[{index}]", reason=f"{field}: {rejection.reason}")


KIND = Kind("mparticle", MESSAGE_KEYS, detect, MParticleMapping, item_keys=MESSAGE_ITEM_KEYS)
