"""The configurations of `docs/how-to/sources.md`, with rows as each source has them, and the calls they become."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from forked import command
from test_cases import RecordingHost, assert_as_expected, run_case

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "sources.md"
SECTIONS = dict(
    re.findall(r"^## (.+?)$.*?^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
)
SAMPLES = {
    sample["section"]: sample
    for sample in (
        json.loads(path.read_text(encoding="utf-8")) for path in (Path(__file__).parent / "sources").glob("*.json")
    )
}


def test_each_section_has_a_sample() -> None:
    assert set(SECTIONS) == set(SAMPLES)
    assert len(SECTIONS) >= 11


SUGGESTED = ["Amplitude", "GA4 in BigQuery", "HubSpot", "Mixpanel", "PostHog", "Shopify", "Stripe"]


@pytest.mark.parametrize("section", SUGGESTED)
def test_what_the_preview_suggests_gives_the_same_events(section: str, tmp_path: Path) -> None:
    sample = SAMPLES[section]
    lines = "".join(f"{json.dumps(message)}\n" for message in sample["input"])
    (tmp_path / "rows.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "config.yml").write_text("use_customer_id: true\n", encoding="utf-8")
    words = [*command("target_kissmetrics.preview.cli"), "rows.jsonl", "--config", "config.yml", "--suggest"]
    suggested = subprocess.run(words, cwd=tmp_path, capture_output=True, check=True, timeout=60)
    assert b"have the shape of" in suggested.stdout
    with RecordingHost() as host:
        config = {"use_customer_id": True, **yaml.safe_load(suggested.stdout)}
        ended = run_case({"config": config}, {"input": sample["input"]}, tmp_path, host)
    assert ended.exit == 0, ended.stderr
    expected = {_outline(call) for call in sample["calls"] if call["path"] == "/e"}
    # What the page leaves out by a choice of its own may be sent.
    assert {_outline(call) for call in ended.calls if call["path"] == "/e"} - expected <= {LEFT_OUT.get(section)}
    assert expected <= {_outline(call) for call in ended.calls}


LEFT_OUT = {"GA4 in BigQuery": ("u1", "scroll", 1706688000, None)}


def _outline(call: dict[str, Any]) -> tuple[Any, ...]:
    """Give what makes an event right: the person, its name, its time, its amount."""
    return call["person"], call.get("event"), call["time"], call["properties"].get("Billing Amount")


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_its_configuration_gives_the_right_calls(section: str, tmp_path: Path) -> None:
    sample = SAMPLES[section]
    with RecordingHost() as host:
        ended = run_case({"config": yaml.safe_load(SECTIONS[section])}, {"input": sample["input"]}, tmp_path, host)
    assert_as_expected(ended, {"exit": 0, "calls": sample["calls"], "rejects": []})
    assert "WARNING" not in ended.stderr, ended.stderr
