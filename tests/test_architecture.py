"""The arrows between the parts: which module may import what. Read from the source, nothing is imported."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import target_kissmetrics

PACKAGE = "target_kissmetrics"
ROOT = Path(target_kissmetrics.__file__).parent
MODULES = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}

PURE_LIBRARIES = frozenset(
    {
        "__future__", "backports", "collections", "contextlib", "dataclasses", "datetime", "decimal", "difflib", "enum",
        "functools", "hashlib", "heapq", "itertools", "json", "math", "msgspec", "operator", "random", "re", "string",
        "sys", "time", "types", "typing", "urllib.parse",
    }
)  # fmt: skip
"""What a part without input and output may use: `time` is the clock that it is handed, `sys` the version it runs on."""

PURE = [
    name
    for name in MODULES
    if name.startswith("mapping/") or name in {"memory/changes.py", "memory/seconds.py", "kissmetrics/calls.py"}
]

KNOW_THE_SDK = (
    "target.py",
    "sink.py",
    "replay.py",
    "settings.py",
    "sdk_settings.py",
    "stream_maps.py",
    "about.py",
    "reading.py",
    "validation.py",
    "reporting/",
    "preview/messages.py",
    "preview/configuration.py",
)

AT_HOME = {
    "requests": {"kissmetrics/requests_transport.py", "kissmetrics/requests_deadline.py"},
    "urllib3": {"kissmetrics/requests_transport.py", "kissmetrics/requests_deadline.py"},
    "fsspec": {"kissmetrics/import_files.py", "batch_files.py"},
    "pyarrow": {"batch_parquet.py"},
    "pycurl": {"kissmetrics/curl_transport.py"},
    "sqlalchemy": {"memory/sql_store.py"},
}
IN_THE_SANDBOX = ("starlette", "uvicorn", "httptools")


def imports(path: Path, *, types: bool = True) -> Iterator[str]:
    """Give the dotted names that a module imports: `a.b` for `import a.b`, `a.b.c` for `from a.b import c`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set() if types else set(_for_types_alone(tree))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import would hide from these rules, so there are none.
            assert node.level == 0, f"{path.name}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _for_types_alone(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for statement in node.body:
                yield from ast.walk(statement)


def uses(name: str, library: str) -> bool:
    return any(used == library or used.startswith(f"{library}.") for used in imports(MODULES[name]))


def users(library: str) -> set[str]:
    return {name for name in MODULES if uses(name, library)}


def test_the_parts_are_where_these_rules_look_for_them() -> None:
    expected = {
        "target.py", "sink.py", "settings.py", "reading.py", "validation.py", "mapping/event.py", "memory/changes.py",
        "memory/seconds.py", "memory/sql_store.py", "kissmetrics/calls.py", "kissmetrics/requests_transport.py",
        "sandbox/server.py", "reporting/progress.py",
    }  # fmt: skip
    assert expected <= set(MODULES)
    assert set(MODULES) == {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py")}


@pytest.mark.parametrize("name", PURE)
def test_a_part_that_is_pure_imports_nothing_that_reads_or_writes(name: str) -> None:
    others = [used for used in imports(MODULES[name]) if not used.startswith(f"{PACKAGE}.")]
    impure = [
        used
        for used in others
        if not any(used == library or used.startswith(f"{library}.") for library in PURE_LIBRARIES)
    ]
    assert impure == []


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("mapping/")])
def test_the_mapping_knows_of_the_package_only_what_is_pure_too(name: str) -> None:
    allowed = (
        f"{PACKAGE}.mapping.",
        f"{PACKAGE}.errors.",
        f"{PACKAGE}.near_miss.",
        f"{PACKAGE}.kissmetrics.calls.",
        f"{PACKAGE}.kissmetrics.limits.",
    )
    own = [used for used in imports(MODULES[name]) if used.startswith(PACKAGE)]
    assert [used for used in own if not used.startswith(allowed)] == []


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("memory/")])
def test_the_memory_knows_neither_the_sink_nor_what_delivers(name: str) -> None:
    allowed = (
        f"{PACKAGE}.memory.",
        f"{PACKAGE}.errors.",
        f"{PACKAGE}.mapping.names.",
        f"{PACKAGE}.kissmetrics.calls.",
        f"{PACKAGE}.kissmetrics.limits.",
    )
    own = [used for used in imports(MODULES[name]) if used.startswith(PACKAGE)]
    assert [used for used in own if not used.startswith(allowed) and used != f"{PACKAGE}.memory"] == []


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("kissmetrics/")])
def test_the_client_knows_nothing_of_the_rest(name: str) -> None:
    own = [used for used in imports(MODULES[name]) if used.startswith(PACKAGE)]
    assert [used for used in own if not used.startswith(f"{PACKAGE}.kissmetrics")] == []
    assert not uses(name, "singer_sdk")


def test_only_the_outermost_parts_know_the_singer_sdk() -> None:
    assert {name for name in users("singer_sdk") if not name.startswith(KNOW_THE_SDK)} == set()


@pytest.mark.parametrize("library", AT_HOME)
def test_a_library_for_input_and_output_is_imported_in_one_place(library: str) -> None:
    for name in users(library) - AT_HOME[library]:
        at_run_time = [used for used in imports(MODULES[name], types=False) if used.split(".")[0] == library]
        assert name == "target.py", f"{name} imports {library}"
        assert at_run_time == [], f"{name} imports {library} at run time"


def test_the_preview_has_no_way_to_send_or_to_remember() -> None:
    others = (f"{PACKAGE}.kissmetrics.calls.", f"{PACKAGE}.kissmetrics.limits.", f"{PACKAGE}.memory.collisions.")
    kept_off = (
        f"{PACKAGE}.kissmetrics",
        f"{PACKAGE}.memory",
        f"{PACKAGE}.pipeline",
        f"{PACKAGE}.target",
        f"{PACKAGE}.sink",
    )
    own = [used for name in MODULES if name.startswith("preview/") for used in imports(MODULES[name])]
    assert [used for used in own if used.startswith(kept_off) and not used.startswith(others)] == []


@pytest.mark.parametrize("library", IN_THE_SANDBOX)
def test_a_web_server_is_imported_in_the_sandbox_alone(library: str) -> None:
    assert {name for name in users(library) if not name.startswith("sandbox/")} == set()


def test_the_target_does_not_know_the_sandbox() -> None:
    assert {name for name in users(f"{PACKAGE}.sandbox") if not name.startswith("sandbox/")} == set()


def test_nothing_private_of_another_package_is_imported() -> None:
    private = {
        f"{name}: {used}"
        for name, path in MODULES.items()
        for used in imports(path)
        if any(part.startswith("_") and not part.startswith("__") for part in used.split("."))
    }
    assert private == set()


def test_what_is_no_part_of_python_is_declared() -> None:
    declared = {
        "singer_sdk", "requests", "backoff", "msgspec", "fastjsonschema", "sqlalchemy", "backports",
        "pycurl", "psycopg", "s3fs", "fsspec", "starlette", "uvicorn", "httptools", "urllib3", "click", "certifi",
        "rich", "yaml", "pyarrow",
    }  # fmt: skip
    foreign = {used.split(".")[0] for path in MODULES.values() for used in imports(path)}
    assert foreign - set(sys.stdlib_module_names) - {PACKAGE} - declared == set()
