"""Rejected rows go out again once the mapping is mended, and no line is ever lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from forked import command as command_of

from target_kissmetrics.commands.rejects_file import RejectsFile
from target_kissmetrics.commands.replay import Replay, replay
from target_kissmetrics.sandbox.running import RunningSandbox, running
from target_kissmetrics.target import TargetKissmetrics

KEY = "0123456789abcdef"
ORDERS = {
    "type": "SCHEMA",
    "stream": "orders",
    "key_properties": ["id"],
    "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "user_id": {"type": ["string", "null"]},
            "buyer": {"type": ["string", "null"]},
            "day": {"type": ["string", "null"], "format": "date"},
            "shipped": {"type": ["string", "null"], "format": "date-time"},
            "total": {"type": ["number", "string", "null"]},
        },
    },
}
ENTRY = {
    "stream": "orders",
    "kind": "event",
    "customer_id": "user_id",
    "event_name": "Purchased",
    "timestamp": "day",
    "revenue": "total",
    "spread_duplicates": True,
}


def order(number: int, **fields: Any) -> dict[str, Any]:
    record = {"id": number, "user_id": None, "buyer": "ada", "day": "2024-01-02", "total": 5, **fields}
    return {"type": "RECORD", "stream": "orders", "record": record}


class Bench:
    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.path = folder / "rejects.jsonl"

    def config(self, **settings: Any) -> dict[str, Any]:
        return {
            "api_key": KEY,
            "tracking_url": self.sandbox.url,
            "retry_timeout_seconds": 0,
            "rejects_path": str(self.path),
            "attribute_store_url": f"sqlite:///{(self.folder / 'store.db').as_posix()}",
            "streams": [ENTRY],
            **settings,
        }

    def run(self, *messages: Any, **settings: Any) -> tuple[int, str]:
        return self._command("target_kissmetrics", b"".join(json.dumps(m).encode() + b"\n" for m in messages), settings)

    def replay(self, *arguments: str, **settings: Any) -> tuple[int, str]:
        return self._command("target_kissmetrics.commands.replay", b"", settings, *(arguments or (str(self.path),)))

    def _command(self, module: str, given: bytes, settings: dict[str, Any], *arguments: str) -> tuple[int, str]:
        path = self.folder / "config.json"
        path.write_text(json.dumps(self.config(**settings)), encoding="utf-8")
        command = [*command_of(module), *arguments, "--config", str(path)]
        done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)
        return done.returncode, done.stderr.decode()

    def in_process(self, **settings: Any) -> int:
        return replay(self.path, TargetKissmetrics(config=self.config(**settings), parse_env_config=False))

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]

    def write(self, *entries: dict[str, Any]) -> None:
        usual = {"time": "2024-05-01T00:00:00Z", "stream": "orders", "code": "x", "reason": "x", "field": None}
        self.path.write_text("".join(json.dumps({**usual, **entry}) + "\n" for entry in entries), encoding="utf-8")


MENDED = {"streams": [{**ENTRY, "customer_id": "buyer"}]}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with running() as sandbox:
        yield Bench(tmp_path, sandbox)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_rows_are_sent_again_and_what_is_rejected_again_stays(bench: Bench) -> None:
    rows = [order(1), order(2, shipped="2024-01-05T00:00:00Z"), order(3, buyer="guest"), order(4, user_id="bob")]
    code, _ = bench.run(ORDERS, *rows)
    assert (code, len(bench.lines())) == (0, 3)
    code, log = bench.replay(**MENDED)
    assert code == 0, log
    (left,) = bench.lines()
    assert (left["record"]["id"], left["code"]) == (3, "blocked-identity")
    assert "1 lines are left" in log
    ada = bench.sandbox.person("ada")
    assert ada is not None
    assert {entry["value"] for entry in ada["properties"]["id"]} == {1, 2}
    # Typed by the tap's schema, which was noted beside the rejects.
    assert [entry["value"] for entry in ada["properties"]["shipped"]] == [1704412800]
    # The same rows of a later full refresh have the same seconds: the key was noted as well.
    events = bench.sandbox.summary()["events"]
    assert bench.run(ORDERS, *rows[:2], **MENDED)[0] == 0
    assert bench.sandbox.summary()["events"] == events
    if os.name == "posix":
        assert bench.path.stat().st_mode & 0o777 == 0o600
        assert Path(f"{bench.path}.schemas").stat().st_mode & 0o777 == 0o600


def test_what_a_killed_replay_left_is_replaced_by_the_next(bench: Bench) -> None:
    bench.run(ORDERS, order(3, buyer="guest"))
    left = bench.path.with_name(f".{bench.path.name}.a1b2.part")
    left.write_text("half of a line", encoding="utf-8")
    assert bench.in_process() == 1
    assert len(bench.lines()) == 1
    assert not left.exists()
    if os.name == "posix":
        assert bench.path.stat().st_mode & 0o777 == 0o600


def test_a_second_replay_finds_nothing_to_do(bench: Bench) -> None:
    bench.run(ORDERS, order(1))
    assert bench.in_process(**MENDED) == 0
    calls = bench.sandbox.summary()["calls"]
    assert bench.path.read_bytes() == b""
    assert bench.in_process(**MENDED) == 0
    assert bench.sandbox.summary()["calls"] == calls


def test_a_property_that_was_set_aside_is_added_to_the_event_that_was_sent(bench: Bench) -> None:
    bench.run(ORDERS, order(1, user_id="ada", total="12 pcs"), order(2, user_id="ada", day=None))
    assert [line["field"] for line in bench.lines()] == ["total", None]
    exclude = {"streams": [{**ENTRY, "revenue": False}]}
    assert bench.in_process(**exclude) == 1
    assert bench.sandbox.summary()["events"] == 1
    assert [line["code"] for line in bench.lines()] == ["no-timestamp"]


def test_a_property_goes_out_alone_in_the_second_that_its_event_was_moved_to(bench: Bench) -> None:
    bench.run(ORDERS, order(1, user_id="ada", _n="x"), order(2, user_id="ada", _n="y", shipped="2024-01-05T00:00:00Z"))
    calls = bench.sandbox.summary()["calls"]
    renamed = {"streams": [{**ENTRY, "rename": [{"field": "_n", "property": "No"}]}]}
    assert bench.in_process(**renamed) == 0
    ada = bench.sandbox.person("ada")
    assert ada is not None
    assert [event["timestamp"] for event in ada["events"]] == [1704153600, 1704153601]
    assert ada["properties"]["No"] == [
        {"value": "x", "timestamp": 1704153600},
        {"value": "y", "timestamp": 1704153601},
    ]
    assert bench.sandbox.summary()["calls"] == calls + 2


@pytest.mark.parametrize("is_once", [True, False])
def test_an_amount_that_could_not_be_read_goes_out_alone_and_once(bench: Bench, is_once: bool) -> None:
    entry = {**ENTRY, "send_once_per_row": is_once, "spread_duplicates": False}
    bench.run(ORDERS, order(1, user_id="ada", total="12 pcs"), streams=[entry])
    (line,) = bench.lines()
    bench.write({**line, "record": {**line["record"], "total": 5}})
    calls = bench.sandbox.summary()["calls"]
    for _ in range(2):
        assert bench.in_process(streams=[entry]) == 0
    assert bench.sandbox.summary()["calls"] == calls + 1
    if is_once:
        bench.run(ORDERS, order(1, user_id="ada", total=7), streams=[entry])
        assert bench.sandbox.summary()["calls"] == calls + 1
    ada = bench.sandbox.person("ada")
    assert ada is not None
    assert ada["properties"]["Billing Amount"] == [{"value": 5, "timestamp": 1704153600}]
    assert ada["properties"]["total"] == [{"value": "12 pcs", "timestamp": 1704153600}]


def test_a_line_whose_field_is_not_in_its_row_stays(bench: Bench) -> None:
    bench.run(ORDERS, order(1, user_id="ada"))
    calls = bench.sandbox.summary()["calls"]
    record = {**order(1, user_id="ada")["record"], "traits__city": "Oslo"}
    bench.write({"record": record, "field": "traits.city", "code": "bad-text"})
    assert bench.in_process() == 1
    assert bench.sandbox.summary()["calls"] == calls


def test_a_rejected_version_of_a_row_is_not_sent_after_a_later_one_was(bench: Bench) -> None:
    bench.run(ORDERS, order(1), order(1, user_id="ada", total=7))
    calls = bench.sandbox.summary()["calls"]
    assert bench.in_process(**MENDED) == 0
    assert bench.sandbox.summary()["calls"] == calls


def test_where_the_time_was_guessed_such_a_line_stays(bench: Bench) -> None:
    entry = {"stream": "orders", "kind": "event", "customer_id": "user_id", "event_name": "E", "timestamp": False}
    entry["exclude"] = ["day"]
    bench.run(ORDERS, order(1, user_id="ada", day=None, _k="x"), streams=[entry])
    (line,) = bench.lines()
    assert line["field"] == "_k"
    before = bench.path.read_bytes()
    assert bench.in_process(streams=[{**entry, "exclude": ["day", "_k"]}]) == 1
    assert bench.path.read_bytes() == before
    assert bench.sandbox.summary()["events"] == 1


def test_a_whole_row_without_a_time_takes_that_of_its_line_however_often_it_is_repeated(bench: Bench) -> None:
    entry = {"stream": "orders", "kind": "event", "customer_id": "buyer", "event_name": "E"}
    row = {"id": 1, "buyer": "ada"}
    for _ in range(2):
        bench.write({"record": row}, {"record": row})
        assert bench.in_process(streams=[entry]) == 0
    ada = bench.sandbox.person("ada")
    assert ada is not None
    assert [event["timestamp"] for event in ada["events"]] == [1714521600]


def test_stream_maps_are_applied_again(bench: Bench) -> None:
    maps: dict[str, Any] = {"stream_maps": {"orders": {"__alias__": "sales", "color": "'red'"}}}
    bench.run(ORDERS, order(1), **maps, streams=[{**ENTRY, "stream": "sales"}])
    (line,) = bench.lines()
    assert (line["stream"], "color" in line["record"]) == ("sales", False)
    assert bench.in_process(**maps, streams=[{**ENTRY, "stream": "sales", "customer_id": "buyer"}]) == 0
    ada = bench.sandbox.person("ada")
    assert ada is not None
    assert ada["properties"]["color"][0]["value"] == "red"


def test_lines_that_cannot_be_judged_stay(bench: Bench) -> None:
    bench.write({"record": {"id": 1, "buyer": "ada", "day": "2024-01-02"}})
    odd = b'{"half a li\n[]\n{"record": 1}\n'
    bench.path.write_bytes(bench.path.read_bytes() + odd)
    # Without a schema, nothing is known of the key that tells duplicates apart.
    assert bench.in_process(**MENDED) == 4
    assert bench.path.read_bytes().endswith(odd)
    assert bench.sandbox.summary()["events"] == 0


def test_a_host_that_fails_leaves_the_file_as_it_was(bench: Bench) -> None:
    bench.run(ORDERS, order(1))
    before = bench.path.read_bytes()
    code, log = bench.replay(**MENDED, tracking_url="http://127.0.0.1:9")
    assert code == 1
    assert "Traceback" not in log
    assert len([line for line in log.splitlines() if "| ERROR" in line]) == 1
    assert bench.path.read_bytes() == before


def test_what_a_run_appends_meanwhile_is_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run(ORDERS, order(1))
    send = Replay.send

    def meanwhile(source: Replay, *arguments: Any) -> None:
        bench.run(ORDERS, order(2))
        send(source, *arguments)

    monkeypatch.setattr(Replay, "send", meanwhile)
    bench.in_process(**MENDED)
    assert [line["record"]["id"] for line in bench.lines()] == [2]


def test_killed_before_the_end_it_loses_no_line(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run(ORDERS, order(1), order(2))
    before = bench.path.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        bench.in_process(**MENDED)
    assert bench.path.read_bytes() == before
    monkeypatch.undo()
    assert bench.in_process(**MENDED) == 0
    assert bench.sandbox.summary()["events"] == 2
    assert sorted(path.name for path in bench.folder.iterdir() if "rejects" in path.name) == [
        "rejects.jsonl",
        "rejects.jsonl.schemas",
    ]


def test_a_large_file_is_never_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    entry = {"time": "2024-01-01T00:00:00Z", "stream": "s", "code": "no-identity", "reason": "r", "field": None}
    with path.open("wb") as file:
        for number in range(10_000):
            file.write(json.dumps({**entry, "record": {"id": number, "text": "x" * 3000}}).encode() + b"\n")
    path.chmod(0o600)
    tracemalloc.start()
    try:
        with closing(RejectsFile(path)) as rejects_file:
            rows = rejects_file.rows()
            for row in rows:
                record = row.expect(is_time_required=False)
                row.reject(code="too-old", reason="r", field=None, record=dict(record))
            assert sum(len(line) for row in rows for line in row.left) > 30_000_000
            rejects_file.replace(line for row in rows for line in row.left)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    left = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [(line["code"], line["record"]["id"]) for line in left] == [("too-old", number) for number in range(10_000)]
    assert [file.name for file in tmp_path.iterdir()] == ["rejects.jsonl"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_hard_link_is_refused(bench: Bench) -> None:
    bench.run(ORDERS, order(1))
    os.link(bench.path, bench.folder / "another")
    code, log = bench.replay(**MENDED)
    assert code == 1
    assert "has another name (a hard link); remove it" in log


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_symbolic_link_is_refused(bench: Bench) -> None:
    bench.run(ORDERS, order(1))
    link = bench.folder / "link.jsonl"
    link.symlink_to(bench.path)
    code, log = bench.replay(str(link), **MENDED)
    assert code == 1
    assert "symbolic link" in log


def test_a_file_that_is_not_there_is_named(bench: Bench) -> None:
    code, log = bench.replay(str(bench.folder / "nothing.jsonl"), **MENDED)
    assert code == 1
    assert "there is no file" in log.splitlines()[-1]


def test_a_dry_run_sends_nothing_and_leaves_the_file(bench: Bench) -> None:
    bench.run(ORDERS, order(1))
    before = bench.path.read_bytes()
    code, log = bench.replay(**MENDED, dry_run=True)
    assert code == 0
    assert '"_n": "Purchased"' in log
    assert bench.path.read_bytes() == before
    assert bench.sandbox.summary()["calls"] == 0


@pytest.mark.parametrize("index", [0, 1])
def test_a_replay_takes_everybody_whatever_the_shard(bench: Bench, index: int) -> None:
    bench.run(ORDERS, *(order(number, buyer=f"p{number}") for number in range(10)), order(10, buyer="guest"))
    assert bench.in_process(**MENDED, shard={"index": index, "count": 2}) == 1
    assert bench.sandbox.summary()["events"] == 10
    assert [line["record"]["id"] for line in bench.lines()] == [10]


def test_aliases_over_the_limit_are_rejected_while_other_rows_are_mapped_and_no_line_is_lost(bench: Bench) -> None:
    stream = {"stream": "links", "kind": "alias", "customer_id": "user", "previous_id": "device"}
    orders = [{"id": number, "user_id": "ada", "day": "2024-01-02", "total": "12 pcs"} for number in range(300)]
    links = [{"user": "bob", "device": f"d{number}"} for number in range(300)]
    lines: list[dict[str, Any]] = []
    for number, (row, link) in enumerate(zip(orders, links, strict=True)):
        time = f"2024-05-01T00:{number // 60:02}:{number % 60:02}Z"
        lines.append({"record": link, "stream": "links", "time": time})
        lines.append({"record": row, "field": "total", "code": "bad-amount", "time": time})
    bench.write(*lines)
    Path(f"{bench.path}.schemas").write_text(json.dumps({"rejects": "orders", **ORDERS}) + "\n", encoding="utf-8")
    left = bench.in_process(streams=[ENTRY, stream], max_aliases_per_identity=5, batch_size_rows=7)
    assert left == 595
    kept = [(line["stream"], line["time"], line["record"]) for line in bench.lines()]
    assert len(kept) == 595
    given = [(line.get("stream", "orders"), line["time"], line["record"]) for line in lines]
    assert all(entry in given for entry in kept)
    assert [entry[2] for entry in kept if entry[0] == "orders"] == orders
    assert {line["code"] for line in bench.lines() if line["stream"] == "links"} == {"alias-limit"}


def test_an_alias_that_no_line_names_is_not_repeated_and_one_over_the_limit_stays(bench: Bench) -> None:
    entry = {**ENTRY, "customer_id": "buyer", "device_id": "user_id"}
    rows = [{"id": n, "user_id": f"d{n}", "buyer": "ada", "day": "2024-01-02", "total": "12 pcs"} for n in range(4)]
    bench.write(
        *({"record": row, "field": "total", "code": "bad-amount"} for row in rows[:2]),
        *({"record": row, "field": "user_id", "code": "alias-limit"} for row in rows),
    )
    Path(f"{bench.path}.schemas").write_text(json.dumps({"rejects": "orders", **ORDERS}) + "\n", encoding="utf-8")
    settings = {"streams": [entry], "use_customer_id": True, "alias_identities": True, "max_aliases_per_identity": 2}
    assert bench.in_process(**settings) == 4
    assert [(line["record"]["id"], line["field"], line["code"]) for line in bench.lines()] == [
        (0, "total", "bad-amount"),
        (1, "total", "bad-amount"),
        (2, "user_id", "alias-limit"),
        (3, "user_id", "alias-limit"),
    ]
    assert bench.sandbox.summary()["calls"] == 2


BATCHES = {
    "type": "SCHEMA",
    "stream": "batches",
    "key_properties": [],
    "schema": {"type": "object", "properties": {"events": {"type": "array"}, "mp_deviceid": {"type": "string"}}},
}
BATCH_ENTRY = {"streams": [{"stream": "batches", "kind": "mparticle"}]}


def batch(*names: Any, **fields: Any) -> dict[str, Any]:
    events = [
        {"event_type": "custom_event", "data": {"event_name": name, "timestamp_unixtime_ms": 1706688000000 + n * 1000}}
        for n, name in enumerate(names)
    ]
    return {"type": "RECORD", "stream": "batches", "record": {"mp_deviceid": "d1", "events": events, **fields}}


def mend(path: Path, *numbers: int) -> None:
    """Give events of the batch the names they lack, in every line."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    for line in lines:
        for number in numbers if line["record"] else ():
            line["record"]["events"][number]["data"]["event_name"] = f"Mended {number}"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_of_a_batch_what_is_rejected_again_stays_and_what_was_mended_goes(bench: Bench) -> None:
    bench.run(BATCHES, batch("", "", "Fine", ""), **BATCH_ENTRY)
    assert [line["field"].partition(".")[0] for line in bench.lines()] == ["events[0]", "events[1]", "events[3]"]
    mend(bench.path, 0, 1)
    assert bench.in_process(**BATCH_ENTRY) == 1
    assert [line["field"].partition(".")[0] for line in bench.lines()] == ["events[3]"]
    assert bench.sandbox.summary()["events"] == 3
    mend(bench.path, 3)
    assert bench.in_process(**BATCH_ENTRY) == 0
    assert bench.sandbox.summary()["events"] == 4


