"""target-kissmetrics.yml, the Hub's files and .env.example say what `--about` says."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from forked import command as command_of
from jsonschema import Draft7Validator

from target_kissmetrics.config.settings import SCHEMA, read_settings
from target_kissmetrics.preview.cli import read_config

ROOT = Path(__file__).resolve().parents[2]
HUB = ROOT / "hub"
DEFINITION: dict[str, Any] = yaml.safe_load((ROOT / "target-kissmetrics.yml").read_text(encoding="utf-8"))
SETTINGS: dict[str, dict[str, Any]] = {setting["name"]: setting for setting in DEFINITION["settings"]}
HUB_SCHEMA = json.loads((HUB / "schemas/plugin_definitions/loaders.schema.json").read_text(encoding="utf-8"))
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
VARIABLE = re.compile(r"^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def about() -> dict[str, Any]:
    command = [*command_of(), "--about", "--format=json"]
    result: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return result


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plugin_definition", ROOT / "scripts" / "plugin_definition.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# No drift


def test_what_the_script_would_write_is_what_is_there(script: ModuleType) -> None:
    written = script.files()
    assert {path for path in written if (ROOT / path).read_text(encoding="utf-8") != written[path]} == set(), (
        "run: python scripts/plugin_definition.py"
    )
    assert set(written) == {
        "target-kissmetrics.yml",
        "hub/_data/meltano/loaders/target-kissmetrics/target-kissmetrics.yml",
        "hub/_data/maintainers.yml",
        "hub/_data/default_variants.yml",
        ".env.example",
    }


def test_what_is_written_by_hand_is_of_settings_that_there_are(script: ModuleType, about: dict[str, Any]) -> None:
    properties = about["settings"]["properties"]
    assert set(script.GIVEN["labels"]) <= set(properties)
    for name, labels in script.GIVEN["options"].items():
        assert list(labels) == properties[name]["enum"], name


# The definition


def test_it_names_every_setting_of_the_target_and_no_other(about: dict[str, Any]) -> None:
    assert list(SETTINGS) == list(about["settings"]["properties"])


def test_descriptions_and_defaults_are_those_of_the_target(about: dict[str, Any]) -> None:
    for name, schema in about["settings"]["properties"].items():
        assert SETTINGS[name]["description"] == " ".join(schema["description"].split()), name
        assert SETTINGS[name].get("value") == schema.get("default"), name


def test_capabilities_and_pythons_are_those_of_the_target(about: dict[str, Any]) -> None:
    assert DEFINITION["capabilities"] == sorted(about["capabilities"])
    assert DEFINITION["supported_python_versions"] == about["supported_python_versions"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert DEFINITION["supported_python_versions"] == re.findall(r"Programming Language :: Python :: (3\.\d+)", project)
    assert f'name = "{DEFINITION["pip_url"]}"' in project
    for command in DEFINITION["commands"].values():
        assert f"{command['executable']} = " in project


def test_the_settings_that_hold_credentials_are_sensitive() -> None:
    sensitive = {name for name, setting in SETTINGS.items() if setting.get("sensitive")}
    login = {"query_api_user", "query_api_password"}
    assert sensitive == {"api_key", "attribute_store_url", "batch_config"} | login
    assert not [name for name, setting in SETTINGS.items() if setting["kind"] == "password"]


KINDS = {
    "api_key": "string",
    "revenue_key": "string",
    "revenue_fields": "array",
    "streams": "array",
    "use_customer_id": "boolean",
    "max_connections": "integer",
    "max_requests_per_second": "decimal",
    "delivery": "options",
    "shard": "object",
    "stream_maps": "object",
}


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_the_type_and_no_guess_from_the_name(name: str) -> None:
    assert SETTINGS[name]["kind"] == KINDS[name]


def test_choices_are_those_of_the_target(about: dict[str, Any]) -> None:
    for name, schema in about["settings"]["properties"].items():
        given = [option["value"] for option in SETTINGS[name].get("options", [])]
        assert given == schema.get("enum", []), name


def test_a_label_is_written_for_people() -> None:
    labels = {name: setting["label"] for name, setting in SETTINGS.items()}
    assert labels["api_key"] == "API Key"
    assert labels["send_ip_and_user_agent"] == "Send IP and User Agent"
    assert labels["max_aliases_per_identity"] == "Max Aliases per Identity"
    assert labels["datetime_format"] == "Date-Time Format"
    assert not [label for label in labels.values() if "_" in label]


# The Hub


def test_it_is_valid_as_the_hub_has_it() -> None:
    Draft7Validator.check_schema(HUB_SCHEMA)
    assert [error.message for error in Draft7Validator(HUB_SCHEMA).iter_errors(DEFINITION)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"capabilities": ["about", "flying"]},
        {"maintenance_status": "fine"},
        {"logo_url": "https://example.com/logo.png"},
        {"unknown": 1},
        {"settings": [{"name": "a", "label": "A", "kind": "password", "description": "x"}]},
        {"settings": [{"name": "a", "label": "A", "kind": "options", "description": "x"}]},
    ],
)
def test_the_schema_finds_what_is_wrong(wrong: dict[str, Any]) -> None:
    assert list(Draft7Validator(HUB_SCHEMA).iter_errors({**DEFINITION, **wrong}))


@pytest.mark.parametrize("left_out", ["logo_url", "settings_group_validation", "keywords", "variant"])
def test_the_schema_finds_what_is_missing(left_out: str) -> None:
    rest = {name: value for name, value in DEFINITION.items() if name != left_out}
    assert list(Draft7Validator(HUB_SCHEMA).iter_errors(rest))


def test_the_hubs_files_belong_together() -> None:
    name, variant = DEFINITION["name"], DEFINITION["variant"]
    theirs = yaml.safe_load((HUB / f"_data/meltano/loaders/{name}/{variant}.yml").read_text(encoding="utf-8"))
    assert theirs == DEFINITION
    assert yaml.safe_load((HUB / "_data/default_variants.yml").read_text()) == {"loaders": {name: variant}}
    maintainer = yaml.safe_load((HUB / "_data/maintainers.yml").read_text())[variant]
    assert set(maintainer) == {"label", "name", "url"}
    assert DEFINITION["repo"].startswith(f"{maintainer['url']}/")


def test_the_logo_is_a_square_of_our_own() -> None:
    path = HUB / "static" / DEFINITION["logo_url"].lstrip("/")
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", content[16:24]) == (240, 240)
    source = path.with_suffix(".svg").read_text(encoding="utf-8")
    assert not re.search(r"href|<image|<script|<text|url\(", source)


# .env.example


def test_each_setting_and_each_other_variable_has_one_line(script: ModuleType, about: dict[str, Any]) -> None:
    ours = [f"TARGET_KISSMETRICS_{name.upper()}" for name in about["settings"]["properties"]]
    others = [variable["name"] for variable in script.GIVEN["environment"]]
    assert [name for name, _ in VARIABLE.findall(EXAMPLE)] == [*ours, *others]


def test_only_the_secret_waits_to_be_filled_in(script: ModuleType) -> None:
    assert [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")] == [
        "TARGET_KISSMETRICS_API_KEY="
    ]
    secrets = [variable["name"] for variable in script.GIVEN["environment"] if variable.get("secret")]
    assert all(not value for name, value in VARIABLE.findall(EXAMPLE) if name in secrets)


def test_what_the_example_shows_is_what_the_target_does_by_itself() -> None:
    shown = {name: "".join(shlex.split(value)) for name, value in VARIABLE.findall(EXAMPLE)}
    config = read_config(["ENV"], {**shown, "TARGET_KISSMETRICS_API_KEY": "k"})
    own = {name: value for name, value in config.items() if name in SCHEMA["properties"]}
    assert set(own) == {"api_key"} | {name for name, schema in SCHEMA["properties"].items() if "default" in schema}
    assert read_settings(own) == read_settings({"api_key": "k"})


# What is shown to people


PERSONAL = re.compile(r"/home/|/root/|/Users/|/work/|/tmp/|C:\\\\")


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_about_names_each_setting_with_its_meaning_and_default(form: str, about: dict[str, Any]) -> None:
    command = [*command_of(), "--about", f"--format={form}"]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    plain = " ".join(told.split())
    assert "TargetLoadMethods" not in told
    assert not PERSONAL.search(told)
    for name, schema in about["settings"]["properties"].items():
        assert name in told
        meaning = json.dumps(schema["description"])[1:-1] if form == "json" else schema["description"]
        assert " ".join(meaning.split()) in plain, name
        if schema.get("default") is not None and form == "text":
            default = schema["default"]
            assert (default if isinstance(default, str) else json.dumps(default)) in plain, name
    for capability in about["capabilities"]:
        assert capability in told
    if form == "text":
        assert "spread_duplicates" in told, "the keys of streams"


def test_about_is_text_by_itself() -> None:
    command = [*command_of(), "--about"]
    plain = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    named = subprocess.run([*command, "--format=text"], capture_output=True, check=True, text=True).stdout
    assert plain == named
    assert max(map(len, plain.splitlines())) < 160


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe of Unix")
def test_a_reader_of_about_may_stop_early() -> None:
    shell = f"{shlex.quote(sys.executable)} -m target_kissmetrics --about | head -c 10"
    done = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == ("Name: targ", "")
