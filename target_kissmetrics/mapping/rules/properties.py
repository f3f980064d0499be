"""Which fields of a row become properties, under which names, and with which values.

Nested objects are flattened with `.`; lists of scalars are joined; lists that hold objects or lists are dropped. Null
and empty values are not sent. What the schema and the settings say of a field is worked out once, not for each row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Properties
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.mapping.rules import amounts, names
from target_kissmetrics.mapping.rules.fields import MAX_DEPTH, Globs, Row, Template, spelled
from target_kissmetrics.mapping.rules.loaders import is_metadata
from target_kissmetrics.mapping.rules.schemas import listed, moments
from target_kissmetrics.mapping.rules.tracking_plan import TrackingPlan
from target_kissmetrics.mapping.rules.values import ObjectFoundError, Values, Writers, find_object, is_scalar
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
"""Names in Kissmetrics' reports. Source: support.kissmetrics.io, "Campaign properties"."""

MAX_CACHED_FIELDS = 20_000
"""Fields whose rules are cached; without a limit, rows keyed by data would grow the cache forever."""

MAX_LAYOUTS = 100
"""Sets of fields whose rules are cached together. Most streams have one, and one for each object in their rows."""

MAX_SHAPES = 300
"""Shapes of rows with objects: of names made from data there may be as many as rows."""

MAX_LAYOUT_FIELDS = 1000
"""Of a set that is cached."""

SHORT_CHARACTERS = 300
"""A value of no more characters is not too long, and no number of too many digits."""


class _UnusualError(ValueError):
    """A row takes the general way: what it holds, or how its fields are named, needs a look at each of them."""


_EXCLUDED = Writers(lambda _: "")
_NOTHING = Writers(lambda _: "", {dict: find_object})
"""Of a field that the settings exclude, with all that is below it; and of one below which some may be included."""


class _FieldRule(NamedTuple):
    """What holds for a field in every row: what writes its values, its property's name, also folded.

    `folded` is empty for a field that never becomes a property; `rejection` says why, if it is not excluded. `quick`
    writes values unchecked.
    """

    path: str
    writers: Writers
    quick: Writers
    name: str = ""
    folded: str = ""
    rejection: Rejection | None = None


class _Layout(NamedTuple):
    """Of all objects with the same fields: what gives the values that may become properties, and their rules."""

    pick: Callable[[Row], Sequence[Any]]
    rules: Sequence[_FieldRule]


class _Shape:
    """What holds for every row with the same fields, down to some depth of its objects.

    Args:
        rules: Of the fields.

    Attributes:
        objects: Places of the fields that were objects in some row, the last one first.
        below: By the fields of these objects, which are None where it is none: the shape with them in its place.
        folded: The folded names of the properties; None if two are the same, or one is rejected.
    """

    __slots__ = ("below", "folded", "names", "objects", "rules", "writers")

    def __init__(self, rules: Sequence[_FieldRule]) -> None:
        self.rules = rules
        self.objects: Sequence[int] = ()
        self.below: dict[tuple[object, ...], _Shape] = {}
        self.writers = [rule.quick for rule in rules]
        self.names = [rule.name for rule in rules]
        known = [rule.folded for rule in rules if rule.folded]
        is_plain = len(set(known)) == len(known) and not any(rule.rejection for rule in rules)
        self.folded = frozenset(known) if is_plain else None


_Used = tuple[str | None, ...]
_About = tuple[list[Rejection], set[str], _Used, str]
"""Of the call that properties are for: what gets the rejections, the taken names (folded), `used` and `under`."""


