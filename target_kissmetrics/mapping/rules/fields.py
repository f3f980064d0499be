"""Fields of a row: dotted paths, templates and globs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules.values import plain_number

Row = Mapping[str, Any]
Getter = Callable[[Row], Any]

_TEMPLATE_FIELD = re.compile(r"\{([^{}]+)\}")


def getter(path: str) -> Getter:
    """Return what reads a field: by its name, else by its dotted path through nested objects. None when absent."""
    if "." not in path:
        return lambda row: row.get(path)
    parts = path.split(".")

    def walk(row: Row) -> Any:
        value: Any = row.get(path)
        if value is not None:
            return value
        value = row
        for part in parts:
            if not isinstance(value, Mapping):
                return None
            value = value.get(part)
        return value

    return walk


def is_empty(value: object) -> bool:
    """Return whether a value is null or blank text."""
    return value is None or (isinstance(value, str) and (not value or value.isspace()))


class FirstOf:
    """The first of some fields that is not empty.

    Attributes:
        paths: The fields, in the order they are tried.
        getters: Each field with what reads it.
    """

    __slots__ = ("getters", "paths")

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = tuple(paths)
        self.getters = tuple((path, getter(path)) for path in self.paths)

    def find(self, row: Row) -> tuple[str, Any] | None:
        """Return the field and its value, or None if all are absent, null or blank."""
        for path, get in self.getters:
            value = get(row)
            if value is not None and (not isinstance(value, str) or (value and not value.isspace())):
                return path, value
        return None

    def all(self, row: Row) -> Iterator[tuple[str, Any]]:
        """Yield each field that is not empty, with its value."""
        for path, get in self.getters:
            value = get(row)
            if not is_empty(value):
                yield path, value


class Template:
    """A constant, or a text with `{field}` in it.

    Attributes:
        text: As written in the config.
        fields: The fields it names, as paths.
    """

    __slots__ = ("_parts", "fields", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        pieces = _TEMPLATE_FIELD.split(text)
        self.fields = tuple(pieces[1::2])
        self._parts = [getter(piece) if index % 2 else piece for index, piece in enumerate(pieces) if piece]

    def fill(self, row: Row) -> str | None:
        """Return the text for a row; None if a field it names is absent, empty or not a scalar."""
        texts = []
        for part in self._parts:
            text = part if isinstance(part, str) else _scalar_text(part(row))
            if text is None:
                return None
            texts.append(text)
        return "".join(texts)


def _scalar_text(value: object) -> str | None:
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        try:
            return plain_number(value)
        except Rejected:
            return None
    return None


class Globs:
    """Names and globs (`*`, `?`) that choose fields. A chosen object includes its fields."""

    __slots__ = ("_names", "_patterns")

    def __init__(self, globs: Iterable[str]) -> None:
        globs = tuple(globs)
        self._names = frozenset(globs)
        self._patterns = [glob_pattern(glob) for glob in globs if "*" in glob or "?" in glob]

    def names(self, path: str) -> bool:
        """Return whether the field is chosen by its exact name, not by a glob."""
        return path in self._names

    def match(self, path: str) -> bool:
        """Return whether the field, or an object that contains it, is chosen."""
        while True:
            if path in self._names or any(pattern.fullmatch(path) for pattern in self._patterns):
                return True
            path, dot, _ = path.rpartition(".")
            if not dot:
                return False


@lru_cache(maxsize=1024)
def glob_pattern(glob: str) -> re.Pattern[str]:
    """Compile a glob: `*` is any text, `?` any character. It is case-sensitive."""
    return re.compile("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in glob), re.DOTALL)
