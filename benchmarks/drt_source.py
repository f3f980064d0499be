"""The rows of Singer lines as the table `events` of a DuckDB database, for drt.

Run with the environment that has it: `.venv-benchmarks-drt/bin/python drt_source.py DATABASE < lines`. Times stay
texts, because drt cannot send a DuckDB timestamp without a template.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import duckdb

_TYPES = {"integer": "BIGINT", "number": "DOUBLE", "string": "VARCHAR"}


def main() -> None:
    """Read standard input, write the table."""
    schema, *messages = [json.loads(line) for line in sys.stdin]
    columns = {name: _type(about) for name, about in schema["schema"]["properties"].items()}
    path = Path(sys.argv[1]).with_suffix(".jsonl")
    found = [message["record"] for message in messages if message["type"] == "RECORD"]
    path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    with duckdb.connect(sys.argv[1]) as database:
        database.execute(f"CREATE TABLE events AS SELECT * FROM read_json('{path}', columns={columns})")  # noqa: S608


def _type(about: dict[str, Any]) -> str:
    kind = about["type"] if isinstance(about["type"], str) else about["type"][0]
    if kind == "object":
        return f"STRUCT({', '.join(f'{name} {_type(own)}' for name, own in about['properties'].items())})"
    return _TYPES[kind]


if __name__ == "__main__":
    main()
