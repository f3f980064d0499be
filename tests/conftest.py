"""Makes `tests/` a place to import the fakes from, and starts what several folders of tests share."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
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


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty store's URL: of a SQLite file, then of a database of its own in PostgreSQL."""
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
