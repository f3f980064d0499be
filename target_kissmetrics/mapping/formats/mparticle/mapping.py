"""Kind `mparticle`: a row is a batch of mParticle's, as its Events API and its outbound feeds write it.

    custom_event, screen_view, commerce_event
                               see `events`
    user_attribute_change      set; a deleted attribute is forgotten
    user_attributes, user_identities
                               one set, at the time of the batch's last event. mParticle's reserved attributes lose
                               their `$`; a tag, whose value is null, is `true`
    deleted_user_attributes    Kissmetrics cannot delete: counted, warned of once, and forgotten in the store, so that
                               the attribute is sent again if it comes back
    all other event types      skipped, and counted by type, as are parts of a batch that have no meaning here

An invalid event is rejected alone, with its place in the batch; the rest is sent. Attributes of people are
change-tracked; lists of scalars are joined with ",". Sources: mParticle's "HTTP Events API" (`user_identities` is an
object), "Outbound data feeds: JSON reference" (a list of `{identity_type, identity}`), "Kissmetrics event integration",
and "IDSync: supported identities" for the names.
"""

from contextlib import suppress
from typing import Any, NamedTuple

from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.formats import message_parts as parts
from target_kissmetrics.mapping.formats.envelope import Envelope
from target_kissmetrics.mapping.formats.message_parts import EventRules, Sender
from target_kissmetrics.mapping.formats.mparticle.events import DATA, MParticleEvents
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Deletion, Mapped, Rejection
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import FirstOf, Row, is_empty
from target_kissmetrics.mapping.rules.identity import IdentityRule, Person
from target_kissmetrics.mapping.stream import Kind, Stream

_EVENTS = "events"
_TIME = "timestamp_unixtime_ms"
_USER_ATTRIBUTES = "user_attributes"
_DELETED = "deleted_user_attributes"
_IDENTITIES = "user_identities"
_CUSTOMER_ID = f"{_IDENTITIES}.customer_id"
_DEVICE_IDS = (
    "mp_deviceid", "device_info.android_uuid", "device_info.ios_idfv", "device_info.ios_advertising_id",
    "device_info.android_advertising_id", "device_info.roku_publisher_id", "mpid",
)  # fmt: skip

_FIELDS = (_TIME, "ip", "mpid", "mp_deviceid", _DELETED)
_CONTAINERS: dict[str, tuple[str, ...]] = {_EVENTS: (), _IDENTITIES: (), _USER_ATTRIBUTES: (), "device_info": ()}
_PARTS = frozenset((*_FIELDS, *_CONTAINERS))

_CHANGE = "user_attribute_change"
_TYPES = frozenset({"custom_event", "screen_view", "commerce_event", _CHANGE})

_IDENTITY_NAMES = {
    "email": "Email", "facebook": "Facebook", "facebookcustomaudienceid": "Facebook Custom Audience ID",
    "google": "Google", "microsoft": "Microsoft", "mobilenumber": "Mobile Number", "other": "Other",
    "phonenumber2": "Phone Number 2", "phonenumber3": "Phone Number 3", "twitter": "Twitter", "yahoo": "Yahoo",
    **{f"other{number}": f"Other {number}" for number in range(2, 11)},
    **{f"otherid{number}": f"Other {number}" for number in range(2, 11)},
}  # fmt: skip
_WITHOUT_SEPARATORS = str.maketrans("", "", "_- ")


def detect(stream: Stream) -> str | None:
    """Recognize batches by `events` beside an identity."""
    events, beside = stream.field_for((_EVENTS,)), stream.field_for((_IDENTITIES, "device_info", "mpid"))
    return f"it has {events!r} and {beside!r}" if events and beside else None


class _Batch(NamedTuple):
    """A batch, who it is about, and the times of its events so far."""

    row: Row
    extracted: object
    person: Person
    address: str | None
    times: list[int]