def test_an_event_that_is_too_old_by_itself_holds_up_no_other(bench: Bench) -> None:
    old = batch("", "Old")
    old["record"]["events"][1]["data"]["timestamp_unixtime_ms"] = 946684800000
    bench.run(BATCHES, old, **BATCH_ENTRY)
    mend(bench.path, 0)
    assert bench.in_process(**BATCH_ENTRY) == 1
    (line,) = bench.lines()
    assert line["code"] == "too-old"
    assert bench.sandbox.summary()["events"] == 1


def test_lines_without_their_row_go_and_stay_with_it(bench: Bench) -> None:
    bench.run(BATCHES, batch(*[""] * 30), batch("Other", "", mp_deviceid="d2"), **BATCH_ENTRY)
    assert [bool(line["record"]) for line in bench.lines()] == [True] * 20 + [False] * 10 + [True]
    mend(bench.path, 1)
    assert bench.in_process(**BATCH_ENTRY) == 29
    assert [bool(line["record"]) for line in bench.lines()] == [True] * 20 + [False] * 9
    fields = [line["field"].partition(".")[0] for line in bench.lines()]
    assert fields == [f"events[{number}]" for number in range(30) if number != 1]
    assert bench.sandbox.summary()["events"] == 3
    mend(bench.path, *range(30))
    assert bench.in_process(**BATCH_ENTRY) == 0
    assert bench.sandbox.summary()["events"] == 32


