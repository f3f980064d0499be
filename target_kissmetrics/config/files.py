"""Reads the files that `--config` names, for every command of the package."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from target_kissmetrics.errors import ConfigError
from target_kissmetrics.exact_json import too_deep

MAX_DEPTH = 100
"""Of objects and lists in each other."""

_LONG_NUMBER = re.compile(r"\d{4301,}")

FROM_ENVIRONMENT = "ENV"
"""A value of `--config` that stands for the variables of the environment."""


class FilesConfig(dict[str, Any]):
    """The settings that files hold.

    Attributes:
        files: The files, each with the option that names it.
    """

    files: list[tuple[str, str]]


def read_config_files(names: Iterable[str]) -> FilesConfig:
    """Read files in their order; a later one overrides settings of an earlier one. `ENV` is no file.

    Raises:
        ConfigError: A file cannot be read.
    """
    config = FilesConfig()
    config.files = [("--config", name) for name in names if name != FROM_ENVIRONMENT]
    for _, name in config.files:
        config.update(read_config_file(name))
    return config


def read_config_file(name: str) -> dict[str, Any]:
    """Read a file: as YAML when its name ends in `.yml` or `.yaml`, else as JSON.

    Raises:
        ConfigError: The file cannot be read. The message names the file and the place, and shows none of its values.
    """
    try:
        text = Path(name).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError("--config", f"cannot read {name}: {error.strerror}; check its path") from None
    except UnicodeDecodeError:
        raise ConfigError("--config", f"{name} is not UTF-8; save it as UTF-8") from None
    try:
        given = _yaml(name, text) if name.lower().endswith((".yml", ".yaml")) else _json(name, text)
        if not isinstance(given, dict) or not all(isinstance(key, str) for key in given):
            raise ConfigError("--config", f"{name} must be an object of settings")
        for setting, value in given.items():
            if not _has_string_keys(value):
                problem = f"{name}: a key in {setting} must be a string; put 2024, a date, yes or no in quotes there"
                raise ConfigError("--config", problem)
    except _DuplicateKeyError as error:
        raise ConfigError("--config", f"{name}: {error}; write it once, with the content of both") from None
    except RecursionError:  # YAML that contains itself
        raise ConfigError("--config", f"{name} is nested too deeply; write it flatter") from None
    return given


def _has_string_keys(value: Any) -> bool:
    """Return whether all keys are strings; YAML has others."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _has_string_keys(inner) for key, inner in value.items())
    return all(map(_has_string_keys, value)) if isinstance(value, list) else True


class _DuplicateKeyError(Exception):
    """A key that an object has twice; the parsers would drop one of the values silently."""


def _json(name: str, text: str) -> Any:
    problem, _ = too_deep(text, MAX_DEPTH)
    if problem:
        raise ConfigError("--config", f"{name} {problem}; write it flatter")
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigError("--config", f"{name} is not JSON at {place}; fix it there") from None
    except ValueError:
        raise _long_number(name, text) from None


def _long_number(name: str, text: str) -> ConfigError:
    """Describe a number that is longer than Python reads."""
    found = _LONG_NUMBER.search(text)
    line = text.count("\n", 0, found.start() if found else None) + 1
    return ConfigError("--config", f"{name} has a number of more than 4,300 digits in line {line}; fix it there")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for key, value in pairs:
        if key in given:
            raise _DuplicateKeyError(f"duplicate key {key}")
        given[key] = value
    return given


def _yaml(name: str, text: str) -> Any:
    import yaml  # noqa: PLC0415 - most runs read JSON

    class Loader(yaml.SafeLoader):
        """Refuses duplicate keys, which YAML forbids and PyYAML accepts."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    if key.value in seen:
                        raise _DuplicateKeyError(f"duplicate key {key.value} at line {key.start_mark.line + 1}")
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    loader = None
    try:
        loader = Loader(text)
        return loader.get_single_data()
    except RecursionError:
        where = f"{name} is nested too deeply at line {loader.line + 1 if loader else 1}"
        raise ConfigError("--config", f"{where}; write it flatter") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        # PyYAML itself fails on values that do not fit their tag, such as the date 2024-02-31.
        if _LONG_NUMBER.search(text) and not isinstance(error, yaml.YAMLError):
            raise _long_number(name, text) from None
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise ConfigError("--config", f"{name} is not YAML{place}; fix it there") from None
