"""The preview's config: the target's, without its API key."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from singer_sdk import Target
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities

from target_kissmetrics.config import settings as own_settings
from target_kissmetrics.config.environment import read_environment
from target_kissmetrics.config.files import FROM_ENVIRONMENT, read_config_file

_NO_KEY = "preview-needs-no-key"


class _Builtin(Target):
    """Knows the settings that the SDK gives the target."""

    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        *(capability for capability in Target.capabilities if capability is not PluginCapabilities.FLATTENING),
        PluginCapabilities.BATCH,
    ]


def read_config(sources: Sequence[str], environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Put a config together.

    Args:
        sources: Files in JSON, or in YAML when they are named `*.yml` or `*.yaml`, and `ENV` for the variables
            `TARGET_KISSMETRICS_...`; a later one wins.
        environment: The variables.

    Raises:
        ConfigError: One of them cannot be read.
    """
    config: dict[str, Any] = {}
    for source in sources:
        config.update(_from_environment(environment) if source == FROM_ENVIRONMENT else read_config_file(source))
    return config


def read_settings(config: Mapping[str, Any]) -> own_settings.Settings:
    """Read a config as the target does.

    Raises:
        ConfigError: The first mistake.
    """
    builtin: dict[str, Any] = {"properties": {}}
    _Builtin.append_builtin_config(builtin)
    return own_settings.read_settings({**config, "api_key": config.get("api_key") or _NO_KEY}, builtin["properties"])


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    builtin: dict[str, Any] = {"properties": dict(own_settings.SCHEMA["properties"])}
    _Builtin.append_builtin_config(builtin)
    return read_environment(environment, builtin["properties"])
