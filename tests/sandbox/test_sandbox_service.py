from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path  # fixtures are read at run time
from typing import TYPE_CHECKING

import pytest

from target_kissmetrics.sandbox import answers, rules
from target_kissmetrics.sandbox.rules import Call, SandboxError
from target_kissmetrics.sandbox.service import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = 1_700_000_000
SECRET = "abcdef01-the-secret-rest"
KEY = rules.product_of(SECRET)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.db"


def call(person: str, **more: str) -> Call:
    return Call(KEY, "/e", {"_k": SECRET, "_p": person, "_n": "Signed Up", "_t": str(NOW), **more}, NOW)


def test_a_store_brings_everything_back(store: Path) -> None:
    with closing(Sandbox(store=store)) as sandbox:
        sandbox.take(call("ada", **{"Billing Amount": "1.10", "Ключ\x00": "\U0001f600"}))
        sandbox.take(call("ada"))
        sandbox.take(replace(call("bob"), imported=True))
        sandbox.take(Call(KEY, "/a", {"_p": "ada", "_n": "bob"}, NOW))
        before = sandbox.model
    with closing(Sandbox(store=store)) as sandbox:
        after = sandbox.model
    assert answers.summary(after) == answers.summary(before)
    assert answers.person(after, "ada") == answers.person(before, "ada")
    assert answers.not_kept(after) == answers.not_kept(before)


def test_a_store_holds_no_key(store: Path) -> None:
    with closing(Sandbox(store=store)) as sandbox:
        sandbox.take(call("ada"))
    assert b"secret" not in store.read_bytes()
    assert stat.S_IMODE(store.stat().st_mode) == 0o600


def test_a_reset_forgets_the_store_too(store: Path) -> None:
    with closing(Sandbox(store=store)) as sandbox:
        sandbox.take(call("ada"))
        sandbox.reset()
        assert answers.summary(sandbox.model)["calls"] == 0
        sandbox.take(call("bob"))
    with closing(Sandbox(store=store)) as sandbox:
        assert answers.summary(sandbox.model)["calls"] == 1


def test_many_calls_are_stored_all_or_not_at_all(store: Path) -> None:
    def broken() -> Iterator[Call]:
        yield call("ada")
        raise ValueError("line 2")

    with closing(Sandbox(store=store)) as sandbox:
        assert sandbox.take_all(call(f"p{number}") for number in range(5)) == 5
        with pytest.raises(ValueError, match="line 2"):
            sandbox.take_all(broken())
    with closing(Sandbox(store=store)) as sandbox:
        assert answers.summary(sandbox.model)["people"] == 5


def test_another_revenue_property_counts_the_same_calls_anew(store: Path) -> None:
    with closing(Sandbox(store=store)) as sandbox:
        sandbox.take(call("ada", Paid="3"))
    with closing(Sandbox(store=store, revenue_property="Paid")) as sandbox:
        assert answers.summary(sandbox.model)["revenue"] == "3"


def test_another_rule_for_duplicates_judges_the_same_calls_anew(store: Path) -> None:
    with closing(Sandbox(store=store)) as sandbox:
        sandbox.take(call("ada", Plan="Free"))
        sandbox.take(call("ada", Plan="Gold"))
        assert answers.summary(sandbox.model)["events"] == 2
    with closing(Sandbox(store=store, duplicates="legacy")) as sandbox:
        summary = answers.summary(sandbox.model)
        assert (summary["events"], summary["not_kept"], summary["duplicates"]) == (1, 2, "legacy")
        sandbox.reset()
        assert answers.summary(sandbox.model)["duplicates"] == "legacy"


def test_one_sandbox_at_a_time(store: Path) -> None:
    with closing(Sandbox(store=store)), pytest.raises(SandboxError, match="locked"):
        Sandbox(store=store)


def test_another_programs_database_is_left_alone(store: Path) -> None:
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    with pytest.raises(SandboxError, match="another program's"):
        Sandbox(store=store)


def test_a_file_that_is_no_database_is_left_alone(store: Path) -> None:
    store.write_text("a text of someone's that is long enough to be looked at as a database's head" * 20)
    with pytest.raises(SandboxError, match="not a database"):
        Sandbox(store=store)


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="cannot use"):
        Sandbox(store=tmp_path / "no" / "folder.db")


def test_a_disk_that_takes_nothing_is_told(store: Path) -> None:
    sandbox = Sandbox(store=store)
    sandbox.close()
    with pytest.raises(SandboxError, match="cannot write"):
        sandbox.take(call("ada"))
