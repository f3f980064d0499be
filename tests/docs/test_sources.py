"""The configurations of `docs/how-to/sources.md`, with rows as each source has them, and the calls they become."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
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


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_its_configuration_gives_the_right_calls(section: str, tmp_path: Path) -> None:
    sample = SAMPLES[section]
    with RecordingHost() as host:
        ended = run_case({"config": yaml.safe_load(SECTIONS[section])}, {"input": sample["input"]}, tmp_path, host)
    assert_as_expected(ended, {"exit": 0, "calls": sample["calls"], "rejects": []})
    assert "WARNING" not in ended.stderr, ended.stderr
