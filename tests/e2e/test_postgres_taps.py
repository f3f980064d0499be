"""Tables of a PostgreSQL database reach the sandbox through Meltano and two taps from PyPI."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from meltano_project import PIPELINEWISE_TAP_POSTGRES, TAP_POSTGRES, Project, loader, needs_meltano

from target_kissmetrics.sandbox.running import RunningSandbox, running

pytestmark = [pytest.mark.e2e, needs_meltano]

STREAMS = [
    {"stream": "public-users", "kind": "user_attributes", "customer_id": "id", "exclude": ["password_hash"]},
    {"stream": "public-events", "exclude": ["id"]},
    {
        "stream": "public-orders",
        "kind": "event",
        "customer_id": "user_id",
        "event_name": "Purchased",
        "timestamp": "ordered_on",
        "revenue": "total_net",
        "line_items": "items",
        "spread_duplicates": True,
    },
]

# `numeric` without a scale makes pipelinewise-tap-postgres write draft 4's `exclusiveMaximum: true`.
TABLES = """
CREATE TABLE users (
    id bigint PRIMARY KEY, email text, plan text, balance numeric, admin boolean, password_hash text,
    tags text[], updated_at timestamptz
);
CREATE TABLE events (
    id uuid PRIMARY KEY, user_id bigint, device_id text, event_name text, occurred_at timestamptz, details jsonb,
    utm_source text
);
CREATE TABLE orders (id serial PRIMARY KEY, user_id bigint, ordered_on date, total_net numeric(20, 2), items jsonb);
INSERT INTO users
SELECT n, 'u' || n || '@example.com', CASE WHEN n % 3 = 0 THEN 'Gold' ELSE 'Free' END, n / 8.0, n % 2 = 0, 'secret',
    ARRAY['a', 'b'], timestamptz '2025-03-01T12:00:00+02' + n * interval '1 minute'
FROM generate_series(1, 40) n;
INSERT INTO events
SELECT gen_random_uuid(), CASE WHEN n % 4 = 0 THEN NULL ELSE 1 + n % 40 END, 'd' || n % 50, 'Viewed Page',
    timestamptz '2025-03-02T00:00:00Z' + n * interval '7 seconds', jsonb_build_object('page', 'p' || n), 'mail'
FROM generate_series(1, 300) n;
INSERT INTO orders (user_id, ordered_on, total_net, items)
SELECT 1 + n % 10, date '2025-03-03' + n % 5, n * 1.01 + 1000000,
    jsonb_build_array(jsonb_build_object('sku', 's' || n), jsonb_build_object('sku', 't' || n))
FROM generate_series(1, 60) n;
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    taps = [TAP_POSTGRES, PIPELINEWISE_TAP_POSTGRES]
    return Project(tmp_path_factory.mktemp("postgres-taps"), taps, [loader()])


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    name = f"source_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    url = f"{postgres.removesuffix('/postgres')}/{name}"
    with psycopg.connect(url) as source:
        source.execute(TABLES)
    yield url
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(f"DROP DATABASE {name}")


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


def environment(url: str) -> dict[str, str]:
    parts = psycopg.conninfo.conninfo_to_dict(url)
    return {
        "TAP_POSTGRES_SQLALCHEMY_URL": url.replace("postgres@", "postgres:none@"),
        "TAP_POSTGRES_FILTER_SCHEMAS": '["public"]',
        "PIPELINEWISE_TAP_POSTGRES_HOST": str(parts["host"]),
        "PIPELINEWISE_TAP_POSTGRES_PORT": str(parts["port"]),
        "PIPELINEWISE_TAP_POSTGRES_USER": str(parts["user"]),
        "PIPELINEWISE_TAP_POSTGRES_PASSWORD": "none",
        "PIPELINEWISE_TAP_POSTGRES_DBNAME": str(parts["dbname"]),
    }


@pytest.mark.parametrize(("tap", "store"), [("tap-postgres", "postgresql"), ("pipelinewise-tap-postgres", "sqlite")])
def test_what_the_tables_hold_kissmetrics_holds_and_a_second_run_sends_what_changed(
    tap: str, store: str, project: Project, database: str, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    file = f"sqlite:///{(tmp_path / 'memory.db').as_posix()}"
    config: dict[str, Any] = {
        "tracking_url": sandbox.url,
        "attribute_store_url": file if store == "sqlite" else database,
        "rejects_path": str(tmp_path / "rejects.jsonl"),
        "use_customer_id": True,
        "streams": STREAMS,
    }
    project.write([loader(**config)])
    project.run("run", "--full-refresh", tap, "target-kissmetrics", environment=environment(database))
    assert not (tmp_path / "rejects.jsonl").exists()
    summary = sandbox.summary()
    assert (summary["events"], summary["not_kept"]) == (360, 0)
    with psycopg.connect(database) as source:
        (total,) = source.execute("SELECT sum(total_net) FROM orders").fetchone() or (None,)
        people = source.execute("SELECT id, email, plan, balance, extract(epoch from updated_at) FROM users").fetchall()
        events = source.execute(
            "SELECT coalesce(user_id::text, device_id), extract(epoch from occurred_at), details->>'page' FROM events"
        ).fetchall()
    assert Decimal(summary["revenue"]) == total
    for number, email, plan, balance, second in people:
        held = sandbox.person(str(number))
        assert held is not None
        told = {name: values for name, values in held["properties"].items() if name in {"email", "plan", "balance"}}
        shown = {
            "email": [{"value": email, "timestamp": int(second)}],
            "plan": [{"value": plan, "timestamp": int(second)}],
            "balance": [{"value": float(balance), "timestamp": int(second)}],
        }
        assert {name: [{**v, "value": _number(v["value"])} for v in values] for name, values in told.items()} == shown
        assert "password_hash" not in held["properties"]
    for identity, second, page in events:
        held = sandbox.person(identity)
        assert held is not None
        assert {"name": "Viewed Page", "timestamp": int(second)} in held["events"]
        assert {"value": page, "timestamp": int(second)} in held["properties"]["details.page"]
    first_calls = summary["calls"]

    with psycopg.connect(database) as source:
        source.execute("UPDATE users SET plan = 'Pro', updated_at = updated_at + interval '1 day' WHERE id <= 3")
    log = project.run("run", "--full-refresh", tap, "target-kissmetrics", environment=environment(database))
    again = sandbox.summary()
    # The events go out again, with the very same seconds, the orders not; of the people, what changed alone.
    assert again["events"] == 360
    assert again["revenue"] == summary["revenue"]
    assert again["calls"] - first_calls == len(events) + 3
    assert f"{40 * 5 - 3} unchanged not sent" in log
    for number in (1, 2, 3):
        held = sandbox.person(str(number))
        assert held is not None
        assert held["properties"]["plan"][-1]["value"] == "Pro"
        assert len(held["properties"]["email"]) == 1


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) else value


def test_a_table_that_could_be_anything_stops_the_run_and_shows_what_to_write(
    project: Project, database: str, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    project.write([loader(tracking_url=sandbox.url, rejects_path=str(tmp_path / "rejects.jsonl"))])
    log = project.run("run", "tap-postgres", "target-kissmetrics", code=1, environment=environment(database))
    assert "stream 'public-orders' could be anything" in log
    assert "{stream: public-orders, kind: event, customer_id: FIELD, event_name: NAME, timestamp: FIELD}" in log
    assert "Traceback" not in log
