"""Which names were sent, and the runs, in SQLite and PostgreSQL."""

from __future__ import annotations

import time
from contextlib import closing

from target_kissmetrics.store.sql import RUN_LIFETIME_SECONDS, SqlStore
from target_kissmetrics.store.update import StoredRun

KEY = "k" * 40
NOW = int(time.time())
ENDED = StoredRun("b", NOW, NOW + 9, "failed", "the host is gone", '{"s": {"rows": 1}}', '{"É": {"count": 1}}')


def test_a_name_is_stored_once_for_each_product(store_url: str) -> None:
    with closing(SqlStore(store_url, KEY)) as store, closing(SqlStore(store_url, "o" * 40)) as other:
        assert store.add_names({}) == {}
        assert store.add_names({b"event...": True}) == {b"event...": True}
        assert store.add_names({b"event...": True, b"property": False}) == {b"event...": True, b"property": False}
        assert other.add_names({b"property": False}) == {b"property": False}


def test_the_end_of_a_run_replaces_its_start(store_url: str) -> None:
    with closing(SqlStore(store_url, KEY)) as store, closing(SqlStore(store_url, "o" * 40)) as other:
        for run in (StoredRun("b", NOW), StoredRun("a", NOW + 1), ENDED):
            store.put_run(run)
        other.put_run(StoredRun("c", NOW))
        assert store.runs_since(NOW) == [StoredRun("a", NOW + 1), ENDED]
        assert store.runs_since(NOW + 1) == [StoredRun("a", NOW + 1)]


def test_runs_of_more_than_400_days_ago_are_deleted(store_url: str) -> None:
    with closing(SqlStore(store_url, KEY)) as store:
        for name, age in (("old", RUN_LIFETIME_SECONDS + 86_400), ("young", RUN_LIFETIME_SECONDS - 86_400), ("new", 0)):
            store.put_run(StoredRun(name, NOW - age))
        assert [run.run_id for run in store.runs_since(0)] == ["new", "young"]
