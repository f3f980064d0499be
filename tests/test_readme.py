"""The README says what the code does."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from target_kissmetrics.settings import read_settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readme_tables", ROOT / "scripts" / "readme_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_settings_are_those_of_the_schema() -> None:
    assert _tables().with_tables(README) == README, "run: python scripts/readme_tables.py"


def test_the_table_of_settings_names_what_about_names() -> None:
    command = [sys.executable, "-m", "target_kissmetrics", "--about", "--format=json"]
    about = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    documented = set(re.findall(r"^\| `(\w+)` \|", _tables().settings_table(), flags=re.MULTILINE))
    builtin = {name for name in about["settings"]["properties"] if name not in documented}
    assert documented <= set(about["settings"]["properties"])
    assert builtin >= {"stream_maps", "flattening_enabled", "batch_size_rows", "validate_records"}


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL))
def test_a_config_in_the_readme_is_read(block: str) -> None:
    settings = read_settings({"api_key": "k", **yaml.safe_load(block)}, ["stream_maps", "batch_config"])
    assert settings.api_key == "k"


def test_every_code_of_the_table_of_rejects_is_in_the_code() -> None:
    section = README.partition("## What is rejected")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    codes = {code for row in rows for code in re.findall(r"`([\w-]+)`", row)}
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "target_kissmetrics").rglob("*.py"))
    raised = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', sources)) | {"schema"}
    assert codes <= raised
