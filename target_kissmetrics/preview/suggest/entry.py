"""The likeliest entry of `streams` for a stream, with the reasons for it.

A person reads a suggestion before anything is sent: Kissmetrics can delete nothing. The target's own reader and the
mapping accept each entry; a stream that no entry makes work is suggested as `kind: ignore`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from target_kissmetrics.config.stream_entries import read_entry
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.mapping.detection import Detected, detect, resolve
from target_kissmetrics.mapping.kinds.event import EVENT_NAME_CANDIDATES
from target_kissmetrics.mapping.registry import FLAT_KINDS
from target_kissmetrics.mapping.rules.clock import ATTRIBUTE_TIME_CANDIDATES, EVENT_TIME_CANDIDATES
from target_kissmetrics.mapping.rules.fields import Template, spelled
from target_kissmetrics.mapping.rules.identity import CUSTOMER_ID_CANDIDATES, DEVICE_ID_CANDIDATES
from target_kissmetrics.mapping.settings import StreamSettings
from target_kissmetrics.mapping.stream import Stream
from target_kissmetrics.preview.suggest import roles
from target_kissmetrics.preview.suggest.known import WHEN_IS_SAMPLED, known
from target_kissmetrics.preview.suggest.roles import Column, Columns, best, look_up, rank, title, words, words_of
from target_kissmetrics.reporting import display
from target_kissmetrics.reporting.redaction import redact

_NOT_IGNORED = "and remove kind: ignore"
_CENTS = re.compile(r"\b(cents?|pence|pennies)\b")
_REFUND = re.compile(r"\brefund(s|ed)?\b")
_UNPAID = re.compile(
    r"\b(failed|failure|cancell?ed|pending|draft|void|voided|declined|refused|refund|refunded|unpaid|uncollectible|"
    r"expired|abandoned|incomplete|rejected|error)\b"
)


@dataclass(slots=True)
class Suggestion:
    """An entry of `streams`, with reasons and advice for a person, in lines."""

    entry: dict[str, Any]
    why: list[str] = field(default_factory=list)


def as_yaml(suggestions: Sequence[Suggestion]) -> str:
    """Write entries to paste, with their reasons as comments; it reads back as the same entries."""
    text = "streams:\n" if suggestions else "streams: []\n"
    for suggestion in suggestions:
        as_json = json.dumps([suggestion.entry], ensure_ascii=False)
        # In ASCII, a name with a line separator of Unicode stays on one line. Read again, no part has two places.
        entry = yaml.safe_dump(
            json.loads(as_json), sort_keys=False, allow_unicode=as_json.isprintable(), width=1_000_000
        )
        comments = [f"# {display.line(reason, 2000)}" for reason in suggestion.why]
        text += "".join(f"  {line}\n" for line in [*comments, *redact(entry).splitlines()])
    return text


def suggest(stream: Stream, columns: Columns, given: Mapping[str, Any], decided: Detected | None = None) -> Suggestion:
    """Suggest an entry for a stream; `decided` is the kind that its schema decides, None when a run would stop at it.

    What the entry of the config says (`given`) stays where the target accepts it.
    """
    base = {key: value for key, value in given.items() if value is not None and key != "stream"}
    found = None if base else known(columns)
    if found is not None:
        suggestion = Suggestion({"stream": stream.name, **found[0]}, found[1])
        if _problem(stream, suggestion.entry) is None:
            return suggestion
    if decided is not None:
        base["kind"] = decided.kind
        return _drafted(stream, columns, base, [f"decided from its schema: {decided.why}"], decided.kind)
    with suppress(ConfigError):
        kind, _ = detect(replace(stream, entry=StreamSettings(stream=stream.name)))
        if kind not in FLAT_KINDS and "kind" not in base:
            base = {"kind": kind}  # columns of a message format say nothing of other kinds
    return _drafted(stream, columns, base, [], None)


def _drafted(stream: Stream, columns: Columns, base: dict[str, Any], why: list[str], decided: str | None) -> Suggestion:
    """Draft an entry; without the keys of the config that the target does not accept."""
    while True:
        draft = _Draft(stream, columns, base, is_decided=decided is not None)
        draft.fill()
        problem = _problem(stream, draft.entry)
        if problem is None:
            return Suggestion(draft.entry, [*why, *draft.why])
        key = problem.setting.rpartition(".")[2]
        why.append(f"without {key}: {str(problem).removeprefix(f'{problem.setting}: ')}")
        if key == "kind" or base.pop(key, None) is None:
            break
    if decided is None:
        why.append(f"ignored; fix it, {_NOT_IGNORED}")
    return Suggestion({"stream": stream.name, "kind": decided or "ignore"}, why)


def _problem(stream: Stream, entry: dict[str, Any]) -> ConfigError | None:
    """Give what the target says against an entry."""
    try:
        resolve(replace(stream, entry=read_entry(entry, 0), warn=lambda _: None))
    except ConfigError as problem:
        return problem
    return None


class _Draft:
    """An attempt at an entry. Where the schema decides the kind, it leaves out what the kind's own rules find."""

    def __init__(self, stream: Stream, columns: Columns, given: Mapping[str, Any], *, is_decided: bool) -> None:
        self.entry: dict[str, Any] = {"stream": stream.name, **given}
        self.why: list[str] = []
        self._stream, self._columns, self._is_decided = stream, columns, is_decided
        self._table = words_of(stream.name)
        self._noun = self._table.rpartition(" ")[2]
        self._event = look_up(roles.EVENT_TABLES, self._noun)
        devices = _listed(given.get("device_id") or stream.field_for(DEVICE_ID_CANDIDATES))
        self._customers = self._rank_customers(devices)
        customers = _listed(given.get("customer_id")) or self._customers[:1]
        if is_decided:
            found = stream.id_fields(key_is_person=given["kind"] == "user_attributes")
            customers, devices = (list(fields.paths) for fields in found)
        self._customer, self._device = next(iter(customers), None), next(iter(devices), None)
        self._ids = [*customers, *devices]
        self._time: str | None = given.get("timestamp", best(columns, roles.EVENT_TIME)) or None

    def fill(self) -> None:
        """Find the kind, and the columns that it needs and its own rules do not find."""
        if "kind" not in self.entry:
            kind, reason = self._kind()
            self.entry = {"stream": self._stream.name, "kind": kind, **self.entry}
            self.why.append(reason)
        if self.entry["kind"] == "event":
            self._set_people()
            self._set_event()
            self._set_revenue()
            self._set_exclude()
        elif self.entry["kind"] == "user_attributes":
            self._set_people()
            self._set_time(roles.CHANGE_TIME, ATTRIBUTE_TIME_CANDIDATES)
            self._set_exclude()

    def _rank_customers(self, devices: Sequence[str]) -> list[str]:
        """Rank the columns that may hold the person's ID. The key of a table of people does."""
        ranked, key = rank(self._columns, roles.CUSTOMER, devices), self._stream.only_key
        is_people = self._noun in roles.PEOPLE or self.entry.get("kind") == "user_attributes"
        if not is_people or key is None or key not in self._columns:
            return ranked
        before = ranked if self._noun in roles.OTHER_SYSTEM else spelled(CUSTOMER_ID_CANDIDATES, ranked).values()
        return list(dict.fromkeys([*(name for name in ranked if name in before), key, *ranked]))

    def _kind(self) -> tuple[str, str]:
        who = self._customer or self._device
        table, note = title(self._table), look_up(roles.OTHER_TABLES, self._noun)
        if who is None:
            return "ignore", f"no column looks like a person's ID; if one is, name it as customer_id, {_NOT_IGNORED}"
        if self._event or not {"event_name", "events"}.isdisjoint(self.entry):
            return "event", f"each row ({table}) is something that a person ({who}) did"
        if self._noun in roles.PEOPLE:
            return "user_attributes", f"its name is one for people, and {who} is their ID"
        if note is None and self._time:
            return "event", f"it has who ({who}) and when ({self._time}); check the event's name"
        column = self._columns.get(who)
        is_unique = column is not None and 1 < len(column.values) == len(column.texts)
        if note is None and (who == self._stream.only_key or is_unique):
            return "user_attributes", f"it has no time, and one row for each {who}"
        advice = note or f"if it is, name event_name and timestamp, {_NOT_IGNORED}"
        return "ignore", f"{table} does not look like events or people; {advice}"

    def _set(self, key: str, value: object) -> None:
        if value:
            self.entry.setdefault(key, value)

    def _set_time(self, role: roles.Role, candidates: Sequence[str]) -> None:
        """Set the time, unless the kind's own rule finds it among its candidates."""
        own = self._stream.field_for(candidates) if self._is_decided else None
        if own is None:
            self._set("timestamp", best(self._columns, role))
        self._time = self.entry.get("timestamp", own) or None

    def _set_people(self) -> None:
        if not self._is_decided:
            self._set("customer_id", self._customer)
            self._set("device_id", self._device)
        if self._customer and self._device and not self._stream.settings.use_customer_id:
            other_way = f"set use_customer_id: true to prefer {self._customer}"
            self.why.append(f"{self._device} is the person, or {self._customer} where it is empty; {other_way}")
        others = [name for name in self._customers if name not in self._ids]
        if self._ids and others:
            listed = " or ".join(others[:3])
            self.why.append(f"{listed} could be customer_id as well; use the ID that your product sends")

    def _set_event(self) -> None:
        if not self._is_decided:
            self._set("event_name", self._event_name())
            self._set("refund", self._event == roles.REFUNDED)
        self._set_time(roles.EVENT_TIME, EVENT_TIME_CANDIDATES)
        time = self._columns.get(self._time or "")
        if time is None:
            self.why.append("no column says when: events get the time of extraction, and are new in each later run")
        elif time.is_date_only and not self.entry.get("once"):
            self._set("spread_duplicates", True)
            self.why.append(f"{self._time} has no time of day; spread_duplicates keeps events of one day apart")

    def _event_name(self) -> str:
        column = best(self._columns, roles.EVENT_NAME, [self._customer, self._device, self._time])
        if column is None or {"{", "}"} & set(column) or "event_name" in self.entry:
            return self._event or title(self._table) or "Happened"
        self.why.append(f"{column} names the event: {', '.join(map(repr, self._columns[column].texts[:4]))}")
        is_known = column in spelled(EVENT_NAME_CANDIDATES, self._columns).values()
        return f"{title(self._noun)} {{{column}}}" if self._event and not is_known else f"{{{column}}}"

    def _set_revenue(self) -> None:
        """Set the revenue, and what puts it right."""
        if "events" in self.entry:
            return  # each has a revenue of its own
        is_own = self._is_decided or "revenue" in self.entry
        amount = None if is_own else best(self._columns, roles.AMOUNT, [*self._ids, self._time])
        if amount:
            self.entry["revenue"] = amount
            self.why.append(f"{amount} looks like the money; Kissmetrics wants it net, without tax and shipping")
        event_name, refund = self.entry.get("event_name"), bool(self.entry.get("refund"))
        own = replace(self._stream.entry, event_name=event_name, refund=refund)
        warnings, keys = about_money(self._columns, amount or own_amount(self._stream, self._columns), own)
        self.why += warnings
        self.entry |= keys

    def _set_exclude(self) -> None:
        """Exclude personal data and the number of a row, but no column that the entry names."""
        if "include" in self.entry or "exclude" in self.entry:
            return
        used = {*self._ids, self._time, *(value for value in self.entry.values() if isinstance(value, str))}
        private = {*rank(self._columns, roles.PRIVATE), *(["name"] if self.entry["kind"] == "user_attributes" else [])}
        found = [name for name in self._columns if name in private - used]
        if found:
            listed = ", ".join(found[:6])
            self.why.append(f"exclude has personal data or secrets ({listed}); remove from it what you need")
        key = self._stream.only_key
        if key in {"id", "_id", "ID", "Id"} - used:
            self.why.append(f"{key} only numbers the rows of its table; exclude has it")
            found.append(key)
        self._set("exclude", found)


