"""Which fields of a row become properties, under which names, and with which values.

Nested objects are flattened with `.`; lists of scalars are joined; lists that hold objects or lists are dropped. Null
and empty values are not sent. What the schema and the settings say of a field is worked out once, not for each row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.kissmetrics.calls import Properties
from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.mapping.rules import amounts, names
from target_kissmetrics.mapping.rules.fields import MAX_DEPTH, Globs, Row, Template, spelled
from target_kissmetrics.mapping.rules.loaders import is_metadata
from target_kissmetrics.mapping.rules.plan import TrackingPlan
from target_kissmetrics.mapping.rules.schemas import listed, moments
from target_kissmetrics.mapping.rules.values import Values, is_scalar
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
"""Sets of fields whose layouts are cached. Most streams have one; a row with yet another set is flattened."""

MAX_LAYOUT_FIELDS = 300
"""Of rows whose layouts are cached."""

_SCALARS = frozenset({type(None), str, int, float, bool, Decimal, datetime, date})

_Objects = tuple[tuple[str, tuple[str, ...]], ...]
_LayoutKey = tuple[str, tuple[str, ...], _Objects, tuple[str | None, ...], tuple[str, ...]]
"""`under`, the row's fields, those of its objects, `used` and `taken`."""
_Layout = tuple[tuple[str, str | None, str, Callable[[Any], str]], ...]
"""Field, the field in the object that it holds, its property's name, and what writes its values."""


class _FieldRule(NamedTuple):
    """What holds for a field in every row: how its values are written, its property's name, also folded, why it cannot
    be a property, and whether the settings exclude it.
    """

    write: Callable[[Any], str] = str
    name: str = ""
    folded: str = ""
    rejection: Rejection | None = None
    excluded: bool = False


