"""Writes what says to others which settings there are, from `--about` and hub/definition.yml.

python scripts/plugin_definition.py    rewrites target-kissmetrics.yml, the Hub's files in hub/ and .env.example
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from target_kissmetrics.config.about import shown_default
from target_kissmetrics.target import TargetKissmetrics

ROOT = Path(__file__).parent.parent
GIVEN: dict[str, Any] = yaml.safe_load((ROOT / "hub" / "definition.yml").read_text(encoding="utf-8"))
PREFIX = "TARGET_KISSMETRICS_"

_WRITTEN = "scripts/plugin_definition.py, from --about and hub/definition.yml, writes this file: edit those."
_HEADER = f"""\
# What `meltano add --from-ref target-kissmetrics.yml target-kissmetrics` installs, and what Meltano Hub shows.
# {_WRITTEN}
"""
_KINDS = {"number": "decimal"}
"""A JSON Schema type -> the kind of a Meltano setting, where the two are not called the same."""
_IN_LABELS = {"api": "API", "http": "HTTP", "id": "ID", "ip": "IP", "url": "URL", "per": "per", "and": "and"}


def about() -> dict[str, Any]:
    """Give what `--about --format=json` shows."""
    info = TargetKissmetrics._get_about_info()  # noqa: SLF001 - the SDK has no public way to it but printing it
    shown: dict[str, Any] = json.loads(
        json.dumps(
            {
                "description": info.description,
                "capabilities": [capability.value for capability in info.capabilities],
                "python": info.supported_python_versions,
                "settings": info.settings,
            }
        )
    )
    return shown


def definition(told: Mapping[str, Any]) -> dict[str, Any]:
    """Give the plugin's definition, as Meltano and its Hub have it; keys in alphabetical order, as the Hub's are."""
    made = {
        **GIVEN["definition"],
        "description": told["description"].rstrip("."),
        "capabilities": sorted(told["capabilities"]),
        "supported_python_versions": told["python"],
        "settings": [_setting(name, schema) for name, schema in told["settings"]["properties"].items()],
    }
    return dict(sorted(made.items()))


def _setting(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    kinds = [
        kind for kind in ([schema["type"]] if isinstance(schema["type"], str) else schema["type"]) if kind != "null"
    ]
    made: dict[str, Any] = {
        "name": name,
        "label": GIVEN["labels"].get(name) or schema.get("title") or _label(name),
        "kind": "options" if "enum" in schema else _KINDS.get(kinds[0], kinds[0]),
        "description": " ".join(schema["description"].split()),
    }
    if schema.get("secret"):
        made["sensitive"] = True
    if schema.get("default") is not None:
        made["value"] = schema["default"]
    if "enum" in schema:
        labels = GIVEN["options"].get(name, {})
        made["options"] = [{"label": labels.get(one, _label(one)), "value": one} for one in schema["enum"]]
    return dict(sorted(made.items()))


def _label(name: str) -> str:
    return " ".join(_IN_LABELS.get(word, word.title()) for word in name.replace("-", "_").split("_"))


def environment(told: Mapping[str, Any]) -> str:
    """Give `.env.example`: a line for each variable, those of secrets waiting to be filled in."""
    settings = told["settings"]
    lines = [
        "# Settings and secrets from the environment: copy to .env, which git ignores, and fill in what you need.",
        f"# Each setting is {PREFIX} and its name; lists and objects are JSON. What is shown is the default.",
        f"# {_WRITTEN}",
    ]
    for name, schema in settings["properties"].items():
        is_required = name in settings["required"]
        lines += ["", *_comment(schema["description"])]
        default = None if is_required else shown_default(schema)
        mark = "" if is_required else "# "
        lines.append(f"{mark}{PREFIX}{name.upper()}={_quoted(default or '')}")
    lines += ["", "# Not the target's own"]
    for variable in GIVEN["environment"]:
        lines += ["", *_comment(variable["about"]), f"# {variable['name']}={variable.get('example', '')}"]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), 118, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )


def _quoted(text: str) -> str:
    return f"'{text}'" if any(sign in text for sign in ' "[]{}#$') else text


def files() -> dict[str, str]:
    """Give every file that is written: its path from the repository's root -> its text."""
    told = about()
    made = definition(told)
    name, variant = made["name"], made["variant"]
    return {
        "target-kissmetrics.yml": _HEADER + as_yaml(made),
        f"hub/_data/meltano/loaders/{name}/{variant}.yml": as_yaml(made),
        "hub/_data/maintainers.yml": as_yaml({variant: GIVEN["maintainer"]}),
        "hub/_data/default_variants.yml": as_yaml({"loaders": {name: variant}}),
        ".env.example": environment(told),
    }


class _Dumper(yaml.SafeDumper):
    """Writes lists under their key without more indent, as the Hub does."""


def as_yaml(content: Mapping[str, Any]) -> str:
    """Write YAML as the Hub's files are written."""
    return yaml.dump(dict(content), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=118)


if __name__ == "__main__":
    for path, text in files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
