"""Writes the README's tables: of settings, from the schema that `--about` shows, and of the reasons of rejection.

python scripts/readme_tables.py          rewrites README.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from target_kissmetrics.about import shown_default, shown_type
from target_kissmetrics.mapping.reasons import REASONS
from target_kissmetrics.settings import SCHEMA

_NAME = re.compile(r"\b(?:__[a-z]+__|[a-z]+(?:_[a-z]+)+)\b")
"""What a reader types, in a text for people."""

README = Path(__file__).parent.parent / "README.md"


def settings_table() -> str:
    """Give the table of this target's own settings."""
    rows = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    for name, schema in SCHEMA["properties"].items():
        default = shown_default(schema, is_required=False)
        shown = "required" if name in SCHEMA["required"] else f"`{default}`" if default is not None else "none"
        rows.append(f"| `{name}` | {shown_type(schema, mark='`')} | {shown} | {_text(schema)} |")
    return "\n".join(rows)


def stream_keys_table() -> str:
    """Give the table of the keys of an entry of `streams`."""
    rows = ["| key | type | meaning |", "|---|---|---|"]
    for name, schema in SCHEMA["properties"]["streams"]["items"]["properties"].items():
        rows.append(f"| `{name}` | {shown_type(schema, mark='`')} | {_text(schema)} |")
    return "\n".join(rows)


def reasons_table() -> str:
    """Give the table of the codes in the file of rejects."""
    rows = ["| code | not sent | what happened | what to do |", "|---|---|---|---|"]
    for code, reason in REASONS.items():
        meaning, to_do = (_NAME.sub(r"`\g<0>`", text) for text in (reason.meaning, reason.to_do))
        rows.append(f"| `{code}` | the {reason.lost} | {meaning} | {to_do} |")
    return "\n".join(rows)


def with_tables(readme: str) -> str:
    """Put the tables between their marks."""
    tables = {"settings": settings_table(), "stream keys": stream_keys_table(), "reasons": reasons_table()}
    for mark, table in tables.items():
        pattern = rf"(<!-- {mark}: [^\n]*-->\n).*?(<!-- end of {mark} -->)"
        readme = re.sub(pattern, lambda m, table=table: f"{m[1]}{table}\n{m[2]}", readme, flags=re.DOTALL)
    return readme


def _text(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", "")).replace("|", "\\|")


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