def test_a_line_without_a_row_before_it_stays(bench: Bench) -> None:
    bench.write({"record": {}, "field": "events[20]", "stream": "batches"})
    before = bench.path.read_bytes()
    assert bench.in_process(**BATCH_ENTRY) == 1
    assert bench.path.read_bytes() == before


def test_a_row_that_was_sent_in_part_and_is_rejected_whole_stays_one_that_was_sent(bench: Bench) -> None:
    entry = {"stream": "orders", "kind": "event", "customer_id": "user_id", "event_name": "E", "timestamp": False}
    entry["exclude"] = ["day"]
    bench.run(ORDERS, order(1, user_id="ada", day=None, _k="x"), streams=[entry])
    before = bench.path.read_bytes()
    mended = {**entry, "exclude": ["day", "_k"]}
    assert bench.in_process(streams=[mended], blocked_identities=["ada"]) == 1
    assert bench.path.read_bytes() == before
    assert bench.in_process(streams=[mended]) == 1
    assert bench.sandbox.summary()["events"] == 1


def test_a_stream_map_that_renames_the_stream_loses_no_line(bench: Bench) -> None:
    bench.run(ORDERS, order(1))
    before = bench.path.read_bytes()
    renamed = {"orders": {"__alias__": "sales"}}
    assert bench.in_process(streams=[{**MENDED["streams"][0], "stream": "sales"}], stream_maps=renamed) == 1
    assert bench.path.read_bytes() == before


