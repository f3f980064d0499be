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
from target_kissmetrics.preview.stream import Plan


class _Builtin(Target):
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        *(capability for capability in Target.capabilities if capability is not PluginCapabilities.FLATTENING),
        PluginCapabilities.BATCH,
    ]


def _builtin_settings() -> dict[str, Any]:
    """Give the schemas of the settings that the SDK gives the target."""
    builtin: dict[str, Any] = {"properties": {}}
    _Builtin.append_builtin_config(builtin)
    return dict(builtin["properties"])


def read_config(sources: Sequence[str], environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Put a config together: files, and `ENV`, the environment; a later one wins. Raises ConfigError."""
    config: dict[str, Any] = {}
    for source in sources:
        if source == FROM_ENVIRONMENT:
            config |= read_environment(environment, {**_builtin_settings(), **own_settings.SCHEMA["properties"]})
        else:
            config |= read_config_file(source)
    return config


def plan_of(config: Mapping[str, Any], rows_shown: int, now: int) -> Plan:
    """Read a config as the target does. Raises ConfigError with the first mistake."""
    with_key = {**config, "api_key": config.get("api_key") or "preview-needs-no-key"}
    settings = own_settings.read_settings(with_key, _builtin_settings())
    return Plan(settings, settings.streams, tuple(config.get("streams") or ()), rows_shown, now)
