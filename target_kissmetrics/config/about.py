"""Formats `--about` as text: the SDK's own has neither descriptions nor defaults. Other formats are the SDK's own."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import click
from singer_sdk.about import AboutFormatter, AboutInfo

WIDTH = 100


def set_options(command: click.Command) -> None:
    """Let a command of the SDK accept `--format text`, and describe what `--config` accepts here."""
    for param in command.params:
        if param.name == "about_format":
            param.type = click.Choice(("text", "json", "markdown"))
        if param.name == "config" and isinstance(param, click.Option):
            param.help = "A file in JSON or YAML (*.yml), or ENV for variables TARGET_KISSMETRICS_...; may be repeated."


def shown_type(schema: Mapping[str, Any], *, mark: str = "") -> str:
    """Write a setting's type: `integer`, `string, secret`, or its choices.

    Args:
        schema: Its JSON Schema.
        mark: A sign around each choice.
    """
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
            lines += textwrap.wrap(text, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
        return "\n".join(lines)
