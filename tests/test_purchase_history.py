"""A date-only purchase history, where people buy twice on one day, reaches the sandbox to the last cent."""

from __future__ import annotations

import datetime as dt
import json
import random
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from forked import command as command_of

from target_kissmetrics.sandbox.model import Duplicates
from target_kissmetrics.sandbox.running import RunningSandbox, running
from target_kissmetrics.sandbox.service import Sandbox

ROWS = 6919
PEOPLE = 2357
FIRST_DAY = dt.date(2017, 1, 1)

SCHEMA = {
    "type": "SCHEMA",
    "stream": "purchases",
    "key_properties": ["number"],
    "schema": {
        "type": "object",
        "properties": {
            "number": {"type": "integer"},
            "customer_id": {"type": "string"},
            "date": {"type": "string", "format": "date"},
            "amount": {"type": "number"},
        },
    },
}


def purchases() -> list[dict[str, Any]]:
    """Give the history: sorted by customer, with several purchases of one customer on some days."""
    dice = random.Random(6919)  # noqa: S311 - the same history each time
    rows: list[tuple[int, dt.date, int]] = []
    for number in range(ROWS):
        customer = number if number < PEOPLE else int(dice.triangular(0, PEOPLE, 0))
        day = FIRST_DAY + dt.timedelta(days=dice.randrange(540))
        if number > PEOPLE and number % 20 == 1:
            customer, day, _ = rows[-1]
        rows.append((customer, day, dice.randrange(100, 50_000)))
    return [
        {
            "number": number,
            "customer_id": f"c{customer}",
            "date": day.isoformat(),
            "amount": f"{cents // 100}.{cents % 100:02d}",
        }
        for number, (customer, day, cents) in enumerate(sorted(rows))
    ]


PURCHASES = purchases()
TOTAL = sum((Decimal(row["amount"]) for row in PURCHASES), Decimal(0))
DISTINCT = len({(row["customer_id"], row["date"]) for row in PURCHASES})


def _messages(rows: list[dict[str, Any]]) -> str:
    lines = [json.dumps(SCHEMA)]
    for row in rows:
        # The amount is a number of JSON, with the digits that it has.
        record = json.dumps({**row, "amount": 0}).replace('"amount": 0', f'"amount": {row["amount"]}')
        lines.append(f'{{"type": "RECORD", "stream": "purchases", "record": {record}}}')
    lines.append(json.dumps({"type": "STATE", "value": {"rows": len(rows)}}))
    return "\n".join(lines) + "\n"


@pytest.fixture(params=get_args(Duplicates))
def sandbox(request: pytest.FixtureRequest) -> Iterator[RunningSandbox]:
    with running(Sandbox(duplicates=request.param)) as server:
        yield server


def _run(folder: Path, url: str, rows: list[dict[str, Any]], *, spread: bool) -> str:
    entry = {"stream": "purchases", "kind": "event", "event_name": "Purchased", "timestamp": "date"}
    config = {
        "api_key": "0123456789abcdef",
        "tracking_url": url,
        "max_connections": 8,
        "attribute_store_url": f"sqlite:///{(folder / 'store.db').as_posix()}",
        "rejects_path": str(folder / "rejects.jsonl"),
        "streams": [{**entry, "revenue": "amount", "spread_duplicates": spread}],
    }
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    command = [*command_of(), "--config", str(path)]
    done = subprocess.run(command, input=_messages(rows), capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == f'{{"rows":{len(rows)}}}'
    assert not (folder / "rejects.jsonl").exists()
    return done.stderr


def test_the_history_holds_what_it_is_meant_to_show() -> None:
    assert len(PURCHASES) == ROWS
    assert len({row["customer_id"] for row in PURCHASES}) == PEOPLE
    assert DISTINCT < ROWS - 100


def test_with_spread_duplicates_every_purchase_and_every_cent_is_kept_and_a_replay_changes_nothing(
    tmp_path: Path, sandbox: RunningSandbox
) -> None:
    _run(tmp_path, sandbox.url, PURCHASES, spread=True)
    first = sandbox.summary()
    assert first["events"] == ROWS
    assert first["people"] == PEOPLE
    assert Decimal(first["revenue"]) == TOTAL

    _run(tmp_path, sandbox.url, PURCHASES[ROWS // 2 :], spread=True)
    second = sandbox.summary()
    assert second["events"] == ROWS
    assert Decimal(second["revenue"]) == TOTAL


def test_without_it_the_collisions_are_counted_and_told(tmp_path: Path, sandbox: RunningSandbox) -> None:
    log = _run(tmp_path, sandbox.url, PURCHASES, spread=False)
    summary = sandbox.summary()
    assert summary["events"] == (DISTINCT if summary["duplicates"] == "legacy" else ROWS)
    assert f"{ROWS - DISTINCT:,} events that may count as one" in log
    warnings = [line for line in log.splitlines() if "spread_duplicates" in line]
    assert len(warnings) == 1
