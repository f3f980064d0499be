"""`remember_only`, as a command: nothing is sent, and the next run sends only what is new."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forked import command as command_of

from target_kissmetrics.sandbox.running import RunningSandbox, running
from target_kissmetrics.store.sql import SqlStore

KEY = "0123456789abcdef"
T0 = 1_704_067_200


def schema(stream: str, *fields: str) -> dict[str, Any]:
    return {
        "type": "SCHEMA",
        "stream": stream,
        "key_properties": ["id"],
        "schema": {"properties": {name: {} for name in ("id", *fields)}},
    }


SCHEMAS = [
    schema("users", "plan", "updated_at"),
    schema("links", "user_id", "device_id"),
    schema("signups", "user_id", "created_at"),
    schema("orders", "user_id", "created_at", "total", "lines"),
    schema("clicks", "user_id", "event", "timestamp"),
]
STREAMS = [
    {"stream": "users", "kind": "user_attributes", "customer_id": "id", "timestamp": "updated_at"},
    {"stream": "links", "kind": "alias", "customer_id": "user_id", "previous_id": "device_id"},
    {"stream": "signups", "kind": "event", "event_name": "Signed Up", "timestamp": "created_at", "once": True},
    {
        "stream": "orders",
        "kind": "event",
        "event_name": "Ordered",
        "timestamp": "created_at",
        "revenue": "total",
        "line_items": "lines",
    },
    {"stream": "clicks", "kind": "event"},
]


def row(stream: str, **record: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": record}


def history() -> list[dict[str, Any]]:
    return [
        *SCHEMAS,
        row("users", id="ada", plan="Pro", updated_at=T0),
        row("users", id="bob", plan="Pro", updated_at=T0 + 60),
        row("links", id=1, user_id="ada", device_id="d1"),
        row("signups", id=1, user_id="ada", created_at=T0),
        row("orders", id=1, user_id="ada", created_at=T0, total="9.90", lines=[{"sku": "a"}, {"sku": "b"}]),
        *(row("clicks", id=number, user_id="ada", event="Clicked", timestamp=T0 + number) for number in range(3)),
        {"type": "STATE", "value": 1},
    ]


class Bench:
    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox

    def start(self, command: list[str], **config: Any) -> subprocess.Popen[bytes]:
        path = self.folder / "config.json"
        given = {"api_key": KEY, "tracking_url": self.sandbox.url, "streams": STREAMS, **config}
        path.write_text(json.dumps(given), encoding="utf-8")
        return subprocess.Popen(
            [*command, "--config", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
        )

    def run(self, messages: list[dict[str, Any]], **config: Any) -> tuple[str, str]:
        with self.start(command_of(), **config) as process:
            out, log = process.communicate(as_lines(messages), timeout=60)
        assert process.returncode == 0, log.decode()
        return out.decode(), log.decode()

    @property
    def calls(self) -> int:
        return int(self.sandbox.summary()["calls"])

    def has_stored(self) -> bool:
        store = SqlStore(f"sqlite:///{(self.folder / 'target-kissmetrics.db').as_posix()}", KEY)
        try:
            return bool(store.last_sent([store.digests.person("ada")]))
        finally:
            store.close()


def as_lines(messages: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with running() as sandbox:
        yield Bench(tmp_path, sandbox)


@pytest.mark.parametrize("delivery", ["api", "files"])
def test_what_is_remembered_is_not_sent_by_a_later_run(bench: Bench, delivery: str) -> None:
    out, log = bench.run(history(), remember_only=True, delivery=delivery)
    assert out == "1\n"
    assert bench.calls == 0
    assert not (bench.folder / "kissmetrics-import").exists()
    assert "remember_only: nothing is sent" in log
    later = [
        row("users", id="ada", plan="Max", updated_at=T0 + 90),
        row("signups", id=2, user_id="bob", created_at=T0 + 90),
        row("orders", id=1, user_id="ada", created_at=T0, total="12.00", lines=[]),
        row("orders", id=2, user_id="ada", created_at=T0 + 90, total="1.00", lines=[{"sku": "c"}]),
    ]
    bench.run([message for message in history() if message.get("stream") != "clicks"] + later)
    ada, bob = bench.sandbox.person("ada"), bench.sandbox.person("bob")
    assert ada is not None
    assert bob is not None
    assert ada["identities"] == ["ada"]
    assert [(event["name"], event["timestamp"]) for event in ada["events"]] == [("Ordered", T0 + 90)]
    assert [(event["name"], event["timestamp"]) for event in bob["events"]] == [("Signed Up", T0 + 90)]
    # ada's plan, bob's sign-up, ada's second order with its line item
    assert bench.calls == 4


def test_counts_and_report_say_what_was_remembered_and_skipped_and_that_nothing_was_sent(bench: Bench) -> None:
    _, log = bench.run(history(), remember_only=True, report_path=str(bench.folder / "report.html"))
    report = json.loads((bench.folder / "report.json").read_text(encoding="utf-8"))
    figures = {one["stream"]: one for one in report["streams"]}
    sent = ("record_calls", "set_calls", "alias_calls")
    assert {one[name] for one in figures.values() for name in sent} == {0}
    remembered = {"users": 2, "links": 1, "signups": 1, "orders": 3, "clicks": 0}
    assert {stream: one["remembered"] for stream, one in figures.items()} == remembered
    assert {stream for stream, one in figures.items() if one["skipped"]} == {"clicks"}
    assert figures["clicks"]["skipped"] == 3
    assert (report["delivery"], report["client"]) == ("remember only", None)
    assert "Nothing was sent" in (bench.folder / "report.html").read_text(encoding="utf-8")
    assert "calls sent: 0 record, 0 set, 0 alias" in log


def test_a_dry_run_of_it_stores_nothing(bench: Bench) -> None:
    out, log = bench.run(history(), remember_only=True, dry_run=True)
    assert (out, bench.calls) == ("", 0)
    assert "3 remembered, not sent" in log
    assert not (bench.folder / "target-kissmetrics.db").exists()


def test_it_has_no_limit_of_calls_and_needs_no_host(bench: Bench) -> None:
    out, _ = bench.run(history(), remember_only=True, max_calls=1, tracking_url="http://127.0.0.1:1")
    assert out == "1\n"
    bench.run([message for message in history() if message.get("stream") != "clicks"])
    assert bench.calls == 0


def test_messages_of_several_events_are_remembered_in_part(bench: Bench) -> None:
    message = {
        "type": "track", "messageId": "m", "userId": "ada", "timestamp": "2024-01-01T00:00:00Z", "event": "Clicked",
        "properties": {"button": "red"}, "context": {"traits": {"plan": "Pro"}},
    }  # fmt: skip
    schemas = [{"type": "SCHEMA", "stream": "segment", "key_properties": [], "schema": {"properties": {}}}]
    identify = {**message, "type": "identify", "messageId": "n", "traits": {"plan": "Pro"}}
    given = [*schemas, row("segment", **message), row("segment", **identify), {"type": "STATE", "value": 1}]
    streams = [{"stream": "segment", "kind": "segment"}]
    _, log = bench.run(given, remember_only=True, streams=streams)
    assert bench.calls == 0
    assert "1 events skipped" in log
    bench.run(given, streams=streams)
    assert [event["name"] for event in bench.sandbox.events()] == ["Clicked"]
    assert bench.calls == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_run_that_was_killed_is_repeated(bench: Bench) -> None:
    with bench.start([sys.executable, "-m", "target_kissmetrics"], remember_only=True) as process:
        assert process.stdin is not None
        process.stdin.write(as_lines(history()[:-1]))
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not (bench.folder / "target-kissmetrics.db").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.communicate()
    assert bench.run(history(), remember_only=True)[0] == "1\n"
    assert bench.has_stored()
    bench.run([message for message in history() if message.get("stream") != "clicks"])
    assert bench.calls == 0


def test_the_environment_sets_it(bench: Bench) -> None:
    settings = {"API_KEY": KEY, "TRACKING_URL": bench.sandbox.url, "REMEMBER_ONLY": "true"}
    done = subprocess.run(
        [*command_of(), "--config=ENV"],
        input=as_lines([SCHEMAS[0], *history()[5:7], history()[-1]]),
        capture_output=True,
        cwd=bench.folder,
        env={
            **os.environ,
            **{f"TARGET_KISSMETRICS_{name}": value for name, value in settings.items()},
            "TARGET_KISSMETRICS_STREAMS": json.dumps(STREAMS[:1]),
        },
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, bench.calls) == (0, b"1\n", 0), done.stderr.decode()
    assert bench.has_stored()
