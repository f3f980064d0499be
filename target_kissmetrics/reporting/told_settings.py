"""The settings of a run as its report tells them: without secrets, without whom or where they name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from target_kissmetrics.errors import redact_key

NOT_SHOWN = "(not shown)"

_PATHS = frozenset({"rejects_path", "report_path"})


def told_settings(config: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, str]:
    """Give each setting with what may be told of its value, as text.

    A URL loses its user, password and query, a path its folders (they may be named after somebody), a list of
    identities is counted. Of a setting that is not this target's own only the name is told.

    Args:
        config: As the target has it.
        schemas: JSON Schemas of this target's own settings by their name.
    """
    told = {}
    for name, schema in schemas.items():
        given = config.get(name)
        value = schema.get("default") if given is None else given
        told[name] = "(none)" if value is None else redact_key(_told(name, schema, value), config.get("api_key"))
    told.update((name, NOT_SHOWN) for name in config if name not in schemas and config[name] is not None)
    return told


def _told(name: str, schema: Mapping[str, Any], value: object) -> str:
    if schema.get("secret"):
        return NOT_SHOWN
    if name == "blocked_identities":
        count = len(value) if isinstance(value, (list, tuple)) else 0
        return f"{count} identities{', the default ones' if value == schema.get('default') else ''}"
    if name == "attribute_store_url":
        return f"{str(value).partition(':')[0]} {NOT_SHOWN}"
    if name in _PATHS:
        return last_name(str(value))
    if name == "files_url":
        return _place(str(value))
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _place(url: str) -> str:
    """Write a path or a URL without what may be in it but the place."""
    scheme, mark, rest = url.partition("://")
    if not mark or scheme == "file":
        return last_name(url)
    # All up to the last "@" may be of a password, which may hold any character.
    return f"{scheme}://{re.split('[?#]', rest.rpartition('@')[2])[0]}"


def last_name(path: str) -> str:
    """Give the last name of a path, of Windows' too."""
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]
