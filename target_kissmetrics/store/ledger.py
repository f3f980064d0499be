"""What the store keeps beside what was sent: which names were sent, and the runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from target_kissmetrics.store.layout import NAMES, RUNS
from target_kissmetrics.store.protocol import StoredRun

RUN_LIFETIME_SECONDS = 400 * 24 * 3600
"""Runs that began before this are deleted."""


def add_names(connection: Connection, insert: Any, product: bytes, new: Mapping[bytes, bool]) -> dict[bytes, bool]:
    """Add digests of names, each with whether it is an event's; give those of all names that were sent."""
    rows = [{"product": product, "name": name, "is_event": is_event} for name, is_event in sorted(new.items())]
    if rows:
        connection.execute(insert(NAMES).on_conflict_do_nothing(), rows)
    found = connection.execute(sa.select(NAMES.c.name, NAMES.c.is_event).where(NAMES.c.product == product))
    return {row.name: row.is_event for row in found}


def put_run(connection: Connection, product: bytes, run: StoredRun) -> None:
    """Add a run, or replace what is stored of it; delete old runs."""
    connection.execute(sa.delete(RUNS).where(RUNS.c.started_at < int(time.time()) - RUN_LIFETIME_SECONDS))
    connection.execute(sa.delete(RUNS).where(RUNS.c.run_id == run.run_id))
    connection.execute(sa.insert(RUNS), {"product": product, **run._asdict()})


def runs_since(connection: Connection, product: bytes, moment: int) -> list[StoredRun]:
    """Give the runs that began at a moment or later, in their order."""
    columns = [RUNS.c[name] for name in StoredRun._fields]
    query = sa.select(*columns).where(RUNS.c.product == product, RUNS.c.started_at >= moment)
    return [StoredRun(*row) for row in connection.execute(query.order_by(RUNS.c.run_id))]
