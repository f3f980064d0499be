"""`max_event_names` and `max_property_names`, as a command: names that are made from data stay out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commanded import T0, Commanded, messages, row

from target_kissmetrics.sandbox.running import running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Commanded]:
    with running() as sandbox:
        yield Commanded(tmp_path, sandbox)


def rejected(bench: Commanded) -> list[tuple[str, str | None, int]]:
    return [(line["code"], line["field"], line["record"]["id"]) for line in bench.rejects()]


def test_the_store_remembers_names_so_that_later_runs_add_none(bench: Commanded) -> None:
    first = [row(number, f"Order {number}") for number in range(4)]
    log = bench.run(messages(*first), max_event_names=3)
    assert "rejected: 1 (1 too-many-names)" in log
    assert "max_event_names" in bench.rejects()[0]["reason"]
    bench.run(messages(row(7, "Order 7"), row(8, "order 1")), max_event_names=3)
    assert bench.events() == {"Order 0": 1, "Order 1": 2, "Order 2": 1}
    assert rejected(bench) == [("too-many-names", None, 3), ("too-many-names", None, 7)]


def test_a_property_is_dropped_alone_and_goes_out_with_a_replay(bench: Commanded) -> None:
    rows = [row(1, "A", plan="Pro", revenue=5), row(2, "A", **{"/cart?id=1": "x", "/cart?id=2": "y"}, revenue=6)]
    config: dict[str, Any] = {"max_property_names": 4}
    bench.run(messages(*rows), **config)
    assert bench.properties() == {"id", "plan", "revenue", "/cart?id=1", "Billing Amount"}
    assert rejected(bench) == [("too-many-names", "/cart?id=2", 2)]
    before = bench.sandbox.summary()["calls"]
    assert "1 lines are left" in bench.replay("rejects.jsonl", **config)
    assert bench.sandbox.summary()["calls"] == before
    assert "0 lines are left" in bench.replay("rejects.jsonl", max_property_names=5)
    assert bench.properties() >= {"/cart?id=2"}
    assert (bench.events(), bench.sandbox.summary()["calls"]) == ({"A": 2}, before + 1)


@pytest.mark.parametrize("lines", [False, True])
def test_a_property_that_is_no_field_of_its_name_goes_out_too(bench: Commanded, *, lines: bool) -> None:
    entry: dict[str, Any] = {"stream": "events", "kind": "event", "rename": [{"field": "plan", "property": "Tier"}]}
    given = messages(row(1, "A", products=[{"Tier": "x"}, {"Tier": "y"}]) if lines else row(1, "A", plan="Pro"))
    given[0]["schema"]["properties"]["products"] = {}
    bench.run(given, max_property_names=1, streams=[entry])
    assert (bench.properties(), rejected(bench)) == ({"id"}, [("too-many-names", "Tier", 1)])
    assert "0 lines are left" in bench.replay("rejects.jsonl", streams=[entry])
    assert (bench.properties(), bench.events()) == ({"id", "Tier"}, {"A": 1})


def test_a_replay_of_a_name_that_is_there_no_more_leaves_its_line(bench: Commanded) -> None:
    entry: dict[str, Any] = {"stream": "events", "kind": "event", "rename": [{"field": "plan", "property": "Tier"}]}
    bench.run(messages(row(1, "A", plan="Pro")), max_property_names=1, streams=[entry])
    log = bench.replay("rejects.jsonl", streams=[{**entry, "rename": [{"field": "plan", "property": "Level"}]}])
    assert "as it is mapped now, a row has no field 'Tier'" in log
    assert "1 lines are left" in log


def batch(number: int) -> dict[str, Any]:
    events = [
        {"event_type": "custom_event", "data": {"event_name": name, "timestamp_unixtime_ms": (T0 + number) * 1000}}
        for name in ("Opened", f"Viewed {number}")
    ]
    record = {"mpid": "1", "mp_deviceid": "ada", "events": events, "user_attributes": {f"a{number}": "1", "b": "2"}}
    return {"type": "RECORD", "stream": "batches", "record": record}


@pytest.mark.parametrize("options", [{}, {"spread_duplicates": True}])
def test_of_a_batch_one_event_is_rejected_and_goes_out_with_a_replay(bench: Commanded, options: dict[str, Any]) -> None:
    schema: dict[str, Any] = {"properties": {name: {} for name in ("mpid", "mp_deviceid", "events", "user_attributes")}}
    first = {"type": "SCHEMA", "stream": "batches", "key_properties": [], "schema": schema}
    streams = [{"stream": "batches", "kind": "mparticle", **options}]
    log = bench.run([first, batch(1), batch(2)], max_event_names=2, max_property_names=2, streams=streams)
    assert bench.events() == {"Opened": 2, "Viewed 1": 1}
    assert {(line["field"], line["code"]) for line in bench.rejects()} == {
        ("events[1]", "too-many-names"),
        ("a2", "too-many-names"),
    }
    assert "rejected: 1 (1 too-many-names); properties dropped: 1 (1 too-many-names)" in log
    calls = bench.sandbox.summary()["calls"]
    assert "0 lines are left" in bench.replay("rejects.jsonl", streams=streams)
    assert bench.events() == {"Opened": 2, "Viewed 1": 1, "Viewed 2": 1}
    assert bench.properties() >= {"a1", "a2", "b"}
    assert bench.sandbox.summary()["calls"] == calls + 2


def test_one_of_several_events_of_a_row_is_rejected_and_goes_out_with_a_replay(bench: Commanded) -> None:
    entry = {
        "stream": "events",
        "kind": "event",
        "events": [{"event_name": "Ordered"}, {"event_name": "Paid {plan}", "timestamp": "plan_time"}],
    }
    given = messages(*(row(number, "x", plan=f"p{number}", plan_time=T0 + 60 + number) for number in range(3)))
    given[0]["schema"]["properties"]["plan_time"] = {}
    bench.run(given, max_event_names=2, streams=[entry])
    assert bench.events() == {"Ordered": 3, "Paid p0": 1}
    assert rejected(bench) == [("too-many-names", "plan_time", 1), ("too-many-names", "plan_time", 2)]
    assert "0 lines are left" in bench.replay("rejects.jsonl", streams=[entry])
    assert bench.events() == {"Ordered": 3, "Paid p0": 1, "Paid p1": 1, "Paid p2": 1}


def test_more_rejected_names_than_a_row_is_copied_for_go_out_too(bench: Commanded) -> None:
    names = {f"url {number}" for number in range(50)}
    rows = [row(number, "A", **dict.fromkeys(names, "x"), **{"bad,": "x" * 9000}) for number in range(1, 4)]
    bench.run(messages(*rows), max_property_names=1)
    assert sum(bool(line["record"]) for line in bench.rejects()) == 63
    assert "3 lines are left" in bench.replay("rejects.jsonl")
    assert bench.properties() == {"id", *names}


def test_a_dry_run_counts_names_and_stores_none(bench: Commanded) -> None:
    given = messages(*(row(number, f"Order {number}") for number in range(4)))
    assert "rejected: 1 (1 too-many-names)" in bench.run(given, max_event_names=3, dry_run=True)
    assert not (bench.folder / "target-kissmetrics.db").exists()
    bench.run(messages(row(9, "Order 9")), max_event_names=1)
    assert "rejected: 4 (4 too-many-names)" in bench.run(given, max_event_names=1, dry_run=True)
    bench.run(messages(row(10, "Order 10")), max_event_names=2)
    assert bench.events() == {"Order 9": 1, "Order 10": 1}


@pytest.mark.parametrize(
    ("more", "code"), [({"on_invalid_record": "fail"}, 1), ({"max_rejects": 0}, 1), ({"delivery": "files"}, 0)]
)
def test_such_rejects_count_as_all_others_do(bench: Commanded, more: dict[str, Any], code: int) -> None:
    given = messages(row(1, "A"), row(2, "B"))
    log = bench.run(given, code=code, max_event_names=1, **more)
    assert "too-many-names" in log
    assert "Traceback" not in log