def _listed(given: Any) -> list[str]:
    """Give the fields that a key names: one, several, or none."""
    return [given] if isinstance(given, str) and given else list(given or ())


def own_amount(stream: Stream, columns: Columns) -> str | None:
    """Give the column that a run takes for revenue."""
    named = stream.entry.revenue
    paths = stream.settings.revenue_fields if named is None else named
    return next((path for path in spelled(paths, columns).values() if columns[path].filled), None)


def about_money(columns: Columns, amount: str | None, entry: StreamSettings) -> tuple[list[str], dict[str, Any]]:
    """Warn of amounts in cents or in several currencies, and of rows that nobody paid; give the keys that put it right.

    What the `entry` puts right already is not warned of.
    """
    if amount is None:
        return [], {}
    mixed = _about_currencies(columns, amount)
    if mixed:
        return mixed, {"revenue": False}
    warnings, keys = _about_cents(columns[amount]) if entry.revenue_divide_by == 1 else ([], {})
    named = Template(entry.event_name).fields if entry.event_name else spelled(EVENT_NAME_CANDIDATES, columns).values()
    for name in dict.fromkeys([*named, *rank(columns, roles.STATUS)]):
        paid, unpaid = _by_payment(columns[name], columns[amount], entry) if name in columns else ([], [])
        if unpaid:
            listed = ", ".join(map(repr, unpaid))
            warnings += [f"some rows with {name} {listed} have {amount}, which may be no revenue", WHEN_IS_SAMPLED]
        if unpaid and not paid:
            keys["revenue"] = False
        elif unpaid and name in named:
            keys["event_name"] = entry.event_name or f"{{{name}}}"
            keys["events"] = [{"when": {name: paid}}, {"when": {name: unpaid}, "revenue": False}]
        elif unpaid:
            keys["when"] = {**dict(entry.when or ()), **keys.get("when", {}), name: paid}
    return warnings, keys


