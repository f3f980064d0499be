"""A message as its format defines it, from a row that holds it in any spelling or shape.

Taps and loaders write the fields of a message otherwise: in other spellings (`USER_ID`, `user_id`), its containers as
JSON text, or flattened into columns of their own (`traits__city`, `traits_city`, `traits.city`). The rest of a mapping
reads messages as their format's documentation shows them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from target_kissmetrics.mapping.formats.message_parts import not_expected
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.mapping.rules.fields import MAX_NAME_SETS, Row, is_empty, is_json, parsed, spelled
from target_kissmetrics.mapping.stream import Stream


class _Shape(NamedTuple):
    """Where rows with the same fields hold a message.

    Attributes:
        fields: The format's name of a field -> the row's name.
        columns: A flattened container's field: the container, the object in it, the field's name, the row's column.
        is_exact: Rows are messages as they are, but for containers that are text.
    """

    fields: Mapping[str, str]
    columns: Sequence[tuple[str, str, str, str]]
    is_exact: bool


class Envelope:
    """Reads the messages of one stream.

    Args:
        stream: The stream.
        fields: The fields of a message that are no containers.
        containers: Its containers: objects, or lists.
        parts: Objects within a container that may be flattened with it, by its name.
        rows: The containers that hold what is a row in other formats.
    """

    def __init__(
        self,
        stream: Stream,
        fields: Sequence[str],
        containers: Sequence[str],
        parts: Mapping[str, Sequence[str]] | None = None,
        rows: Collection[str] = (),
    ) -> None:
        self._containers = tuple(containers)
        self._names = (*fields, *containers)
        self._parts = parts or {}
        self._rows = frozenset(rows)
        self._listed = tuple(stream.fields)
        self._warn = stream.warn
        self._column = re.compile(rf"({'|'.join(containers)})(__|[_.])(.+)", re.IGNORECASE | re.DOTALL)
        self._shape = lru_cache(MAX_NAME_SETS)(self._shape_of)

    @property
    def has_container(self) -> bool:
        """Whether messages have a container in any shape, as far as the schema says."""
        shape = self._shape(self._listed)
        return not self._listed or bool(shape.columns) or any(name in shape.fields for name in self._containers)

    def open(self, row: Row, rejections: list[Rejection]) -> Row:
        """Return a row's message; `rejections` gets containers whose text is no JSON."""
        shape = self._shape(tuple(row))
        held = {name: row.get(shape.fields[name]) for name in self._containers if name in shape.fields}
        texts = [name for name, value in held.items() if isinstance(value, str)]
        if not texts and shape.is_exact:
            return self._with_parts(row, rejections)
        message = {name: row[field] for name, field in shape.fields.items() if field in row}
        for name in texts:
            message[name] = _parsed(message[name], shape.fields[name], rejections, counts_as_row=name in self._rows)
        absent = {container for container in self._containers if message.get(container) is None}
        for container, part, name, column in shape.columns:
            if container in absent and row.get(column) is not None:
                message[container] = message.get(container) or {}
                holder = message[container]
                within = holder.setdefault(part, {}) if part else holder
                if isinstance(within, dict):
                    within[name] = row[column]
        return self._with_parts(message, rejections)

    def _with_parts(self, message: Row, rejections: list[Rejection]) -> Row:
        """Parse the objects within a container that are JSON text."""
        for container, parts in self._parts.items():
            holder = message.get(container)
            if not isinstance(holder, Mapping):
                continue
            texts = [part for part in parts if is_json(holder.get(part))]
            if texts:
                read = {part: _parsed(holder[part], f"{container}.{part}", rejections) for part in texts}
                message = {**message, container: {**holder, **read}}
        return message

    def _shape_of(self, names: tuple[str, ...]) -> _Shape:
        known = dict.fromkeys((*self._listed, *names))
        fields = spelled(self._names, known, self._warn)
        found = ((name, self._column.fullmatch(name)) for name in known if name not in fields.values())
        columns = [(*self._place(match), name) for name, match in found if match]
        return _Shape(fields, columns, is_exact=not columns and all(name == field for name, field in fields.items()))

    def _place(self, match: re.Match[str]) -> tuple[str, str, str]:
        """Return the container that a flattened column belongs to, the known object in it, and the field's name."""
        container, separator, rest = match[1].lower(), match[2], match[3]
        for part in self._parts.get(container, ()):
            if rest.lower().startswith(f"{part}{separator}"):
                return container, part, rest[len(part) + len(separator) :].replace("__", ".")
        return container, "", rest.replace("__", ".")


def _parsed(text: str, field: str, rejections: list[Rejection], *, counts_as_row: bool = False) -> Any:
    if is_empty(text):
        return None
    try:
        value = parsed(text)
    except ValueError:
        value = text
    if isinstance(value, str):
        rejections.append(Rejection.of(not_expected("an object or a list", text, field), counts_as_row=counts_as_row))
        return None
    return value