def test_a_row_is_validated_as_the_tap_sent_it_and_what_a_map_makes_is_not(bench: Bench) -> None:
    maps = {"stream_maps": {"orders": {"total": "'EUR ' + str(record['total'])", "buyer": "record['buyer'] or 5"}}}
    settings = {**MENDED, **maps, "validate_records": True}
    bench.run(ORDERS, order(1, buyer=7), order(2), **settings)
    (line,) = bench.lines()
    assert (line["code"], line["record"]["buyer"], line["record"]["total"]) == ("schema", 7, 5)
    assert bench.in_process(**settings) == 1
    assert bench.in_process(**{**settings, "validate_records": False}) == 0
    assert bench.sandbox.person("7") is not None


@pytest.mark.parametrize(
    "settings",
    [
        {"streams": [{"stream": "orders", "kind": "ignore"}]},
        {"stream_maps": {"orders": None}},
        {"stream_maps": {"__else__": None}},
    ],
)
def test_lines_of_a_stream_that_is_not_read_any_more_go(bench: Bench, settings: dict[str, Any]) -> None:
    bench.run(ORDERS, order(1))
    code, log = bench.replay(**settings)
    assert (code, bench.lines(), bench.sandbox.summary()["calls"]) == (0, [], 0), log


@pytest.mark.parametrize(("revenue", "left"), [("gross", 1), (False, 0), ("total", 0)])
def test_an_amount_that_the_mapping_does_not_find_any_more_stays(bench: Bench, revenue: Any, left: int) -> None:
    bench.run(ORDERS, order(1, user_id="ada", total="12 pcs"))
    (line,) = bench.lines()
    bench.write({**line, "record": {**line["record"], "total": 5}})
    schema = json.loads(Path(f"{bench.path}.schemas").read_text(encoding="utf-8"))
    schema["schema"]["properties"]["gross"] = {"type": ["number", "null"]}
    Path(f"{bench.path}.schemas").write_text(json.dumps(schema) + "\n", encoding="utf-8")
    code, log = bench.replay(streams=[{**ENTRY, "revenue": revenue}])
    assert (code, len(bench.lines())) == (0, left)
    assert ("has no amount: its lines stay" in log) is bool(left)
    assert [line["code"] for line in bench.lines()] == ["bad-amount"] * left