class MParticleMapping:
    """Maps the batches of one stream."""

    def __init__(self, stream: Stream) -> None:
        self._identity = IdentityRule(stream.settings, FirstOf((_CUSTOMER_ID,)), FirstOf(_DEVICE_IDS))
        self._clock = stream.row_clock(FirstOf((_TIME,)), required=True)
        self._guess = stream.row_clock(FirstOf((_TIME,)), required=False)
        self._passes_address = stream.settings.send_ip_and_user_agent
        self._warn = stream.warn
        self._warned_of_deletion = False
        self._events = EventRules(stream, lambda of: MParticleEvents(of).handlers)
        self._attributes = parts.message_maker(stream)
        self._envelope = Envelope(stream, _FIELDS, _CONTAINERS, rows=(_EVENTS,))

    def describe(self) -> str:
        """Return which fields have which role, in one line."""
        return f"batches; person: {self._identity.describe()}; time: each event's {_TIME}, else the batch's"

    def map(self, row: Row, extracted: object = None) -> Mapped:
        """Return a batch's calls."""
        mapped = Mapped()
        rejections = mapped.rejections
        whole = self._envelope.open(row, rejections)
        others = {name: part for name, part in whole.items() if name not in _PARTS}
        mapped.skipped_types += [name for name, part in others.items() if part and isinstance(part, (dict, list))]
        customer_id, identities = _identities(whole.get(_IDENTITIES), rejections)
        person = self._identity.identify({**whole, _CUSTOMER_ID: customer_id})
        address = parts.passable(whole.get("ip")) if self._passes_address else None
        batch = _Batch(whole, extracted, person, address, [])
        for index, event in enumerate(parts.list_or_nothing(whole.get(_EVENTS), _EVENTS, rejections)):
            before, known = len(rejections), len(mapped.slots)
            try:
                self._add_event(event, batch, mapped)
            except Rejected as problem:
                rejections.append(Rejection.of(problem, _EVENTS, counts_as_row=True))
            for slot in mapped.slots[known:]:
                slot.place = f"{_EVENTS}[{index}]"
            if len(rejections) > before:
                rejections[before:] = [_placed(one, index) for one in rejections[before:]]
        try:
            self._add_attributes(batch, identities, mapped)
        except Rejected as problem:
            rejections.append(Rejection.of(problem, counts_as_row=True))
        self._events.set_keys(row, mapped)
        return mapped

    def _add_event(self, event: object, batch: _Batch, mapped: Mapped) -> None:
        if event is None:
            raise parts.not_expected("an object", event, _EVENTS)
        whole = parts.object_at(event, _EVENTS)
        kind, data = whole.get("event_type"), whole.get("data")
        if not isinstance(kind, str) or not kind.strip():
            raise Rejected("no-type", "the event has no event_type", f"{_EVENTS}.event_type")
        known = kind.strip().lower()
        if known not in _TYPES:
            mapped.skipped_types.append(kind.strip()[:60])
            # It may be the batch's last event all the same.
            if isinstance(data, dict) and not is_empty(data.get(_TIME)):
                with suppress(Rejected):
                    self._time_of(data, batch)
            return
        data = parts.object_at(data, DATA)
        sender = Sender(batch.person.identity, self._time_of(data, batch), batch.address)
        if known == _CHANGE:
            self._add_change(data, sender, mapped)
        else:
            self._events.add(known, data, sender, mapped)

    def _time_of(self, data: Row, batch: _Batch) -> int:
        """Return an event's time, else the batch's."""
        value = data.get(_TIME)
        if is_empty(value):
            time, _ = self._clock.read(batch.row, batch.extracted)
        else:
            time = self._clock.seconds_of(value, f"{DATA}.{_TIME}")
        batch.times.append(time)
        return time

    def _add_change(self, data: Row, sender: Sender, mapped: Mapped) -> None:
        path = f"{DATA}.user_attribute_name"
        name = data.get("user_attribute_name")
        if not isinstance(name, str):
            raise Rejected("no-property-name", "the change names no attribute", path, to_do="fix it at the source")
        if data.get("deleted") is True:
            self._delete(name, sender, mapped, path)
            return
        rejections: list[Rejection] = []
        changed = {name.removeprefix("$"): data.get("new")}
        properties = self._attributes.make(changed, rejections, under=_USER_ATTRIBUTES)
        mapped.rejections += [one._replace(field=f"{DATA}.new") for one in rejections]
        if not properties and not rejections:
            mapped.skipped_types.append("user_attribute_change without a value")
        mapped.add_attributes(sender.person, sender.time, properties, sender.address)

    def _add_attributes(self, batch: _Batch, identities: Row, mapped: Mapped) -> None:
        """Add what a batch says of its person, at the time of its last event, else at the batch's, else at a guess."""
        row, rejections = batch.row, mapped.rejections
        properties = self._attributes.make(identities, rejections, under=_IDENTITIES)
        given = row.get(_USER_ATTRIBUTES)
        attributes = parts.object_or_nothing(given, _USER_ATTRIBUTES, rejections, counts_as_row=True)
        listed = parts.list_or_nothing(row.get(_DELETED), _DELETED, rejections)
        deleted = [name for name in listed if isinstance(name, str) and name.strip()]
        if not properties and not attributes and not deleted and batch.person.other is None:
            return
        if batch.times:
            last = max(batch.times)
        else:
            last, field = self._guess.read(row, batch.extracted)
            mapped.is_undated = field is None
        taken = {folded(name) for name in properties}
        plain = _plain_attributes(attributes)
        properties |= self._attributes.make(plain, rejections, taken=taken, under=_USER_ATTRIBUTES)
        sender = Sender(batch.person.identity, last, batch.address)
        mapped.add_attributes(sender.person, last, properties, batch.address)
        present = {folded(name) for name in properties}
        for name in deleted:
            if folded(names.clean(name.removeprefix("$"))) not in present:
                self._delete(name, sender, mapped, _DELETED)
        mapped.add_alias(batch.person, last, batch.address)

    def _delete(self, name: str, sender: Sender, mapped: Mapped, path: str) -> None:
        try:
            mapped.deletions.append(Deletion(sender.person, names.property_name(name.removeprefix("$")), sender.time))
        except Rejected as problem:
            mapped.rejections.append(Rejection.of(problem, path))
            return
        if not self._warned_of_deletion:
            self._warned_of_deletion = True
            self._warn(
                f"user attribute {name[:80]!r} was deleted at the source, but Kissmetrics cannot delete it: it keeps "
                "the value, and the attribute is sent again if it comes back; further deletions are counted, not logged"
            )


