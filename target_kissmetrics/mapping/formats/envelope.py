"""A message as its format defines it, from a row that holds it in any spelling or shape.

Taps and loaders write the fields of a message otherwise: in other spellings (`USER_ID`, `user_id`), its containers as
JSON text, or flattened into columns of their own (`traits__city`, `traits_city`, `traits.city`). The rest of a mapping
reads messages as their format's documentation shows them.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from target_kissmetrics.mapping.formats.message_parts import not_expected
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.mapping.rules.fields import MAX_NAME_SETS, Row, is_empty, is_json, parsed, spelled
from target_kissmetrics.mapping.stream import Stream


class _Shape(NamedTuple):
    """Where rows with the same fields hold a message."""

    fields: Mapping[str, str]  # the format's name of a field -> the row's name
    columns: Sequence[tuple[str, str, str, str]]  # flattened: the container, the object in it, field, row's column
    is_exact: bool  # rows are messages as they are, but for containers that are text


class Envelope:
    """Reads the messages of one stream, by the names of their fields that are no containers, and of their containers.

    Containers are objects or lists, each with the objects in it that may be flattened or text, too; `rows` are those
    that hold what is a row in other formats.
    """

    def __init__(
        self, stream: Stream, fields: Sequence[str], containers: Mapping[str, Sequence[str]], rows: Collection[str] = ()
    ) -> None:
        self._names = (*fields, *containers)
        self._containers = containers
        self._rows = rows
        self._listed = tuple(stream.fields)
        self._warn = stream.warn
        self._columns = {container: _column_of(container, parts) for container, parts in containers.items()}
        self._shape = lru_cache(MAX_NAME_SETS)(self._shape_of)

    @property
    def has_container(self) -> bool:
        """Whether messages have a container in any shape, as far as the schema says."""
        shape = self._shape(self._listed)
        return not self._listed or bool(shape.columns) or any(name in shape.fields for name in self._containers)

    def open(self, row: Row, rejections: list[Rejection]) -> Row:
        """Return a row's message; `rejections` gets containers whose text is no JSON."""
        shape = self._shape(tuple(row))
        message = row
        if not shape.is_exact:
            message = {name: row[field] for name, field in shape.fields.items() if field in row}
        for name in [name for name in self._containers if isinstance(message.get(name), str)]:
            value = _parsed(message[name], shape.fields[name], rejections, counts_as_row=name in self._rows)
            message = {**message, name: value}
        if shape.columns:
            message = {**message, **_unflattened(row, message, shape.columns)}
        for container, parts in self._containers.items():
            holder = message.get(container)
            for part in parts:
                if isinstance(holder, Mapping) and is_json(holder.get(part)):
                    holder = {**holder, part: _parsed(holder[part], f"{container}.{part}", rejections)}
                    message = {**message, container: holder}
        return message

    def _shape_of(self, names: tuple[str, ...]) -> _Shape:
        known = dict.fromkeys((*self._listed, *names))
        fields = spelled(self._names, known, self._warn)
        columns = [
            (container, (match[2] or "").lower(), match[3].replace("__", "."), name)
            for name in known
            if name not in fields.values()
            for container, pattern in self._columns.items()
            if (match := pattern.fullmatch(name))
        ]
        return _Shape(fields, columns, is_exact=not columns and all(name == field for name, field in fields.items()))


def _column_of(container: str, parts: Sequence[str]) -> re.Pattern[str]:
    """Return the pattern of a container's flattened columns: separator, object in the container, field."""
    part = rf"(?:({'|'.join(parts)})\1)?" if parts else "()"
    return re.compile(rf"{container}(__|[_.]){part}(.+)", re.IGNORECASE | re.DOTALL)


def _unflattened(row: Row, message: Row, columns: Sequence[tuple[str, str, str, str]]) -> dict[str, dict[str, Any]]:
    """Return the containers that a message lacks, and some columns hold."""
    found: dict[str, dict[str, Any]] = {}
    for container, part, name, column in columns:
        if message.get(container) is None and row.get(column) is not None:
            holder = found.setdefault(container, {})
            within = holder.setdefault(part, {}) if part else holder
            if isinstance(within, dict):
                within[name] = row[column]
    return found


def _parsed(text: str, field: str, rejections: list[Rejection], *, counts_as_row: bool = False) -> Any:
    try:
        value = parsed(text)
    except ValueError:
        value = text
    if not isinstance(value, str):
        return value
    if not is_empty(text):
        rejections.append(Rejection.of(not_expected("an object or a list", text, field), counts_as_row=counts_as_row))
    return None
