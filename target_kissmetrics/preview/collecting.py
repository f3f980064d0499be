"""How each stream was understood, its first rows beside the calls they become, totals, and what to be warned of.

Everything here is bounded: some rows of each stream are kept to be shown, of the rest only counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from target_kissmetrics.config.stream_entries import entry_for, read_entry
from target_kissmetrics.config.stream_names import NameWatch, of_entries
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Alias, Record
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.detection import Detected, ResolvedStream, resolve
from target_kissmetrics.mapping.kinds.event import EVENT_NAME_CANDIDATES
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.fields import Row
from target_kissmetrics.mapping.rules.identity import IdentityRule
from target_kissmetrics.mapping.settings import MappingSettings, StreamSettings
from target_kissmetrics.mapping.stream import Stream, StreamMapping
from target_kissmetrics.preview import advice
from target_kissmetrics.preview.across import Mismatch, Named, mismatches
from target_kissmetrics.preview.explaining import MAX_FIELDS, RowShown, deleted_attributes, explain
from target_kissmetrics.preview.profile import Profile
from target_kissmetrics.preview.suggesting import Suggestion, confirm, is_taken, suggest
from target_kissmetrics.preview.totals import EventTotal, Partners, PropertyTotal, Totals
from target_kissmetrics.reporting import display as shown
from target_kissmetrics.reporting.counts import MAX_TYPES, OTHER_TYPES
from target_kissmetrics.sync.collisions import Collisions

HELD_ROWS = 200
"""Rows of a stream that could be anything, which are looked at before an entry is suggested for it."""

MANY_EVENT_NAMES = 200
MANY_PROPERTY_NAMES = 1000
ROWS_ON_PROBATION = 100
"""A run stops at a stream whose first so many rows are all rejected."""

MAX_WARNINGS = 100
_NAMED = 5
_LONG = 300
_MAX_SPELLINGS_TOLD = 20

Validate = Callable[[Row], str | None]
"""Tells what is wrong with a row by its tap's own schema."""


@dataclass(slots=True)
class Loss:
    """Something that is not sent, by one code.

    Attributes:
        count: How often.
        reason: The first one's, for a person.
        example: The first one's row, its number in the stream.
        field: The first one's field, if it is one.
    """

    count: int = 0
    reason: str = ""
    example: int = 0
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds for all streams of a preview.

    Attributes:
        mapping: Settings of the mapping.
        entries: Of `streams`.
        given: The same, as they stand in the config.
        max_aliases: `max_aliases_per_identity`.
        rows_shown: Rows of each stream that are shown.
        now: Seconds since the Unix epoch; the same for all rows.
    """

    mapping: MappingSettings
    entries: Sequence[StreamSettings]
    given: Sequence[Mapping[str, Any]]
    max_aliases: int
    rows_shown: int
    now: int


@dataclass(slots=True)
class _Ways:
    """How a stream's rows are read, from one SCHEMA message to the next."""

    stream: Stream
    validate: Validate
    mapping: StreamMapping | None = None
    people: IdentityRule | None = None