def _identities(value: object, rejections: list[Rejection]) -> tuple[object, dict[str, Any]]:
    """Return the customer ID, and the identities that Kissmetrics does not know, as attributes: name -> value."""
    if isinstance(value, list):
        items = parts.objects_in(value, _IDENTITIES, rejections)
        found = [(item.get("identity_type"), item.get("identity")) for item in items]
    else:
        found = list(parts.object_or_nothing(value, _IDENTITIES, rejections).items())
    customer_id = None
    others: dict[str, Any] = {}
    for kind, identity in found:
        if not isinstance(kind, str) or is_empty(identity):
            continue
        plain = kind.translate(_WITHOUT_SEPARATORS).lower()
        if plain in {"customerid", "customer"}:
            customer_id = identity if customer_id is None else customer_id
        elif plain:
            others.setdefault(_IDENTITY_NAMES.get(plain) or " ".join(kind.replace("_", " ").split()).title(), identity)
    return customer_id, others


def _plain_attributes(attributes: Row) -> Row:
    """Return user attributes with the names and values that Kissmetrics gets.

    mParticle's own (`$FirstName`) lose their `$`, but for one that is there without it; a tag has no value.
    """
    if not any(value is None or name.startswith("$") for name, value in attributes.items()):
        return attributes
    plain = {name: "true" if value is None else value for name, value in attributes.items() if name[:1] != "$"}
    taken = set(map(folded, plain))
    reserved = ((name[1:], value) for name, value in attributes.items() if name[:1] == "$")
    return plain | {name: value for name, value in reserved if folded(name) not in taken}


def _placed(rejection: Rejection, index: int) -> Rejection:
    """Name the event that a part belongs to: `events[3].data` for `events.data`."""
    field = rejection.field or _EVENTS
    if field.startswith(_EVENTS):
        return rejection._replace(field=f"{_EVENTS}[{index}]{field.removeprefix(_EVENTS)}")
    return rejection._replace(field=f"{_EVENTS}[{index}]", reason=f"{field}: {rejection.reason}")


KIND = Kind("mparticle", parts.MESSAGE_KEYS, detect, MParticleMapping, item_keys=parts.MESSAGE_ITEM_KEYS)
