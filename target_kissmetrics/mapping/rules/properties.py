"""Which fields of a row become properties, under which names, and with which values.

Nested objects are flattened with `.`; lists of scalars are joined; lists that hold objects or lists are left out. Null
and empty values are not sent. What the schema and the settings say of a field is worked out when the field is first
seen, not again for each row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from target_kissmetrics.kissmetrics.calls import Properties
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.result import Aside
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.fields import Globs, Row
from target_kissmetrics.mapping.rules.names import NameProblem
from target_kissmetrics.mapping.rules.values import ValueProblem, Values, is_scalar
from target_kissmetrics.mapping.settings import MappingSettings, StreamSettings

CAMPAIGN_PROPERTIES: dict[str, str] = {
    "utm_source": "Campaign Source",
    "utm_medium": "Campaign Medium",
    "utm_campaign": "Campaign Name",
    "utm_term": "Campaign Terms",
    "utm_content": "Campaign Content",
    "referrer": "Referrer",
    "referer": "Referrer",
}
"""As Kissmetrics' reports know them: support.kissmetrics.io, "Campaign properties"."""

MAX_DEPTH = 50
"""Of nested objects. What lies deeper is no data that anybody looks at in a report."""

MAX_REMEMBERED_FIELDS = 20_000
"""Fields whose rules are kept; rows keyed by data would otherwise grow this without end."""

MAX_LAYOUTS = 100
"""Sets of fields that a stream's rows come with, whose ways to properties are kept; most streams have one."""

MAX_LAYOUT_FIELDS = 300
"""Of rows whose layouts are kept."""

_SCALARS = frozenset({type(None), str, int, float, bool, Decimal, datetime, date})

_Layout = tuple[tuple[str, str, Callable[[Any], str]], ...]
"""Field, its property's name, and what writes its values."""

METADATA_PREFIX = "_sdc_"
"""Fields that Singer taps and targets add for themselves."""


@dataclass(slots=True)
class _FieldRule:
    """What holds for a field in every row of its stream.

    Attributes:
        name: The property's name.
        folded: The same, as Kissmetrics compares it.
        left_out: It is no property, by the settings.
        write: Writes its values.
        problem: Why it cannot be a property.
        told: A person was told that another field has its name.
    """

    name: str = ""
    folded: str = ""
    left_out: bool = False
    write: Callable[[Any], str] = str
    problem: NameProblem | None = None
    told: bool = False


