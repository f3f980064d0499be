"""A Meltano project in a folder of its own, with taps from PyPI and this checkout's target."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = "Scripts" if os.name == "nt" else "bin"
MELTANO = ROOT / ".venv-meltano" / BIN / "meltano"
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
    """Give this checkout's target as a plugin that is installed already."""
    return {
        "name": "target-kissmetrics",
        "namespace": "target_kissmetrics",
        "executable": str(TARGET),
        "config": {"api_key": "e2e", **config},
    }


# Meltano 4.4 ends a process that has ended already, and on some Pythons then shows `ProcessLookupError` instead of what
# `config test` found: https://docs.python.org/3/library/asyncio-subprocess.html, "terminate".
PATIENT_MELTANO = """
import contextlib, sys
from asyncio.subprocess import Process
terminate = Process.terminate
def patient(process):
    with contextlib.suppress(ProcessLookupError):
        terminate(process)
Process.terminate = patient
from meltano.cli import main
sys.exit(main())
"""


class Project:
    """A Meltano project.

    Args:
        folder: Empty.
        extractors: Plugins; installed at once.
        loaders: Plugins that need no installation.
    """

    def __init__(self, folder: Path, extractors: list[dict[str, Any]], loaders: list[dict[str, Any]]) -> None:
        self.folder = folder
        self._extractors = extractors
        self.write(loaders)
        if extractors:
            self.run("install")

    def write(self, loaders: list[dict[str, Any]]) -> None:
        """Write `meltano.yml` anew, with these loaders."""
        content = {
            "default_environment": "dev",
            "send_anonymous_usage_stats": False,
            "project_id": "e2e",
            "environments": [{"name": "dev"}],
            "plugins": {"extractors": self._extractors, "loaders": loaders},
        }
        (self.folder / "meltano.yml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start `meltano ARGUMENTS`; its standard output and error come together."""
        return self._start([str(MELTANO), *arguments], environment or {})

    def _start(self, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "0", "NO_COLOR": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0, environment: Mapping[str, str] | None = None) -> str:
        """Run `meltano ARGUMENTS` to its end; give what it told."""
        return _told(self.start(*arguments, environment=environment), code)

    def check(self, *, code: int = 0) -> str:
        """Run `meltano config test target-kissmetrics`; give what it told."""
        python = str(MELTANO.with_name("python"))
        return _told(self._start([python, "-c", PATIENT_MELTANO, "config", "test", "target-kissmetrics"], {}), code)


def _told(process: subprocess.Popen[str], code: int) -> str:
    with process:
        told, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == code, told[-4000:]
    return told
