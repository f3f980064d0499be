"""What Kissmetrics would merge or drop of a stream's calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from target_kissmetrics.kissmetrics.calls import Alias, Record
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.identity import Person
from target_kissmetrics.preview.totals import MAX_IDENTITIES, Totals
from target_kissmetrics.reporting import display
from target_kissmetrics.sync.collisions import Collisions

_LISTED = 5
_SHORT = 40


class Risks:
    """Watches a stream's calls, in bounded memory.

    Args:
        max_aliases: More IDs than this together with one ID are a risk.

    Attributes:
        collisions: Events that share person, name and second with another row's.
        amount_collisions: Other events that share person and second with another row's amount.
    """

    def __init__(self, max_aliases: int) -> None:
        self.collisions = self.amount_collisions = 0
        self._max_aliases = max_aliases
        self._events, self._amounts = Collisions(), Collisions()
        self._may_spread = True
        self._colliding: Counter[str] = Counter()
        self._overwritten: Counter[str] = Counter()
        self._partners: dict[str, set[int]] = {}

    def add(self, mapped: Mapped) -> None:
        """Watch a row's calls."""
        for slot in mapped.slots:
            call = mapped.calls[slot.record]
            if not isinstance(call, Record) or call.once:
                continue
            if self._events.seen(call.person, folded(call.event), call.time, slot.row):
                self.collisions += 1
                _count(self._colliding, call.event)
                self._may_spread = slot.may_spread
            elif slot.revenue_property and self._amounts.seen(call.person, "", call.time, slot.row):
                self.amount_collisions += 1
                self._may_spread = slot.may_spread
        kept: dict[tuple[str, int, str], str] = {}
        for call in mapped.calls:
            for name, value in () if isinstance(call, Alias) else call.properties.items():
                if kept.setdefault((call.person, call.time, folded(name)), value) != value:
                    _count(self._overwritten, name)

    def add_person(self, person: Person) -> None:
        """Watch which IDs come together."""
        for identity, partner in ((person.identity, person.other), (person.other, person.identity)):
            if identity is None or partner is None:
                return
            if identity in self._partners or len(self._partners) < MAX_IDENTITIES:
                partners = self._partners.setdefault(identity, set())
                # One more than the limit is enough to know.
                if len(partners) <= self._max_aliases:
                    partners.add(hash(partner))

    def warnings(self, totals: Totals, rows: int, *, spreads: bool) -> Iterator[str]:
        """Give what to warn of.

        Args:
            totals: The stream's.
            rows: Rows that were mapped.
            spreads: Its entry has `spread_duplicates`.
        """
        if totals.future:
            yield f"{display.plural(totals.future, 'call')} with a time in the future; check its zone and unit"
        if self._overwritten:
            values = display.plural(self._overwritten.total(), "value")
            yield (
                f"{values} would be lost ({_listed(self._overwritten)}): an event and its first item share a "
                "second, and Kissmetrics keeps one value of a property for it; give "
                "the items' another name with rename: [{field: ITEMS.FIELD, property: NAME}], or exclude one of the two"
            )
        yield from self._about_collisions(spreads=spreads)
        shared = [identity for identity, partners in self._partners.items() if len(partners) > self._max_aliases]
        if shared:
            some = ", ".join(display.line(identity, _SHORT) for identity in shared[:_LISTED])
            yield (
                f"{len(shared)} identities come with more than {self._max_aliases} others ({some}); they look like "
                "shared devices or accounts; max_aliases_per_identity limits their aliases"
            )
        lowered = Counter(identity.lower() for identity in totals.identities)
        alike = [identity for identity in totals.identities if lowered[identity.lower()] > 1]
        if alike:
            some = ", ".join(display.line(identity, _SHORT) for identity in alike[:_LISTED])
            yield (
                f"{len(alike)} identities differ from another one in case alone ({some}); to Kissmetrics they are "
                "different people; if they are not, set lowercase_identities: true"
            )
        for identity, count in totals.identities.most_common(_LISTED):
            if count >= 50 and count * 5 >= rows and len(totals.identities) >= 10:
                what = f"{count} of {rows} rows have the identity {display.line(identity, _SHORT)!r}"
                yield f"{what}; if it is not one person, add it to blocked_identities"
        if totals.calls["alias"]:
            yield f"{display.plural(totals.calls['alias'], 'alias call')}: Kissmetrics never undoes an alias"

    def about_equal_rows(self) -> Iterator[str]:
        """Warn of equal rows of a stream without a key."""
        if self._events.repeated:
            yield (
                f"{display.plural(self._events.repeated, 'row')} equal to another one, and the stream has no key; "
                "Kissmetrics keeps one event of them; to keep all, give the tap the table's key (key_properties)"
            )

    def _about_collisions(self, *, spreads: bool) -> Iterator[str]:
        action = "set spread_duplicates: true in the stream's entry"
        if not self._may_spread:
            action = "spread_duplicates, which gives each its own second, is for kind event"
        events, amounts = display.plural(self.collisions, "event"), display.plural(self.amount_collisions, "amount")
        names = _listed(self._colliding)
        if self.collisions and spreads:
            same = f"{'has' if self.collisions == 1 else 'have'} the person, name and second of another row's"
            yield f"{events} {same}; spread_duplicates moves them to seconds of their own ({names})"
        elif self.collisions:
            yield f"{events} would be lost ({names}): another row has the same person, name and second; {action}"
        if self.amount_collisions and not spreads:
            yield f"{amounts} would be lost: Kissmetrics keeps one amount of a person for a second; {action}"


def _count(counts: Counter[str], name: str) -> None:
    if name in counts or len(counts) < _LISTED:
        counts[name] += 1


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{display.line(name, _SHORT)} {count}" for name, count in counts.most_common())
