"""Fields of a row: how their names are spelled, dotted paths, templates and globs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from target_kissmetrics.exact_json import decode
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules.values import plain_number

Row = Mapping[str, Any]
Getter = Callable[[Row], Any]

_SEPARATORS = re.compile(r"[\s_-]+")
MAX_DEPTH = 50
"""Of nested objects."""

MAX_NAME_SETS = 100
"""Sets of names whose decisions are cached, of rows that no schema describes."""

_TEMPLATE_FIELD = re.compile(r"\{([^{}]+)\}")


@lru_cache(maxsize=10_000)
def loose(name: str) -> str:
    """Return the form in which all spellings of a name are identical: `USER_ID`, `User ID`, `userId`, `user_id`."""
    return _SEPARATORS.sub("", name).lower()


def spelled(
    candidates: Iterable[str], names: Collection[str], warn: Callable[[str], None] | None = None
) -> dict[str, str]:
    """Return which of some names of fields each candidate means: the exact spelling, else the first loose one.

    Candidates that no name means are left out. `warn` is called for one that has several loose spellings.
    """
    loosely = _by_loose_form(tuple(names))
    found: dict[str, str] = {}
    for candidate in candidates:
        same = [candidate] if candidate in names else loosely.get(loose(candidate), ())
        if same:
            found[candidate] = same[0]
        if len(same) > 1 and warn is not None:
            others = ", ".join(map(repr, same[1:]))
            warn(
                f"field {same[0]!r} serves as {candidate}; {others} could be meant as well; name the right one in "
                "the stream's entry, or rename the others with a stream map"
            )
    return found


@lru_cache(maxsize=32)
def _by_loose_form(names: tuple[str, ...]) -> dict[str, list[str]]:
    loosely: dict[str, list[str]] = {}
    for name in names:
        loosely.setdefault(loose(name), []).append(name)
    return loosely


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


def are_empty(paths: Sequence[str]) -> str:
    """Return a clause that fields are all empty."""
    return f"{', '.join(paths)} {'is' if len(paths) == 1 else 'are all'} empty" if paths else "no field can hold one"


def is_json(value: object) -> bool:
    """Return whether a value is a text that begins like an object or a list in JSON."""
    return isinstance(value, str) and value.lstrip()[:1] in {"[", "{"}


def parsed(value: object) -> Any:
    """Return a value, that of JSON text of an object or a list; ValueError if a text only begins like one."""
    return decode(str(value)) if is_json(value) else value


def paths_in(row: Row, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the paths of a row's fields, and of those in its objects."""
    for name, value in row.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping) and depth < MAX_DEPTH:
            yield from paths_in(value, f"{prefix}{name}.", depth + 1)


class FirstOf:
    """The first of some fields that is not empty.

    Args:
        paths: The fields, in the order they are tried.
        loose: They are candidates, and the fields that they mean are decided by each row's names; see `spelled`.
        warn: Called once for a candidate that several fields of a row may mean.
    """

    def __init__(self, paths: Iterable[str], *, loose: bool = False, warn: Callable[[str], None] | None = None) -> None:
        self.paths = tuple(paths)
        self.is_loose = loose
        self._getters = tuple((path, getter(path)) for path in self.paths)
        if loose:  # caches take more memory than anything else of a stream
            self._warn = lru_cache(MAX_NAME_SETS)(warn) if warn is not None else None
            self._of_names = lru_cache(MAX_NAME_SETS)(self._meant)

    @property
    def first(self) -> tuple[str, Getter]:
        """The field that is tried first, and what reads it; one that is always empty if that depends on the row."""
        return self._getters[0] if self._getters and not self.is_loose else ("", lambda _: None)

    def __str__(self) -> str:
        """Return the paths in one line."""
        return ", else ".join(self.paths)

    def find(self, row: Row) -> tuple[str, Any] | None:
        """Return the field and its value, or None if all are absent, null or blank."""
        for path, get in self._of_names(tuple(row)) if self.is_loose else self._getters:
            value = get(row)
            if not is_empty(value):
                return path, value
        return None

    def all(self, row: Row) -> list[tuple[str, Any]]:
        """Return each field that is not empty, with its value."""
        getters = self._of_names(tuple(row)) if self.is_loose else self._getters
        return [(path, value) for path, get in getters if not is_empty(value := get(row))]

    def _meant(self, names: tuple[str, ...]) -> tuple[tuple[str, Getter], ...]:
        """Return the fields that the candidates mean in rows with these names."""
        heads = [part for path in self.paths for part in (path, path.partition(".")[0])]
        meant = spelled(heads, dict.fromkeys(names), self._warn)
        found: dict[str, Getter] = {}
        for candidate in self.paths:
            head, dot, rest = candidate.partition(".")
            if candidate in meant:
                found.setdefault(meant[candidate], getter(meant[candidate]))
            elif dot and head in meant:
                found.setdefault(f"{meant[head]}.{rest}", _loose_getter(meant[head], rest))
        return tuple(found.items())


def _loose_getter(head: str, rest: str) -> Getter:
    below = FirstOf((rest,), loose=True)

    def walk(row: Row) -> Any:
        value = row.get(head)
        return next((value for _, value in below.all(value)), None) if isinstance(value, Mapping) else None

    return walk


class Template:
    """A constant, or a text with `{field}` in it, whose paths are its `fields`."""

    def __init__(self, text: str) -> None:
        self.text = text
        pieces = _TEMPLATE_FIELD.split(text)
        self.fields = tuple(pieces[1::2])
        self._parts = [getter(piece) if index % 2 else piece for index, piece in enumerate(pieces) if piece]

    def fill(self, row: Row) -> str | None:
        """Return the text for a row; None if a field it names is absent, empty or not a scalar."""
        texts = []
        for part in self._parts:
            text = part if isinstance(part, str) else scalar_text(part(row))
            if text is None:
                return None
            texts.append(text)
        return "".join(texts)


def scalar_text(value: object) -> str | None:
    """Return a text, number or boolean as text; None if the value is empty or no scalar."""
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

    def __init__(self, globs: Iterable[str]) -> None:
        globs = tuple(globs)
        self._names = frozenset(globs)
        self._patterns = [glob_pattern(glob) for glob in globs if "*" in glob or "?" in glob]

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
