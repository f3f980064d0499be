"""Faults that last: nothing is lost, sent twice or confirmed early; a run overcomes them or ends in one line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from kill_runner import Job
from postgres_server import binaries

RETRIES = r"[1-9]\d* retries in the run"
EVIDENCE = {
    "clock": "",
    "dns": "its name cannot be resolved",
    "full-disk": "the store cannot be used: disk I/O error",
    "silent": RETRIES,
    "postgres": "",
}
"""What the log says of each."""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
@pytest.mark.parametrize("client", ["requests", "curl"])
@pytest.mark.parametrize("kind", EVIDENCE)
def test_a_fault_that_lasts_loses_nothing(tmp_path: Path, kind: str, client: str) -> None:
    if kind == "postgres" and not binaries():
        pytest.skip("PostgreSQL is not installed")
    findings = Job(
        tmp_path, 21, rows=90, kills=2, faults=0,
        client=client, long_faults=[kind], fault_seconds=1.5, is_forked=True,
    ).run()  # fmt: skip
    assert [*findings.other, *findings.ahead, *findings.lost, *findings.twice] == []
    assert findings.faults[kind] == 2
    assert re.search(EVIDENCE[kind], (tmp_path / "log").read_text(encoding="utf-8"))
