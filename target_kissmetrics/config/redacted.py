"""The settings of a run as its report shows them: without secrets, folders and lists of people."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

NOT_SHOWN = "(not shown)"


def redacted_settings(config: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, str]:
    """Give each setting's value as text, as far as a report may show it.

    A URL loses its user, password and query, a path its folders, which may be named after somebody. Identities are
    counted. Of a setting that is not this target's own only the name is given.

    Args:
        config: As the target has it.
        schemas: JSON Schemas of this target's own settings by name.
    """
    shown = {}
    for name, schema in schemas.items():
        given = config.get(name)
        value = schema.get("default") if given is None else given
        shown[name] = "(none)" if value is None else _shown(name, schema, value)
    others = (name for name, value in config.items() if name not in schemas and value is not None)
    return shown | dict.fromkeys(others, NOT_SHOWN)


def _shown(name: str, schema: Mapping[str, Any], value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    if name == "blocked_identities":
        return f"{len(value)} identities{', the default ones' if value == schema.get('default') else ''}"
    scheme, is_url, rest = text.partition("://")
    if name == "attribute_store_url" and is_url:
        return f"{scheme} {NOT_SHOWN}"
    if schema.get("secret"):
        return NOT_SHOWN
    if name == "files_url" and is_url and scheme != "file":
        # A password may hold any character, so it may reach up to the last "@".
        return f"{scheme}://{re.split('[?#]', rest.rpartition('@')[2])[0]}"
    if name in {"files_url", "rejects_path", "report_path"}:
        return re.split(r"[\\/]", text.rstrip("\\/"))[-1]
    return text
