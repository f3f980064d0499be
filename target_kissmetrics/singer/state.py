"""STATE output: what the tap's next run begins with."""

from __future__ import annotations

import sys
from typing import Any

from singer_sdk.singerlib.json import serialize_json

from target_kissmetrics.errors import StoreError


def write_state(value: Any) -> None:
    """Write a STATE message's value to standard output, as the Singer specification has it: one JSON line.

    Raises:
        StoreError: Nobody reads standard output.
    """
    try:
        sys.stdout.write(f"{serialize_json(value)}\n")
        sys.stdout.flush()
    except OSError as error:
        raise StoreError(
            f"STATE cannot be written: {error.strerror}; nobody reads this target's output: let Meltano run it, or "
            "write the output to a file (> state.json)"
        ) from None
