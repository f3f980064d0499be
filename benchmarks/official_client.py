"""Singer lines through the official Python client, py-KISSmetrics: a loop, as its documentation shows it.

Run with the environment that has it: `.venv-benchmarks/bin/python official_client.py URL < lines`.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from urllib.parse import urlsplit

from KISSmetrics import Client


def main() -> None:
    """Read standard input, send every row."""
    url = urlsplit(sys.argv[1])
    client = Client("0123456789abcdef", url.netloc, url.scheme)
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "RECORD":
            row = message["record"]
            moment = datetime.fromisoformat(row.pop("timestamp"))
            client.record(row.pop("user_id"), row.pop("event"), row, int(moment.timestamp()))


if __name__ == "__main__":
    main()