def test_a_part_that_cannot_be_solved_holds_up_no_other_of_its_row(bench: Bench) -> None:
    bench.run(BATCHES, batch("", "Fine"), **BATCH_ENTRY)
    (line,) = bench.lines()
    other = {**line, "code": "bad-text", "field": "events[1].data.custom_attributes.gone"}
    bench.write(other, line)
    mend(bench.path, 0)
    code, log = bench.replay(**BATCH_ENTRY)
    assert code == 0
    assert [(left["field"], left["record"] != {}) for left in bench.lines()] == [(other["field"], True)]
    assert bench.sandbox.summary()["events"] == 2
    assert f"a row has no field '{other['field']}': its lines stay in the file" in log
    assert bench.replay(**BATCH_ENTRY)[0] == 0
    assert bench.sandbox.summary()["events"] == 2


def test_an_unsolved_part_without_its_row_is_written_with_it(bench: Bench) -> None:
    bench.run(BATCHES, batch(*[""] * 22), **BATCH_ENTRY)
    lines = bench.lines()
    lines[21]["field"] = "events[21].data.gone"
    bench.write(*lines)
    mend(bench.path, *range(22))
    assert bench.in_process(**BATCH_ENTRY) == 1
    (left,) = bench.lines()
    assert (left["field"], len(left["record"]["events"])) == ("events[21].data.gone", 22)


