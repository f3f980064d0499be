"""What the fields of a stream hold, as far as its schema and its first rows tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from target_kissmetrics.kissmetrics.limits import EARLIEST_TIME, LATEST_TIME
from target_kissmetrics.mapping.rules import amounts, times
from target_kissmetrics.mapping.rules.fields import Row, is_empty
from target_kissmetrics.mapping.rules.properties import is_metadata, moments

SAMPLED_ROWS = 1000
MAX_FIELDS = 500
"""Fields that are looked at; a table has fewer."""

_MAX_DISTINCT = 500
_MAX_TEXTS_PLACED = 200
_MAX_KEY_CHARACTERS = 60
_DAY = 86_400
_SCHEMA_DEPTH = 5
_MAX_ITEM_FIELDS = 100
_NOBODIES = frozenset({"0", "-1", "0.0"})
_PLAIN_NAME = re.compile(r"\w+", re.ASCII)


@dataclass(slots=True)
class FieldProfile:
    """One field.

    Attributes:
        name: The field, or its path.
        types: JSON Schema's types of it, null left out.
        is_moment: The schema calls it a date or date-time.
        is_list_of_objects: The schema, or a row, says so.
        filled: Sampled rows that hold something in it.
        where: The same rows, a bit each.
        moments: Sampled values that can be read as a time that Kissmetrics keeps.
        midnights: Those of them that name a day alone.
        amounts: Sampled values that can be read as an amount.
        texts: Sampled values that are texts.
        scalars: Sampled values that are texts or numbers.
        wholes: Sampled values that are whole numbers.
        nobodies: Sampled values that often stand for nobody: 0 and -1.
        distinct: Different values among them, at most 500.
        positive: Sampled rows whose value is an amount above zero, a bit each.
        rows_of: Its first 200 different texts of at most 60 characters, each with its sampled rows, a bit each.
        item_fields: Fields of the objects in its lists, at most 100.
    """

    name: str
    types: frozenset[str] = frozenset()
    is_moment: bool = False
    is_list_of_objects: bool = False
    filled: int = 0
    where: int = 0
    moments: int = 0
    midnights: int = 0
    amounts: int = 0
    texts: int = 0
    scalars: int = 0
    wholes: int = 0
    nobodies: int = 0
    distinct: set[str] = field(default_factory=set)
    positive: int = 0
    rows_of: dict[str, int] = field(default_factory=dict)
    item_fields: dict[str, None] = field(default_factory=dict)

    @property
    def is_date_only(self) -> bool:
        """Whether its times name days alone."""
        return bool(self.moments) and self.midnights == self.moments

    @property
    def is_many_valued(self) -> bool:
        """Whether no further distinct values were counted."""
        return len(self.distinct) >= _MAX_DISTINCT

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers, also as texts; 20.0 is one that was divided."""
        return bool(self.distinct) and all(value.removeprefix("-").isdecimal() for value in self.distinct)

    def mostly(self, number: int) -> bool:
        """Tell whether a number is at least four of five of the filled values."""
        return bool(self.filled) and number * 5 >= self.filled * 4

    def may_hold_id(self, rows: int) -> bool:
        """Tell whether it may hold an identity: texts or numbers, as far as is known."""
        if rows:
            return self.mostly(self.scalars)
        return not self.types or bool(self.types & {"string", "integer", "number"})

    def may_hold_moment(self, rows: int) -> bool:
        """Tell whether it may hold times."""
        if rows and self.filled:
            return self.mostly(self.moments)
        return self.is_moment or not rows

    def may_hold_amount(self, rows: int) -> bool:
        """Tell whether it may hold amounts."""
        if rows:
            return self.mostly(self.amounts)
        return bool(self.types & {"number", "integer", "string"}) or not self.types

    def add(self, value: object, row: int) -> None:
        """Take note of a value, and of the row of the sample that holds it."""
        if is_empty(value):
            return
        self.filled += 1
        self.where |= 1 << row
        if isinstance(value, (list, tuple)):
            self._add_items([item for item in value if isinstance(item, Mapping)])
        if isinstance(value, (bool, Mapping, list, tuple)):
            return
        self.scalars += 1
        self.texts += isinstance(value, str)
        self.wholes += isinstance(value, int)
        self.nobodies += str(value) in _NOBODIES
        if len(self.distinct) < _MAX_DISTINCT:
            self.distinct.add(str(value)[:_MAX_KEY_CHARACTERS])
        self._add_moment(value)
        if isinstance(value, str) and len(value) <= _MAX_KEY_CHARACTERS:
            self._place(value, row)
        amount = amounts.to_amount(value) if isinstance(value, (int, float, Decimal, str)) else None
        if amount is not None:
            self.amounts += 1
            self.positive |= (Decimal(amount) > 0) << row

    def _place(self, text: str, row: int) -> None:
        if text in self.rows_of or len(self.rows_of) < _MAX_TEXTS_PLACED:
            self.rows_of[text] = self.rows_of.get(text, 0) | 1 << row

    def _add_items(self, items: list[Mapping[str, Any]]) -> None:
        self.is_list_of_objects = self.is_list_of_objects or bool(items)
        for item in items:
            if len(self.item_fields) < _MAX_ITEM_FIELDS:
                self.item_fields.update(dict.fromkeys(item))

    def _add_moment(self, value: object) -> None:
        try:
            seconds = times.to_seconds(value)
        except (ValueError, OverflowError):
            return
        if EARLIEST_TIME <= seconds < LATEST_TIME:
            self.moments += 1
            self.midnights += seconds % _DAY == 0


