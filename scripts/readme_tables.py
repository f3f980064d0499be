"""Writes the README's tables of settings from the schema that `--about` shows.

python scripts/readme_tables.py          rewrites README.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from target_kissmetrics.settings import SCHEMA

README = Path(__file__).parent.parent / "README.md"


def settings_table() -> str:
    """Give the table of this target's own settings."""
    rows = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    for name, schema in SCHEMA["properties"].items():
        rows.append(f"| `{name}` | {_type(schema)} | {_default(name, schema)} | {_text(schema)} |")
    return "\n".join(rows)


def stream_keys_table() -> str:
    """Give the table of the keys of an entry of `streams`."""
    rows = ["| key | type | meaning |", "|---|---|---|"]
    for name, schema in SCHEMA["properties"]["streams"]["items"]["properties"].items():
        rows.append(f"| `{name}` | {_type(schema)} | {_text(schema)} |")
    return "\n".join(rows)


def with_tables(readme: str) -> str:
    """Put the tables between their marks."""
    for mark, table in (("settings", settings_table()), ("stream keys", stream_keys_table())):
        pattern = rf"(<!-- {mark}: [^\n]*-->\n).*?(<!-- end of {mark} -->)"
        readme = re.sub(pattern, lambda m, table=table: f"{m[1]}{table}\n{m[2]}", readme, flags=re.DOTALL)
    return readme


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{choice}`" for choice in schema["enum"])
    kinds = [kind for kind in schema["type"] if kind != "null"]
    shown = " or ".join(kinds)
    return f"{shown}, secret" if schema.get("secret") else shown


def _default(name: str, schema: Mapping[str, Any]) -> str:
    if name in SCHEMA["required"]:
        return "required"
    if "default" not in schema:
        return "none"
    default = schema["default"]
    return f"`{default}`" if isinstance(default, str) else f"`{json.dumps(default)}`"


def _text(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", "")).replace("|", "\\|")


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
