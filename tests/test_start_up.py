"""The command starts about as fast as a target of the Meltano SDK that does nothing.

It loads no library before it needs it, and looks for no cycles among what it loads.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

LATE = (
    "fsspec",
    "psycopg",
    "pyarrow",
    "pycurl",
    "requests",
    "rich",
    "sqlalchemy",
    "target_kissmetrics.reporting.live",
    "target_kissmetrics.reporting.report_page",
)
"""What is loaded when a part is built that needs it; the SDK itself may load some of them."""

MEASURED = f"""
import atexit, gc, json, sys
import singer_sdk
sdk = set(sys.modules)
collections = lambda: [one["collections"] for one in gc.get_stats()]
before = collections()
def report():
    early = [name for name in {LATE} if name in sys.modules and name not in sdk]
    print(json.dumps({{"early": early, "looked_for_cycles": collections() != before}}), file=sys.stderr)
atexit.register(report)
from target_kissmetrics.__main__ import main
main()
"""


@pytest.mark.parametrize("option", ["--version", "--about"])
def test_a_start_loads_nothing_that_it_does_not_need(option: str) -> None:
    assert measured(option)["early"] == []


def test_a_start_looks_for_no_cycles() -> None:
    assert measured("--version")["looked_for_cycles"] is False


def measured(option: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", MEASURED, option], capture_output=True, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return found
