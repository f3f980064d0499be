"""Kind `mparticle`: a row is a batch of mParticle's, as its Events API and its outbound feeds write it.

    custom_event            record `event_name` with its attributes; "Purchased" for `LogEcommerceTransaction`
    screen_view             record `screen_name` with its attributes
    commerce_event          see `mparticle_commerce`
    user_attribute_change   set; where the attribute is deleted, it is forgotten
    user_attributes, user_identities
                            one set at the time of the batch's last event
    deleted_user_attributes Kissmetrics can delete nothing: counted, told once, and forgotten in the memory, so that the
                            attribute is sent again when it comes back
    all other event types   left out, and counted by type

An event that cannot be read is rejected alone, with its place in the batch; the rest is sent. Attributes of people are
change-tracked; lists of scalars are joined with ",". Sources: mParticle's "HTTP Events API", "Outbound data feeds:
JSON reference" and "Kissmetrics event integration".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from target_kissmetrics.kissmetrics.calls import Alias, Record, Set
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.formats.message_parts import (
    MEND,
    as_aside,
    event_name,
    list_at,
    object_at,
    passable,
)
from target_kissmetrics.mapping.formats.mparticle.commerce import Commerce
from target_kissmetrics.mapping.formats.mparticle.events import (
    DATA,
    ECOMMERCE_TRANSACTION,
    PURCHASED,
    EventParts,
    Moment,
)
from target_kissmetrics.mapping.formats.mparticle.identities import IDENTITIES, MParticlePeople
from target_kissmetrics.mapping.reject_codes import RowRejected
from target_kissmetrics.mapping.result import Aside, Deletion, Mapped
from target_kissmetrics.mapping.rules import clock, names, times
from target_kissmetrics.mapping.rules.clock import RowClock
from target_kissmetrics.mapping.rules.fields import Row, is_empty
from target_kissmetrics.mapping.rules.identity import Person
from target_kissmetrics.mapping.rules.names import NameProblem
from target_kissmetrics.mapping.stream import Stream

EVENTS = "events"
TIME = "timestamp_unixtime_ms"
USER_ATTRIBUTES = "user_attributes"
DELETED = "deleted_user_attributes"


@dataclass(slots=True)
class _Batch:
    """A batch, while it is read.

    Attributes:
        row: As it came.
        extracted: The message's `time_extracted`, or None.
        person: Whom it is about.
        address: The person's, if it may be passed on.
        time: Its own, once it was needed.
        last: The time of its last event so far.
    """

    row: Row
    extracted: object
    person: Person
    address: str | None
    time: int | None = None
    last: int | None = None


class MParticleMapping:
    """Maps the batches of one stream."""

    def __init__(self, stream: Stream) -> None:
        self._people = MParticlePeople(stream.settings)
        self._clock = RowClock((TIME,), required=False, now=stream.now, in_messages=True)
        self._passes_address = stream.settings.send_ip_and_user_agent
        self._warn = stream.warn
        self._told_deletion = False
        self._parts = EventParts(stream)
        commerce = Commerce(stream, self._parts)
        self._types: dict[str, Callable[[Row, Moment, Mapped], None]] = {
            "custom_event": self._add_custom,
            "screen_view": self._add_screen,
            "commerce_event": commerce.add,
            "user_attribute_change": self._add_change,
        }
        entry = replace(stream.entry, exclude=(f"{USER_ATTRIBUTES}.$*",))
        self._attributes = self._parts.maker_of(replace(stream, entry=entry))

    def describe(self) -> str:
        """Say which fields were understood as what, in one line."""
        return f"batches; person: {self._people.describe()}; time: each event's {TIME}, else the batch's"

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Give a batch's calls.

        Raises:
            RowRejected: No identity that Kissmetrics would keep.
        """
        mapped = Mapped()
        person, identities = self._people.identify(row, mapped.asides)
        address = passable(row.get("ip")) if self._passes_address else None
        batch = _Batch(row, extracted, person, address)
        self._add_events(batch, mapped)
        try:
            self._add_attributes(batch, identities, mapped)
        except RowRejected as problem:
            mapped.asides.append(as_aside(problem))
        return mapped

    # Events

    def _add_events(self, batch: _Batch, mapped: Mapped) -> None:
        try:
            events = list_at(batch.row.get(EVENTS), EVENTS)
        except RowRejected as problem:
            mapped.asides.append(as_aside(problem))
            return
        for index, event in enumerate(events):
            before = len(mapped.asides)
            try:
                self._add_event(event, batch, mapped)
            except RowRejected as problem:
                mapped.asides.append(as_aside(problem, EVENTS))
            if len(mapped.asides) > before:
                mapped.asides[before:] = [_placed(aside, index) for aside in mapped.asides[before:]]

    def _add_event(self, event: object, batch: _Batch, mapped: Mapped) -> None:
        whole = object_at(event, EVENTS) if event is not None else None
        if whole is None:
            raise RowRejected("bad-message", "null stands where an event belongs", EVENTS)
        kind = whole.get("event_type")
        if not isinstance(kind, str) or not kind.strip():
            raise RowRejected("no-type", "the event has no event_type", f"{EVENTS}.event_type")
        add = self._types.get(kind) or self._types.get(kind.strip().lower())
        data = whole.get("data")
        if add is None:
            mapped.left_out.append(kind.strip()[:60])
            self._pass_over(data, batch)
            return
        data = object_at(data, DATA)
        time = self._time(data, batch)
        told = data.get("event_id")
        add(data, Moment(batch.person.identity, time, batch.address, told), mapped)

    def _time(self, data: Row, batch: _Batch) -> int:
        """Give an event's time, else its batch's."""
        value = data.get(TIME)
        time = self._batch_time(batch) if is_empty(value) else _seconds(value, f"{DATA}.{TIME}")
        if batch.last is None or time > batch.last:
            batch.last = time
        return time

    def _pass_over(self, data: object, batch: _Batch) -> None:
        """Take the time of an event that is left out: it may be the batch's last."""
        if isinstance(data, dict) and not is_empty(data.get(TIME)):
            try:
                self._time(data, batch)
            except RowRejected:
                return

    def _batch_time(self, batch: _Batch) -> int:
        if batch.time is None:
            batch.time, _ = self._clock.read(batch.row, batch.extracted)
        return batch.time

    def _add_custom(self, data: Row, moment: Moment, mapped: Mapped) -> None:
        attributes = self._parts.attributes_of(data)
        if attributes.get("$MethodName") == ECOMMERCE_TRANSACTION and "$Amount" in attributes:
            event = PURCHASED
        else:
            event = event_name(data.get("event_name"), f"{DATA}.event_name")
        self._record(event, attributes, moment, mapped)

    def _add_screen(self, data: Row, moment: Moment, mapped: Mapped) -> None:
        event = event_name(data.get("screen_name"), f"{DATA}.screen_name")
        self._record(event, self._parts.attributes_of(data), moment, mapped)

    def _record(self, event: str, attributes: Row, moment: Moment, mapped: Mapped) -> None:
        amount = self._parts.amount_of(attributes, mapped.asides)
        properties = self._parts.properties_of(attributes, mapped.asides, amount=amount)
        record = Record(moment.person, event, moment.time, properties, moment.address)
        self._parts.add_record(mapped, record, moment, amount=amount)

    def _add_change(self, data: Row, moment: Moment, mapped: Mapped) -> None:
        path = f"{DATA}.user_attribute_name"
        name = data.get("user_attribute_name")
        if not isinstance(name, str):
            raise RowRejected("no-property-name", "the change names no attribute", path, to_do="mend it at the source")
        if data.get("deleted") is True:
            self._delete(name, moment.person, moment.time, mapped, path)
            return
        asides: list[Aside] = []
        properties = self._attributes.make({name: data.get("new")}, asides, under=USER_ATTRIBUTES)
        mapped.asides.extend(aside._replace(field=f"{DATA}.new") for aside in asides)
        if properties:
            mapped.calls.append(Set(moment.person, moment.time, properties, moment.address, distinct=True))

    # What a batch says of its person

    def _add_attributes(self, batch: _Batch, identities: Row, mapped: Mapped) -> None:
        person = batch.person
        properties = self._attributes.make(identities, mapped.asides, under=IDENTITIES)
        attributes = self._user_attributes(batch, mapped)
        deleted = self._deleted(batch, mapped)
        if not properties and not attributes and not deleted and person.other is None:
            return
        time = batch.last if batch.last is not None else self._batch_time(batch)
        taken = {folded(name) for name in properties}
        properties |= self._attributes.make(attributes, mapped.asides, taken=taken, under=USER_ATTRIBUTES)
        if properties:
            mapped.calls.append(Set(person.identity, time, properties, batch.address, distinct=True))
        there = {folded(name) for name in properties}
        for name in deleted:
            if folded(names.clean(name)) not in there:
                self._delete(name, person.identity, time, mapped, DELETED)
        if person.other is not None:
            mapped.calls.append(Alias(person.identity, person.other, time))
            mapped.alias_field = person.other_field

    @staticmethod
    def _user_attributes(batch: _Batch, mapped: Mapped) -> Row:
        try:
            return object_at(batch.row.get(USER_ATTRIBUTES), USER_ATTRIBUTES)
        except RowRejected as problem:
            mapped.asides.append(as_aside(problem))
            return {}

    @staticmethod
    def _deleted(batch: _Batch, mapped: Mapped) -> list[str]:
        try:
            found = list_at(batch.row.get(DELETED), DELETED)
        except RowRejected as problem:
            mapped.asides.append(as_aside(problem))
            return []
        return [name for name in found if isinstance(name, str) and name.strip()]

    def _delete(self, name: str, person: str, time: int, mapped: Mapped, path: str) -> None:
        if name.startswith("$"):
            return
        try:
            mapped.deletions.append(Deletion(person, names.property_name(name), time))
        except NameProblem as problem:
            mapped.asides.append(Aside.of(problem, path))
            return
        if not self._told_deletion:
            self._told_deletion = True
            self._warn(
                f"user attribute {name[:80]!r} was deleted at the source, which Kissmetrics cannot do: the value stays "
                "there, and the attribute is sent again when it comes back; told once, all such are counted"
            )


def _seconds(value: object, path: str) -> int:
    try:
        seconds = times.to_seconds(value)
    except (ValueError, OverflowError) as problem:
        raise RowRejected("bad-timestamp", str(problem), path, to_do=MEND) from None
    clock.check(seconds, path, in_messages=True)
    return seconds


def _placed(aside: Aside, index: int) -> Aside:
    """Name the event that a part belongs to: `events[3].data` for `events.data`."""
    field = aside.field or EVENTS
    if field.startswith(EVENTS):
        return aside._replace(field=f"{EVENTS}[{index}]{field.removeprefix(EVENTS)}")
    return aside._replace(field=f"{EVENTS}[{index}]", reason=f"{field}: {aside.reason}")
