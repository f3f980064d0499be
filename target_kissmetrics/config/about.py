"""Formats `--about` as text and as Markdown: each setting with its type, default and description.

The SDK's own text has neither descriptions nor defaults, and its Markdown lacks the keys of objects in lists. JSON is
the SDK's own.
"""

from __future__ import annotations

import enum
import json
import textwrap
from collections.abc import Iterator
from typing import Any

import click
from singer_sdk.about import AboutFormatter, AboutInfo

from target_kissmetrics.config.definitions import Schema

WIDTH = 100


def set_options(command: click.Command) -> None:
    """Let a command of the SDK accept `--format text`, and describe what `--config` accepts here."""
    for param in command.params:
        if param.name == "about_format":
            param.type = click.Choice(("text", "json", "markdown"))
        if param.name == "config" and isinstance(param, click.Option):
            param.help = "A file in JSON or YAML (*.yml), or ENV for variables TARGET_KISSMETRICS_...; may be repeated."


def shown_type(schema: Schema, *, mark: str = "") -> str:
    """Write a setting's type: `integer`, `string, secret`, or its choices.

    Args:
        schema: Its JSON Schema.
        mark: A sign around each choice.
    """
    if "enum" in schema:
        return " or ".join(f"{mark}{_plain(choice)}{mark}" for choice in schema["enum"])
    kinds = schema.get("type", "any")
    shown = " or ".join(kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null")
    return f"{shown}, secret" if schema.get("secret") else shown


def shown_default(schema: Schema, *, is_required: bool) -> str | None:
    """Write a setting's default as in a config; None when it has none."""
    if is_required:
        return "required"
    default = _plain(schema.get("default"))
    return default if default is None or isinstance(default, str) else json.dumps(default)


def keys_within(schema: Schema) -> Iterator[tuple[str, Schema, bool]]:
    """Yield the keys of an object, or of the objects in a list: path, schema, whether it is required."""
    holder, mark = (schema["items"], "[]") if "items" in schema else (schema, "")
    for name, key in holder.get("properties", {}).items():
        yield f"{mark}.{name}", key, name in holder.get("required", ())
        yield from ((f"{mark}.{name}{path}", inner, needed) for path, inner, needed in keys_within(key))


class TextFormatter(AboutFormatter, format_name="text"):
    """Formats for a terminal."""

    def format_about(self, about_info: AboutInfo) -> str:
        """Return the text."""
        lines = [
            f"Name: {about_info.name}",
            *textwrap.wrap(f"Description: {about_info.description}", WIDTH, subsequent_indent="  "),
            f"Version: {about_info.version}",
            f"SDK Version: {about_info.sdk_version}",
            f"Supported Python Versions: {', '.join(about_info.supported_python_versions or ())}",
            f"Capabilities: {', '.join(str(capability.value) for capability in about_info.capabilities)}",
            "",
            "Settings:",
        ]
        required = about_info.settings.get("required", ())
        for name, schema in about_info.settings["properties"].items():
            default = shown_default(schema, is_required=name in required)
            lines += [
                f"  - Name: {name}",
                f"    Type: {shown_type(schema)}",
                *textwrap.wrap(
                    f"Default: {'none' if default is None else default}",
                    WIDTH,
                    initial_indent="    ",
                    subsequent_indent="      ",
                ),
                f"    Environment Variable: {about_info.env_var_prefix}{name.upper()}",
                *_wrapped("Meaning: ", schema, "    "),
            ]
            keys = list(keys_within(schema))
            if keys:
                lines.append("    Keys:")
            for path, key, is_required in keys:
                title = f"{path.lstrip('[].')} ({shown_type(key)}{', required' if is_required else ''}): "
                lines += _wrapped(title, key, "      ")
        return "\n".join(lines)


class MarkdownFormatter(AboutFormatter, format_name="markdown"):
    """Formats for a page."""

    def format_about(self, about_info: AboutInfo) -> str:
        """Return the Markdown."""
        lines = [
            f"# `{about_info.name}`",
            "",
            str(about_info.description),
            "",
            "Built with the [Meltano Singer SDK](https://sdk.meltano.com).",
            "",
            "## Capabilities",
            "",
            *(f"- `{capability.value}`" for capability in about_info.capabilities),
            "",
            "## Supported Python Versions",
            "",
            *(f"- {version}" for version in about_info.supported_python_versions or ()),
            "",
            "## Settings",
            "",
            "| Setting | Type | Default | Description |",
            "|:--------|:-----|:--------|:------------|",
        ]
        required = about_info.settings.get("required", ())
        for name, schema in about_info.settings["properties"].items():
            lines.append(_row(name, schema, is_required=name in required))
            lines += [_row(f"{name}{path}", key, is_required=needed) for path, key, needed in keys_within(schema)]
        prefix = about_info.env_var_prefix
        note = f"Each can be set in the environment: `{prefix}` and its name in capitals; lists and objects are JSON."
        return "\n".join([*lines, "", note, ""])


def _row(name: str, schema: Schema, *, is_required: bool) -> str:
    default = shown_default(schema, is_required=is_required)
    shown = "none" if default is None else default if is_required else f"`{default}`"
    cells = (f"`{name}`", shown_type(schema, mark="`"), shown, _description(schema))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _wrapped(title: str, schema: Schema, indent: str) -> list[str]:
    text = title + _description(schema)
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)


def _description(schema: Schema) -> str:
    return " ".join(str(schema.get("description", "")).split())


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value