class PropertyMaker:
    """Turns the rows of one stream, or objects in them, into properties.

    Args:
        entry: The stream's entry: `include`, `exclude`, `rename`, `set`, `timezone`.
        settings: What all streams share.
        schema: The stream's JSON Schema.
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
            problem = (
                f"{settings.revenue_key!r} is the property of revenue (revenue_key); set revenue to a field instead"
            )
            raise ConfigError(f"{entry.place}.set", problem)
        for name, _, _ in self._constants:
            try:
                self._plan.check_property(name, None)
            except Rejected as rejected:
                raise ConfigError(f"{entry.place}.set", f"{rejected.problem}; add it there, or take it out") from None
        self._moments = dict(moments(schema))
        self._iso_texts = iso_texts
        self._own = Globs(own) if own is not None else None
        self._prefix = prefix
        self._warn = warn
        self._warned: set[str] = set()
        self._reserved = frozenset(reserved)
        self._listed = tuple(listed(schema))
        self._rule = lru_cache(MAX_CACHED_FIELDS)(self._work_out)
        self._campaign_of = lru_cache(MAX_LAYOUTS)(self._campaign_fields)
        self._has_objects = False
        self._layouts: dict[_LayoutKey, _Layout | None] = {}

    def make(
        self,
        row: Row,
        rejections: list[Rejection],
        *,
        used: tuple[str | None, ...] = (),
        taken: Collection[str] = (),
        under: str = "",
    ) -> Properties:
        """Return a row's properties.

        Args:
            row: A row, or an object in it.
            rejections: Gets the dropped properties.
            used: Paths that served as ID, time or name: no properties, unless `include` or `rename` names them.
            taken: Names of properties that the call already has, folded.
            under: The path of the object `row`; it does not become part of the properties' names.
        """
        if self._constants and not under:
            constants = self._filled(row, rejections)
            taken = (*taken, *(name for _, name, _ in self._constants))
            return self._make_from_fields(row, rejections, used, taken, under) | constants
        return self._make_from_fields(row, rejections, used, taken, under)

    def _make_from_fields(
        self,
        row: Row,
        rejections: list[Rejection],
        used: tuple[str | None, ...],
        taken: Collection[str],
        under: str,
    ) -> Properties:
        if self._include is None and len(row) <= MAX_LAYOUT_FIELDS:
            objects = _objects_in(row) if self._has_objects else ()
            layout = self._layout((under, tuple(row), objects, used, tuple(taken)))
            properties = _apply(layout, row) if layout is not None else None
            if properties is not None:
                return properties
            self._has_objects = self._has_objects or bool(_objects_in(row))
        return self._flatten(row, rejections, used, taken, under)

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

    def _layout(self, key: _LayoutKey) -> _Layout | None:
        """Return how rows with these fields are written; None if that depends on their values, or is not cached."""
        if key not in self._layouts and len(self._layouts) < MAX_LAYOUTS:
            under, fields, objects, used, taken = key
            campaign, within = self._campaign_of(fields, under), dict(objects)
            rules = []
            for field in fields:
                path = f"{under}.{field}" if under else field
                if path in used and path not in self._always:
                    continue
                for name, at in (
                    [(one, f"{path}.{one}") for one in within[field]] if field in within else [(None, path)]
                ):
                    if at not in used or at in self._always:
                        rules.append(((field, name), self._rule(at, under, campaign.get(at))))
            chosen = [(place, rule) for place, rule in rules if not rule.excluded]
            all_names = [*taken, *(rule.folded for _, rule in chosen)]
            is_plain = len(set(all_names)) == len(all_names) and not any(rule.rejection for _, rule in chosen)
            layout = tuple((*place, rule.name, rule.write) for place, rule in chosen)
            self._layouts[key] = layout if is_plain else None
        return self._layouts.get(key)

    def _flatten(
        self, row: Row, rejections: list[Rejection], used: Collection[str | None], taken: Collection[str], under: str
    ) -> Properties:
        properties: Properties = {}
        seen = set(taken)
        campaign = self._campaign_of(tuple(row), under)
        for path, value in self._fields(row, f"{under}." if under else "", used, rejections):
            rule = self._rule(path, under, campaign.get(path))
            if rule.excluded:
                continue
            try:
                text = rule.write(value)
            except Rejected as problem:
                rejections.append(Rejection.of(problem, path))
                continue
            if not text:
                continue
            if rule.rejection is not None:
                rejections.append(rule.rejection)
                self._warn_once(f"field {path[:80]!r} is dropped: {rule.rejection.reason}")
            elif rule.folded in seen:
                other = "the amount" if rule.folded in self._reserved else "another field of the row"
                self._warn_once(f"field {path!r} is dropped: {other} is already property {rule.name!r}")
            else:
                seen.add(rule.folded)
                properties[rule.name] = text
        return properties

    def _fields(
        self, row: Row, prefix: str, used: Collection[str | None], rejections: list[Rejection], depth: int = 0
    ) -> Iterator[tuple[str, Any]]:
        for key, value in row.items():
            if value is None:
                continue
            path = f"{prefix}{key}"
            if path in used and path not in self._always:
                continue
            if isinstance(value, Mapping):
                if depth >= MAX_DEPTH:
                    problem = Rejected("too-deep", f"objects are nested more than {MAX_DEPTH} deep", path)
                    rejections.append(Rejection.of(problem))
                else:
                    yield from self._fields(value, f"{path}.", used, rejections, depth + 1)
            elif isinstance(value, (list, tuple)) and not all(map(is_scalar, value)):
                text = f"field {path!r} is dropped: a list of objects cannot be a property"
                if text not in self._warned and not (self._is_excluded(path) or self.excludes(path)):
                    self._warn_once(text)
            else:
                yield path, value

    def _is_excluded(self, path: str) -> bool:
        left_out = is_metadata(path) or self._exclude.match(path)
        return left_out or (self._include is not None and not self._include.match(path))

    def _campaign_fields(self, fields: tuple[str, ...], under: str) -> Mapping[str, str]:
        """Return the paths of the campaign's fields in rows with these fields, and the properties they become."""
        names = dict.fromkeys(fields if under else (*self._listed, *fields))
        found = spelled(self._campaign, names, self._warn_once)
        return {f"{under}.{field}" if under else field: self._campaign[name] for name, field in found.items()}

    def _work_out(self, path: str, under: str, campaign: str | None) -> _FieldRule:
        name = path[len(under) + 1 :] if under else path
        # `include` chooses among the row's own fields; an object that becomes its own call is chosen as a whole.
        if self._own is not None:
            excluded = self._own.match(path) or self._is_excluded(name)
        else:
            excluded = is_metadata(name) or (self._exclude.match(path) if under else self._is_excluded(path))
        if excluded:
            return _FieldRule(excluded=True)
        strict = self._moments.get(path)
        moment = self._iso_texts or strict is not None
        write = self._values.writer(moment=moment, strict=bool(strict))
        try:
            wanted = self._rename.get(path) or (self._rename.get(name) if self._own is not None else None) or campaign
            if wanted is None:
                # The field is checked alone first: a prefix must not make a property of a reserved name.
                wanted = names.property_name(name)
                wanted = names.property_name(f"{self._prefix}{wanted}") if self._prefix else wanted
            self._plan.check_property(wanted, path)
        except Rejected as problem:
            return _FieldRule(write, rejection=Rejection.of(problem, path))
        if folded(wanted) == self._revenue:
            return _FieldRule(lambda value: "" if amounts.is_zero(value) else write(value), wanted, self._revenue)
        return _FieldRule(write, wanted, folded(wanted))

    def _warn_once(self, text: str) -> None:
        if text not in self._warned and len(self._warned) < MAX_CACHED_FIELDS:
            self._warned.add(text)
            self._warn(text)


def _objects_in(row: Row) -> _Objects:
    return tuple([(field, tuple(value)) for field, value in row.items() if type(value) is dict])


def _apply(layout: _Layout, row: Row) -> Properties | None:
    """Return the properties of a row, all of whose values can be sent; None for any other row."""
    properties: Properties = {}
    try:
        for field, within, name, write in layout:
            value = row[field] if within is None else row[field][within]
            if value is None:
                continue
            kind = type(value)
            if kind not in _SCALARS and (kind is not list or not _SCALARS.issuperset(map(type, value))):
                return None
            text = write(value)
            if text:
                properties[name] = text
    except Rejected:
        return None
    return properties
