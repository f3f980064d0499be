"""The README, and the reference of the documentation, say what the code does."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
import yaml

from target_kissmetrics.mapping.reasons import REASONS
from target_kissmetrics.mapping.settings import KINDS
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.meanings import FIGURES
from target_kissmetrics.sandbox.model import Reason
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


def test_the_tables_of_the_readme_and_of_the_reference_are_those_of_the_code() -> None:
    tables = _tables()
    for page in tables.PAGES:
        text = page.read_text(encoding="utf-8")
        assert tables.with_tables(text) == text, f"{page.name}: run python scripts/readme_tables.py"


def test_every_table_stands_on_a_page() -> None:
    tables = _tables()
    texts = "".join(page.read_text(encoding="utf-8") for page in tables.PAGES)
    assert [name for name in tables.TABLES if f"<!-- end of {name} -->" not in texts] == []


def test_every_figure_of_a_stream_has_a_meaning() -> None:
    assert set(FIGURES) == set(StreamCounts("a").figures())


def test_every_command_is_in_the_reference() -> None:
    shown = set(re.findall(r"^### (\S+)$", _tables().commands_in_full(), flags=re.MULTILINE))
    assert shown == {entry.name for entry in distribution("target-kissmetrics").entry_points}


def test_every_kind_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "streams.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \| [^`|]*\|$", page, flags=re.MULTILINE)) >= set(KINDS)


def test_every_reason_of_the_sandbox_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "sandbox.md").read_text(encoding="utf-8")
    section = page.partition("## Why something was not kept")[2]
    assert re.findall(r"^\| `([\w-]+)` \|", section, flags=re.MULTILINE) == list(get_args(Reason))


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


def test_the_table_of_rejects_names_every_code_and_what_to_do() -> None:
    section = README.partition("## What is rejected")[2].partition("\n## ")[0]
    codes = re.findall(r"^\| `([a-z-]+)` \|", section, flags=re.MULTILINE)
    assert codes == list(REASONS)
    assert all(reason.to_do in section.replace("`", "") for reason in REASONS.values())
