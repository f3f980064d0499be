"""The arrows between the packages: who may import whom. Read from the source, nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import target_kissmetrics

PACKAGE = "target_kissmetrics"
ROOT = Path(target_kissmetrics.__file__).parent
MODULES = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}

MAX_LINES = 400

ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "exact_json": set(),
    "kissmetrics": {"errors"},
    "store": {"errors", "kissmetrics"},
    "mapping": {"errors", "exact_json", "kissmetrics"},
    "singer": {"errors", "exact_json"},
    "reporting": {"errors", "kissmetrics", "mapping"},
    "config": {"errors", "exact_json", "mapping"},
    "sync": {"errors", "kissmetrics", "mapping", "store", "reporting"},
    "runtime": {"errors", "kissmetrics", "mapping", "store", "reporting", "config", "sync", "singer"},
    "sinks": {"errors", "mapping", "reporting", "singer", "sync", "runtime"},
    "target": {"errors", "mapping", "singer", "reporting", "config", "sync", "runtime", "sinks"},
    "preview": {"errors", "kissmetrics", "mapping", "singer", "reporting", "config", "sync"},
    "commands": {
        "errors",
        "exact_json",
        "kissmetrics",
        "store",
        "mapping",
        "singer",
        "reporting",
        "config",
        "sync",
        "runtime",
        "sinks",
        "target",
    },
    "sandbox": {"kissmetrics", "reporting"},
    "__main__": {"target"},
}
"""Each package and top module, with those that it may import. The order of the dict is a proof that there is no
circle: nobody imports what stands further down."""

LIBRARIES = {
    "singer_sdk": {"target", "sinks", "singer", "config", "reporting", "preview", "commands"},
    "requests": {"kissmetrics/http/requests_transport.py", "kissmetrics/http/query_api.py"},
    "urllib3": {"kissmetrics/http/requests_transport.py"},
    "pycurl": {"kissmetrics/http/curl_transport.py"},
    "fsspec": {"kissmetrics/import_files.py", "singer"},
    "pyarrow": {"singer"},
    "sqlalchemy": {"store"},
    "starlette": {"sandbox"},
    "uvicorn": {"sandbox"},
    "httptools": {"sandbox"},
}
"""A library that does I/O, or knows Singer, with the packages or modules that may import it."""

PURE = ("mapping/", "kissmetrics/calls.py", "kissmetrics/wire.py", "kissmetrics/http/retry.py")
"""Deciding without input and output."""

IMPURE_LIBRARIES = frozenset(
    {"os", "pathlib", "socket", "ssl", "subprocess", "shutil", "tempfile", "threading", "signal", "logging", "queue",
     "requests", "urllib3", "pycurl", "sqlalchemy", "fsspec", "singer_sdk", "rich", "click", "yaml"}
)  # fmt: skip


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Give the dotted names that a module imports: `a.b` for `import a.b`, `a.b.c` for `from a.b import c`."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import would hide from these rules, so there are none.
            assert node.level == 0, f"{path.name}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(name: str) -> str:
    return name.partition("/")[0].removesuffix(".py")


def own_imports(name: str) -> set[str]:
    """Give the packages of this project that a module imports, its own left out."""
    parts = [used.split(".") for used in imports(MODULES[name])]
    used = {part[1] for part in parts if part[0] == PACKAGE and len(part) > 1}
    return used - {package_of(name)}


def uses(name: str, library: str) -> bool:
    return any(used == library or used.startswith(f"{library}.") for used in imports(MODULES[name]))


def test_only_these_modules_stand_at_the_top() -> None:
    top = {name for name in MODULES if "/" not in name}
    assert top == {"target.py", "sinks.py", "runtime.py", "errors.py", "__init__.py", "__main__.py"}


def test_the_arrows_have_no_circle() -> None:
    seen: set[str] = set()
    for package, allowed in ARROWS.items():
        assert allowed <= seen, package
        seen.add(package)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "__init__.py"])
def test_a_module_imports_only_packages_below_its_own(name: str) -> None:
    assert own_imports(name) <= ARROWS[package_of(name)]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_where_it_belongs(library: str) -> None:
    users = {name for name in MODULES if uses(name, library)}
    assert {name for name in users if not {name, package_of(name)} & LIBRARIES[library]} == set()


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith(PURE)])
def test_a_pure_module_imports_nothing_that_reads_or_writes(name: str) -> None:
    assert {used.split(".")[0] for used in imports(MODULES[name])} & IMPURE_LIBRARIES == set()


def test_the_preview_cannot_send_or_store() -> None:
    allowed = tuple(f"{PACKAGE}.kissmetrics.{name}" for name in ("calls", "limits", "names", "wire.as_import_line"))
    used = {used for name in MODULES if name.startswith("preview/") for used in imports(MODULES[name])}
    assert {
        name for name in used if name.startswith(f"{PACKAGE}.kissmetrics") and not name.startswith(allowed)
    } == set()


def test_nothing_private_of_another_package_is_imported() -> None:
    private = {
        f"{name}: {used}"
        for name, path in MODULES.items()
        for used in imports(path)
        if any(part.startswith("_") and not part.startswith("__") for part in used.split("."))
    }
    assert private == set()


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_one_subject_and_so_at_most_400_lines(name: str) -> None:
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= MAX_LINES