class StreamPreview:
    """One stream.

    Args:
        name: Its name, after stream maps.
        plan: What holds for all streams.

    Attributes:
        kind: What its rows are; empty as long as that is not known.
        why: Why.
        described: Which fields were understood as what.
        problem: Why the run would stop at it; None when it would not.
        suggestion: The entry to use for it; None for one that has an entry and no problem.
        entry: Its entry.
        rows: Rows read.
        accepted: Rows that become calls, or rightly none.
        deleted: Rows that are deleted at their source.
        deleted_attributes: User attributes that are: a run forgets them.
        collisions: Events that Kissmetrics takes for another row's, or that `spread_duplicates` moves.
        amount_collisions: Other events whose amount Kissmetrics drops for another event's, or that are moved likewise.
        first: The first rows.
        totals: What its calls add up to.
        rejected: Rows that are not sent, and events of batches likewise, by code.
        asides: Other parts of rows that are not sent, by code.
        left_out: Parts of batches that have no meaning for Kissmetrics, by their type; of the first 50 types.
        warnings: For a person.
    """

    def __init__(self, name: str, plan: Plan) -> None:
        self.name = name
        self.kind = ""
        self.why = ""
        self.described = ""
        self.problem: str | None = None
        self.suggestion: Suggestion | None = None
        self.entry: StreamSettings = entry_for(plan.entries, name) or StreamSettings(stream=name)
        self.rows = 0
        self.accepted = 0
        self.deleted = 0
        self.deleted_attributes = 0
        self.collisions = 0
        self.amount_collisions = 0
        self.first: list[RowShown] = []
        self.totals = Totals(plan.mapping.revenue_key, plan.now)
        self.rejected: dict[str, Loss] = {}
        self.asides: dict[str, Loss] = {}
        self.left_out: Counter[str] = Counter()
        self.warnings: list[str] = []
        self._told: list[str] = []
        self._plan = plan
        self._profile = Profile({})
        self._held: list[tuple[int, Row, object]] | None = None
        self._collisions = Collisions()
        self._amounts = Collisions()
        self._colliding: Counter[str] = Counter()
        self._may_spread = True
        self._overlapping: Counter[str] = Counter()
        self._partners = Partners(plan.max_aliases)
        self._ways: _Ways | None = None

    # What comes in

    def schema(
        self,
        schema: Mapping[str, Any],
        key_properties: Sequence[str],
        validate: Validate,
        mapped: Mapping[str, object],
    ) -> None:
        """Take a SCHEMA message: the first, or one that changes it; `mapped` is what its stream map has."""
        self._settle()
        stream = Stream(
            name=self.name,
            schema=schema,
            key_properties=key_properties,
            entry=self.entry,
            settings=self._plan.mapping,
            warn=self.warn,
            now=lambda: self._plan.now,
        )
        self._profile = Profile(schema, mapped)
        self._ways = _Ways(stream, validate)
        try:
            self._understood(resolve(stream))
        except ConfigError as problem:
            self.problem = str(problem)
            self._held = []

    def row(self, row: Row, extracted: object) -> None:
        """Take a row, which comes after its stream's schema."""
        self.rows += 1
        self._profile.add(row)
        if self._held is None:
            self._map(self.rows, row, extracted)
            return
        self._held.append((self.rows, row, extracted))
        if len(self._held) >= HELD_ROWS:
            self._settle()

    def finish(self) -> None:
        """Work out what is known at the end alone."""
        self._settle()
        if self._ways is None:
            return
        if self.suggestion is None and self.kind and not self._has_entry():
            decided = Detected(self.kind, self.why)
            self.suggestion = confirm(
                self._ways.stream, self._profile, decided, self._given(), collisions=self.collisions
            )
        self._warn_of_rows()
        self._warn_of_money()
        self._warn_of_people()

    def name_by(self, mismatch: Mismatch) -> bool:
        """Suggest another ID for its people, by which another stream knows them; false when it has to stay."""
        old, ways = self.suggestion, self._ways
        if old is None or ways is None or old.used_id or "customer_id" in self._given():
            return False
        given = {**self._given(), "customer_id": mismatch.same}
        decided = Detected(self.kind, self.why)
        made = (
            suggest(ways.stream, self._profile, given)
            if old.settles
            else confirm(ways.stream, self._profile, decided, given, collisions=self.collisions)
        )
        entry = made.entry
        used = [value for value in entry.values() if isinstance(value, str)]
        if "include" not in entry and mismatch.other_id not in used:
            entry["exclude"] = list(dict.fromkeys([*entry.get("exclude", ()), mismatch.other_id]))
        is_right = entry.get("kind") == self.kind and entry.get("customer_id") == mismatch.same
        if not is_right or not is_taken(ways.stream, entry):
            return False
        _, device = replace(ways.stream, entry=read_entry(entry, 0)).id_fields(key_is_person=False)
        if device and not self._plan.mapping.use_customer_id:
            return False
        self.suggestion = replace(made, why=[*made.why, *self._told], settles=old.settles, used_id=mismatch.other_id)
        self.tell(mismatch.settled)
        return True

    def tell(self, text: str) -> None:
        """Take a further reason for its suggestion, if it has one."""
        self._told.append(text)
        if self.suggestion is not None:
            self.suggestion.why.append(text)

    def named(self) -> Named | None:
        """Give what is known of how its rows name people; None where they name none, or in a message's own way."""
        if self._ways is None or self.kind not in {"event", "user_attributes", "experiment"}:
            return None
        stream = self._ways.stream
        of_people = self.kind == "user_attributes"
        customer, device = stream.id_fields(key_is_person=of_people)
        key = stream.key_properties[0] if of_people and len(stream.key_properties) == 1 else None
        return Named(self._profile, (*customer, *device), key)

    def warn(self, text: str) -> None:
        """Take a line for a person, once."""
        if text not in self.warnings and len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(text)

    # From rows to calls

    def _has_entry(self) -> bool:
        return bool(self.entry.place != "streams" and self.entry.kind)

    def _understood(self, understood: ResolvedStream) -> None:
        assert self._ways is not None  # noqa: S101 - rows come after their schema
        self.kind, self.why = understood.kind, understood.why
        self._ways.mapping = understood.mapping
        self.described = understood.mapping.describe() if understood.mapping else ""
        if self.kind in {"event", "user_attributes", "experiment"}:
            # Aliasing is asked for to see both of a row's IDs; nothing is aliased by it.
            both = replace(self._ways.stream, settings=replace(self._plan.mapping, alias_identities=True))
            self._ways.people = both.identity_rule(key_is_person=self.kind == "user_attributes")

    def _settle(self) -> None:
        """Go on with the suggested entry, and map the rows that were held back for it."""
        if self._held is None or self._ways is None:
            return
        held, self._held = self._held, None
        if not self.name.strip():
            self.kind, self.why = "ignore", "no entry of streams can name a stream without a name: mend the tap"
            return
        given = self._given()
        self.suggestion = suggest(self._ways.stream, self._profile, given)
        entry = replace(read_entry(self.suggestion.entry, 0), place="the suggested entry")
        self._ways.stream = replace(self._ways.stream, entry=entry)
        self.entry = entry
        self._understood(resolve(self._ways.stream)._replace(why="as suggested"))
        for number, row, extracted in held:
            self._map(number, row, extracted)

    def _given(self) -> Mapping[str, Any]:
        for entry, given in zip(self._plan.entries, self._plan.given, strict=True):
            if entry is self.entry:
                return given
        return {}

    def _map(self, number: int, row: Row, extracted: object) -> None:
        ways = self._ways
        if ways is None or ways.mapping is None:
            return
        if row.get("_sdc_deleted_at") is not None:
            self.deleted += 1
            return
        outcome: Mapped | Rejected
        try:
            wrong = ways.validate(row)
            if wrong is not None:
                raise Rejected("schema", f"it does not fit the tap's schema: {wrong}")  # noqa: TRY301
            outcome = ways.mapping.map(row, extracted)
        except Rejected as problem:
            outcome = problem
        self._count(number, row, outcome)
        if len(self.first) < self._plan.rows_shown:
            self._show(number, row, extracted, outcome)

    def _count(self, number: int, row: Row, outcome: Mapped | Rejected) -> None:
        if isinstance(outcome, Rejected):
            _lose(self.rejected, outcome.code, str(outcome), number, outcome.field)
            return
        self.accepted += 1
        self.deleted_attributes += len(outcome.deletions)
        self.totals.add(outcome.calls)
        for aside in outcome.rejections:
            losses = self.rejected if aside.counts_as_row else self.asides
            _lose(losses, aside.code, aside.reason, number, aside.field)
        for kind in outcome.skipped_types:
            known = kind in self.left_out or len(self.left_out) < MAX_TYPES
            self.left_out[kind if known else OTHER_TYPES] += 1
        self._watch_for_twins(outcome)
        self._watch_values(outcome)
        self._watch_people(row)

    def _watch_for_twins(self, mapped: Mapped) -> None:
        for slot in mapped.slots:
            call = mapped.calls[slot.record]
            if not isinstance(call, Record) or call.once:
                continue
            if self._collisions.seen(call.person, folded(call.event), call.time, slot.row):
                self.collisions += 1
                self._may_spread = slot.may_spread
                if call.event in self._colliding or len(self._colliding) < _NAMED:
                    self._colliding[call.event] += 1
            elif slot.revenue_property and self._amounts.seen(call.person, "", call.time, slot.row):
                self.amount_collisions += 1
                self._may_spread = slot.may_spread

    def _watch_values(self, mapped: Mapped) -> None:
        """Look for values of a row that Kissmetrics keeps one of: an event's and its first item's."""
        calls = [call for call in mapped.calls if not isinstance(call, Alias)]
        if len(calls) < 2:
            return
        known: dict[tuple[str, int, str], str] = {}
        for call in calls:
            for name, value in call.properties.items():
                kept = known.setdefault((call.person, call.time, folded(name)), value)
                if kept != value and (name in self._overlapping or len(self._overlapping) < _NAMED):
                    self._overlapping[name] += 1

    def _watch_people(self, row: Row) -> None:
        if self._ways is None or self._ways.people is None:
            return
        try:
            person = self._ways.people.identify(row)
        except Rejected:
            return
        if person.other is not None:
            self._partners.add(person.identity, person.other)

    def _show(self, number: int, row: Row, extracted: object, outcome: Mapped | Rejected) -> None:
        assert self._ways is not None  # noqa: S101 - rows come after their schema
        assert self._ways.mapping is not None  # noqa: S101 - and it was mapped
        fields = explain(self._ways.mapping, self.entry, self._plan.mapping.revenue_key, row, extracted, outcome)
        one = RowShown(number, fields, max(0, len(row) - MAX_FIELDS))
        if isinstance(outcome, Rejected):
            one.rejected = (outcome.code, str(outcome))
        else:
            one.calls = outcome.calls
            one.forgotten = deleted_attributes(outcome.deletions)
            one.left_out = outcome.skipped_types
            one.parts = [(part.field or "", part.code, part.reason) for part in outcome.rejections if part.counts_as_row]
        self.first.append(one)

    # Warnings

    def _warn_of_rows(self) -> None:
        rejected = sum(loss.count for loss in self.rejected.values())
        if rejected >= ROWS_ON_PROBATION and not self.accepted:
            self.warn(f"all of its rows are rejected: a run would stop after the first {ROWS_ON_PROBATION}")
        if self.totals.future:
            self.warn(
                f"{shown.plural(self.totals.future, 'call')} with a time in the future: is it in another zone or unit?"
            )
        if self._overlapping:
            some = ", ".join(f"{shown.line(name, 40)} {count}" for name, count in self._overlapping.most_common())
            lost = shown.plural(sum(self._overlapping.values()), "value")
            self.warn(
                f"{lost} would be lost: an event and its first item lie in one second, of which Kissmetrics keeps one "
                f"value of a property ({some}); give the items' another name with "
                "rename: [{field: ITEMS.FIELD, property: NAME}], or exclude one of the two"
            )
        self._warn_of_twins()

    def _warn_of_twins(self) -> None:
        spread = self.entry.spread_duplicates
        way_out = (
            "set spread_duplicates: true in the stream's entry"
            if self._may_spread
            else "spread_duplicates, which gives each a second of its own, is for kind event"
        )
        events, amounts = shown.plural(self.collisions, "event"), shown.plural(self.amount_collisions, "amount")
        if self.collisions:
            most = ", ".join(f"{shown.line(name)} {count}" for name, count in self._colliding.most_common())
            self.warn(
                f"{events} {'has' if self.collisions == 1 else 'have'} the person, name and second of another row's; "
                f"spread_duplicates moves them to seconds of their own ({most})"
                if spread
                else f"{events} would be lost: Kissmetrics takes them for another one, with the same person, name and "
                f"second ({most}); {way_out}"
            )
        if self.amount_collisions and not spread:
            self.warn(
                f"{amounts} would be lost: Kissmetrics keeps one amount of a person for a second, whatever its events "
                f"are called; {way_out}"
            )
        repeated = self._collisions.repeated
        if repeated and self._ways is not None and not self._ways.stream.key_properties:
            told = (
                f"{shown.plural(repeated, 'row')} {'is' if repeated == 1 else 'are'} just like another one, and the "
                "stream has no key: Kissmetrics keeps one event of them; where they are not the same event, give the "
                "tap the table's key (key_properties), or keep a field in that tells them apart"
            )
            self.warn(told)
            self.tell(told)

    def _warn_of_money(self) -> None:
        """Warn of what makes the revenue of the rows wrong as they are sent, whoever wrote the entry."""
        if self.kind != "event" or self._ways is None:
            return
        entry, fields = self._ways.stream.entry, self._profile.fields
        paths = entry.revenue if entry.revenue is not None else self._plan.mapping.revenue_fields
        amount = next((path for path in paths if path in fields and fields[path].filled), None)
        if amount is None:
            return
        named = next((f"{{{name}}}" for name in EVENT_NAME_CANDIDATES if name in fields), None)
        told = advice.of_money(self._profile, amount, entry.event_name or named, refund=entry.refund)
        for line in told.lines:
            self.warn(shown.line(line, _LONG))
        for line in advice.of_stream_map(self._profile, self.name, told.rules):
            self.warn(line)

    def _warn_of_people(self) -> None:
        limit = self._plan.max_aliases
        shared = self._partners.shared()
        if shared:
            some = ", ".join(shown.line(identity, 40) for identity in shared[:_NAMED])
            self.warn(
                f"{len(shared)} identities come with more than {limit} others ({some}): shared devices or accounts; "
                "max_aliases_per_identity keeps them from being aliased further"
            )
        for identity, rows in self.totals.identities.most_common(_NAMED):
            if rows >= 50 and rows * 5 >= self.accepted and len(self.totals.identities) >= 10:
                self.warn(
                    f"{rows} of {self.accepted} rows have the identity {shown.line(identity, 40)!r}: is it one "
                    "person's own? If it stands for nobody, add it to blocked_identities"
                )
        if self.totals.calls["alias"]:
            self.warn(f"{shown.plural(self.totals.calls['alias'], 'alias call')}: Kissmetrics never undoes an alias")


