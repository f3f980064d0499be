"""BATCH messages beside RECORD messages: the same rows are treated alike, in the target and as a command."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from forked import command as command_of
from hostile import Ended, check, feed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_kissmetrics.sandbox.running import running
from target_kissmetrics.target import TargetKissmetrics

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "60"))
EVENTS: dict[str, Any] = {
    "type": "SCHEMA",
    "stream": "events",
    "key_properties": ["id"],
    "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "user_id": {"type": ["string", "null"]},
            "event": {"type": ["string", "null"]},
            "timestamp": {"type": ["string", "null"], "format": "date-time"},
            "revenue": {"type": ["number", "null"]},
            "tags": {"type": ["array", "null"], "items": {"type": "string"}},
            "place": {"type": ["object", "null"], "properties": {"city": {"type": ["string", "null"]}}},
        },
    },
}
USERS: dict[str, Any] = {
    "type": "SCHEMA",
    "stream": "users",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {"type": "string"}, "plan": {}, "updated_at": {"format": "date-time"}}},
}
STATE = {"type": "STATE", "value": {"at": 1}}
COLUMNS = pa.schema(
    {
        "id": pa.int64(), "user_id": pa.string(), "event": pa.string(), "timestamp": pa.string(),
        "revenue": pa.float64(), "tags": pa.list_(pa.string()), "place": pa.struct([("city", pa.string())]),
    }
)  # fmt: skip
Write = Callable[[Path, list[dict[str, Any]]], None]


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode("utf-8", "surrogatepass") + b"\n" for row in rows)


def parquet(path: Path, rows: list[dict[str, Any]], columns: Any = None) -> None:
    pq.write_table(pa.Table.from_pylist(rows, schema=columns), path, row_group_size=7)


WAYS: dict[str, tuple[dict[str, str], Write]] = {
    "jsonl": ({"format": "jsonl", "compression": "none"}, lambda path, rows: void(path.write_bytes(json_lines(rows)))),
    "gzip": (
        {"format": "jsonl", "compression": "gzip"},
        lambda path, rows: void(path.write_bytes(gzip.compress(json_lines(rows)))),
    ),
    "parquet": ({"format": "parquet"}, parquet),
}


def void(_: object) -> None:
    """Give nothing."""


def record(stream: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": row}


def batch(folder: Path, way: str, schema: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Write rows into two files; give the message that names them."""
    encoding, write = WAYS[way]
    half = (len(rows) + 1) // 2
    manifest = []
    for number, part in enumerate((rows[:half], rows[half:])):
        path = folder / f"{schema['stream']} {number}.{way}"
        if part or way != "parquet":
            if way == "parquet" and schema is EVENTS:
                parquet(path, part, COLUMNS)
            else:
                write(path, part)
            manifest.append(path.as_uri())
    return {"type": "BATCH", "stream": schema["stream"], "encoding": encoding, "manifest": manifest}


