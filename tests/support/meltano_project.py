"""A Meltano project in a folder of its own, with taps from PyPI and this checkout's target.

Taps are installed once, into `.cache/meltano`, where `scripts/example.py` installs them too. The tests run in one
pytest-xdist worker (the group `meltano`), so that no two of them install the same tap at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from forked import meltano

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = "Scripts" if os.name == "nt" else "bin"
MELTANO = ROOT / ".venv-meltano" / BIN / "meltano"
SHARED = ROOT / ".cache" / "meltano" / "extractors"
TARGET = Path(sys.executable).parent / "target-kissmetrics"
SECONDS = 600

needs_meltano = pytest.mark.skipif(
    not MELTANO.exists() and "CI" not in os.environ, reason="`make test` installs Meltano first"
)

TAP_POSTGRES: dict[str, Any] = {
    "name": "tap-postgres",
    "namespace": "tap_postgres",
    "pip_url": "meltanolabs-tap-postgres",
    "executable": "tap-postgres",
    "capabilities": ["catalog", "discover", "state"],
    "settings": [{"name": "sqlalchemy_url", "sensitive": True}, {"name": "filter_schemas", "kind": "array"}],
    "select": ["public-users.*", "public-events.*", "public-orders.*"],
}
PIPELINEWISE_TAP_POSTGRES: dict[str, Any] = {
    "name": "pipelinewise-tap-postgres",
    "namespace": "pipelinewise_tap_postgres",
    "pip_url": "pipelinewise-tap-postgres",
    "executable": "tap-postgres",
    "capabilities": ["catalog", "discover", "state", "properties"],
    "settings": [{"name": name} for name in ("host", "port", "user", "password", "dbname")],
    "select": ["public-users.*", "public-events.*", "public-orders.*"],
    "metadata": {"*": {"replication-method": "FULL_TABLE"}},
}


def loader(**config: Any) -> dict[str, Any]:
    """Return this checkout's target as a plugin that needs no installation."""
    return {
        "name": "target-kissmetrics",
        "namespace": "target_kissmetrics",
        "executable": str(TARGET),
        "config": {"api_key": "e2e", **config},
    }


class Project:
    """A Meltano project.

    Args:
        folder: An empty folder.
        extractors: Plugins. Those with a `pip_url` are installed, unless they were before.
        loaders: Plugins that need no installation.
    """

    def __init__(self, folder: Path, extractors: list[dict[str, Any]], loaders: list[dict[str, Any]]) -> None:
        self.folder = folder
        self._extractors = extractors
        self.write(loaders)
        if extractors:
            SHARED.mkdir(parents=True, exist_ok=True)
            (folder / ".meltano").mkdir()
            (folder / ".meltano" / "extractors").symlink_to(SHARED, target_is_directory=True)
        for plugin in extractors:
            if "pip_url" in plugin and not (SHARED / plugin["name"] / "venv" / BIN / plugin["executable"]).exists():
                self.run("install", "extractor", plugin["name"])

    def write(self, loaders: list[dict[str, Any]]) -> None:
        """Write `meltano.yml` with these loaders."""
        content = {
            "default_environment": "dev",
            "send_anonymous_usage_stats": False,
            "project_id": "e2e",
            "environments": [{"name": "dev"}],
            "plugins": {"extractors": self._extractors, "loaders": loaders},
        }
        (self.folder / "meltano.yml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def _run(self, command: list[str], code: int, environment: Mapping[str, str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "0", "NO_COLOR": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == code, done.stdout[-4000:]
        return done.stdout

    def run(self, *arguments: str, code: int = 0, environment: Mapping[str, str] | None = None) -> str:
        """Run `meltano ARGUMENTS`; return its output."""
        return self._run([program(), *arguments], code, environment or {})

    def check(self, *, code: int = 0) -> str:
        """Run `meltano config test target-kissmetrics`; return its output."""
        return self._run([program("patient-meltano"), "config", "test", "target-kissmetrics"], code, {})


def program(name: str = "meltano") -> str:
    """Return Meltano as a program that starts at once; on Windows, which cannot fork, Meltano itself."""
    return str(MELTANO) if os.name == "nt" else meltano(MELTANO.with_name("python"), name)
