"""Every folder of `examples/` through Meltano and a tap from PyPI: what the sandbox holds is what it says."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from meltano_project import ROOT, needs_meltano, program

EXAMPLES = ROOT / "examples"
FOLDERS = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())
NAMES = [path.name for path in FOLDERS]

SAMPLES = {
    "ab-tests", "crm-contacts", "events-table", "kissmetrics-export", "mparticle-feed", "orders", "segment-messages",
    "users-table",
}  # fmt: skip

ALIASES_ARE_FOR_EVER = r"\d+ alias calls?: Kissmetrics never undoes an alias"
WARNED_OF: dict[str, list[str]] = {
    "crm-contacts": [
        ALIASES_ARE_FOR_EVER,
        # The second run is of one tap alone.
        r"streams\[1\]: 'merges' matches no stream of the input",
    ],
    "events-table": [ALIASES_ARE_FOR_EVER],
    "kissmetrics-export": [ALIASES_ARE_FOR_EVER],
    "mparticle-feed": [r"user attribute 'Plan' was deleted at the source, but Kissmetrics cannot delete it: .*"],
    "segment-messages": [ALIASES_ARE_FOR_EVER],
}
"""What the preview warns of, and rightly; of all others, nothing."""

REJECTED: dict[str, list[str]] = {
    "ab-tests": ["no-variant"],
    "crm-contacts": ["blocked-identity", "no-identity", "blocked-identity"],
    "kissmetrics-export": ["blocked-identity"],
    "mparticle-feed": ["no-event-name"],
    "segment-messages": ["blocked-identity", "no-type"],
}


def runner() -> Any:
    """Give `scripts/example.py`, which is no package."""
    spec = importlib.util.spec_from_file_location("example", ROOT / "scripts" / "example.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expected(name: str) -> Any:
    return json.loads((EXAMPLES / name / "expected.json").read_text(encoding="utf-8"))


def definition(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / name / "meltano.yml").read_text(encoding="utf-8"))


@pytest.mark.e2e
@needs_meltano
@pytest.mark.parametrize("name", NAMES)
def test_kissmetrics_holds_what_the_example_says(name: str, request: pytest.FixtureRequest) -> None:
    # The server is started, or the test skipped, for the examples alone that read PostgreSQL.
    reads_postgres = any(tap["name"] == "tap-postgres" for tap in definition(name)["plugins"]["extractors"])
    server = request.getfixturevalue("postgres") if reads_postgres else None
    example = runner()
    example.MELTANO = program()
    assert example.run(name, server) == expected(name)


def test_every_folder_is_a_whole_example_and_every_example_is_there() -> None:
    assert set(NAMES) == SAMPLES
    for folder in FOLDERS:
        names = {path.name for path in folder.iterdir()}
        assert names >= {"README.md", "meltano.yml", "expected.json"}, folder.name
        assert any(name.endswith((".jsonl", ".sql")) for name in names), folder.name
        listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
        assert f"[{folder.name}]({folder.name})" in listed


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("argument", [[], ["NAME="], ["NAME=ordrs"]])
def test_make_says_which_examples_there_are_before_it_sets_anything_up(argument: list[str]) -> None:
    command = ["make", "--no-print-directory", "example", *argument]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)
    told = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (2, b"")
    assert told[0] == "name an example, such as: make example NAME=orders"
    assert told[1] == f"examples: {' '.join(NAMES)}"


@pytest.mark.parametrize("name", NAMES)
def test_it_warns_of_nothing_unexpected(name: str) -> None:
    held = expected(name)
    patterns = WARNED_OF.get(name, [])
    for warning in held["warnings"]:
        assert any(re.fullmatch(pattern, warning) for pattern in patterns), warning
    assert [reject["code"] for reject in held["rejects"]] == REJECTED.get(name, [])


@pytest.mark.parametrize("name", NAMES)
def test_users_run_it_as_it_stands(name: str) -> None:
    """The target comes by its package's name, and what is sent goes to a sandbox until somebody says otherwise."""
    (loader,) = definition(name)["plugins"]["loaders"]
    published = yaml.safe_load((ROOT / "target-kissmetrics.yml").read_text(encoding="utf-8"))
    assert loader["pip_url"].partition("[")[0] == published["pip_url"].partition("[")[0]
    assert loader["executable"] == published["executable"]
    assert loader["config"]["tracking_url"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("name", NAMES)
def test_what_its_readme_names_is_there(name: str) -> None:
    readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", readme):
        assert (EXAMPLES / name / link).exists(), link
    files = [word for command in runner().commands(readme) for word in (*command.words, *command.environment.values())]
    assert all((EXAMPLES / name / word).exists() for word in files if word.endswith((".sql", ".jsonl")))


def test_people_are_made_up() -> None:
    for path in EXAMPLES.rglob("*"):
        if path.suffix in {".jsonl", ".sql"}:
            for host in re.findall(r"@([\w.-]+)", path.read_text(encoding="utf-8")):
                assert host.endswith("example.com"), (path, host)


def test_a_readme_s_commands_are_its_console_blocks() -> None:
    found = runner().commands("```console\n$ A=b meltano run tap-x  # why\noutput\n```\n```\n$ not this\n```\n")
    assert [(dict(one.environment), list(one.words)) for one in found] == [({"A": "b"}, ["meltano", "run", "tap-x"])]


def test_json_is_written_for_people_and_read_back_the_same() -> None:
    given = {"a": [{"b": "x" * 90, "c": [1, 2.5, None]}, {}], "d": "ö"}
    written = runner().as_json(given)
    assert json.loads(written) == given
    assert max(map(len, written.splitlines())) <= 120
    path = EXAMPLES / "orders" / "expected.json"
    assert path.read_text(encoding="utf-8") == f"{runner().as_json(expected('orders'))}\n"
