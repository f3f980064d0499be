"""The keys of `streams` and the guards, from `meltano.yml` and from the environment, over files of tap-jsonl."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from meltano_project import Project, loader, needs_meltano

from target_kissmetrics.sandbox.running import RunningSandbox, running

pytestmark = [pytest.mark.e2e, needs_meltano]

TAP_JSONL: dict[str, Any] = {
    "name": "tap-jsonl",
    "namespace": "tap_jsonl",
    "pip_url": "tap-jsonl",
    "executable": "tap-jsonl",
    "capabilities": ["catalog", "discover", "state"],
    "settings": [{"name": "path"}, {"name": "stream_name"}, {"name": "primary_keys", "kind": "array"}],
    "select": ["*.*", "!*._sdc_*"],
}
DECLARED = [
    {"name": "streams", "kind": "array"},
    {"name": "allowed_events", "kind": "array"},
    {"name": "max_property_names", "kind": "integer"},
]
ORDERS: list[dict[str, Any]] = [
    {"id": 1, "user_id": "", "email": "ada@example.com", "plan": "Gold", "created_at": "2026-07-01 10:00:00",
     "paid_at": "2026-07-02 10:00:00", "refunded_at": None, "total_cents": 1999, "refunded_cents": None, "test": False},
    {"id": 2, "user_id": "u2", "email": "", "plan": "Pro", "created_at": "2026-01-01 10:00:00",
     "paid_at": "2026-01-01 11:00:00", "refunded_at": "2026-01-03 00:00:00", "total_cents": 500, "refunded_cents": 250,
     "test": False},
    {"id": 3, "user_id": "u3", "email": "", "plan": "Pro", "created_at": None, "paid_at": "2026-01-01 11:00:00",
     "refunded_at": None, "total_cents": 500, "refunded_cents": None, "test": True},
]  # fmt: skip
ORDERS_ENTRY = {
    "stream": "orders",
    "kind": "event",
    "customer_id": ["user_id", "email"],
    "timezone": "Europe/Berlin",
    "include": ["plan"],
    "set": [{"property": "Source", "value": "shop"}, {"property": "Full Plan", "value": "{plan} yearly"}],
    "events": [
        {"event_name": "Ordered", "timestamp": "created_at"},
        {
            "event_name": "Purchased",
            "timestamp": "paid_at",
            "revenue": "total_cents",
            "revenue_divide_by": 100,
            "when": {"test": False},
        },
        {
            "event_name": "Refunded",
            "timestamp": "refunded_at",
            "revenue": "refunded_cents",
            "revenue_divide_by": 100,
            "refund": True,
        },
    ],
}
ACTIONS: list[dict[str, Any]] = [
    {"id": 1, "user_id": "u1", "event_name": "page_view", "event_timestamp": 1767261600000000,
     "event_params": [{"key": "page", "value": {"string_value": "/a"}}, {"key": "n", "value": {"int_value": 3}}]},
    {"id": 2, "user_id": "u1", "event_name": "debug", "event_timestamp": 1767261601000000, "event_params": []},
]  # fmt: skip
ACTIONS_ENTRY = {"stream": "actions", "kind": "event", "unwrap": ["event_params"], "customer_id": "user_id"}


def tap(folder: Path, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    config = {"path": str(path), "stream_name": name, "primary_keys": ["id"]}
    return {"name": f"tap-{name}", "inherit_from": "tap-jsonl", "config": config}


def second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def events_of(sandbox: RunningSandbox, person: str) -> set[tuple[str, int]]:
    held = sandbox.person(person)
    return set() if held is None else {(event["name"], event["timestamp"]) for event in held["events"]}


@pytest.mark.parametrize("source", ["meltano.yml", "environment"])
def test_the_keys_of_streams_and_the_guards_reach_the_target(tmp_path: Path, source: str) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    taps = [TAP_JSONL, tap(tmp_path, "orders", ORDERS), tap(tmp_path, "actions", ACTIONS)]
    project = Project(folder, taps, [])
    language = {
        "streams": [ORDERS_ENTRY, ACTIONS_ENTRY],
        "allowed_events": ["Ordered", "Purchased", "Refunded", "page_*"],
        "max_property_names": 5,
    }
    with running() as sandbox:
        config = {"tracking_url": sandbox.url, "use_customer_id": True, "rejects_path": str(tmp_path / "{date}.jsonl")}
        given = language if source == "meltano.yml" else {}
        project.write([{**loader(**config, **given), "settings": DECLARED}])
        environment = {} if given else {f"TARGET_KISSMETRICS_{k.upper()}": json.dumps(v) for k, v in language.items()}
        project.run(
            "run", "tap-orders", "target-kissmetrics", "tap-actions", "target-kissmetrics", environment=environment
        )
        assert events_of(sandbox, "ada@example.com") == {
            ("Ordered", second("2026-07-01T08:00:00")),
            ("Purchased", second("2026-07-02T08:00:00")),
        }
        assert events_of(sandbox, "u2") == {
            ("Ordered", second("2026-01-01T09:00:00")),
            ("Purchased", second("2026-01-01T10:00:00")),
            ("Refunded", second("2026-01-02T23:00:00")),
        }
        assert events_of(sandbox, "u3") == set()
        assert events_of(sandbox, "u1") == {("page_view", 1767261600)}
        person = sandbox.person("ada@example.com")
        assert person is not None
        values = {name: history[0]["value"] for name, history in person["properties"].items()}
        assert (values["Source"], values["Full Plan"]) == ("shop", "Gold yearly")
        assert sandbox.summary()["revenue"] == "22.49"
    (rejects,) = tmp_path.glob("20*.jsonl")
    lines = [json.loads(line) for line in rejects.read_text(encoding="utf-8").splitlines()]
    assert {(line["stream"], line["code"]) for line in lines} == {
        ("actions", "not-in-plan"),
        ("actions", "too-many-names"),
    }