class PropertyMaker:
    """Makes the properties of one stream's rows.

    Args:
        entry: The stream's entry: `include`, `exclude`, `rename`.
        settings: What all streams share.
        schema: The stream's JSON Schema.
        warn: Takes a line for a person; each thing is told once.
        reserved: Properties that the mapping sets itself, folded.
        iso_texts: Texts that are full ISO 8601 are moments, also where the schema does not say so.
        prefix: Put in front of each name that comes from the fields: `Page - `.

    Raises:
        NameProblem: `rename` asks for a name that cannot be. Where a config is read, none such gets through.
    """

    def __init__(  # noqa: PLR0913 - what a stream is, and two things that its kind knows
        self,
        entry: StreamSettings,
        settings: MappingSettings,
        schema: Mapping[str, Any],
        warn: Callable[[str], None],
        reserved: Collection[str] = (),
        *,
        iso_texts: bool = False,
        prefix: str = "",
    ) -> None:
        self._include = Globs(entry.include) if entry.include is not None else None
        self._exclude = Globs(entry.exclude)
        self._campaign = CAMPAIGN_PROPERTIES if settings.campaign_properties else {}
        self._rename = {field: names.property_name(wanted) for field, wanted in entry.rename}
        self._values = Values(settings.datetime_format)
        self._moments = dict(moments(schema))
        self._iso_texts = iso_texts
        self._prefix = prefix
        self._warn = warn
        self._warned: set[str] = set()
        self._lists_left_out: set[str] = set()
        # The same path is one field when it is the row's own, and another in an object that becomes a call.
        self._rules: dict[str, dict[str, _FieldRule]] = {}
        self._rules_made = 0
        self._layouts: dict[tuple[tuple[str, ...], tuple[str | None, ...], tuple[str, ...]], _Layout | None] = {}
        self._reserved = frozenset(reserved)

    def make(
        self,
        row: Row,
        asides: list[Aside],
        *,
        used: tuple[str | None, ...] = (),
        taken: Collection[str] = (),
        under: str = "",
    ) -> Properties:
        """Make a row's properties.

        Args:
            row: A row, or an object in it. It is not changed.
            asides: Takes what is set aside.
            used: Paths that served as ID, time or name: no properties, unless `include` names them.
            taken: Properties that the call has already, folded.
            under: The path of the object that `row` is; its own name does not become part of the properties' names.
        """
        if not under and self._include is None and len(row) <= MAX_LAYOUT_FIELDS:
            layout = self._layout((tuple(row), used, tuple(taken)))
            properties = _by_layout(layout, row) if layout is not None else None
            if properties is not None:
                return properties
        return self._make_any(row, asides, used, taken, under)

    def _layout(self, key: tuple[tuple[str, ...], tuple[str | None, ...], tuple[str, ...]]) -> _Layout | None:
        """Give what rows with these fields become; None where that is not plain before their values are looked at."""
        if key in self._layouts:
            return self._layouts[key]
        if len(self._layouts) >= MAX_LAYOUTS:
            self._layouts.clear()
        fields, used, taken = key
        layout = self._layouts[key] = self._lay_out([field for field in fields if field not in used], taken)
        return layout

    def _lay_out(self, fields: Collection[str], taken: Collection[str]) -> _Layout | None:
        rules = self._rules.setdefault("", {})
        chosen = [(field, rules.get(field) or self._rule(rules, field, "")) for field in fields]
        chosen = [(field, rule) for field, rule in chosen if not rule.left_out]
        names_taken = [*taken, *(rule.folded for _, rule in chosen)]
        if any(rule.problem is not None for _, rule in chosen) or len(set(names_taken)) < len(names_taken):
            return None
        return tuple((field, rule.name, rule.write) for field, rule in chosen)

    def _make_any(
        self, row: Row, asides: list[Aside], used: Collection[str | None], taken: Collection[str], under: str
    ) -> Properties:
        """Make the properties of any row, nested ones and those with something to be set aside among them."""
        properties: Properties = {}
        seen: set[str] = set(taken)
        rules = self._rules.setdefault(under, {})
        for path, value in self._fields(row, f"{under}." if under else "", used, asides):
            rule = rules.get(path) or self._rule(rules, path, under)
            if rule.left_out:
                continue
            try:
                text = rule.write(value)
            except ValueProblem as problem:
                asides.append(Aside.of(problem, path))
                continue
            if not text:
                continue
            if rule.problem is not None or rule.folded in seen:
                self._leave_out(rule, path, asides)
                continue
            seen.add(rule.folded)
            properties[rule.name] = text
        return properties

    def _leave_out(self, rule: _FieldRule, path: str, asides: list[Aside]) -> None:
        if rule.problem is not None:
            asides.append(Aside.of(rule.problem, path))
            self._warn_once(f"field {path[:80]!r} is set aside: {rule.problem.reason}")
        else:
            self._tell_shared(rule, path)

    def _fields(
        self, row: Row, prefix: str, used: Collection[str | None], asides: list[Aside]
    ) -> Iterable[tuple[str, Any]]:
        """Give a row's fields, flattened. Most rows hold nothing but scalars, and need no flattening."""
        if prefix or self._include is not None or not _SCALARS.issuperset(map(type, row.values())):
            return self._flat(row, prefix, used, asides, 0)
        return [item for item in row.items() if item[1] is not None and item[0] not in used]

    def _flat(
        self, row: Row, prefix: str, used: Collection[str | None], asides: list[Aside], depth: int
    ) -> Iterator[tuple[str, Any]]:
        for key, value in row.items():
            if value is None:
                continue
            path = f"{prefix}{key}" if prefix else key
            if path in used and not (self._include is not None and self._include.names(path)):
                continue
            if isinstance(value, Mapping):
                if depth >= MAX_DEPTH:
                    asides.append(Aside.because("too-deep", f"objects are nested more than {MAX_DEPTH} deep", path))
                    continue
                yield from self._flat(value, f"{path}.", used, asides, depth + 1)
            elif isinstance(value, (list, tuple)) and not all(map(is_scalar, value)):
                self._tell_list(path)
            else:
                yield path, value

    def excluded(self, path: str) -> bool:
        """Tell whether the stream's entry leaves the field out."""
        return self._exclude.match(path) or (self._include is not None and not self._include.match(path))

    def excluded_by_name(self, path: str) -> bool:
        """Tell whether the stream's entry leaves a field out, be it for `include` or not: an object that becomes calls
        of its own need not be among the properties."""
        return self._exclude.match(path)

    def _rule(self, rules: dict[str, _FieldRule], path: str, under: str) -> _FieldRule:
        if self._rules_made >= MAX_REMEMBERED_FIELDS:
            self._rules = {}
            self._rules_made = 0
        self._rules_made += 1
        rule = rules[path] = self._make_rule(path, under)
        return rule

    def _make_rule(self, path: str, under: str) -> _FieldRule:
        # `include` chooses among the row's own fields; an object that becomes a call of its own was chosen as a whole.
        name = path[len(under) + 1 :] if under else path
        if is_metadata(name) or (self.excluded_by_name(path) if under else self.excluded(path)):
            return _FieldRule(left_out=True)
        strict = self._moments.get(path)
        moment = self._iso_texts or strict is not None
        rule = _FieldRule(write=self._values.writer(moment=moment, strict=bool(strict)))
        try:
            rule.name = self._rename.get(path) or self._campaign.get(name) or self._named(name)
        except NameProblem as problem:
            rule.problem = problem
            return rule
        rule.folded = folded(rule.name)
        return rule

    def _named(self, field: str) -> str:
        # The name alone is looked at first: a prefix must not make a property of what Kissmetrics keeps for itself.
        name = names.property_name(field)
        return names.property_name(f"{self._prefix}{name}") if self._prefix else name

    def _tell_shared(self, rule: _FieldRule, path: str) -> None:
        if not rule.told:
            rule.told = True
            what = "the amount" if rule.folded in self._reserved else "another field of the row"
            self._warn_once(f"field {path!r}: {what} is property {rule.name!r} already; left out")

    def _tell_list(self, path: str) -> None:
        if path not in self._lists_left_out and len(self._lists_left_out) < MAX_REMEMBERED_FIELDS:
            self._lists_left_out.add(path)
            if not self.excluded(path):
                self._warn_once(f"field {path!r}: a list of objects is no property; left out")

    def _warn_once(self, text: str) -> None:
        if text not in self._warned and len(self._warned) < MAX_REMEMBERED_FIELDS:
            self._warned.add(text)
            self._warn(text)