class Profile:
    """The fields of a stream.

    Args:
        schema: Its JSON Schema, after its stream map.
        mapped: What its stream map has: expressions by field, and words such as `__filter__`.

    Attributes:
        mapped: The same.
        rows: Sampled rows, at most 1,000.
        fields: Its fields by name, those that a tap adds for itself left out.
        nested: Fields of objects in them by path (`billing.email`), one level deep, as far as the rows show them.
    """

    def __init__(self, schema: Mapping[str, Any], mapped: Mapping[str, object] = MappingProxyType({})) -> None:
        self.mapped = mapped
        self.rows = 0
        self.fields: dict[str, FieldProfile] = {}
        self.nested: dict[str, FieldProfile] = {}
        properties = schema.get("properties")
        dated = {path for path, _ in moments(schema)}
        for name, described in (properties if isinstance(properties, Mapping) else {}).items():
            made = self._field(name)
            if made is not None:
                shapes = list(_shapes(described, 0))
                made.types = frozenset(word for shape in shapes for word in _types(shape)) - {"null"}
                made.is_moment = name in dated
                made.is_list_of_objects = any(_holds_objects(shape) for shape in shapes)

    def add(self, row: Row) -> None:
        """Take note of a row, as long as the sample is not full."""
        if self.rows >= SAMPLED_ROWS:
            return
        self.rows += 1
        for name, value in row.items():
            made = self.fields.get(name) or self._field(name)
            if made is not None:
                made.add(value, self.rows - 1)
            if made is not None and isinstance(value, Mapping) and _PLAIN_NAME.fullmatch(name):
                self._add_nested(name, value)

    def field(self, path: str) -> FieldProfile | None:
        """Give a field, or one within an object."""
        return self.fields.get(path) or self.nested.get(path)

    def rows_without(self, paths: Iterable[str]) -> int:
        """Give the sampled rows that hold nothing in any of some fields, a bit each."""
        filled = 0
        for path in paths:
            field = self.field(path)
            filled |= field.where if field else 0
        return ((1 << self.rows) - 1) & ~filled

    def _add_nested(self, name: str, value: Mapping[str, Any]) -> None:
        for key, part in value.items():
            path = f"{name}.{key}"
            if path not in self.nested and (not _PLAIN_NAME.fullmatch(key) or len(self.nested) >= MAX_FIELDS):
                continue
            self.nested.setdefault(path, FieldProfile(path)).add(part, self.rows - 1)

    def _field(self, name: str) -> FieldProfile | None:
        if is_metadata(name) or len(self.fields) >= MAX_FIELDS:
            return None
        made = self.fields[name] = FieldProfile(name)
        return made


def _shapes(described: object, depth: int) -> Iterator[Mapping[str, Any]]:
    if not isinstance(described, Mapping) or depth > _SCHEMA_DEPTH:
        return
    yield described
    for word in ("anyOf", "oneOf", "allOf"):
        parts = described.get(word)
        for part in parts if isinstance(parts, list) else []:
            yield from _shapes(part, depth + 1)


def _types(shape: Mapping[str, Any]) -> list[str]:
    given = shape.get("type")
    return [word for word in (given if isinstance(given, list) else [given]) if isinstance(word, str)]


def _holds_objects(shape: Mapping[str, Any]) -> bool:
    items = shape.get("items")
    return "array" in _types(shape) and isinstance(items, Mapping) and "object" in _types(items)