def _about_currencies(columns: Columns, amount: str) -> list[str]:
    for name in rank(columns, roles.CURRENCY):
        several = sorted({text.upper() for text in columns[name].texts})
        if len(several) > 1:
            mixed = f"{name} has more than one value ({', '.join(several[:4])}); amounts are summed and not converted"
            return [mixed, f"convert {amount} to one currency at the source, then set revenue: {amount}"]
    return []


def _about_cents(money: Column) -> tuple[list[str], dict[str, Any]]:
    is_whole = all(text.removeprefix("-").isdecimal() for text in money.texts)
    if is_whole and _CENTS.search(words(money.name)):
        warning = f"the name {money.name} suggests cents; without revenue_divide_by: 100 revenue is 100 times too high"
        return [warning], {"revenue_divide_by": 100}
    are_large = any(amount is not None and abs(amount) >= 100 for amount in money.amounts)
    if are_large and len(money.filled) >= 3 and all(isinstance(value, int) for value in money.filled):
        return [f"{money.name} holds whole numbers only; if they are cents, set revenue_divide_by: 100"], {}
    return [], {}


def _by_payment(column: Column, money: Column, entry: StreamSettings) -> tuple[list[Any], list[str]]:
    """Give a column's values, and apart from them its texts that say that nobody paid the row's amount.

    Amounts below zero are refunds already, and of an order that is refunded in part, a part is revenue.
    """
    pairs = zip(column.values, money.amounts, strict=True)
    texts = sorted({text for text, amount in pairs if isinstance(text, str) and amount is not None and amount > 0})
    unpaid = [text for text in texts if _UNPAID.search(words(text)) and "partial" not in words(text)]
    if entry.refund:
        unpaid = [text for text in unpaid if not _REFUND.search(words(text))]
    values = [value for value in column.values if value is None or isinstance(value, (str, int))]
    return [value for value in dict.fromkeys(values) if value not in unpaid], unpaid
