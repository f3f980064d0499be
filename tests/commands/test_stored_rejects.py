"""`rejects_path: store`: rejects are in a table of the store before STATE covers them, and replay reads them there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from forked import command as command_of

from target_kissmetrics.sandbox.running import RunningSandbox, running

T0 = 1_704_067_200
FIELDS: dict[str, Any] = {name: {} for name in ("id", "user_id", "event", "at", "note")}
SCHEMA = {"type": "SCHEMA", "stream": "events", "key_properties": ["id"], "schema": {"properties": FIELDS}}
ROWS: list[dict[str, Any]] = [
    {"id": 1, "user_id": "ada", "event": "Seen", "at": T0},
    {"id": 2, "user_id": "guest", "event": "Seen", "at": T0 + 1},
    {"id": 3, "user_id": "bob", "event": "Seen", "at": "yesterday"},
    {"id": 4, "user_id": "cy", "event": "Seen", "at": T0 + 3, "note": "\u0000x" * 300},
]
STREAMS = [{"stream": "events", "kind": "event", "customer_id": "user_id", "timestamp": "at"}]


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running() as sandbox:
        yield sandbox


def run(folder: Path, *command: str, code: int = 0, rows: list[dict[str, Any]] = ROWS, **config: Any) -> str:
    """Run a command over the rows; return its STATE and its log."""
    config = {"api_key": "k", "use_customer_id": True, "streams": STREAMS, "rejects_path": "store", **config}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    lines = [SCHEMA, *({"type": "RECORD", "stream": "events", "record": row} for row in rows)]
    data = "".join(f"{json.dumps(line)}\n" for line in [*lines, {"type": "STATE", "value": 1}])
    done = subprocess.run(
        [*command, "--config", "config.json"],
        input=data,
        capture_output=True,
        check=False,
        cwd=folder,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def rejects(store: str) -> list[tuple[str, str, Any]]:
    """Give stream, code and the row's ID of each line in the table."""
    engine = sa.create_engine(store.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        query = "SELECT stream, code, line FROM target_kissmetrics_rejects WHERE code IS NOT NULL ORDER BY id"
        found = connection.execute(sa.text(query)).all()
    engine.dispose()
    return [(stream, code, json.loads(line, parse_int=str)["record"]["id"]) for stream, code, line in found]


REPLAY = (*command_of("target_kissmetrics.commands.replay"), "store")


def test_they_are_in_the_table_and_replay_sends_what_is_fixed_and_keeps_the_rest(
    tmp_path: Path, sandbox: RunningSandbox, store_url: str
) -> None:
    own: dict[str, Any] = {"tracking_url": sandbox.url, "attribute_store_url": store_url}
    output = run(tmp_path, *command_of(), **own)
    assert "1\n" in output
    assert "target-kissmetrics-replay store" in output
    all_of_them = [
        ("events", "blocked-identity", "2"),
        ("events", "bad-timestamp", "3"),
        ("events", "value-too-long", "4"),
    ]
    assert rejects(store_url) == all_of_them
    assert not [*tmp_path.glob("*.jsonl*"), *tmp_path.glob("store.schemas")]
    run(tmp_path, *REPLAY, **own, dry_run=True)
    assert rejects(store_url) == all_of_them
    assert "2 lines are left in store" in run(tmp_path, *REPLAY, **own, blocked_identities=["nobody"])
    assert rejects(store_url) == [("events", "bad-timestamp", "3"), ("events", "value-too-long", "4")]
    assert sandbox.person("guest") is not None
    assert "2 lines are left in store" in run(tmp_path, *REPLAY, **own)


def test_another_product_has_rejects_of_its_own(tmp_path: Path, sandbox: RunningSandbox, store_url: str) -> None:
    own: dict[str, Any] = {"tracking_url": sandbox.url, "attribute_store_url": store_url}
    run(tmp_path, *command_of(), **own)
    run(tmp_path, *command_of(), **own, api_key="other")
    assert "2 lines are left in store" in run(tmp_path, *REPLAY, **own, api_key="other", blocked_identities=["nobody"])
    assert len(rejects(store_url)) == 5


def test_a_run_without_rejects_writes_none(tmp_path: Path, sandbox: RunningSandbox) -> None:
    store_url = f"sqlite:///{(tmp_path / 'store.db').as_posix()}"
    run(tmp_path, *command_of(), rows=ROWS[:1], tracking_url=sandbox.url, attribute_store_url=store_url)
    assert rejects(store_url) == []


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite+pysqlite://", "sqlite:///file:x?mode=memory&uri=true"]
)
def test_a_store_that_ends_with_the_run_is_refused(tmp_path: Path, url: str) -> None:
    output = run(tmp_path, *command_of(), code=1, attribute_store_url=url)
    assert "rejects_path: is store, but attribute_store_url keeps nothing after the run" in output


@pytest.mark.parametrize("stream", ["a\x00b", "a\ud800b", "events"])
def test_a_row_and_a_stream_of_any_text_are_stored(
    tmp_path: Path, sandbox: RunningSandbox, store_url: str, stream: str
) -> None:
    row = {"id": 1, "user_id": "guest", "event": "\ud800\x00", "at": T0, "note": "NUMBER"}
    lines = [{**SCHEMA, "stream": stream}, {"type": "RECORD", "stream": stream, "record": row}]
    config = {"api_key": "k", "use_customer_id": True, "rejects_path": "store", "tracking_url": sandbox.url}
    config |= {"attribute_store_url": store_url, "streams": [{**STREAMS[0], "stream": "*"}]}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    data = "".join(f"{json.dumps(line)}\n" for line in [*lines, {"type": "STATE", "value": 1}])
    done = subprocess.run(
        [*command_of(), "--config", "config.json"],
        input=data.replace('"NUMBER"', "9" * 5000),
        capture_output=True,
        check=False,
        cwd=tmp_path,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert [code for _, code, _ in rejects(store_url)] == ["blocked-identity"]


@pytest.mark.parametrize("exists", [False, True])
def test_a_dry_replay_without_a_store_has_no_lines_and_makes_none(tmp_path: Path, *, exists: bool) -> None:
    path = tmp_path / "store.db"
    if exists:
        path.touch()
    url = f"sqlite:///{path.as_posix()}"
    assert "0 lines are left in store" in run(tmp_path, *REPLAY, attribute_store_url=url, dry_run=True)
    assert path.exists() == exists
    assert not exists or path.stat().st_size == 0
