"""The examples of the message formats through Meltano and a tap from PyPI: what the sandbox holds is what they say."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from target_kissmetrics.sandbox.answers import PersonShown
from target_kissmetrics.sandbox.running import RunningSandbox, running

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = "Scripts" if os.name == "nt" else "bin"
MELTANO = ROOT / ".venv-meltano" / BIN / "meltano"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not MELTANO.parent.exists() and "CI" not in os.environ, reason="`make test` installs Meltano first"
    ),
]


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


class Example:
    """Runs Meltano over one example."""

    def __init__(self, url: str, folder: Path) -> None:
        self._environment = {
            **os.environ,
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "0",
            "NO_COLOR": "1",
            "TARGET_KISSMETRICS_API_KEY": "demo",
            "TARGET_KISSMETRICS_TRACKING_URL": url,
            "TARGET_KISSMETRICS_ATTRIBUTE_STORE_URL": f"sqlite:///{(folder / 'memory.db').as_posix()}",
            "TARGET_KISSMETRICS_REJECTS_PATH": str(folder / "rejects.jsonl"),
            # A file of Meltano's own, so that runs side by side do not wait for each other.
            "MELTANO_DATABASE_URI": f"sqlite:///{(folder / 'meltano.db').as_posix()}",
        }
        self._rejects = folder / "rejects.jsonl"

    def run(self, name: str) -> str:
        command = [str(MELTANO), "run", "--full-refresh", f"tap-jsonl-{name}", "target-kissmetrics"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def rejects(self) -> list[tuple[str, str | None]]:
        lines = [json.loads(line) for line in self._rejects.read_text(encoding="utf-8").splitlines()]
        return [(line["code"], line["field"]) for line in lines]


@pytest.fixture
def example(sandbox: RunningSandbox, tmp_path: Path) -> Example:
    return Example(sandbox.url, tmp_path)


def _rows(name: str) -> list[dict[str, Any]]:
    lines = (ROOT / "examples" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _person(sandbox: RunningSandbox, identity: str) -> PersonShown:
    person = sandbox.person(identity)
    assert person is not None, identity
    return person


def test_segments_messages(sandbox: RunningSandbox, example: Example) -> None:
    log = example.run("segment")
    assert "is read as segment" in log
    good = [row for row in _rows("segment") if row.get("type") and row.get("event") != "Odd"]
    events = [row for row in good if row["type"] in {"track", "page", "screen"}]
    summary = sandbox.summary()
    assert summary["events"] == len(events)
    assert summary["revenue"] == "79.60"
    assert summary["people"] == 8
    person = _person(sandbox, "seg-u6")
    assert sorted(person["identities"]) == ["seg-a6", "seg-old6", "seg-u6"]
    assert [event["name"] for event in person["events"]] == ["Viewed Pricing Page", "Signed Up", "Order Completed"]
    assert {"Page - url", "Campaign Source", "Referrer", "address.country", "sku"} <= set(person["properties"])
    assert [value["value"] for value in person["properties"]["sku"]] == ["SKU-1", "SKU-2"]
    assert example.rejects() == [("no-type", None), ("bad-message", None)]
    example.run("segment")
    assert sandbox.summary()["events"] == len(events)
    assert sandbox.summary()["revenue"] == "79.60"


def test_mparticles_batches(sandbox: RunningSandbox, example: Example) -> None:
    log = example.run("mparticle")
    assert "is read as mparticle" in log
    assert "8 session_start" in log
    assert "8 session_end" in log
    assert "1 attributes deleted at the source" in log
    mapped = {"screen_view", "custom_event", "commerce_event"}
    events = [event for row in _rows("mparticle") for event in row["events"] if isinstance(event, dict)]
    good = [event for event in events if event["event_type"] in mapped and isinstance(event["data"], dict)]
    summary = sandbox.summary()
    assert summary["events"] == len(good)
    assert summary["revenue"] == "82.50"
    assert summary["people"] == 8
    person = _person(sandbox, "mp-c1")
    assert sorted(person["identities"]) == ["mp-c1", "mp-d1"]
    assert {"Email", "Colors", "Product SKU", "query"} <= set(person["properties"])
    assert len(person["properties"]["Plan"]) == 2, "deleted, and sent again when it came back"
    assert len(person["properties"]["Colors"]) == 1
    assert example.rejects() == [("bad-message", "events[2]"), ("bad-message", "events[2].data")]


def test_kissmetrics_own_lines(sandbox: RunningSandbox, example: Example) -> None:
    log = example.run("kissmetrics")
    assert "is read as kissmetrics" in log
    good = [row for row in _rows("kissmetrics") if row["_p"] != "anonymous"]
    summary = sandbox.summary()
    assert summary["events"] == len([row for row in good if "_n" in row])
    assert summary["aliases"] == len([row for row in good if "_p2" in row])
    assert summary["revenue"] == "37.5"
    person = _person(sandbox, "km-c12")
    assert sorted(person["identities"]) == ["km-c12", "km-d12"]
    assert set(person["properties"]) == {"url", "referrer", "Plan Type", "Billing Amount"}
    assert example.rejects() == [("reserved-name", "_unknown"), ("blocked-identity", None)]