def lines(*messages: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def outcome(ended: Ended) -> dict[str, Any]:
    """What came of a run, without the run and the moments in which lines were rejected."""
    return {
        "error": ended.error,
        "calls": ended.calls,
        "states": ended.states,
        "counts": ended.counts,
        "rejects": [
            {name: value for name, value in line.items() if name not in {"time", "run_id"}} for line in ended.rejects
        ],
    }


rows_of_events = st.fixed_dictionaries(
    {
        "id": st.integers(0, 50),
        "user_id": st.sampled_from(["ada", "bob", "anonymous", "", None, "é, f:g"]),
        "event": st.sampled_from(["Bought", "Seen", "", None, "x" * 300]),
        "timestamp": st.sampled_from(["2024-01-31T08:00:00Z", "2024-01-31", "never", "2001-01-01T00:00:00Z"]),
        "revenue": st.none() | st.floats(-1e6, 1e6) | st.sampled_from([19.99, 1.1, 0.1]),
        "tags": st.none() | st.lists(st.sampled_from(["a", "b,c", "é"]), max_size=3),
        "place": st.fixed_dictionaries({"city": st.none() | st.text(max_size=5)}),
    }
)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=EXAMPLES // 3, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(rows_of_events, max_size=30), config=st.sampled_from([
    {}, {"validate_records": True},
    {"stream_maps": {"events": {"plan": "'Pro'", "__filter__": "id % 3 != 0"}}}, {"shard": {"index": 1, "count": 2}},
    {"streams": [{"stream": "events", "kind": "event", "spread_duplicates": True}]},
    {"on_invalid_record": "fail"},
]))  # fmt: skip
def test_rows_of_batches_make_the_calls_rejects_and_counts_of_record_messages(
    way: str, rows: list[dict[str, Any]], config: dict[str, Any]
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        by_batch = feed(folder, lines(EVENTS, batch(folder, way, EVENTS, rows), STATE), **config)
        by_record = feed(folder, lines(EVENTS, *(record("events", row) for row in rows), STATE), **config)
    if "shard" not in config:  # what another slice rejects is counted there
        check(by_batch)
    assert outcome(by_batch) == outcome(by_record)


@pytest.mark.parametrize("way", WAYS)
def test_a_row_that_does_not_fit_its_schema_is_rejected_whole_and_as_it_came(tmp_path: Path, way: str) -> None:
    row = {"id": 1, "user_id": "ada", "event": "Bought", "timestamp": "2024-01-31", "revenue": 19.99}
    schema = {**EVENTS, "schema": {"properties": {**EVENTS["schema"]["properties"], "revenue": {"type": "string"}}}}
    maps = {"events": {"event": "'Mapped'"}}
    data = lines(schema, batch(tmp_path, way, schema, [row]), STATE)
    ended = feed(tmp_path, data, stream_maps=maps, validate_records=True)
    (line,) = ended.rejects
    assert (line["code"], line["field"]) == ("schema", None)
    assert (line["record"]["event"], str(line["record"]["revenue"])) == ("Bought", "19.99")
    assert ended.states == [{"at": 1}]


@pytest.mark.parametrize("way", WAYS)
def test_a_row_without_its_key_is_rejected(tmp_path: Path, way: str) -> None:
    row = {"user_id": "ada", "event": "Bought", "timestamp": "2024-01-31"}
    schema = {**EVENTS}
    ended = feed(tmp_path, lines(schema, batch(tmp_path, way, schema, [row]), STATE))
    assert (ended.error, ended.states) == (None, [{"at": 1}])
    assert [line["code"] for line in ended.rejects] == ["no-key"]


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_whose_first_100_rows_are_rejected_stops_within_a_file(tmp_path: Path, way: str) -> None:
    rows = [{"id": number, "event": "E", "timestamp": "2024-01-31"} for number in range(500)]
    ended = feed(tmp_path, lines(EVENTS, batch(tmp_path, way, EVENTS, rows), STATE))
    assert "the first 100 rows were all rejected" in str(ended.error)
    assert (ended.states, len(ended.rejects)) == ([], 100)


def test_rows_before_a_truncated_line_are_sent_and_no_later_state_is_emitted(tmp_path: Path) -> None:
    row = {"id": 1, "user_id": "ada", "event": "Bought", "timestamp": "2024-01-31"}
    (tmp_path / "a.jsonl").write_bytes(json_lines([row]) + b'{"id": 2, "user')
    broken = {
        "type": "BATCH",
        "stream": "events",
        "encoding": {"format": "jsonl"},
        "manifest": [str(tmp_path / "a.jsonl")],
    }
    ended = feed(tmp_path, lines(EVENTS, {"type": "STATE", "value": 0}, broken, STATE))
    check(ended)
    assert ended.error is not None
    assert "a.jsonl: line 2 is not valid JSON in UTF-8 (truncated" in ended.error
    assert (len(ended.calls), ended.states) == (1, [0])


def test_a_signal_in_the_middle_of_a_file_ends_it_between_two_rows(tmp_path: Path) -> None:
    rows = [{"id": n, "user_id": f"u{n}", "event": "E", "timestamp": f"2024-01-31T08:00:{n:02d}Z"} for n in range(50)]

    states: list[Any] = []

    class Stopped(TargetKissmetrics):
        taken = 0

        def _process_record_message(self, message_dict: dict[str, Any]) -> None:
            super()._process_record_message(message_dict)
            self.taken += 1
            if self.taken == 20:
                os.kill(os.getpid(), signal.SIGTERM)

    with running() as sandbox:
        config = {"api_key": "k", "attribute_store_url": "sqlite://", "tracking_url": sandbox.url}
        config["rejects_path"] = str(tmp_path / "rejects")
        given = tmp_path / "given"
        given.write_bytes(lines(EVENTS, {"type": "STATE", "value": 0}, batch(tmp_path, "gzip", EVENTS, rows), STATE))
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            target = Stopped(config=config)
            target.runtime._emit = states.append
            with given.open("rb") as source, pytest.raises(SystemExit) as ended:
                target.listen(source)  # type: ignore[arg-type]
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        assert (ended.value.code, target.taken, states) == (143, 20, [0])
        assert sandbox.summary()["events"] == 20


ENCODINGS = [way for way, _ in WAYS.values()]


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from(ENCODINGS), st.booleans())
def test_any_bytes_in_a_file_end_the_run_in_one_line(
    data: st.DataObject, encoding: dict[str, str], packed: bool
) -> None:
    with TemporaryDirectory() as name:
        path = Path(name) / "any"
        given = data.draw(
            st.binary(max_size=60) | st.sampled_from([b"\x1f\x8b", b"PAR1PAR1", b"{}\n[", b"\xff\xfe{\x00}\x00"])
        )
        path.write_bytes(gzip.compress(given) if packed else given)
        message = {"type": "BATCH", "stream": "events", "encoding": encoding, "manifest": [path.as_uri()]}
        ended = feed(Path(name), lines(EVENTS, message, STATE))
        check(ended)
        if ended.error is not None:
            assert str(path) in ended.error or "key property" in ended.error
            assert ended.states == []


# As a command


