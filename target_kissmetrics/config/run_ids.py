"""The ID of a run, and the paths that may hold it."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime

from target_kissmetrics.errors import ConfigError

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")


def new_run_id() -> str:
    """Return the ID of a run that begins now. IDs sort by their time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def read_path(place: str, value: str) -> str:
    """Read a path that may hold `{run_id}` and `{date}`.

    Raises:
        ConfigError: It holds another placeholder.
    """
    unknown = [text for text in _PLACEHOLDER.findall(value) if text not in {"{run_id}", "{date}"}]
    if unknown:
        raise ConfigError(place, f"{unknown[0]!r} has no meaning in a path; use {{run_id}} or {{date}}")
    return value


def path_of(path: str, run_id: str) -> str:
    """Return the path of a run: `{date}` is the day on which it began, in UTC."""
    return path.replace("{run_id}", run_id).replace("{date}", f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}")
