"""What a stream's calls add up to, in bounded memory, and what of them is suspicious."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.mapping.rules.amounts import to_amount
from target_kissmetrics.reporting import display

MAX_NAMES = 10_000  # names of events, or of properties, that are counted one by one; the rest are counted together
MAX_IDENTITIES = 100_000  # identities, aliases, and rows of a stream without a key, that are known one by one
_LISTED = 5
_SHORT = 40


@dataclass(slots=True)
class NameTotal:
    """The calls with one name: at most a few example values; times in seconds since the Unix epoch."""

    count: int = 0
    examples: list[str] = field(default_factory=list)
    first: int = 0
    last: int = 0
    revenue: Decimal = Decimal(0)


@dataclass(slots=True)
class Names:
    """Totals by name, of the first 10,000 names, and the number of calls with other names."""

    known: dict[str, NameTotal] = field(default_factory=dict)
    others: int = 0

    def add(self, name: str) -> NameTotal:
        """Count a name and give its totals."""
        if name not in self.known and len(self.known) >= MAX_NAMES:
            self.others += 1
            return NameTotal()
        total = self.known.setdefault(name, NameTotal())
        total.count += 1
        return total


@dataclass(slots=True)
class Totals:
    """What a stream's calls add up to, and its identities with the rows of each."""

    revenue_key: str
    max_aliases: int = 10
    calls: Counter[str] = field(default_factory=Counter)
    events: Names = field(default_factory=Names)
    properties: Names = field(default_factory=Names)
    identities: Counter[str] = field(default_factory=Counter)
    equal_rows: int = 0
    _rows: set[int] = field(default_factory=set)
    _pairs: set[frozenset[str]] = field(default_factory=set)

    def add(self, mapped: Mapped, *, has_key: bool) -> None:
        """Count a row's calls; `has_key` says that its stream has a key."""
        for call in mapped.calls:
            self.calls[type_of(call)] += 1
            if not isinstance(call, Alias):
                self._add_carrying(call)
            elif len(self._pairs) < MAX_IDENTITIES:
                self._pairs.add(frozenset((call.person, call.other)))
        for call in mapped.calls[:1]:
            if call.person in self.identities or len(self.identities) < MAX_IDENTITIES:
                self.identities[call.person] += 1
        for slot in mapped.slots[:1] if not has_key else ():
            call = mapped.calls[slot.record]
            event = hash((call.person, getattr(call, "event", None), call.time, slot.row))
            self.equal_rows += event in self._rows
            if len(self._rows) < MAX_IDENTITIES:
                self._rows.add(event)

    def _add_carrying(self, call: Record | Set) -> None:
        if isinstance(call, Record):
            event = self.events.add(call.event)
            event.first = min(event.first or call.time, call.time)
            event.last = max(event.last, call.time)
            event.revenue += Decimal(to_amount(call.properties.get(self.revenue_key)) or 0)
        for name, value in call.properties.items():
            examples, example = self.properties.add(name).examples, value[:200]
            if len(examples) < 3 and example not in examples:
                examples.append(example)

    @property
    def revenue(self) -> Decimal:
        """The sum over all events."""
        return sum((event.revenue for event in self.events.known.values()), Decimal(0))

    def warnings(self, rows: int) -> Iterator[str]:
        """Give what to warn of; `rows` were mapped."""
        partners = Counter(identity for pair in self._pairs for identity in pair)
        shared = [identity for identity, count in partners.items() if count > self.max_aliases]
        if shared:
            yield (
                f"{len(shared)} identities come with more than {self.max_aliases} others ({_some(shared)}); they look "
                "like shared devices or accounts; max_aliases_per_identity limits their aliases"
            )
        lowered = Counter(identity.lower() for identity in self.identities)
        alike = [identity for identity in self.identities if lowered[identity.lower()] > 1]
        if alike:
            yield (
                f"{len(alike)} identities differ from another one in case alone ({_some(alike)}); to Kissmetrics they "
                "are different people; if they are not, set lowercase_identities: true"
            )
        for identity, count in self.identities.most_common(_LISTED):
            if count >= 50 and count * 5 >= rows and len(self.identities) >= 10:
                what = f"{count} of {rows} rows have the identity {display.line(identity, _SHORT)!r}"
                yield f"{what}; if it is not one person, add it to blocked_identities"
        if self.equal_rows:
            yield (
                f"{display.plural(self.equal_rows, 'row')} equal to another one, and the stream has no key; "
                "Kissmetrics keeps one event of them; to keep all, give the tap the table's key (key_properties)"
            )
        if self.calls["alias"]:
            yield f"{display.plural(self.calls['alias'], 'alias call')}: Kissmetrics never undoes an alias"


def sender(call: Record | Set) -> list[tuple[str, str]]:
    """Give the person's address and user agent, where a call has them, under the names that they are sent with."""
    return [(name, text) for name, text in (("_ip", call.address), ("_ua", call.user_agent)) if text]


def type_of(call: Call) -> str:
    """Give `record`, `set` or `alias`."""
    return type(call).__name__.lower()


def _some(identities: list[str]) -> str:
    return ", ".join(display.line(identity, _SHORT) for identity in identities[:_LISTED])
