"""The likeliest entry of `streams` for a stream, with the reasons for it.

A suggestion is for a person to read before anything is sent: Kissmetrics can delete nothing. Each one is accepted by
the target's own reader of entries and by the mapping; what cannot be made to work is suggested as `kind: ignore`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from target_kissmetrics.config.stream_entries import read_entry
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.detection import Detected, detect, resolve
from target_kissmetrics.mapping.kinds.event import EVENT_NAME_CANDIDATES
from target_kissmetrics.mapping.kinds.user_attributes import named_for_people
from target_kissmetrics.mapping.registry import FLAT_KINDS
from target_kissmetrics.mapping.rules.clock import ATTRIBUTE_TIME_CANDIDATES, EVENT_TIME_CANDIDATES
from target_kissmetrics.mapping.settings import StreamSettings
from target_kissmetrics.mapping.stream import Stream
from target_kissmetrics.preview import advice, roles
from target_kissmetrics.preview.profile import Profile
from target_kissmetrics.preview.words import stream_words, title, words

MAX_KEYS_DROPPED = 20
_VALUES_TOLD = 4
_NAMES_TOLD = 6
_NOT_IGNORED = "and take kind: ignore out"
_SEARCHED = frozenset({"event", "user_attributes", "experiment"})
"""Kinds whose people and times are searched where their own rules find none."""

_BOUGHT = frozenset({"order", "purchase", "sale", "transaction", "checkout"})
_REFUNDED = frozenset({"refund", "return", "chargeback"})
_HAPPENED: dict[str, str] = {
    **dict.fromkeys(_BOUGHT, "Purchased"),
    **dict.fromkeys(_REFUNDED, "Refunded"),
    "payment": "Paid",
    "charge": "Paid",
    "invoice": "Invoiced",
    "donation": "Donated",
    "subscription": "Subscribed",
    "signup": "Signed Up",
    "registration": "Signed Up",
    "login": "Logged In",
    "session": "Started Session",
    "visit": "Visited Site",
    "pageview": "Viewed Page",
    "view": "Viewed Page",
    "click": "Clicked",
    "download": "Downloaded",
    "booking": "Booked",
    "reservation": "Booked",
    "appointment": "Booked Appointment",
    "review": "Reviewed",
    "comment": "Commented",
    "ticket": "Opened Ticket",
    "search": "Searched",
    "trial": "Started Trial",
    "shipment": "Was Shipped To",
    "message": "Sent Message",
}
_SECOND_MONEY = frozenset({"payment", "charge", "invoice", "subscription"})
_CRM = frozenset({"contact", "lead", "prospect", "person"})
_DONE = {
    "completion": "completed", "submission": "submitted", "cancellation": "cancelled", "enrollment": "enrolled",
    "conversion": "converted", "installation": "installed", "activation": "activated", "renewal": "renewed",
    "creation": "created", "delivery": "delivered", "subscription": "subscribed", "upload": "uploaded",
}  # fmt: skip
"""Nouns of what was done, and what it is as the last word of an event's name."""
_LOGS = frozenset({"event", "activity", "action", "log", "history", "track", "interaction", "page"})
_ASSIGNED = frozenset({"assignment", "experiment", "exposure", "enrollment", "variant", "test", "allocation"})
_ALIASES = frozenset({"alias", "merge", "identity", "link", "mapping", "map", "stitch"})
_LOOKUPS = frozenset(
    {
        "country", "currency", "category", "product", "plan", "setting", "role", "tag", "status", "type", "migration",
        "language", "region", "sku", "price", "tax", "permission", "department", "store", "warehouse", "coupon",
        "feature", "config", "template", "article", "lookup", "version", "rate", "channel", "campaign", "brand",
    }
)  # fmt: skip


@dataclass(slots=True)
class Suggestion:
    """An entry of `streams`, and why it is as it is.

    Attributes:
        entry: As it would stand in a config.
        why: Lines for a person.
        settles: The run would stop at the stream without this entry.
        used_id: By what the preview named people, where the entry names them by another ID; empty otherwise.
    """

    entry: dict[str, Any]
    why: list[str] = field(default_factory=list)
    settles: bool = False
    used_id: str = ""