def test_lines_of_a_batch_without_any_time_stay_with_a_warning(bench: Bench) -> None:
    row = batch(user_attributes={"a": "b"})["record"]
    bench.write({"record": row, "field": "user_attributes.a", "code": "bad-text", "stream": "batches"})
    code, log = bench.replay(**BATCH_ENTRY)
    assert (code, len(bench.lines())) == (0, 1)
    assert "it is not known what was sent of a row of stream 'batches': its lines stay in the file" in log


def test_rows_beyond_max_calls_stay_in_the_file_for_the_next_replay(bench: Bench) -> None:
    bench.run(ORDERS, *(order(number) for number in range(1, 6)))
    for left in (3, 1, 0):
        code, log = bench.replay(**MENDED, max_calls=2)
        assert code == 0, log
        assert [line["record"]["id"] for line in bench.lines()] == list(range(6 - left, 6))
        assert bench.sandbox.summary()["calls"] == 5 - left
        assert ("max_calls: 2 calls were sent" in log) is (left > 0)


def test_a_row_that_a_stream_map_filters_now_is_counted_and_leaves_the_file(bench: Bench) -> None:
    bench.run(ORDERS, order(1), order(2))
    code, log = bench.replay(**MENDED, stream_maps={"orders": {"__filter__": "id > 1"}})
    assert (code, bench.lines()) == (0, []), log
    assert "stream 'orders': 2 rows read; " in log
    assert "; 1 filtered" in log