@dataclass(slots=True)
class Preview:
    """All streams of an input.

    Attributes:
        plan: What holds for all of them.
        streams: By name, in the order in which they came.
        skipped: What was passed over, for a person.
        warnings: What holds for streams together; complete once it is finished.
        map_names: Watches the names in `stream_maps`, and is told of each stream as the tap names it.
    """

    plan: Plan
    streams: dict[str, StreamPreview] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    map_names: NameWatch = field(default_factory=lambda: NameWatch(()))

    def schema(
        self,
        name: str,
        schema: Mapping[str, Any],
        key_properties: Sequence[str],
        validate: Validate,
        mapped: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        """Take a stream's SCHEMA message, after its stream map; `mapped` is what that has."""
        self.stream(name).schema(schema, key_properties, validate, mapped)

    def row(self, name: str, row: Row, extracted: object) -> None:
        """Take a row of a stream whose schema came before."""
        self.streams[name].row(row, extracted)

    def stream(self, name: str) -> StreamPreview:
        """Give a stream, which begins with this."""
        return self.streams.setdefault(name, StreamPreview(name, self.plan))

    def finish(self) -> None:
        """Work out what is known at the end alone."""
        for stream in self.streams.values():
            stream.finish()
        self._warn_of_streams()
        totals = [stream.totals for stream in self.streams.values()]
        self._warn_of_names("events", [one.events for one in totals], MANY_EVENT_NAMES)
        self._warn_of_names("properties", [one.properties for one in totals], MANY_PROPERTY_NAMES)
        self._warn_of_ids()

    def suggestions(self) -> list[Suggestion]:
        """Give the entries to use: those of the config, and new ones where there are none, in an order that works.

        The first entry that matches wins, so new ones come before those for many streams.
        """
        replaced = {
            id(entry)
            for stream in self.streams.values()
            if stream.suggestion is not None and (entry := entry_for(self.plan.entries, stream.name)) is not None
            if entry.stream == stream.name
        }
        unseen = self._unseen_entries()
        configured = [
            (entry, Suggestion(dict(given), ["as configured", *unseen.get(entry.place, ())]))
            for entry, given in zip(self.plan.entries, self.plan.given, strict=True)
            if id(entry) not in replaced
        ]
        new = [stream.suggestion for stream in self.streams.values() if stream.suggestion and stream.name.strip()]
        # What stands behind a glob stays there: a run lets the glob have it, too.
        globs = [index for index, (entry, _) in enumerate(configured) if entry.is_glob]
        first = globs[0] if globs else len(configured)
        given = [one for _, one in configured]
        return [*given[:first], *new, *given[first:]]

    def _warn_of_ids(self) -> None:
        """Warn of streams that name the same people by different IDs, also in the comments of what is suggested."""
        named = {name: made for name, stream in self.streams.items() if (made := stream.named()) is not None}
        for mismatch in mismatches(named):
            self.warnings.append(shown.line(str(mismatch), _LONG))
            is_settled = mismatch.is_free and self.streams[mismatch.other].name_by(mismatch)
            for name in (mismatch.one,) if is_settled else (mismatch.one, mismatch.other):
                self.streams[name].tell(mismatch.settled if is_settled else str(mismatch))

    def _unseen_entries(self) -> dict[str, list[str]]:
        """Tell of entries for streams that did not come, by their place."""
        watch = NameWatch(of_entries(self.plan.entries))
        for stream in self.streams:
            watch.saw(stream)
        return _unseen(watch) if self.streams else {}

    def _warn_of_streams(self) -> None:
        """Warn of names in the config that no stream has."""
        maps = _unseen(self.map_names) if self.streams else {}
        for place, told in [*self._unseen_entries().items(), *maps.items()]:
            self.warnings += [f"{place} is {one}" for one in told]

    def _warn_of_names(
        self, what: str, streams: Sequence[Mapping[str, EventTotal] | Mapping[str, PropertyTotal]], many: int
    ) -> None:
        """Warn of names, over all streams: one product has them all."""
        spelled: dict[str, list[str]] = {}
        for totals in streams:
            for name, total in totals.items():
                spellings = spelled.setdefault(name, [])
                spellings.extend(one for one in total.spellings if one not in spellings)
        for spellings in [found for found in spelled.values() if len(found) > 1][:_MAX_SPELLINGS_TOLD]:
            listed = ", ".join(repr(shown.line(one)) for one in spellings)
            self.warnings.append(f"{what} that differ by case only are one to Kissmetrics: {listed}")
        if len(spelled) > many:
            some = ", ".join(repr(shown.line(one[0], 40)) for one in list(spelled.values())[:_NAMED])
            self.warnings.append(
                f"{shown.count(len(spelled))} different names of {what} ({some}, ...): names made from data (a URL, an "
                "order number) use up Kissmetrics' 65,535, for ever"
            )


def _unseen(watch: NameWatch) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for one in watch.unseen:
        if not one.is_glob:
            text = f"for '{shown.line(one.name)}', and no stream of the input has that name{watch.guess(one)}"
            told.setdefault(one.place, []).append(text)
    return told


def _lose(losses: dict[str, Loss], code: str, reason: str, number: int, name: str | None) -> None:
    loss = losses.setdefault(code, Loss(0, shown.line(reason, 300), number, shown.line(name) if name else None))
    loss.count += 1
