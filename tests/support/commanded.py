"""The command, run against a sandbox."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from forked import command as command_of

from target_kissmetrics.sandbox.running import RunningSandbox
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.store.update import StoredRun

KEY = "0123456789abcdef"
T0 = 1_704_067_200
FIELDS = ("id", "user_id", "event", "timestamp", "plan", "revenue")


def row(number: int, event: str, **fields: Any) -> dict[str, Any]:
    record = {"id": number, "user_id": "ada", "event": event, "timestamp": T0 + number, **fields}
    return {"type": "RECORD", "stream": "events", "record": record}


def messages(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Give what a tap writes: rows of one stream of events, and a STATE behind them."""
    schema: dict[str, Any] = {"properties": {name: {} for name in FIELDS}}
    first = {"type": "SCHEMA", "stream": "events", "key_properties": ["id"], "schema": schema}
    return [first, *rows, {"type": "STATE", "value": len(rows)}]


class Commanded:
    """Runs of the command in one folder, with the default store.

    Args:
        folder: The current folder of the runs.
        sandbox: What they send to.
    """

    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox

    def start(self, command: list[str], **config: Any) -> subprocess.Popen[bytes]:
        """Start a command."""
        path = self.folder / "config.json"
        usual = {"api_key": KEY, "tracking_url": self.sandbox.url, "rejects_path": "rejects.jsonl"}
        path.write_text(json.dumps({**usual, **config}), encoding="utf-8")
        pipe = subprocess.PIPE
        command = [*command, "--config", str(path)]
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=self.folder)

    def run(self, given: list[dict[str, Any]], *, code: int = 0, **config: Any) -> str:
        """Run, and give the log."""
        return self._ended(command_of(), given, code, config)

    def replay(self, file: str, **config: Any) -> str:
        """Replay a file of rejects, and give the log."""
        return self._ended([*command_of("target_kissmetrics.commands.replay"), file], [], 0, config)

    def _ended(self, command: list[str], given: list[dict[str, Any]], code: int, config: dict[str, Any]) -> str:
        with self.start(command, **config) as process:
            _, log = process.communicate("".join(json.dumps(one) + "\n" for one in given).encode(), timeout=60)
        assert process.returncode == code, log.decode()
        return log.decode()

    def rejects(self, file: str = "rejects.jsonl") -> list[dict[str, Any]]:
        """Give the lines of a file of rejects."""
        path = self.folder / file
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def events(self) -> dict[str, int]:
        """Give how many events Kissmetrics keeps, by name."""
        return {event["name"]: event["count"] for event in self.sandbox.events()}

    def properties(self, person: str = "ada") -> set[str]:
        """Give the names of the properties that Kissmetrics keeps of somebody."""
        kept = self.sandbox.person(person)
        return set() if kept is None else set(kept["properties"])

    def runs(self) -> list[StoredRun]:
        """Give the table of runs."""
        file = self.folder / "target-kissmetrics.db"
        with closing(SqlStore(f"sqlite:///{file.as_posix()}", KEY)) as store:
            return store.runs_since(0)
