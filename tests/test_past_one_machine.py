"""Slices of one stream as processes over one PostgreSQL store, by the command of the documentation; its arithmetic."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from forked import command as command_of

from target_kissmetrics.sandbox.running import RunningSandbox, running
from target_kissmetrics.store import digests, packed
from target_kissmetrics.store.intents import LastSent

DOCS = Path(__file__).parent.parent / "docs"
SLICES = 4
PEOPLE = [f"person {number}" for number in range(60)]
EVENTS = {
    "type": "SCHEMA",
    "stream": "events",
    "key_properties": ["id"],
    "schema": {"properties": {name: {} for name in ("id", "user_id", "device_id", "event", "timestamp", "revenue")}},
}
USERS = {
    "type": "SCHEMA",
    "stream": "users",
    "key_properties": ["id"],
    "schema": {"properties": {name: {} for name in ("id", "plan", "city", "updated_at")}},
}


def lines() -> bytes:
    chance = random.Random(5)  # noqa: S311 - the same rows each time
    messages: list[dict[str, Any]] = [EVENTS, USERS]
    for number in range(600):
        who = None if number % 50 == 0 else chance.choice(PEOPLE)
        event = {
            "id": number,
            "user_id": who,
            "event": "Bought",
            "timestamp": 1_704_067_200 + number,
            "revenue": "1.10",
        }
        messages.append({"type": "RECORD", "stream": "events", "record": event})
        user = {"id": chance.choice(PEOPLE), "plan": f"Plan {number % 4}", "updated_at": 1_704_067_200 + number}
        messages.append({"type": "RECORD", "stream": "users", "record": user})
    messages.append({"type": "STATE", "value": {"at": 600}})
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def held(sandbox: RunningSandbox) -> dict[str, Any]:
    return {"summary": sandbox.summary(), "people": {person: sandbox.person(person) for person in PEOPLE}}


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def command() -> str:
    """Return the documented command for one slice, with this target instead of Meltano, the tap and the target."""
    blocks = re.findall(r"```console\n(.*?)```", page("how-to/orchestrators.md"), flags=re.DOTALL)
    (block,) = [found for found in blocks if "JOB_COMPLETION_INDEX" in found]
    given = block.removeprefix("$ ").replace("\\\n", " ")
    assert '--state-id-suffix "slice-$JOB_COMPLETION_INDEX" ' in given
    return re.sub(r"meltano run .*", f"exec {shlex.join(command_of())} --config ENV", given)


def start(folder: Path, sandbox: RunningSandbox, store: str, index: int) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    environment = {
        "JOB_COMPLETION_INDEX": str(index),
        "TARGET_KISSMETRICS_API_KEY": "k",
        "TARGET_KISSMETRICS_TRACKING_URL": sandbox.url,
        "TARGET_KISSMETRICS_ATTRIBUTE_STORE_URL": store,
        "TARGET_KISSMETRICS_REJECTS_PATH": str(folder / f"rejects-{index}.jsonl"),
        "TARGET_KISSMETRICS_BATCH_SIZE_ROWS": "50",
    }
    (folder / "given").write_bytes(lines())
    with (folder / "given").open("rb") as source, (folder / f"log-{index}").open("wb") as log:
        return subprocess.Popen(
            ["/bin/sh", "-c", command()],
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env={**os.environ, **environment},
        )


def run(folder: Path, sandbox: RunningSandbox, store: str) -> None:
    """Run all slices at once, to their end."""
    for process in [start(folder, sandbox, store, index) for index in range(SLICES)]:
        out, _ = process.communicate(timeout=300)
        assert (process.returncode, out) == (0, b'{"at":600}\n'), [one.read_text() for one in folder.glob("log-*")]


@pytest.mark.skipif(os.name == "nt", reason="the documented command is for a shell")
def test_slices_over_one_store_send_what_one_process_would_and_each_call_once(tmp_path: Path, postgres: str) -> None:
    store = postgres.replace("postgresql://", "postgresql+psycopg://")
    with running() as sandbox:
        environment = {**os.environ, "TARGET_KISSMETRICS_API_KEY": "k", "TARGET_KISSMETRICS_TRACKING_URL": sandbox.url}
        alone = [*command_of(), "--config", "ENV"]
        expected = []
        for _ in range(2):
            subprocess.run(alone, input=lines(), check=True, cwd=tmp_path, env=environment, timeout=300)
            expected.append(held(sandbox))
    with running() as sandbox:
        run(tmp_path / "slices", sandbox, store)
        found = held(sandbox)
        assert found == expected[0]  # the number of calls, too
        assert (found["summary"]["events"], found["summary"]["not_kept"]) == (588, 0)
        rejects = [
            len(path.read_bytes().splitlines()) for path in sorted((tmp_path / "slices").glob("rejects-?.jsonl"))
        ]
        assert rejects == [12]  # slice 0 rejects the rows without an identity
        # All of them took part of the work.
        logs = [path.read_text() for path in sorted((tmp_path / "slices").glob("log-*"))]
        sent = [int(re.search(r"stream 'events'.* calls sent: (\d+) record", log)[1]) for log in logs]  # type: ignore[index]
        assert sum(sent) == 588
        assert min(sent) > 0
        run(tmp_path / "slices", sandbox, store)
        assert held(sandbox) == expected[1]


def test_the_arithmetic_of_import_files() -> None:
    found = re.search(r"one an hour: ([\d,]+) lines a file are\s+(\d+) million", page("how-to/backfill.md"))
    assert found is not None
    assert int(found[1].replace(",", "")) * 24 == int(found[2]) * 10**6
    found = re.search(r"and (\d+) million a file (\d+) million", page("how-to/backfill.md"))
    assert found is not None
    assert int(found[1]) * 24 == int(found[2])


@pytest.mark.parametrize("name", ["explanation/store.md", "explanation/memory-use.md"])
def test_the_bytes_of_a_person(name: str) -> None:
    found = re.search(r"holds (\d+) bytes for a person and (\d+) for each", page(name))
    assert found is not None
    person, each = int(found[1]), int(found[2])
    own = digests.Digests(b"k" * 32)
    known = {own.property_key(name): LastSent(own.value("x"), 1_704_067_200, 1_704_067_200) for name in "abc"}
    stored = packed.pack(known, packed.LastCall(own.whole({"a": "x"}), []))
    assert len(stored) == each * 3 + person - digests.PERSON_BYTES
    assert len(packed.pack(known)) == each * 3


def test_the_arithmetic_of_connections() -> None:
    text = page("explanation/speed.md")
    found = re.findall(r"(\d+)\s+connections at 50 ms are ([\d,]+) calls/s|(\d+) are ([\d,]+), as far", text)
    rates = [(a or c, b or d) for a, b, c, d in found]
    assert len(rates) == 2
    for connections, rate in rates:
        assert int(connections) * 20 == int(rate.replace(",", ""))
