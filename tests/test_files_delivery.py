"""`delivery: files`, as a command: whole files, the same data as by API, memory and STATE behind them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import MemoryStore, pending
from forked import command as command_of

from target_kissmetrics.errors import Refused
from target_kissmetrics.kissmetrics.calls import Alias, Call, Outgoing, Record, Set
from target_kissmetrics.kissmetrics.import_files import KISSMETRICS_USER, ImportFiles, file_opener
from target_kissmetrics.sandbox.running import running
from target_kissmetrics.sandbox.service import Sandbox
from target_kissmetrics.store.intents import Intent, LastSent, NewValue, pack_intent
from target_kissmetrics.store.overlay import OverlayStore
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.store.update import StoreUpdate
from target_kissmetrics.sync.files_delivery import FilesDelivery

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
    "schema": {"properties": {name: {} for name in ("id", "plan", "updated_at")}},
}


def messages() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [EVENTS, USERS]
    for number in range(25):
        event = {"id": number, "user_id": f"u{number % 7}", "device_id": f"d{number % 5}", "event": "Bought: it"}
        event |= {"timestamp": 1_704_067_200 + number, "revenue": f"{number}.10"}
        rows.append({"type": "RECORD", "stream": "events", "record": event})
        user = {"id": f"u{number % 4}", "plan": f"Plan {number % 3} é", "updated_at": 1_704_067_200 + number // 2}
        rows.append({"type": "RECORD", "stream": "users", "record": user})
    return [*rows, {"type": "STATE", "value": {"at": 25}}]


def run(folder: Path, config: dict[str, Any], given: list[dict[str, Any]], **environment: str) -> tuple[int, str, str]:
    path = folder / "config.json"
    path.write_text(json.dumps({"api_key": "k", "alias_identities": True, **config}), encoding="utf-8")
    done = subprocess.run(
        [*command_of(), "--config", str(path)],
        input="".join(json.dumps(message) + "\n" for message in given),
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("*")) for line in path.read_bytes().splitlines()]


def held(sandbox: Any) -> dict[str, Any]:
    people = {f"u{n}" for n in range(7)} | {f"d{n}" for n in range(5)}
    summary = {name: value for name, value in sandbox.summary().items() if name not in {"calls", "not_kept"}}
    # Identities are shown in the order in which calls came, which is nobody's promise.
    known = {person: sandbox.person(person) for person in people}
    return {"summary": summary, **{name: one | {"identities": set(one["identities"])} for name, one in known.items()}}


def test_kissmetrics_holds_the_same_after_an_import_as_after_delivery_by_api(tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    with running() as sandbox:
        code, out, log = run(tmp_path / "api", {"tracking_url": sandbox.url}, messages())
        assert code == 0, log
        by_api = held(sandbox)
    code, out, log = run(tmp_path, {"delivery": "files", "files_max_rows": 10}, messages())
    assert (code, out) == (0, '{"at":25}\n'), log
    files = sorted((tmp_path / "kissmetrics-import").iterdir())
    assert len(files) > 2
    for path in files:
        assert re.fullmatch(r"kissmetrics-\d{8}T\d{9}Z-[0-9a-f]{8}\.json", path.name)
        assert len(path.read_bytes().splitlines()) <= 10
    assert all("_p" in line and "_t" in line for line in lines(tmp_path / "kissmetrics-import"))
    imports = [part for path in files for part in ("--import", str(path))]
    command = [sys.executable, "-m", "target_kissmetrics.sandbox", "--port", "0", "--store", str(tmp_path / "s.db")]
    with subprocess.Popen([*command, *imports], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
    sandbox_store = tmp_path / "s.db"
    with running(Sandbox(store=sandbox_store)) as sandbox:
        assert held(sandbox) == by_api


def test_an_unchanged_attribute_is_not_written_again_by_the_next_run(tmp_path: Path) -> None:
    settings = {"delivery": "files", "files_url": "out"}
    assert run(tmp_path, settings, messages())[0] == 0
    first = sorted((tmp_path / "out").iterdir())
    only_users = [m for m in messages() if m.get("stream") != "events"]
    settled = only_users[-5:]  # the last values of all four people
    code, out, log = run(tmp_path, settings, [USERS, *settled])
    assert (code, out) == (0, '{"at":25}\n'), log
    assert sorted((tmp_path / "out").iterdir()) == first


def test_a_run_that_ends_well_leaves_no_note_of_what_it_was_about_to_write(tmp_path: Path) -> None:
    code, _, log = run(tmp_path, {"delivery": "files"}, messages())

    assert code == 0, log
    store = SqlStore(f"sqlite:///{(tmp_path / 'target-kissmetrics.db').as_posix()}", "k")
    assert pending(store) == []
    store.close()


def test_what_was_noted_is_struck_out_only_once_the_state_behind_it_is_out(tmp_path: Path) -> None:
    store = MemoryStore()
    waiting = OverlayStore(store, dry_run=False)
    noted_at_state: list[int] = []
    files = FilesDelivery(
        store=waiting,
        url=str(tmp_path),
        base="k",
        max_rows=10,
        emit=lambda _: noted_at_state.append(len(pending(store))),
    )
    number = waiting.add_intents(
        pack_intent(Intent(NewValue(b"p" * 16, b"k" * 8, b"v" * 8, 1_704_067_200), 1_704_067_200))
    )
    files.send([Outgoing(None, Set("u", 1_704_067_200, {"plan": "Pro"}))], lambda: None)
    waiting.commit(StoreUpdate({b"p" * 16: {b"k" * 8: LastSent(b"v" * 8, 1_704_067_200, 1_704_067_200)}}), [])
    files.emit({"at": 1})
    assert number is not None
    waiting.commit(StoreUpdate(), [number])

    files.close(0)

    assert noted_at_state == [1]
    assert pending(store) == []
    waiting.close()


def test_a_run_that_ended_well_leaves_no_intent_that_the_next_one_would_look_at(tmp_path: Path) -> None:
    for url in ("out", "again"):
        state = {"type": "STATE", "value": 1}
        given = [EVENTS, USERS, *messages()[2:30], state, *messages()[30:-1], {"type": "STATE", "value": url}]
        assert run(tmp_path, {"delivery": "files", "files_url": url}, given)[0] == 0
        store = SqlStore(f"sqlite:///{(tmp_path / 'target-kissmetrics.db').as_posix()}", "k")
        assert store.last_sent([store.digests.person("u1")])
        assert pending(store) == []
        store.close()


def test_no_file_is_made_of_no_rows_and_state_comes_out_all_the_same(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, {"delivery": "files"}, [EVENTS, {"type": "STATE", "value": 1}])
    assert (code, out) == (0, "1\n")
    assert not (tmp_path / "kissmetrics-import").exists()


def test_a_folder_that_cannot_be_made_ends_the_run_without_state(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    code, out, log = run(tmp_path, {"delivery": "files", "files_url": "taken"}, messages())
    assert (code, out) == (1, "")
    assert "files_url" in log.splitlines()[-1]


def test_the_check_of_meltano_looks_at_the_folder_and_writes_nothing(tmp_path: Path) -> None:
    check = [{**USERS, "stream": "meltano_test_stream"}]
    assert run(tmp_path, {"delivery": "files"}, check)[0] == 0
    assert not (tmp_path / "kissmetrics-import").exists()


# A bucket


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_objects_of_a_bucket_appear_whole_and_grant_kissmetrics_to_read_them(tmp_path: Path, s3: str) -> None:
    boto3 = pytest.importorskip("boto3")
    client = boto3.client(
        "s3", endpoint_url=s3, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
    )
    client.create_bucket(Bucket="whole")
    environment = {"AWS_ENDPOINT_URL": s3, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    environment |= {"AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1"}
    settings = {"delivery": "files", "files_url": "s3://whole/km", "files_max_rows": 20}
    code, out, log = run(tmp_path, settings, messages(), **environment)
    assert (code, out) == (0, '{"at":25}\n'), log
    keys = [entry["Key"] for entry in client.list_objects_v2(Bucket="whole")["Contents"]]
    assert len(keys) > 1
    count = 0
    for key in keys:
        assert re.fullmatch(r"km/kissmetrics-\w+-\w+\.json", key)
        count += len(client.get_object(Bucket="whole", Key=key)["Body"].read().splitlines())
        grants = client.get_object_acl(Bucket="whole", Key=key)["Grants"]
        granted = {grant["Permission"] for grant in grants if grant["Grantee"].get("ID") == KISSMETRICS_USER}
        assert granted == {"READ", "READ_ACP"}
    run(tmp_path, {**settings, "files_url": "here", "attribute_store_url": "sqlite:///other.db"}, messages())
    assert count == len(lines(tmp_path / "here"))


def test_a_bucket_that_is_not_there_ends_the_run_without_state(tmp_path: Path, s3: str) -> None:
    environment = {"AWS_ENDPOINT_URL": s3, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    settings = {"delivery": "files", "files_url": "s3://nobodys/km"}
    code, out, log = run(tmp_path, settings, messages(), AWS_DEFAULT_REGION="us-east-1", **environment)
    assert (code, out) == (1, "")
    assert "files_url" in log.splitlines()[-1]


# Parts

CALLS: list[Call] = [
    Record("a", "E", 1_700_000_000),
    Set("a", 1_700_000_000, {"x": "1"}),
    Alias("a", "b", 1_700_000_000),
]


def test_a_file_under_way_does_not_match_what_kissmetrics_looks_for(tmp_path: Path) -> None:
    done: list[int] = []
    files = ImportFiles(url=str(tmp_path), base="km", max_rows=9, completed=lambda: done.append(1))
    files.write(CALLS)
    assert not list(tmp_path.glob("km*.json"))
    assert files.is_open
    files.complete()
    (path,) = tmp_path.iterdir()
    assert [json.loads(line) for line in path.read_bytes().splitlines()] == [
        {"_p": "a", "_t": 1_700_000_000, "_n": "E"},
        {"_p": "a", "_t": 1_700_000_000, "x": "1"},
        {"_p": "a", "_t": 1_700_000_000, "_p2": "b"},
    ]
    assert done == [1]


def test_names_stay_in_order_though_a_clock_is_set_back(tmp_path: Path) -> None:
    moments = iter([2000.0, 2000.0, 1000.0, 1000.0, 1000.0, 1000.0])
    files = ImportFiles(
        url=str(tmp_path), base="km", max_rows=1, completed=lambda: None,
        clock=lambda: next(moments),
    )  # fmt: skip
    files.write(CALLS)
    texts = [path.read_text() for path in sorted(tmp_path.iterdir())]
    assert ["_n" in texts[0], "x" in texts[1], "_p2" in texts[2]] == [True, True, True]


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    mine = file_opener(str(tmp_path))("km-1.json")
    mine.write(b"mine\n")
    (tmp_path / "km-1.json").write_text("theirs\n")
    with pytest.raises(FileExistsError):
        mine.close()
    assert (tmp_path / "km-1.json").read_text() == "theirs\n"


def test_nothing_is_remembered_nor_passed_on_before_the_file_is_whole_nor_after_one_that_broke(tmp_path: Path) -> None:
    def opened() -> SqlStore:
        return SqlStore(f"sqlite:///{(tmp_path / 's.db').as_posix()}", "p" * 16)

    learned = StoreUpdate()
    learned.add(b"x" * 16, b"k" * 8, LastSent(b"v" * 8, 1, 1))
    out: list[Any] = []
    (tmp_path / "file").write_text("no folder")
    for folder in (tmp_path / "out", tmp_path / "file"):
        store = OverlayStore(opened(), dry_run=False)
        files = FilesDelivery(store=store, url=str(folder), base="km", max_rows=9, emit=out.append)
        if folder.name == "file":
            with pytest.raises(Refused, match=r"cannot write to .*: File exists"):
                files.send([Outgoing(None, call) for call in CALLS], lambda: None)
            files.emit("never")
            files.close(0)
            store.close()
            break
        files.send([Outgoing(None, call) for call in CALLS], lambda: None)
        store.commit(learned, ())
        files.emit("first")
        assert store.last_sent([b"x" * 16])
        other = opened()
        assert not other.last_sent([b"x" * 16])
        assert out == []
        files.close(0)
        assert other.last_sent([b"x" * 16])
        assert out == ["first"]
        other.close()
        store.close()
    assert out == ["first"]
