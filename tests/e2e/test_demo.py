"""`make demo`: Meltano and a tap from PyPI deliver the rows of demo/ to the sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MELTANO = ROOT / ".venv-meltano"


@pytest.mark.e2e
@pytest.mark.skipif(not MELTANO.exists() and "CI" not in os.environ, reason="`make test` installs Meltano first")
def test_meltano_runs_twice_and_kissmetrics_holds_what_the_files_hold() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "demo.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "just as the files do" in done.stdout