def suggest(stream: Stream, profile: Profile, given: Mapping[str, Any]) -> Suggestion:
    """Suggest an entry for a stream whose kind is not plain, or whose entry has a mistake.

    Args:
        stream: The stream.
        profile: What its fields hold.
        given: The entry it has, as it stands in the config; empty when it has none. What it says stays, where it can.
    """
    base = _base(given)
    if "kind" not in base:
        messages = _messages(stream)
        if messages is not None:
            return messages
    dropped, made, problem = _tried(stream, profile, base)
    if made is not None:
        return Suggestion(made.entry, [*dropped, *made.why], settles=True)
    return Suggestion(
        {"stream": stream.name, "kind": "ignore"},
        [*dropped, f"left out: {_told(problem)}, {_NOT_IGNORED}" if problem else "left out"],
        settles=True,
    )


def is_taken(stream: Stream, entry: Mapping[str, Any]) -> bool:
    """Tell whether the target takes an entry for a stream."""
    return _problem(stream, entry) is None


def _base(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value is not None and key != "stream"}


def _tried(
    stream: Stream, profile: Profile, base: dict[str, Any], *, decided: bool = False
) -> tuple[list[str], Suggestion | None, ConfigError | None]:
    """Guess until the target takes the entry, each time without what it did not take of the one given."""
    dropped: list[str] = []
    problem = None
    for _ in range(MAX_KEYS_DROPPED):
        guess = _Guess(stream, profile, base, decided=decided)
        guess.make()
        made = Suggestion({"stream": stream.name, **guess.entry}, guess.why)
        problem = _problem(stream, made.entry)
        if problem is None:
            return dropped, made, None
        key = problem.setting.rpartition(".")[2]
        if key not in base or key == "kind":
            break
        del base[key]
        dropped.append(f"without {key}: {_told(problem)}")
    return dropped, None, problem


def _messages(stream: Stream) -> Suggestion | None:
    """Suggest what is right for a message format: its own kind, or nothing, but never a guess from its columns."""
    try:
        kind, why = detect(replace(stream, entry=StreamSettings(stream=stream.name)))
    except ConfigError:
        return None
    if kind in FLAT_KINDS:
        return None
    entry = {"stream": stream.name, "kind": kind}
    problem = _problem(stream, entry)
    if problem is None:
        return Suggestion(entry, [why], settles=True)
    return Suggestion({**entry, "kind": "ignore"}, [f"{_told(problem)}, {_NOT_IGNORED}"], settles=True)


def confirm(
    stream: Stream, profile: Profile, decided: Detected, given: Mapping[str, Any], *, collisions: int
) -> Suggestion:
    """Write down what was decided from the schema, so that another column does not change it.

    Whom and when the kind's own rules find stays as it is; what they do not find is searched as for any other stream.

    Args:
        stream: The stream.
        profile: What its fields hold.
        decided: Its kind, and why.
        given: The entry it has, without a kind; empty when it has none.
        collisions: Its events that share person, name and second with another row's.
    """
    reason = f"as decided from its schema: {decided.why}"
    plain = Suggestion({"stream": stream.name, "kind": decided.kind}, [reason])
    if decided.kind not in _SEARCHED:
        made: Suggestion | None = Suggestion({**plain.entry, **_base(given)}, [])
        dropped: list[str] = []
    else:
        dropped, made, _ = _tried(stream, profile, {"kind": decided.kind, **_base(given)}, decided=True)
    if made is None or _problem(stream, made.entry) is not None:
        return plain
    if decided.kind == "event" and collisions and "spread_duplicates" not in made.entry and not made.entry.get("once"):
        made.entry["spread_duplicates"] = True
        made.why.append(f"{collisions} events share person, name and second with another row's")
    return Suggestion(made.entry, [reason, *dropped, *made.why])


def _problem(stream: Stream, entry: Mapping[str, Any]) -> ConfigError | None:
    """Try an entry as the target would read it."""
    try:
        resolve(replace(stream, entry=read_entry(entry, 0), warn=lambda _: None))
    except ConfigError as problem:
        return problem
    return None


def _told(problem: ConfigError) -> str:
    return str(problem).removeprefix(f"{problem.setting}: ")


def _date_only(name: str) -> str:
    return f"{name} names days alone: without spread_duplicates two events of a person on one day would be one"


class _Found(NamedTuple):
    """Fields that the rules of a kind find by themselves, in the order they are tried."""

    customer: tuple[str, ...]
    device: tuple[str, ...]
    time: tuple[str, ...]


_NOTHING_FOUND = _Found((), (), ())


