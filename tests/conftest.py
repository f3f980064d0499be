"""Fixtures that several folders share, and the markers that tests get from where they are and what they use."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from target_kissmetrics.reporting.redaction import set_secrets

# Tests share a busy machine: hypothesis must not fail because an example is slow.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

TESTS = Path(__file__).parent

SLOW = (
    "commands/",
    "faults/",
    "kissmetrics/http/test_dispatcher.py::test_after_failures_that_pass",
    "kissmetrics/http/test_overload.py::test_a_stray_failure",
    "preview/test_preview_cli.py",
    "reporting/test_reported_runs.py",
    "sandbox/test_sandbox_cli.py",
    "singer/test_batch_messages.py",
    "singer/test_batch_parquet.py::test_a_large",
    "singer/test_batch_parquet.py::test_large_rows",
    "sync/test_once.py::test_a_table_that_changes",
    "sync/test_replays.py::test_after_a_crash_anywhere",
    "sync/test_replays.py::test_deletions_over_a_crash",
    "test_cases.py",
    "test_files_delivery.py",
    "test_hostile_input.py",
    "test_max_calls.py",
    "test_too_many_names.py",
    "test_nginx.py",
    "test_past_one_machine.py",
    "test_purchase_history.py",
    "test_remember_only.py",
    "test_run_records.py",
    "test_standard_streams.py",
    "test_steady_state.py",
    "test_target.py::test_a_signal",
)
"""Folders, files and tests that start many processes, wait for real time-outs, or try hundreds of runs."""

WITHOUT_TAPS = ("e2e/test_plugin.py", "e2e/test_signals.py")
"""Tests with Meltano that install no tap from PyPI into the folder that all projects share."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Give the number of workers of `-n auto`: three on two cores, since many tests wait for a process or a server."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return cores + cores // 2


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark tests, before `-m` selects them and before pytest-xdist groups them."""
    _mark(items)
    yield
    # pytest-xdist 3.8 appends a test's group to `_nodeid`, where pytest 9.2 no longer keeps its ID.
    for item in items:
        grouped = vars(item).get("_nodeid")
        if grouped is not None and grouped != item.nodeid:
            item._id = type(item._id).parse(grouped)


def _mark(items: list[pytest.Item]) -> None:
    for item in items:
        place = item.path.relative_to(TESTS).as_posix()
        if f"{place}::{item.name}".startswith(SLOW):
            item.add_marker(pytest.mark.slow)
        if not isinstance(item, pytest.Function):
            continue
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        if "postgres" in item.fixturenames or parameters.get("store_url") == "postgresql":
            item.add_marker(pytest.mark.postgres)
        if "browser" in item.fixturenames:
            item.add_marker(pytest.mark.browser)
        if item.get_closest_marker("e2e") is not None and place not in WITHOUT_TAPS:
            item.add_marker(pytest.mark.xdist_group("meltano"))
        # A module's fixture would be made once in each worker. Quick tests are handed out by the file, not one by one.
        is_quick = not any(map(item.get_closest_marker, ("slow", "postgres")))
        if (is_quick or _shares_a_fixture(item)) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(place))


def _shares_a_fixture(item: pytest.Function) -> bool:
    definitions = item._fixtureinfo.name2fixturedefs
    return any(definitions[name][-1].scope == "module" for name in item.fixturenames if name in definitions)


@pytest.fixture(autouse=True)
def forgotten_secrets() -> Iterator[None]:
    """Let no test know the secrets of another one."""
    factory = logging.getLogRecordFactory()
    yield
    set_secrets({})
    logging.setLogRecordFactory(factory)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server of this pytest-xdist worker's own. Not installed: skipped, but for CI."""
    if os.name == "nt":
        pytest.skip("the tests start PostgreSQL only on Unix")
    from postgres_server import binaries, running_postgres  # noqa: PLC0415 - pwd is missing on Windows

    if binaries() is None and "CI" not in os.environ:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty store: a SQLite file, or a database of the test's own in PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{(tmp_path / 'store.db').as_posix()}"
        return
    server = request.getfixturevalue("postgres")
    name = f"store_{uuid.uuid4().hex}"
    engine = sa.create_engine(server.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield f"{server.removesuffix('/postgres')}/{name}"
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name}"))
    engine.dispose()