class PropertyMaker:
    """Turns the rows of one stream, or objects in them, into properties.

    Args:
        entry: The stream's entry: `include`, `exclude`, `rename`, `set`, `timezone`.
        warn: Called with each warning, once.
        reserved: Names of properties that the mapping sets itself, folded.
        iso_texts: Full ISO 8601 texts are times, even if the schema does not say so.
        prefix: Put before each name that comes from a field: `Page - `.
        own: Rows are objects in messages, whose fields the entry names without the path of the object: paths and globs
            of what is no property there.
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
        own: Collection[str] | None = None,
    ) -> None:
        self._include = Globs(entry.include) if entry.include is not None else None
        self._exclude = Globs(entry.exclude)
        self._revenue = folded(settings.revenue_key)
        self._plan = TrackingPlan(settings)
        self._campaign = CAMPAIGN_PROPERTIES if settings.campaign_properties else {}
        self._always = frozenset((*(entry.include or ()), *(field for field, _ in entry.rename)))
        self._rename = {field: names.property_name(wanted) for field, wanted in entry.rename}
        self._values = Values(settings, entry.zone)
        self._constants = tuple((name, folded(name), Template(value)) for name, value in entry.set)
        if any(name == self._revenue for _, name, _ in self._constants):
            problem = f"{settings.revenue_key!r} is the property of revenue; set revenue to a field instead"
            raise ConfigError(f"{entry.place}.set", problem)
        for name, _, _ in self._constants:
            try:
                self._plan.check_property(name, None)
            except Rejected as rejected:
                raise ConfigError(f"{entry.place}.set", f"{rejected.problem}; add it there, or remove it") from None
        self._moments = dict(moments(schema))
        self._iso_texts = iso_texts
        self._own = Globs(own) if own is not None else None
        self._prefix = prefix
        self._warn = warn
        self._warned: set[str] = set()
        self._reserved = frozenset(reserved)
        self._listed = tuple(listed(schema))
        self._writers = lru_cache(self._values.writers)
        self._rule = lru_cache(MAX_CACHED_FIELDS)(self._work_out)
        self._cached_layout = lru_cache(MAX_LAYOUTS)(self._layout)
        self._cached_shape = lru_cache(MAX_LAYOUTS)(self._shape)
        self._shapes = 0
        self._short = min(settings.max_value_length, SHORT_CHARACTERS)

    def make(
        self, row: Row, rejections: list[Rejection], *, used: _Used = (), taken: Collection[str] = (), under: str = ""
    ) -> Properties:
        """Return a row's properties.

        Args:
            row: A row, or an object in it.
            rejections: Gets the dropped properties.
            used: Paths that served as ID, time or name: no properties, unless `include` or `rename` names them.
            taken: Names of properties that the call already has, folded.
            under: The path of the object `row`; it does not become part of the properties' names.
        """
        prefix = f"{under}." if under else ""
        constants = self._constants if not under else ()
        filled = self._filled(row, rejections) if constants else {}
        if constants:
            taken = {*taken, *(name for _, name, _ in constants)}
        try:
            properties = self._made_by_shape(row, taken, used, under)
        except (ValueError, Rejected):
            properties = self._made(row, (rejections, {"", *taken}, used, under), prefix)
        return properties | filled if filled else properties

    def _made_by_shape(self, row: Row, taken: Collection[str], used: _Used, under: str) -> Properties:
        """Return what `_made` does, by what was worked out for rows of the same shape.

        Raises ValueError or Rejected: the row has to take the general way.
        """
        if len(row) > MAX_LAYOUT_FIELDS:
            raise _UnusualError
        pick, shape = self._cached_shape(tuple(row), used, under)
        values = [*pick(row)]
        depth = 0
        while shape.objects and depth < MAX_DEPTH:
            shape, depth = self._shape_below(shape, values, used, under), depth + 1
        if shape.folded is None or not shape.folded.isdisjoint(taken):
            raise _UnusualError
        try:
            texts = [writers[type(value)](value) for writers, value in zip(shape.writers, values, strict=True)]
        except ObjectFoundError:
            kept = [rule.writers is not _EXCLUDED for rule in shape.rules]
            shape.objects = [
                place for place in reversed(range(len(values))) if kept[place] and type(values[place]) is dict
            ]
            raise
        joined = "".join(texts)
        if not joined.isascii():
            joined.encode()
        if len(joined) > self._short and max(map(len, texts)) > self._short:
            raise _UnusualError
        if "" in map(str.strip, texts):
            return {name: text for name, text in zip(shape.names, texts, strict=True) if text and not text.isspace()}
        return dict(zip(shape.names, texts, strict=True))

    def _shape_below(self, shape: _Shape, values: list[Any], used: _Used, under: str) -> _Shape:
        """Put the values of objects in their place; return the shape with their fields."""
        inner: list[tuple[str, ...] | None] = []
        for place in shape.objects:
            value = values[place]
            if type(value) is dict:
                values[place : place + 1] = value.values()
                inner.append((*value,))
            else:
                inner.append(None)
        key = tuple(inner)
        if key not in shape.below:
            if self._shapes == MAX_SHAPES or len(values) > MAX_LAYOUT_FIELDS:
                raise _UnusualError
            self._shapes += 1
            rules = [*shape.rules]
            for place, fields in zip(shape.objects, key, strict=True):
                if fields is not None:
                    path = rules[place].path
                    rules[place : place + 1] = [self._rule_of(f"{path}.{field}", used, under) for field in fields]
            shape.below[key] = _Shape(rules)
        return shape.below[key]

    def _shape(self, fields: tuple[str, ...], used: _Used, under: str) -> tuple[Callable[[Row], Sequence[Any]], _Shape]:
        layout = self._layout(fields, used, under, f"{under}." if under else "")
        return layout.pick, _Shape(layout.rules)

    def _filled(self, row: Row, rejections: list[Rejection]) -> Properties:
        """Return the properties that `set` names; one whose template has an empty field is not sent."""
        properties: Properties = {}
        for name, _, template in self._constants:
            try:
                text = self._values.write(template.fill(row))
            except Rejected as problem:
                rejections.append(Rejection.of(problem, template.fields[0] if template.fields else None))
                continue
            if text:
                properties[name] = text
        return properties

    def excludes(self, path: str) -> bool:
        """Return whether `exclude` has a field. `include` does not matter for an object that becomes its own calls."""
        return self._exclude.match(path if self._own is None else path.rpartition(".")[2])

    def _made(self, row: Row, about: _About, prefix: str, depth: int = 0) -> Properties:
        """Return the properties of a row, or of an object in it, whose paths have a prefix."""
        rejections, seen, used, under = about
        properties: Properties = {}
        layout = self._cached_layout if len(row) <= MAX_LAYOUT_FIELDS else self._layout
        pick, rules = layout(tuple(row), used, under, prefix)
        for value, rule in zip(pick(row), rules, strict=True):
            if value is None:
                continue
            kind = type(value)
            if kind is dict:
                properties |= self._below(value, about, rule.path, depth + 1)
                continue
            if (kind is list or kind is tuple) and not all(map(is_scalar, value)):
                self._drop_list(rule)
                continue
            try:
                text = rule.writers[kind](value)
            except Rejected as problem:
                rejections.append(Rejection.of(problem, rule.path))
                continue
            if not text:
                continue
            if rule.folded in seen:
                self._drop(rule, rejections)
            else:
                seen.add(rule.folded)
                properties[rule.name] = text
        return properties

    def _layout(self, fields: tuple[str, ...], used: _Used, under: str, prefix: str) -> _Layout:
        """Return what holds for every object with some fields."""
        campaign = {}
        if prefix == (f"{under}." if under else ""):
            known = dict.fromkeys(fields if under else (*self._listed, *fields))
            meant = spelled(self._campaign, known, self._warn_once)
            campaign = {f"{prefix}{field}": self._campaign[name] for name, field in meant.items()}
        rules = {field: self._rule_of(f"{prefix}{field}", used, under, campaign) for field in fields}
        kept = {field: rule for field, rule in rules.items() if rule.writers is not _EXCLUDED}
        return _Layout(_picker(list(kept)), list(kept.values()))

    def _rule_of(self, path: str, used: _Used, under: str, campaign: Mapping[str, str] = {}) -> _FieldRule:
        if path in used and path not in self._always:
            return _FieldRule(path, _EXCLUDED, _EXCLUDED)
        return self._rule(path, under, campaign.get(path))

    def _below(self, row: Row, about: _About, path: str, depth: int) -> Properties:
        if depth <= MAX_DEPTH:
            return self._made(row, about, f"{path}.", depth)
        problem = Rejected("too-deep", f"objects are nested more than {MAX_DEPTH} deep", path)
        about[0].append(Rejection.of(problem))
        return {}

    def _drop_list(self, rule: _FieldRule) -> None:
        if rule.writers is not _NOTHING:
            self._warn_once(f"field {rule.path!r} is dropped: a list of objects cannot be a property")

    def _drop(self, rule: _FieldRule, rejections: list[Rejection]) -> None:
        """Report a value that becomes no property because of its name."""
        if rule.rejection is not None:
            rejections.append(rule.rejection)
            self._warn_once(f"field {rule.path[:80]!r} is dropped: {rule.rejection.reason}")
        else:
            other = "the amount" if rule.folded in self._reserved else "another field of the row"
            self._warn_once(f"field {rule.path!r} is dropped: {other} is already property {rule.name!r}")

    def _work_out(self, path: str, under: str, campaign: str | None) -> _FieldRule:
        name = path[len(under) + 1 :] if under else path
        named = path if self._own is None else name  # as the entry names it
        # `include` chooses among the row's own fields; an object that becomes its own call is chosen as a whole.
        include = self._include if self._own is not None or not under else None
        is_own = self._own is not None and self._own.match(path)
        if is_metadata(f"{name}.field") or self._exclude.match(named) or is_own:
            return _FieldRule(path, _EXCLUDED, _EXCLUDED)
        if is_metadata(name) or (include is not None and not include.match(named)):
            return _FieldRule(path, _NOTHING, _NOTHING)
        strict = self._moments.get(path)
        writers, quick = self._writers(self._iso_texts or strict is not None, bool(strict))
        try:
            wanted = self._rename.get(path) or self._rename.get(named) or campaign
            if wanted is None:
                # The field is checked alone first: a prefix must not make a property of a reserved name.
                wanted = names.property_name(name)
                wanted = names.property_name(f"{self._prefix}{wanted}") if self._prefix else wanted
            self._plan.check_property(wanted, path)
        except Rejected as problem:
            return _FieldRule(path, writers, quick, rejection=Rejection.of(problem, path))
        if folded(wanted) == self._revenue:
            of_type = writers
            writers = Writers(lambda value: "" if amounts.is_zero(value) else of_type[type(value)](value))
            quick = Writers(writers[object], {kind: quick[kind] for kind in (dict, list, tuple)})
        return _FieldRule(path, writers, quick, wanted, folded(wanted))

    def _warn_once(self, text: str) -> None:
        if text not in self._warned and len(self._warned) < MAX_CACHED_FIELDS:
            self._warned.add(text)
            self._warn(text)


def _picker(fields: Sequence[str]) -> Callable[[Row], Sequence[Any]]:
    """Return what gives the values of some fields of a row that has them."""
    if len(fields) > 1:
        return itemgetter(*fields)
    return lambda row: [row[field] for field in fields]