def run(folder: Path, config: dict[str, Any], *messages: dict[str, Any], **environment: str) -> tuple[int, str, str]:
    folder.mkdir(exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps({"api_key": "k", **config}), encoding="utf-8")
    done = subprocess.run(
        [*command_of(), "--config", str(path)],
        input=lines(*messages),
        capture_output=True,
        cwd=folder,
        env={**os.environ, **environment},
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def history() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    chance = random.Random(3)  # noqa: S311 - the same rows each time
    events = [
        {
            "id": number,
            "user_id": chance.choice(["u1", "u2", "u3", "anonymous", None]),
            "event": chance.choice(["Bought", "Seen: it", None]),
            "timestamp": f"2024-01-{1 + number % 28:02d}T08:{number // 28:02d}:00Z",
            "revenue": chance.choice([19.99, 5.0, 0.1, None]),
            "tags": ["a", "b"],
            "place": {"city": chance.choice(["Oslo", None])},
        }
        for number in range(300)
    ]
    users = [
        {"id": f"u{number % 4}", "plan": f"Plan {number % 3}", "updated_at": f"2024-02-01T00:00:{number:02d}Z"}
        for number in range(40)
    ]
    return events, users


def held(sandbox: Any) -> dict[str, Any]:
    people = {person: sandbox.person(person) for person in ("u0", "u1", "u2", "u3")}
    return {"summary": sandbox.summary(), "people": people}


def test_kissmetrics_holds_the_same_after_batches_as_after_record_messages(tmp_path: Path) -> None:
    events, users = history()
    found = {}
    for way in ("record", *WAYS):
        folder = tmp_path / way
        folder.mkdir()
        messages = (
            [EVENTS, *(record("events", row) for row in events), USERS, *(record("users", row) for row in users)]
            if way == "record"
            else [EVENTS, batch(folder, way, EVENTS, events), USERS, batch(folder, way, USERS, users)]
        )
        with running() as sandbox:
            code, out, log = run(folder, {"tracking_url": sandbox.url}, *messages, STATE)
            assert (code, out) == (0, '{"at":1}\n'), log
            found[way] = held(sandbox)
    assert float(found["record"]["summary"]["revenue"]) > 0
    for way in WAYS:
        assert found[way] == found["record"], way


# A bucket


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = pytest.importorskip("boto3").client(
        "s3", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
    )
    client.create_bucket(Bucket="bucket")
    yield url
    server.stop()


def of_s3(url: str) -> dict[str, str]:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    return {"AWS_ENDPOINT_URL": url, "NO_PROXY": "127.0.0.1", **keys}


def test_files_of_a_bucket_are_read_where_the_message_or_the_storage_says(tmp_path: Path, s3: str) -> None:
    events, users = history()
    boto3 = pytest.importorskip("boto3")
    client = boto3.client("s3", endpoint_url=s3, aws_access_key_id="a", aws_secret_access_key="b", region_name="x")
    messages = [EVENTS, batch(tmp_path, "gzip", EVENTS, events), USERS, batch(tmp_path, "parquet", USERS, users)]
    there, moved = [], []
    for message in messages:
        manifest = []
        for place in message.get("manifest", ()):
            path = Path(place.removeprefix("file://").replace("%20", " "))
            name = path.name.replace(" ", "-")
            client.put_object(Bucket="bucket", Key=f"km/{name}", Body=path.read_bytes())
            manifest.append(name)
        there.append({**message, "manifest": [f"s3://bucket/km/{name}" for name in manifest]})
        moved.append({**message, "manifest": [f"file:///srv/tap/{name}" for name in manifest]})
    found: list[dict[str, Any]] = []
    storage = {"batch_config": {"storage": {"root": "s3://bucket/km"}}}
    for messages_given, config in ((messages, {}), (there, {}), (moved, storage)):
        with running() as sandbox:
            folder = tmp_path / str(len(found))
            code, _, log = run(folder, {"tracking_url": sandbox.url, **config}, *messages_given, STATE, **of_s3(s3))
            assert code == 0, log
            found.append(held(sandbox))
    assert found[1] == found[0]
    assert found[2] == found[0]
    assert len(client.list_objects_v2(Bucket="bucket")["Contents"]) == 4  # they stay: they are the tap's


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("s3://bucket/none.jsonl?token=secret", "BATCH file s3://bucket/none.jsonl: not found"),
        ("s3://secret:secret@nobodys/a.jsonl", "BATCH file s3://nobodys/a.jsonl: "),
    ],
)
def test_an_object_that_cannot_be_read_ends_the_run_in_one_line(
    tmp_path: Path, s3: str, place: str, problem: str
) -> None:
    message = {"type": "BATCH", "stream": "events", "encoding": {"format": "jsonl"}, "manifest": [place]}
    code, out, log = run(tmp_path, {"dry_run": True}, EVENTS, message, STATE, **of_s3(s3))
    assert (code, out) == (1, "")
    (error,) = [line for line in log.splitlines() if "ERROR" in line]
    assert problem in error
    assert "secret" not in log
    assert "Traceback" not in log
