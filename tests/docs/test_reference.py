"""The reference of the documentation matches the code."""

from __future__ import annotations

import importlib.util
import inspect
import json
import logging
import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import get_args

import promises
import pytest
from forked import command as command_of
from singer_sdk import metrics

from target_kissmetrics.mapping.registry import KINDS
from target_kissmetrics.mapping.reject_codes import REASONS
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.reporting.monitor import Progress, log_progress, log_totals
from target_kissmetrics.sandbox.rules import Reason

ROOT = Path(__file__).resolve().parents[2]


def _tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_tables", ROOT / "scripts" / "reference_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_tables_are_up_to_date() -> None:
    tables = _tables()
    for page in tables.PAGES:
        text = page.read_text(encoding="utf-8")
        assert tables.with_tables(text) == text, f"{page.name}: run python scripts/reference_tables.py"


def test_every_table_stands_on_a_page() -> None:
    tables = _tables()
    texts = "".join(page.read_text(encoding="utf-8") for page in tables.PAGES)
    assert [name for name in tables.TABLES if f"<!-- end of {name} -->" not in texts] == []


def _metrics(lines: Iterable[str]) -> set[str]:
    return {json.loads(line.partition("METRIC: ")[2])["metric"] for line in lines if "METRIC: " in line}


def test_every_metric_that_is_emitted_is_in_the_reference_and_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A short run has no gauges: they come every ten seconds."""
    counts = StreamCounts("events", rows=1)
    with caplog.at_level(logging.INFO, metrics.METRICS_LOGGER_NAME):
        log_progress(Progress(10, {"events": counts.figures()}), Progress())
        log_totals(counts)
    emitted = _metrics(record.getMessage() for record in caplog.records)

    schema = {"type": "SCHEMA", "stream": "events", "key_properties": [], "schema": {"properties": {"event": {}}}}
    row = {"type": "RECORD", "stream": "events", "record": {"event": "Joined"}}
    entry = {"stream": "events", "kind": "event", "customer_id": "event"}
    config = {"api_key": "k", "dry_run": True, "streams": [entry]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    run = [*command_of(), "--config", "config.json"]
    given = "".join(f"{json.dumps(message)}\n" for message in (schema, row))
    done = subprocess.run(run, cwd=tmp_path, input=given, capture_output=True, check=True, text=True)
    emitted |= _metrics(done.stderr.splitlines())

    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    in_tables = set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE))
    of_the_sdk = set(re.findall(r"`(\w+)`", page.partition("## Of the Meltano SDK")[2])) - in_tables
    assert emitted == in_tables | of_the_sdk


@pytest.mark.parametrize("page", ["docs/how-to/examples.md", "examples/README.md"])
def test_every_example_is_listed_with_what_it_shows(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    listed = re.findall(r"^\| (?:`([\w-]+)`|\[([\w-]+)\]\(\2\)) \| .+ \| .+ \|$", text, flags=re.MULTILINE)
    folders = {path.name for path in (ROOT / "examples").iterdir() if path.is_dir()}
    assert sorted(name or linked for name, linked in listed) == sorted(folders)


def test_every_extra_is_on_the_page_that_installs() -> None:
    page = (ROOT / "docs" / "how-to" / "install.md").read_text(encoding="utf-8").partition("## Extras")[2]
    extras = distribution("target-kissmetrics").metadata.get_all("Provides-Extra")
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)) == sorted(extras or [])


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


def test_the_page_of_settings_has_every_setting_of_about() -> None:
    command = [*command_of(), "--about", "--format=json"]
    about = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^### `(\w+)`$", page, flags=re.MULTILINE))
    builtin = {name for name in about["settings"]["properties"] if name not in documented}
    assert documented <= set(about["settings"]["properties"])
    assert builtin >= {"stream_maps", "batch_size_rows", "validate_records"}


def test_the_table_of_rejects_has_every_code_and_remedy() -> None:
    page = (ROOT / "docs" / "reference" / "rejects.md").read_text(encoding="utf-8")
    section = page.partition("| code |")[2].partition("\n## ")[0]
    codes = re.findall(r"^\| `([a-z-]+)` \|", section, flags=re.MULTILINE)
    assert codes == list(REASONS)
    assert all(reason.to_do in section.replace("`", "") for reason in REASONS.values())


def test_every_line_about_rows_names_tests_that_exist_and_every_case_has_a_line() -> None:
    text = (ROOT / "docs" / "reference" / "rows.md").read_text(encoding="utf-8")
    lines = [line.split("|") for line in text.splitlines() if line.startswith("|") and "`" in line]
    named = {name for cells in lines for name in re.findall(r"`([^`]+)`", cells[-2])}
    assert all(re.search(r"`[^`]+`", cells[-2]) for cells in lines)
    cases = {path.stem for path in (ROOT / "tests" / "cases").glob("*.json")}
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in named if name not in cases and f"def {name}(" not in sources] == []
    assert cases - named == set()


def test_every_promise_names_an_oracle_and_tests_that_ask_it() -> None:
    page = (ROOT / "docs" / "explanation" / "promises.md").read_text(encoding="utf-8")
    functions = inspect.getmembers(promises, inspect.isfunction)
    oracles = {name for name, one in functions if one.__module__ == promises.__name__ and name[0] != "_"}
    asked = set(re.findall(r"\| `(\w+)`", page.partition("Three promises")[0]))
    assert asked == oracles
    for name in re.findall(r"`(test_\w+\.py|soak\.py)`", page):
        assert [*(ROOT / "tests").rglob(name)], name
