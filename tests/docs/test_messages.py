"""Every message that ends a run, or keeps it from starting, says what to do next.

A text that cannot be told by its words alone is looked at by hand, and named below with why.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "target_kissmetrics"

MESSAGES = {
    "ConfigError": 1,  # the second argument
    "InputError": 0,
    "StoreError": 0,
    "TooManyRejects": 0,
    "Refused": 0,
    "Unreachable": 0,
    "JournalError": 0,
    "BrokenImportError": 0,
    "_CannotRunError": 0,
    "RecordsWithoutSchemaException": 0,
    "MissingKeyPropertiesError": 0,
    "InvalidJSONSchema": 0,
}
"""Class -> which argument is for a person."""

GIVEN_BY = {"batch_files.py: _why"}
"""Functions that give the whole of a message."""

NEXT_STEP = re.compile(
    r"\b(must (be|start|hold|not)|fix|mend|name (it|one|another|the|a)|make (it|room)|take (it|one)|copy|check|"
    r"give (it|the)|install|needs: pip|write (it|another|the)|upgrade|grant|enable|raise max|set |"
    r"say what|let |pipe a tap|try\b|run (again|this)|pip install|save it|change the kind|is the file of)",
    re.IGNORECASE,
)

LOOKED_AT = {
    "deliveries.py: {}": "cannot_write says it",
    "target.py: {} {}": "probe says it",
    "sandbox/imports.py: not a JSON object": "calls_of_file adds it",
    "sandbox/imports.py: not a JSON object: {}": "calls_of_file adds it",
    "sandbox/imports.py: not a JSON object: nested too deeply": "calls_of_file adds it",
    "sandbox/imports.py: {} is an object or a list; a value is a text or a number": "calls_of_file adds it",
    "batch_files.py: {}": "the SDK says what a path may be",
    "batch_files.py: {} {}": "the same text, with the file that it is about",
    "target.py: {}{}: {}": "advice says it",
    "config/definitions.py: _unknown(...)": "tests/config/test_settings.py reads it",
    "config/definitions.py: is required; {}": "the setting's definition says what to do",
    "config/definitions.py: not_a_choice(...)": "tests/config/test_settings.py reads it",
    "config/definitions.py: problem": "tests/config/test_settings.py reads it",
    "config/sdk_settings.py: not_a_choice(...)": "tests/config/test_sdk_settings.py reads it",
    "config/sdk_settings.py: wrong_type(...)": "tests/config/test_sdk_settings.py reads it",
    "config/settings.py: example": "it says what a URL must be",
    "config/settings.py: redact_key(...)": "the same text again, without the key",
    "config/settings.py: {}, without the path of a call": "its example says what a URL must be",
    "config/settings.py: {}, without user, query or fragment": "likewise",
    "config/settings.py: {}: https:// or http://, and a host": "likewise",
    "memory/sql_store.py: text": "tests/memory/test_sql_store.py reads it",
    "mapping/detection.py: _undecided(...)": "tests/mapping/test_detection.py reads it",
}


def _messages() -> Iterator[tuple[str, str]]:
    """Give each message as it stands in the code, what is filled in as `{}`."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and f"{name}: {node.name}" in GIVEN_BY:
                for given in ast.walk(node):
                    if isinstance(given, ast.Return) and given.value is not None:
                        yield f"{name}:{given.lineno}", f"{name}: {_text(given.value)}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MESSAGES:
                index = MESSAGES[node.func.id]
                if len(node.args) > index:
                    yield f"{name}:{node.lineno}", f"{name}: {_text(node.args[index])}"


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
    known = message in LOOKED_AT
    assert known or NEXT_STEP.search(message), f"{place} says what is wrong and not what to do: {message}"


@pytest.mark.parametrize(("place", "message"), FOUND, ids=[place for place, _ in FOUND])
def test_a_message_is_one_line(place: str, message: str) -> None:
    assert "\n" not in message, place


def test_nothing_is_looked_at_that_is_no_message_any_more() -> None:
    assert set(LOOKED_AT) - {message for _, message in FOUND} == set()
