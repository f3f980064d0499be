"""How settings are shown: by `--about`, and in the report of a run.

The SDK's own text of `--about` has neither descriptions nor defaults. Its other formats are the SDK's own.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import click
from singer_sdk.about import AboutFormatter, AboutInfo

NOT_SHOWN = "(not shown)"


def set_options(command: click.Command) -> None:
    """Let a command of the SDK accept `--format text`, and describe what `--config` accepts here."""
    for param in command.params:
        if param.name == "about_format":
            param.type = click.Choice(("text", "json", "markdown"))
        if param.name == "config" and isinstance(param, click.Option):
            param.help = "A file in JSON or YAML (*.yml), or ENV for variables TARGET_KISSMETRICS_...; may be repeated."


def shown_type(schema: Mapping[str, Any], *, mark: str = "") -> str:
    """Write a setting's type: `integer`, `string, secret`, or its choices, each between marks."""
    if "enum" in schema:
        return " or ".join(f"{mark}{getattr(choice, 'value', choice)}{mark}" for choice in schema["enum"])
    kinds = schema.get("type", "any")
    shown = " or ".join(kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null")
    return f"{shown}, secret" if schema.get("secret") else shown


def shown_default(schema: Mapping[str, Any]) -> str | None:
    """Write a setting's default as in a config; None when it has none."""
    default = schema.get("default")
    return default if default is None or isinstance(default, str) else json.dumps(default)


def keys_within(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Yield the keys of an object, or of the objects in a list: path, schema, whether it is required."""
    holder, mark = (schema["items"], "[]") if "items" in schema else (schema, "")
    for name, key in holder.get("properties", {}).items():
        yield f"{mark}.{name}", key, name in holder.get("required", ())
        yield from ((f"{mark}.{name}{path}", inner, needed) for path, inner, needed in keys_within(key))


class TextFormatter(AboutFormatter, format_name="text"):
    """Formats for a terminal: each setting, and each key of one."""

    def format_about(self, about_info: AboutInfo) -> str:
        """Return the text."""
        lines = [
            f"Name: {about_info.name}",
            f"Description: {about_info.description}",
            f"Version: {about_info.version}",
            f"SDK Version: {about_info.sdk_version}",
            f"Supported Python Versions: {', '.join(about_info.supported_python_versions or ())}",
            f"Capabilities: {', '.join(capability.value for capability in about_info.capabilities)}",
            f"Settings, in the environment {about_info.env_var_prefix} and the name in capitals (lists are JSON):",
        ]
        for path, schema, is_required in keys_within(about_info.settings):
            default = "required" if is_required else f"default: {shown_default(schema) or 'none'}"
            text = f"- {path[1:]} ({shown_type(schema)}; {default}): {schema.get('description', '')}"
            lines += textwrap.wrap(text, 100, subsequent_indent="    ", break_on_hyphens=False)
        return "\n".join(lines)


def redacted_settings(config: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, str]:
    """Give each setting's value as text, as far as a report may show it.

    A URL loses its user, password and query, a path its folders, which may be named after somebody. Identities are
    counted. Of a setting that is not this target's own, which has no schema here, only the name is given.
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
