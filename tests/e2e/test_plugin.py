"""The target as a Meltano user adds, configures and checks it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema.validators import validator_for
from meltano_project import MELTANO, ROOT, Project, loader, needs_meltano

from target_kissmetrics.sandbox.running import running

pytestmark = [pytest.mark.e2e, needs_meltano]


def test_it_is_added_from_its_definition_and_checked(tmp_path: Path) -> None:
    definition = yaml.safe_load((ROOT / "target-kissmetrics.yml").read_text(encoding="utf-8"))
    # From this checkout instead of PyPI; all else as it stands.
    definition["pip_url"] = str(ROOT)
    reference = tmp_path / "target-kissmetrics.yml"
    reference.write_text(yaml.safe_dump(definition), encoding="utf-8")
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder, [], [])
    project.run("add", "--from-ref", str(reference), "target-kissmetrics")

    with running() as sandbox:
        project.run("config", "set", "target-kissmetrics", "tracking_url", sandbox.url)
        entry = {"stream": "public.users", "kind": "user_attributes"}
        project.run("config", "set", "target-kissmetrics", "streams", json.dumps([entry]))
        rows = tmp_path / "rows.jsonl"
        schema = {
            "type": "SCHEMA",
            "stream": "public.users",
            "key_properties": ["user_id"],
            "schema": {"properties": {"user_id": {}, "plan": {}}},
        }
        row = {"type": "RECORD", "stream": "public.users", "record": {"user_id": "u1", "plan": "Gold"}}
        rows.write_text(f"{json.dumps(schema)}\n{json.dumps(row)}\n", encoding="utf-8")
        told = project.run("invoke", "target-kissmetrics:preview", str(rows))
        assert "streams[0] says so" in told
        assert "plan = Gold" in told
        # In the environment, from which the preview reads, Meltano makes this one flat.
        stream_maps = {"public.users": {"plan": "record['plan'].upper()", "__key_properties__": ["user_id"]}}
        project.run("config", "set", "target-kissmetrics", "stream_maps", json.dumps(stream_maps))
        assert "plan = GOLD" in project.run("invoke", "target-kissmetrics:preview", str(rows))
        project.run("config", "unset", "target-kissmetrics", "stream_maps")
        told = project.check(code=1)
        assert "api_key: is required; copy it from Kissmetrics' settings, and set TARGET_KISSMETRICS_API_KEY" in told
        project.run("config", "set", "target-kissmetrics", "api_key", "0123456789abcdef")
        told = project.check()
        assert "Plugin configuration is valid" in told
        assert "0123456789abcdef" not in (folder / "meltano.yml").read_text(encoding="utf-8")
        project.run("config", "set", "target-kissmetrics", "rejects_path", "nowhere/rejects.jsonl")
        told = project.check(code=1)
        assert "there is no folder nowhere, or it is not writable" in told
        project.run("config", "unset", "target-kissmetrics", "rejects_path")
        assert sandbox.summary()["calls"] == 0
    told = project.check(code=1)
    assert "cannot be reached" in told
    assert "check its address" in told


def test_meltanos_own_schema_takes_the_definitions_settings() -> None:
    """What Meltano ships for editors of `meltano.yml`: the Hub's own schema is stricter, and kept in `hub/schemas`."""
    (shipped,) = MELTANO.parent.parent.rglob("meltano.schema.json")
    whole = json.loads(shipped.read_text(encoding="utf-8"))
    setting = {**whole["$defs"]["base_setting"], "$defs": whole["$defs"], "$schema": whole["$schema"]}
    definition = yaml.safe_load((ROOT / "target-kissmetrics.yml").read_text(encoding="utf-8"))
    validator = validator_for(setting)(setting)
    for one in definition["settings"]:
        assert [error.message for error in validator.iter_errors(one)] == [], one["name"]
    assert list(validator.iter_errors({"name": "a", "kind": "password key"}))


def test_the_check_names_a_mistake(tmp_path: Path) -> None:
    project = Project(tmp_path, [], [loader(use_custmer_id=True)])
    told = project.check(code=1)
    assert "use_custmer_id: no such setting; did you mean 'use_customer_id'?" in told
