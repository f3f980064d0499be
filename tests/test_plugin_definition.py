"""target-kissmetrics.yml says what `--about` says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DEFINITION: dict[str, Any] = yaml.safe_load((ROOT / "target-kissmetrics.yml").read_text(encoding="utf-8"))
SETTINGS: dict[str, dict[str, Any]] = {setting["name"]: setting for setting in DEFINITION["settings"]}


@pytest.fixture(scope="module")
def about() -> dict[str, Any]:
    command = [sys.executable, "-m", "target_kissmetrics", "--about", "--format=json"]
    result: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return result


def test_it_names_every_setting_of_the_target_and_no_other(about: dict[str, Any]) -> None:
    documented = {name.partition(".")[0] for name in SETTINGS}
    assert documented == set(about["settings"]["properties"])


def test_descriptions_and_defaults_are_those_of_the_target(about: dict[str, Any]) -> None:
    for name, schema in about["settings"]["properties"].items():
        if name in SETTINGS and "secret" not in schema:
            assert " ".join(SETTINGS[name]["description"].split()) == " ".join(schema["description"].split()), name
            assert SETTINGS[name].get("value") == schema.get("default"), name


def test_the_key_is_the_only_secret() -> None:
    assert [name for name, setting in SETTINGS.items() if setting.get("sensitive")] == ["api_key"]
    assert not [name for name, setting in SETTINGS.items() if setting.get("kind") == "password"]


def test_choices_are_those_of_the_target(about: dict[str, Any]) -> None:
    for name, schema in about["settings"]["properties"].items():
        if "enum" in schema and name in SETTINGS:
            assert [option["value"] for option in SETTINGS[name]["options"]] == schema["enum"], name