class _Guess:
    """One attempt at an entry: its kind first, then the fields that the kind needs."""

    def __init__(self, stream: Stream, profile: Profile, base: Mapping[str, Any], *, decided: bool) -> None:
        self.entry: dict[str, Any] = dict(base)
        self.why: list[str] = []
        self._rules: dict[str, str] = {}
        self._profile = profile
        name = stream_words(stream.name)
        self._name = name
        self._noun = name[-1] if name else ""
        keys = stream.key_properties
        self._only_key = keys[0] if len(keys) == 1 else None
        self._is_people = named_for_people(stream.name) or named_for_people(self._noun)
        self._stream = stream
        key = self._only_key if self._is_people or base.get("kind") == "user_attributes" else None
        self._customers = roles.customer_ids(profile, key, of_another_system=self._noun in _CRM)
        self._decided = decided
        own = _found_by_rule(stream, profile, str(base["kind"])) if decided else _NOTHING_FOUND
        self._own = own
        self._customer, self._device = base.get("customer_id"), base.get("device_id")
        if own.customer or own.device:
            self._customer = self._customer or next(iter(own.customer), None)
            self._device = self._device or next(iter(own.device), None)
        else:
            self._customer = self._customer or next(iter(self._customers), None)
            self._device = self._device or roles.device_id(profile, [self._customer])
        self._time = base.get("timestamp") or next(iter(own.time), None) or roles.event_time(profile)

    def make(self) -> None:
        """Fill the entry."""
        if "kind" not in self.entry:
            self.entry["kind"] = self._kind()
        fill: Callable[[], None] | None = {
            "event": self._event,
            "user_attributes": self._attributes,
            "alias": self._alias,
            "experiment": self._experiment,
        }.get(self.entry["kind"])
        # The kind stands in front of what it needs.
        self.entry = {"kind": self.entry.pop("kind"), **self.entry}
        if fill is not None:
            fill()
        if self._rules:
            self.why += advice.of_stream_map(self._profile, self._stream.name, self._rules)

    def _kind(self) -> str:
        who = self._customer or self._device
        if not who:
            self.why.append(
                "no field looks like a person's ID, so it tells nothing of anybody; name customer_id if one is, "
                f"{_NOT_IGNORED}"
            )
            return "ignore"
        for decide in (self._kind_of_links, self._kind_of_nouns):
            kind = decide(who)
            if kind is not None:
                return kind
        return self._kind_of_rest(who)

    def _kind_of_links(self, who: str) -> str | None:
        other = roles.previous_id(self._profile, [who])
        if other and (self._noun in _ALIASES or len(self._profile.fields) <= 5):
            self.why.append(
                f"{who} and {other} look like two identities of one person: an alias is for ever, so check it"
            )
            return "alias"
        if self._noun in _ALIASES and self._customer and self._device:
            self.entry.setdefault("previous_id", self._device)
            self.why.append(
                f"{self._customer} and {self._device} link two identities: an alias is for ever, so check it"
            )
            return "alias"
        test = roles.experiment(self._profile)
        if test and roles.variant(self._profile, [test]) and (self._noun in _ASSIGNED or not self._time):
            self.why.append(f"{test} and {roles.variant(self._profile, [test])} say who got which variant")
            return "experiment"
        return None

    def _kind_of_nouns(self, who: str) -> str | None:
        if "event_name" in self.entry:
            return "event"
        if self._is_people:
            self.why.append(f"its name is one for people, and {who} says who")
            return "user_attributes"
        if self._noun in _HAPPENED:
            self.why.append(f"a row of it ({title(self._name)}) is something that somebody ({who}) did")
            return "event"
        if self._time and roles.event_name(self._profile, [who], also_type=self._noun in _LOGS):
            self.why.append(f"it says who ({who}), what and when ({self._time})")
            return "event"
        return None

    def _kind_of_rest(self, who: str) -> str:
        if self._noun in _LOOKUPS:
            self.why.append(
                f"{title(self._name)} looks like a table to look things up in, not like what somebody did; "
                f"if it tells that, name event_name and timestamp, {_NOT_IGNORED}"
            )
            return "ignore"
        if self._time:
            self.why.append(f"it says who ({who}) and when ({self._time}); check what the event should be called")
            return "event"
        if who == self._only_key or self._is_one_row_each(who):
            self.why.append(f"it has no time, and one row for each {who}")
            return "user_attributes"
        self.why.append(
            f"{who} says who, but nothing says what happened or when; name event_name and timestamp if it did, "
            f"{_NOT_IGNORED}"
        )
        return "ignore"

    def _is_one_row_each(self, who: str) -> bool:
        field = self._profile.fields.get(who)
        return field is not None and 1 < self._profile.rows == len(field.distinct)

    def _event(self) -> None:
        self._people()
        # An event that was decided as one by its schema has a name of its own.
        if not self._decided and "event_name" not in self.entry:
            self.entry["event_name"] = self._named()
        self._when()
        if not self._decided:
            self._money()
            self._items()
        time = self._profile.fields.get(self._time or "")
        if time is not None and time.is_date_only and not self.entry.get("once"):
            self.entry.setdefault("spread_duplicates", True)
            self.why.append(_date_only(time.name))
        self._exclude()

    def _items(self) -> None:
        items = roles.line_items(self._profile)
        if items and "line_items" not in self.entry:
            self.entry["line_items"] = items
            self.why.append(f"{items} holds line items: each becomes properties of its own, a second apart")
            self._rename_items(items)

    def _when(self) -> None:
        if not self._time:
            self.why.append(
                "no field says when: events would get the time of extraction, and be new ones in any later run"
            )
        elif not self._own.time:
            self.entry.setdefault("timestamp", self._time)
            self._tell_of_time(self.entry["timestamp"])

    def _people(self) -> None:
        own = bool(self._own.customer or self._own.device)
        if self._customer and not own:
            self.entry.setdefault("customer_id", self._customer)
        if self._device and not own:
            self.entry.setdefault("device_id", self._device)
        self.why += advice.of_people(self._profile, self._stream.settings, self._customer, self._device)
        others = [name for name in self._customers if name not in {*self._own.customer, *self._own.device}]
        self.why += advice.of_others(self._customer, self._device, others)
        customers = self._ids("customer_id", self._customer, self._own.customer)
        devices = self._ids("device_id", self._device, self._own.device)
        another = roles.device_id(self._profile, [*customers, *devices])
        others = [*self._customers, *([another] if another else [])]
        self._tell(advice.of_gaps(self._profile, self._stream.settings, (customers, devices), others))

    def _tell(self, told: advice.Told) -> None:
        self.why += told.lines
        self._rules.update(told.rules)

    def _ids(self, key: str, chosen: str | None, own: Sequence[str]) -> Sequence[str]:
        """Give the fields that are tried for an ID: the one that the entry names, or all that the rule finds."""
        return own if own and key not in self.entry else [chosen] if chosen else []

    def _rename_items(self, items: str) -> None:
        """Name what items and the row both have apart: the first item is set in the event's own second."""
        both = advice.in_row_and_items(self._profile, items)
        if both and not {"rename", "include", "exclude"} & self.entry.keys():
            self.entry["rename"] = [{"field": f"{items}.{name}", "property": f"Item {name}"} for name in both]
            self.why.append(
                f"the row and its items both have {', '.join(both)}: Kissmetrics keeps one value of a property a second"
                ", so the items' have names of their own"
            )

    def _named(self) -> str:
        besides = [self._customer, self._device, self._time]
        if self._noun in _HAPPENED and self._noun not in _LOGS:
            return self._named_by_noun(besides)
        field = roles.event_name(self._profile, besides, also_type=self._noun in _LOGS)
        if field:
            return f"{{{field}}}" if _fits_template(field) else "Happened"
        if self._noun in _DONE:
            return title((*self._name[:-1], _DONE[self._noun]))
        return f"{title(self._name) or 'Row'} {title(_past(words(self._time or '')))}".strip()

    def _named_by_noun(self, besides: list[str | None]) -> str:
        """Name what happened to a subscription, say: one thing, unless a field tells more of them apart."""
        field = roles.what_happened(self._profile, besides)
        if field and _fits_template(field):
            if field in EVENT_NAME_CANDIDATES:
                return f"{{{field}}}"
            self.why.append(f"{field} says what happened: {_some(self._profile.fields[field].distinct)}")
            return f"{title(self._name[-1:])} {{{field}}}"
        field = roles.type_of_rows(self._profile, besides)
        if field and _fits_template(field):
            self.why.append(
                f"{field} is one of {_some(self._profile.fields[field].distinct)}: if that says what happened, name "
                f'the event by it (event_name: "{title(self._name[-1:])} {{{field}}}")'
            )
        return _HAPPENED[self._noun]

    def _tell_of_time(self, name: str) -> None:
        field = self._profile.fields.get(name)
        if field is not None and field.filled < self._profile.rows:
            lacking = self._profile.rows - field.filled
            self.why.append(f"{lacking} of {self._profile.rows} sampled rows have no {name} and would be rejected")

    def _money(self) -> None:
        amount = roles.amount(self._profile, [self._customer, self._device, self._time])
        if self._noun in _REFUNDED:
            self.entry.setdefault("refund", True)
            self.why.append("a refund's amount is sent negative")
        if not amount or "revenue" in self.entry:
            return
        self.entry["revenue"] = amount
        self.why.append(f"{amount} looks like the money; Kissmetrics wants it net, without tax and shipping")
        self.why += advice.of_net(self._profile, amount)
        event_name, refund = self.entry.get("event_name"), bool(self.entry.get("refund"))
        self._tell(advice.of_money(self._profile, amount, event_name, refund=refund))
        if self._noun in _SECOND_MONEY:
            self.why.append("where orders carry the same money, say revenue: false here, or it counts twice")

    def _attributes(self) -> None:
        self._people()
        time = roles.attribute_time(self._profile)
        if time and not self._own.time:
            self.entry.setdefault("timestamp", time)
        self._exclude()

    def _exclude(self) -> None:
        """Leave out what should stay at home, what no report needs, and the number of a row."""
        if "include" in self.entry or "exclude" in self.entry:
            return
        used = [value for value in self.entry.values() if isinstance(value, str)]
        used += [*self._own.customer, *self._own.device, *self._own.time]
        secrets = [name for name in roles.secrets(self._profile) if name not in used]
        of_people = self.entry["kind"] == "user_attributes"
        personal = [
            name for name in roles.personal(self._profile, of_people=of_people) if name not in {*used, *secrets}
        ]
        numbers = roles.row_number(self._only_key, used)
        if secrets:
            self.why.append("some fields look like what should stay at home; exclude has them")
        if personal:
            self.why.append(
                f"exclude has personal data that no report needs ({_listed(personal)}); take out of it what you do need"
            )
        if numbers:
            self.why.append(f"{numbers[0]} numbers the rows of its table and tells nothing of anybody; exclude has it")
        if secrets or personal or numbers:
            self.entry["exclude"] = [*secrets, *personal, *numbers]

    def _alias(self) -> None:
        who = self._customer or self._device
        other = self.entry.get("previous_id") or roles.previous_id(self._profile, [who])
        self._people()
        if other:
            self.entry["previous_id"] = other
            if self.entry.get("device_id") == other:
                del self.entry["device_id"]

    def _experiment(self) -> None:
        self._people()
        test = self.entry.get("experiment") or roles.experiment(self._profile)
        variant = self.entry.get("variant") or roles.variant(self._profile, [test])
        if test and not self._decided:
            self.entry["experiment"] = test
        if variant and not self._decided:
            self.entry["variant"] = variant
        time = roles.attribute_time(self._profile) or self._time
        if time and not self._own.time:
            self.entry.setdefault("timestamp", time)


def _found_by_rule(stream: Stream, profile: Profile, kind: str) -> _Found:
    """Give what the rules of a kind find in a stream, without an entry that names it."""
    bare = replace(stream, entry=StreamSettings(stream=stream.name))
    customer, device = bare.id_fields(key_is_person=kind == "user_attributes")
    time = bare.choose("timestamp", EVENT_TIME_CANDIDATES if kind == "event" else ATTRIBUTE_TIME_CANDIDATES)
    # A schema without fields leaves it to the rows which of the candidates there are.
    found = [tuple(name for name in names if name in profile.fields) for names in (customer, device, time)]
    return _Found(*found)


def _fits_template(field: str) -> bool:
    return "{" not in field and "}" not in field


def _some(values: Collection[str]) -> str:
    shown = ", ".join(repr(value) for value in sorted(values)[:_VALUES_TOLD])
    return f"{shown}, ..." if len(values) > _VALUES_TOLD else shown


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES_TOLD]) + (", ..." if len(names) > _NAMES_TOLD else "")


def _past(time: tuple[str, ...]) -> tuple[str, ...]:
    """Give what a time's name says was done: `created` of `created_at`; nothing of `date`."""
    done = tuple(word for word in time if word.endswith("ed"))
    return done[:1]
