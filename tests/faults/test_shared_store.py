"""Two processes at once over one store: what is remembered is what was sent."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest
from shared_store import PRODUCT, run

from target_kissmetrics.store.intents import Intent, NewValue, pack_intent
from target_kissmetrics.store.sql import SqlStore

ROWS = 8000


def test_two_processes_remember_what_was_sent_and_never_send_two_values_with_one_second(store_url: str) -> None:
    outcome = run(store_url, ROWS)
    assert outcome.wrong == []
    assert outcome.conflicts == []
    assert len(outcome.sent) == 600


@pytest.mark.parametrize("is_new", [False, True])
def test_a_process_waits_for_another_one_that_writes(tmp_path: Path, *, is_new: bool) -> None:
    """Also while a store is being created: a file without a write-ahead log is locked otherwise than one with it."""
    path = tmp_path / "store.db"
    url = f"sqlite:///{path.as_posix()}"
    if not is_new:
        SqlStore(url, PRODUCT).close()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    def let_go() -> None:
        time.sleep(0.3)
        other.execute("COMMIT")

    thread = threading.Thread(target=let_go)
    thread.start()
    began = time.monotonic()
    store = SqlStore(url, PRODUCT)
    store.add_intents(pack_intent(Intent(NewValue(b"p" * 16, b"k" * 8, b"v" * 8, 1), 1)))
    assert time.monotonic() - began > 0.2
    thread.join()
    other.close()
    store.close()
