"""Reads the files that `--config` names, for every command of the package."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from target_kissmetrics.config.definitions import check_texts
from target_kissmetrics.errors import ConfigError
from target_kissmetrics.exact_json import too_deep

FROM_ENVIRONMENT = "ENV"  # a value of `--config` that stands for the variables of the environment
MAX_DEPTH = 100  # of objects and lists in each other
_LONG_NUMBER = re.compile(r"\d{4301,}")  # longer than Python reads


class FilesConfig(dict[str, Any]):
    """The settings that files hold; `files` are they, each with the option that names it."""

    files: list[tuple[str, str]]


class _Unreadable(Exception):  # noqa: N818 - it reads as what was found
    """Says why, as the end of a sentence that begins with the file's name."""


def read_config_files(names: Iterable[str]) -> FilesConfig:
    """Read files in their order, as `read_config_file`; a later one overrides an earlier one. `ENV` is no file."""
    config = FilesConfig()
    config.files = [("--config", name) for name in names if name != FROM_ENVIRONMENT]
    for _, name in config.files:
        config.update(read_config_file(name))
    return config


def read_config_file(name: str) -> dict[str, Any]:
    """Read a file: as YAML when its name ends in `.yml` or `.yaml`, else as JSON.

    If it cannot be read, the ConfigError names the file and the place, and shows none of its values.
    """
    try:
        text = Path(name).read_text(encoding="utf-8-sig")
        given = _yaml(text) if name.lower().endswith((".yml", ".yaml")) else _json(text)
    except OSError as error:
        raise ConfigError("--config", f"cannot read {name}: {error.strerror}; check its path") from None
    except UnicodeDecodeError:
        raise ConfigError("--config", f"{name} is not UTF-8; save it as UTF-8") from None
    except _Unreadable as problem:
        raise ConfigError("--config", f"{name} {problem}") from None
    if not isinstance(given, dict):
        raise ConfigError("--config", f"{name} must be an object of settings")
    check_texts(given)  # YAML may contain itself
    return given


def _json(text: str) -> Any:
    problem, _ = too_deep(text, MAX_DEPTH)
    if problem:
        raise _Unreadable(f"{problem}; write it flatter")
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        raise _Unreadable(f"is not JSON at line {error.lineno}, column {error.colno}; fix it there") from None
    except ValueError:
        raise _Unreadable(_long_number(text)) from None


def _long_number(text: str) -> str:
    found = _LONG_NUMBER.search(text)
    line = text.count("\n", 0, found.start() if found else None) + 1
    return f"has a number of more than 4,300 digits in line {line}; fix it there"


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that an object has twice; the parser would drop one of the values silently."""
    given = dict(pairs)
    if len(given) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Unreadable(f"has the duplicate key {twice}; write it once, with the content of both")
    return given


def _yaml(text: str) -> Any:
    import yaml  # noqa: PLC0415 - most runs read JSON

    class Loader(yaml.SafeLoader):
        """Refuses duplicate keys, which YAML forbids and PyYAML accepts, and keys that are no strings."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            seen: set[str] = set()
            for key in (key for key in keys if key.tag != "tag:yaml.org,2002:merge"):
                name = f"{key.value} at line {key.start_mark.line + 1}"
                if key.tag != "tag:yaml.org,2002:str":
                    raise _Unreadable(f"has the key {name}, which is not a string; put it in quotes")
                if key.value in seen:
                    raise _Unreadable(f"has the duplicate key {name}; write it once, with the content of both")
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    loader = None
    try:
        loader = Loader(text)
        return loader.get_single_data()
    except RecursionError:
        line = loader.line + 1 if loader else 1
        raise _Unreadable(f"is nested too deeply at line {line}; write it flatter") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        # PyYAML itself fails on values that do not fit their tag, such as the date 2024-02-31.
        if _LONG_NUMBER.search(text) and not isinstance(error, yaml.YAMLError):
            raise _Unreadable(_long_number(text)) from None
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise _Unreadable(f"is not YAML{place}; fix it there") from None
