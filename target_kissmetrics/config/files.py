"""Reads the files that `--config` names, for every command of the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from target_kissmetrics.errors import ConfigError

FROM_ENVIRONMENT = "ENV"
"""Stands among the files of `--config` for the environment's variables."""


def read_config_file(name: str) -> dict[str, Any]:
    """Read a config: YAML when its name ends in `.yml` or `.yaml`, else JSON.

    Raises:
        ConfigError: It cannot be read. The text names the file and the place, and shows nothing of what it holds.
    """
    try:
        text = Path(name).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError("--config", f"cannot read {name}: {error.strerror}; check its path") from None
    except UnicodeDecodeError:
        raise ConfigError("--config", f"{name} is not UTF-8; save it as such") from None
    given = _yaml(name, text) if name.lower().endswith((".yml", ".yaml")) else _json(name, text)
    if not isinstance(given, dict) or not all(isinstance(key, str) for key in given):
        raise ConfigError("--config", f"{name} must hold an object of settings")
    for setting, value in given.items():
        if not _has_names(value):
            raise ConfigError(
                "--config", f"{name}: a name in {setting} must be a text; write 2024, a date, yes or no in quotes there"
            )
    return given


def _has_names(value: Any) -> bool:
    """Tell whether all keys are texts; YAML has others."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _has_names(inner) for key, inner in value.items())
    return all(map(_has_names, value)) if isinstance(value, list) else True


class _TwiceError(Exception):
    """A name that stands twice: one of the two would be lost without a word.

    Args:
        name: The name.
        line: Its line, where that is known.
    """

    def __init__(self, name: str, line: int | None = None) -> None:
        super().__init__(name)
        self.told = f"{name} stands twice" + (f", again at line {line}" if line else "") + ""


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ConfigError("--config", f"{name} is no JSON at {where}; mend it there") from None
    except _TwiceError as error:
        raise ConfigError("--config", f"{name}: {error.told}; write it once, with what both hold") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for key, value in pairs:
        if key in given:
            raise _TwiceError(key)
        given[key] = value
    return given


def _yaml(name: str, text: str) -> Any:
    import yaml  # noqa: PLC0415 - most runs read JSON

    class Loader(yaml.SafeLoader):
        """Reads YAML in which no name stands twice, which YAML itself forbids and PyYAML lets pass."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen and isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    raise _TwiceError(key.value, key.start_mark.line + 1)
                if isinstance(key, yaml.ScalarNode):
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)  # noqa: S506 - it is a safe loader
    except _TwiceError as error:
        raise ConfigError("--config", f"{name}: {error.told}; write it once, with what both hold") from None
    except Exception as error:  # noqa: BLE001 - a date that no calendar has, a tag that does not fit: anything
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise ConfigError("--config", f"{name} is no YAML{where}; mend it there") from None
