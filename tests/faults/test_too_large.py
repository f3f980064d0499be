"""A call that a host refuses for its size rejects its row, wherever it comes from; nothing else is held up."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_host import Exchange, FaultyHost, Serve, faulty_host, fine
from forked import command as command_of

LIMIT = 1500
NOTE = "x" * 400
LARGE = {f"note_{number}": NOTE for number in range(5)}
T0 = 1_704_067_200


def refusing(status: int) -> Serve:
    """Refuse requests that are longer than the limit."""

    def serve(exchange: Exchange) -> None:
        if exchange.length > LIMIT:
            exchange.answer(status)
        else:
            fine(exchange)

    return serve


@pytest.fixture
def host() -> Iterator[FaultyHost]:
    with faulty_host() as host:
        yield host


def run(
    folder: Path, url: str, rows: list[dict[str, Any]], extracted: str | None = None, **config: Any
) -> tuple[int, list[Any], list[Any], str]:
    """Run the target; give its exit code, STATE, the rejects and the log."""
    config = {"api_key": "k", "tracking_url": url, "use_customer_id": True, "retry_timeout_seconds": 5, **config}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    fields: dict[str, Any] = {name: {} for row in rows for name in row}
    schema = {"type": "SCHEMA", "stream": "rows", "key_properties": ["id"], "schema": {"properties": fields}}
    more = {"time_extracted": extracted} if extracted else {}
    lines = [schema, *({"type": "RECORD", "stream": "rows", "record": row, **more} for row in rows)]
    data = "".join(f"{json.dumps(line)}\n" for line in [*lines, {"type": "STATE", "value": len(rows)}])
    done = subprocess.run(
        [*command_of(), "--config", "config.json"],
        input=data,
        capture_output=True,
        check=False,
        cwd=folder,
        text=True,
        timeout=60,
    )
    path = folder / "target-kissmetrics-rejects.jsonl"
    rejects = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], rejects, done.stderr


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "user_id": f"p{number}", "event": "Seen", "plan": "Gold", "at": T0 + number, **more}


KINDS: dict[str, dict[str, Any]] = {
    "event": {"kind": "event", "timestamp": "at"},
    "event sent once a person": {"kind": "event", "timestamp": "at", "once": True},
    "event sent once a row": {"kind": "event", "timestamp": "at", "send_once_per_row": True},
    "event in a second of its own": {"kind": "event", "timestamp": "at", "spread_duplicates": True},
    "user attributes": {"kind": "user_attributes", "timestamp": "at"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("client", "status"), [("requests", 413), ("curl", 414)])
def test_the_row_is_rejected_and_goes_out_once_the_host_takes_it(
    tmp_path: Path, host: FaultyHost, kind: str, client: str, status: int
) -> None:
    host.script(then=("", refusing(status)))
    streams = [{"stream": "rows", "customer_id": "user_id", **KINDS[kind]}]
    rows = [row(1), row(2, **LARGE), row(3)]
    code, states, rejects, log = run(tmp_path, host.url, rows, streams=streams, http_client=client)
    assert (code, states) == (0, [3]), log
    assert [(line["code"], line["record"]["id"]) for line in rejects] == [("call-too-large", 2)]
    assert (host.person("p2"), host.person("p1") is None, host.person("p3") is None) == (None, False, False)
    assert "rejected: 1 (1 call-too-large)" in log
    host.script()
    code, _, rejects, log = run(tmp_path, host.url, rows, streams=streams, http_client=client)
    assert (code, len(rejects)) == (0, 1), log
    assert host.person("p2") is not None


def test_it_is_rejected_where_it_is_the_only_row(tmp_path: Path, host: FaultyHost) -> None:
    host.script(then=("", refusing(413)))
    streams = [{"stream": "rows", "kind": "event", "customer_id": "user_id", "timestamp": "at"}]
    code, states, rejects, log = run(tmp_path, host.url, [row(1, **LARGE)], streams=streams)
    assert (code, states, len(rejects)) == (0, [1], 1), log


def test_a_later_row_of_the_person_is_compared_with_what_was_acknowledged(tmp_path: Path, host: FaultyHost) -> None:
    host.script(then=("", refusing(413)))
    streams = [{"stream": "rows", "kind": "user_attributes", "customer_id": "user_id", "timestamp": "at"}]
    rows = [row(1, **LARGE), row(1, plan="Free", at=T0 + 9)]
    code, _, rejects, log = run(tmp_path, host.url, rows, streams=streams, batch_size_rows=1, max_connections=1)
    assert (code, len(rejects)) == (0, 1), log
    host.script()
    run(tmp_path, host.url, [row(1, plan="Free", at=T0 + 20)], streams=streams)
    person = host.person("p1")
    assert person is not None
    assert [entry["value"] for entry in person["properties"]["plan"]][-1] == "Free"
    assert "event" in person["properties"]


def test_a_small_call_that_is_too_large_for_a_host_ends_the_run(tmp_path: Path, host: FaultyHost) -> None:
    host.script(then=("", lambda exchange: exchange.answer(413)))
    streams = [{"stream": "rows", "kind": "event", "customer_id": "user_id", "timestamp": "at"}]
    code, states, rejects, log = run(tmp_path, host.url, [row(1)], streams=streams)
    assert (code, states, rejects) == (1, [], [])
    assert "it answered 413" in log


REPLAY = [*command_of("target_kissmetrics.commands.replay"), "target-kissmetrics-rejects.jsonl"]


def replay(folder: Path) -> None:
    """Replay with the config of the last run."""
    command = [*REPLAY, "--config", "config.json"]
    subprocess.run(command, capture_output=True, check=True, cwd=folder, text=True, timeout=60)


BOTH = {"stream": "rows", "kind": "event", "customer_id": "user_id", "timestamp": "at", "user_attributes": "traits"}
TRAITS = {"traits": LARGE}


@pytest.mark.parametrize("entry", [{"once": True}, {"send_once_per_row": True}, {"revenue": "amount"}])
def test_an_event_that_was_acknowledged_beside_it_is_not_sent_again(
    tmp_path: Path, host: FaultyHost, entry: dict[str, Any]
) -> None:
    host.script(then=("", refusing(413)))
    streams = [{**BOTH, **entry}]
    code, _, rejects, log = run(tmp_path, host.url, [row(1, amount=10, **TRAITS)], streams=streams)
    assert (code, [line["code"] for line in rejects]) == (0, ["call-too-large"]), log
    host.script()
    run(tmp_path, host.url, [row(1, amount=12)], streams=streams)
    replay(tmp_path)
    person = host.person("p1")
    assert person is not None
    assert [event["name"] for event in person["events"]] == ["Seen"]
    assert "note_1" in {name.rpartition(".")[2] for name in person["properties"]}


def test_a_row_that_lost_a_property_before_it_was_refused_is_replayed_as_a_whole(
    tmp_path: Path, host: FaultyHost
) -> None:
    host.script(then=("", refusing(413)))
    streams = [{"stream": "rows", "kind": "event", "customer_id": "user_id", "timestamp": "at"}]
    _, _, rejects, _ = run(tmp_path, host.url, [row(1, long="x" * 600, **LARGE)], streams=streams)
    assert [line["code"] for line in rejects] == ["value-too-long", "call-too-large"]
    host.script()
    replay(tmp_path)
    person = host.person("p1")
    assert person is not None
    assert [event["timestamp"] for event in person["events"]] == [T0 + 1]


def test_a_replay_of_a_row_without_a_time_keeps_the_second_it_was_sent_with(tmp_path: Path, host: FaultyHost) -> None:
    host.script(then=("", refusing(413)))
    streams = [{**BOTH, "timestamp": False}]
    rows = [{key: value for key, value in row(1, **TRAITS).items() if key != "at"}]
    _, _, rejects, log = run(tmp_path, host.url, rows, "2024-01-01T00:00:05Z", streams=streams)
    assert [(line["code"], line["time"]) for line in rejects] == [("call-too-large", "2024-01-01T00:00:05Z")], log
    host.script()
    replay(tmp_path)
    person = host.person("p1")
    assert person is not None
    assert person["events"] == [{"name": "Seen", "timestamp": T0 + 5}]


def test_a_call_is_as_large_as_its_request(tmp_path: Path, host: FaultyHost) -> None:
    host.script(then=("", refusing(413)))
    streams = [{"stream": "rows", "kind": "event", "customer_id": "user_id", "timestamp": "at"}]
    code, _, rejects, log = run(tmp_path, host.url, [row(1, note="\u4e16" * 480)], streams=streams)
    assert (code, [line["code"] for line in rejects]) == (0, ["call-too-large"]), log


def test_a_stream_of_nothing_but_such_rows_ends_the_run(tmp_path: Path, host: FaultyHost) -> None:
    host.script(then=("", refusing(413)))
    streams = [{"stream": "rows", "kind": "event", "customer_id": "user_id", "timestamp": "at"}]
    code, states, _, log = run(tmp_path, host.url, [row(n, **LARGE) for n in range(150)], streams=streams)
    assert (code, states) == (1, [])
    assert "rows were all rejected" in log