def _by_layout(layout: _Layout, row: Row) -> Properties | None:
    """Make the properties of a row of scalars, every one of which can be sent; None: it is another row."""
    properties: Properties = {}
    try:
        for field, name, write in layout:
            value = row[field]
            if value is None:
                continue
            if type(value) not in _SCALARS:
                return None
            text = write(value)
            if text:
                properties[name] = text
    except ValueProblem:
        return None
    return properties


def is_metadata(field: str) -> bool:
    """Tell fields that Singer taps and targets add; a warehouse may give them back in capitals."""
    return field[:5].lower() == METADATA_PREFIX


def moments(schema: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, bool]]:
    """Give the paths of fields whose texts a JSON Schema calls dates or date-times, and whether it knows no others.

    Some taps write `anyOf` a date-time and any text, since what they read may hold what is no date.
    """
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or depth > MAX_DEPTH:
        return
    for name, field in properties.items():
        shapes = list(_shapes(field, depth))
        dated = [shape for shape in shapes if shape.get("format") in {"date", "date-time"}]
        if dated:
            others = [shape for shape in shapes if shape not in dated and "string" in _list(shape.get("type"))]
            yield f"{prefix}{name}", not others
        for shape in shapes:
            yield from moments(shape, f"{prefix}{name}.", depth + 1)


def _shapes(field: object, depth: int) -> Iterator[Mapping[str, Any]]:
    """Give a field's schema and those it is put together from: alternatives, and the items of a list."""
    if not isinstance(field, Mapping) or depth > MAX_DEPTH:
        return
    yield field
    parts = [field.get("items"), *(_list(field.get(key)) for key in ("anyOf", "oneOf", "allOf"))]
    for part in parts:
        for shape in _list(part):
            yield from _shapes(shape, depth + 1)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
