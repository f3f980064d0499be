"""Names in the config that no stream has."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from forked import command as command_of

from target_kissmetrics.config.stream_entries import read_entry
from target_kissmetrics.config.stream_names import NameWatch, is_similar, of_entries, of_stream_maps
from target_kissmetrics.sandbox.running import running

ROWS = [{"id": "u1", "email": "ada@x.org", "plan": "Gold"}]


def messages(name: str, rows: list[dict[str, Any]], key: Sequence[str] = ()) -> list[dict[str, Any]]:
    schema: dict[str, Any] = {"properties": {name: {} for row in rows for name in row}}
    head = {"type": "SCHEMA", "stream": name, "key_properties": list(key), "schema": schema}
    return [head, *({"type": "RECORD", "stream": name, "record": row} for row in rows)]


def entries(*names: str) -> NameWatch:
    return NameWatch(of_entries(read_entry({"stream": name}, index) for index, name in enumerate(names)))


@pytest.mark.parametrize(
    ("typed", "stream"),
    [
        ("public-custmers", "public-customers"),
        ("publc-customers", "public-customers"),
        ("customers", "public-customers"),
        ("public.customers", "public-customers"),
        ("public-customers", "customers"),
        ("Customers", "customers"),
        ("usr", "user"),
        ("order", "orders"),
        ("odrers", "orders"),
        ("signups", "sign_ups"),
        ("order_itmes", "order_items"),
        ("påmeldinger", "påmeldingr"),
    ],
)
def test_a_slip_is_similar(typed: str, stream: str) -> None:
    assert is_similar(typed, stream)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("public-orders", "public-users"),
        ("orders", "order_items"),
        ("orders", "refunds"),
        ("payments", "shipments"),
        ("accounts", "discounts"),
        ("user_signed_up", "user_signed_in"),
        ("order_created", "order_updated"),
        ("events_2023", "events_2024"),
        ("eu-orders", "us-orders"),
        ("a", "b"),
        ("", "orders"),
        ("订单", "用户"),
        ("--", "__"),
    ],
)
def test_names_of_different_things_are_not_similar(one: str, other: str) -> None:
    assert not is_similar(one, other)
    assert not is_similar(other, one)


def test_a_stream_is_warned_about_once_and_a_matched_name_never() -> None:
    watch = entries("public-custmers", "public-orders", "public-order")
    assert watch.saw("public-orders") == []
    told = ["streams[0].stream 'public-custmers' matches no stream; did you mean 'public-customers'?"]
    assert watch.saw("public-customers") == told
    assert watch.saw("public-customers") == []
    assert [one.name for one in watch.unseen] == ["public-custmers", "public-order"]


def test_no_warning_where_an_entry_matches_or_the_likely_one_has_its_stream() -> None:
    assert entries("custmers", "*").saw("customers") == []
    assert entries("custmer*").saw("customers") == []
    watch = entries("customers")
    assert watch.saw("customers") == []
    assert watch.saw("customer") == []


def test_names_of_stream_maps_are_those_of_the_tap() -> None:
    maps: dict[str, Any] = {
        "__else__": None,
        "custmers": {"x": "1"},
        "copies": {"__source__": "ordres"},
        "public-*": None,
        "users": {"email": None},
        "users.email": None,  # as the environment has it: a field
    }
    watch = NameWatch(of_stream_maps(maps))
    assert watch.saw("customers") == ["stream_maps 'custmers' matches no stream; did you mean 'customers'?"]
    assert watch.saw("orders") == ["stream_maps.copies.__source__ 'ordres' matches no stream; did you mean 'orders'?"]
    assert watch.saw("public-x") == []
    assert watch.saw("users") == []
    assert [one.name for one in watch.unseen] == ["custmers", "ordres"]
    assert of_stream_maps([1]) == []


def run(folder: Path, *lines: dict[str, Any], **settings: Any) -> tuple[int, list[str]]:
    (folder / "config.json").write_text(json.dumps({"api_key": "k-e-y", **settings}), encoding="utf-8")
    done = subprocess.run(
        [*command_of(), "--config", "config.json"],
        input=b"".join(json.dumps(line).encode() + b"\n" for line in lines),
        capture_output=True,
        check=False,
        cwd=folder,
        env=os.environ,
        timeout=60,
    )
    return done.returncode, done.stderr.decode().splitlines()


def test_a_run_warns_before_the_first_row_and_names_the_rest_at_its_end(tmp_path: Path) -> None:
    users = {"kind": "user_attributes", "customer_id": "email"}
    orders = {"stream": "public-orders", "kind": "ignore"}
    entries = [{"stream": "public-custmers", **users}, orders, {"stream": "gone"}]
    lines = messages("public-customers", ROWS, ["id"])
    with running() as sandbox:
        settings = {"tracking_url": sandbox.url, "stream_maps": {"public-custmers": {"plan": "'Pro'"}}}
        code, log = run(tmp_path, *lines, *messages("public-orders", ROWS), streams=entries, **settings)
    assert code == 0, log
    warnings = [line for line in log if "WARNING" in line]
    assert warnings[0].endswith("stream_maps 'public-custmers' matches no stream; did you mean 'public-customers'?")
    assert warnings[1].endswith(
        "streams[0].stream 'public-custmers' matches no stream; did you mean 'public-customers'?"
    )
    read_as = next(number for number, line in enumerate(log) if "stream 'public-customers' is read as" in line)
    assert log.index(warnings[1]) < read_as
    named = [line for line in log if "no stream of this run has the name" in line]
    assert len(named) == 1
    assert "INFO" in named[0]
    assert named[0].endswith(
        "'public-custmers' (streams[0].stream), 'gone' (streams[2].stream), 'public-custmers' (stream_maps)"
    )


def test_a_run_whose_names_all_match_warns_of_nothing(tmp_path: Path) -> None:
    with running() as sandbox:
        entry = {"stream": "c*", "kind": "user_attributes"}
        code, log = run(tmp_path, *messages("customers", ROWS, ["id"]), streams=[entry], tracking_url=sandbox.url)
    assert code == 0, log
    assert not [line for line in log if "did you mean" in line or "no stream of this run" in line]


def test_the_warning_comes_before_the_stream_stops_the_run(tmp_path: Path) -> None:
    rows = [{"a": "x", "b": "y"}]
    code, log = run(tmp_path, *messages("orders", rows), streams=[{"stream": "ordres", "kind": "ignore"}])
    assert code == 1
    (warning,) = [line for line in log if "WARNING" in line]
    assert "did you mean 'orders'" in warning
    assert "ERROR" in log[-1]
