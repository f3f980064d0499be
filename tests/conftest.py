"""Makes `tests/` a place to import the fakes from, and starts what several folders of tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# How busy a machine is, is no property of this code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server's URL; skipped where none is installed, but for CI."""
    if os.name == "nt":
        pytest.skip("the tests start PostgreSQL on Unix alone")
    from postgres_server import binaries, running_postgres  # noqa: PLC0415 - pwd is not everywhere

    if binaries() is None and "CI" not in os.environ:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    with running_postgres() as url:
        yield url
