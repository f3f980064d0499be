"""Every message that ends a run, or prevents one, says what to do next."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import target_kissmetrics

PACKAGE = Path(target_kissmetrics.__file__).parent

MESSAGES = {
    "ConfigError": 1,  # the second argument
    "InputError": 0,
    "StoreError": 0,
    "TooManyRejects": 0,
    "Refused": 0,
    "Unreachable": 0,
    "SandboxError": 0,
    "RecordsWithoutSchemaException": 0,
    "MissingKeyPropertiesError": 0,
    "InvalidJSONSchema": 0,
}
"""Class -> which argument is the message."""

NEXT_STEP = re.compile(
    r"\b(must (be|start|hold|have|not)|fix|name (it|one|another|the|a)|make (it|room)|merge|retype|copy|check|remove|"
    r"rename|give (it|the)|install|needs: pip|write (it|another|the)|upgrade|grant|enable|raise max|set |use |add |"
    r"free |belong together|(pipe|let|try|run)\b|save it|change the kind|is the file of|bug in the tap)",
    re.IGNORECASE,
)

COMPOSED = re.compile(r"(?:[\w.]+|\w+\(\.\.\.\)|.*\{\})")
"""A variable, a call, or a text that ends with a variable: the part that says what to do comes from elsewhere, and the
tests of that module check it."""

COMPLETED_BY_THE_CALLER = {"sandbox/rules.py"}
"""Modules whose messages a caller completes with the file, the line and what to do."""


def _messages() -> Iterator[tuple[str, str]]:
    """Give the place and the text of each message in the code, with `{}` for what is filled in."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MESSAGES:
                index = MESSAGES[node.func.id]
                if len(node.args) > index:
                    yield f"{name}:{node.lineno}", _text(node.args[index])


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join("{}" if isinstance(part, ast.FormattedValue) else _text(part) for part in node.values)
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return f"{node.func.id}(...)"
    return "{}"


FOUND = list(_messages())


def test_the_messages_are_found() -> None:
    assert len(FOUND) > 60


@pytest.mark.parametrize(("place", "message"), FOUND, ids=[place for place, _ in FOUND])
def test_a_message_says_what_to_do_next(place: str, message: str) -> None:
    is_complete = COMPOSED.fullmatch(message) or place.partition(":")[0] in COMPLETED_BY_THE_CALLER
    assert is_complete or NEXT_STEP.search(message), f"{place} does not say what to do: {message}"


@pytest.mark.parametrize(("place", "message"), FOUND, ids=[place for place, _ in FOUND])
def test_a_message_is_one_line(place: str, message: str) -> None:
    assert "\n" not in message, place
