"""The command `target-kissmetrics-verify`, with runs of the target before it, against the sandbox."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from forked import command

from target_kissmetrics.commands.verify import Acknowledged, acknowledged
from target_kissmetrics.kissmetrics.http.query_api import PAGE
from target_kissmetrics.sandbox.running import RunningSandbox, running
from target_kissmetrics.store.update import StoredRun

KEY = "0123456789abcdef0123456789abcdef01234567"
PASSWORD = "sesame-open-sesame"
AT = 1_704_067_200


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running() as sandbox:
        yield sandbox


class Project:
    """A folder with a config, in which the commands run."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.settings: dict[str, Any] = {
            "api_key": KEY,
            "tracking_url": url,
            "use_customer_id": True,
            "query_url": f"{url}/v3",
            "query_api_user": "ada@example.com",
            "query_api_password": PASSWORD,
            "product_id": KEY[:8],
        }

    def verify(self, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        done = self._command("target_kissmetrics.commands.verify", arguments, "", settings)
        assert PASSWORD not in done.stdout + done.stderr
        assert KEY not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def send(self, events: Sequence[tuple[str, str, int]], **settings: Any) -> None:
        """Run the target with events, as (person, name, second)."""
        names = ("user_id", "event", "time")
        head = {
            "type": "SCHEMA",
            "stream": "events",
            "schema": {"properties": {name: {} for name in names}},
            "key_properties": [],
        }
        rows = [{"type": "RECORD", "stream": "events", "record": dict(zip(names, e, strict=True))} for e in events]
        text = "".join(f"{json.dumps(message)}\n" for message in (head, *rows))
        done = self._command("target_kissmetrics", (), text, settings)
        assert done.returncode == 0, done.stderr

    def _command(
        self, module: str, arguments: Sequence[str], text: str, settings: dict[str, Any]
    ) -> subprocess.CompletedProcess[str]:
        config = self.folder / "config.json"
        config.write_text(json.dumps({**self.settings, **settings}), encoding="utf-8")
        return subprocess.run(
            [*command(module), "--config", str(config), *arguments],
            input=text,
            capture_output=True,
            check=False,
            text=True,
            cwd=self.folder,
            env={**os.environ, "NO_PROXY": "*", "COLUMNS": "120", "PYTHONUTF8": "1"},
            timeout=120,
        )


@pytest.fixture
def project(tmp_path: Path, sandbox: RunningSandbox) -> Project:
    return Project(tmp_path, sandbox.url)


def table(done: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """Give the cells of the table that was printed, by the event."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    return {name: rest for name, *rest in cells}


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.splitlines()[-1]


def test_all_that_was_acknowledged_arrived(project: Project) -> None:
    project.send([("ada", "Signed Up", AT)])
    assert project.verify("--snapshot", "before.json").returncode == 0
    project.send([("ada", "Paid", AT), ("ben", "Paid", AT + 60), ("ben", "Signed Up", AT)])
    project.send([("eve", "Paid", AT + 86400)])
    done = project.verify("--since", "before.json")
    assert done.returncode == 0, done.stderr
    assert table(done) == {
        "Paid": ["3", "3", "+0", "2024-01-01 00:00:00Z", "2024-01-02 00:00:00Z"],
        "Signed Up": ["1", "1", "+0", "2024-01-01 00:00:00Z", "2024-01-01 00:00:00Z"],
    }
    assert done.stdout.startswith("2 runs since ")
    assert "1 to 3 hours" in done.stdout
    assert "Other senders" in done.stdout
    assert "Here they are 0." in done.stdout


def test_a_snapshot_is_a_file_that_only_its_owner_reads(project: Project) -> None:
    project.send([(f"p{n}", f"event {n}", AT) for n in range(2 * PAGE)])
    assert project.verify("--snapshot", "before.json").returncode == 0
    path = project.folder / "before.json"
    snapshot = json.loads(path.read_text(encoding="utf-8"))
    assert snapshot["events"] == {f"event {n}": 1 for n in range(2 * PAGE)}
    assert snapshot["product_id"] == KEY[:8]
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_run_in_the_second_before_a_snapshot_is_no_run_since(project: Project) -> None:
    began = int(time.time())
    project.verify("--snapshot", "before.json")
    taken_at = json.loads((project.folder / "before.json").read_text(encoding="utf-8"))["taken_at"]
    assert began < taken_at <= time.time()


def test_what_did_not_arrive_is_an_error(project: Project, sandbox: RunningSandbox) -> None:
    project.send([("ada", "paid", AT)])
    project.verify("--snapshot", "before.json")
    with running() as elsewhere:
        project.send([("ada", "Paid", AT + n) for n in range(3)], tracking_url=elsewhere.url)
    project.send([("ben", "PAID", AT)])
    done = project.verify("--since", "before.json")
    assert done.returncode == 1
    (name, cells), *others = table(done).items()
    assert (name.lower(), others) == ("paid", [])  # as one of the runs spelled it
    assert cells == ["4", "1", "-3", "2024-01-01 00:00:00Z", "2024-01-01 00:00:02Z"]
    assert "fewer events arrived" in last_line(done)
    assert len(sandbox.events()) == 1


def test_other_senders_events_are_growth_too(project: Project) -> None:
    project.verify("--snapshot", "before.json")
    project.send([("ben", "Paid", AT)])
    project.send([("eve", "Paid", AT), ("eve", "Left", AT)], attribute_store_url="sqlite:///other.db")
    done = project.verify("--since", "before.json")
    assert done.returncode == 0
    assert table(done) == {"Paid": ["1", "2", "+1", "2024-01-01 00:00:00Z", "2024-01-01 00:00:00Z"]}


def test_without_a_run_since_nothing_is_verified(project: Project) -> None:
    project.send([("ada", "Paid", AT)])
    project.verify("--snapshot", "before.json")
    path = project.folder / "before.json"
    snapshot = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**snapshot, "taken_at": snapshot["taken_at"] + 60}), encoding="utf-8")
    done = project.verify("--since", "before.json")
    assert done.returncode == 1
    assert "no run has ended since the snapshot" in last_line(done)
    done = project.verify("--since", "before.json", attribute_store_url="sqlite:///new.db")
    assert "check attribute_store_url" in last_line(done)
    assert not (project.folder / "new.db").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        ("", "is not a snapshot"),
        ("[]", "is not a snapshot"),
        ('{"taken_at": 1, "events": []}', "is not a snapshot"),
        ('{"taken_at": "x", "events": {}}', "is not a snapshot"),
        ('{"taken_at": 1, "events": {"a": null}}', "is not a snapshot"),
        ("[" * 200_000, "is not a snapshot"),
        ('{"taken_at": 1, "events": {}, "product_id": "other"}', "is of product 'other'"),
    ],
)
def test_a_file_that_is_no_snapshot(project: Project, content: str | None, told: str) -> None:
    if content is not None:
        (project.folder / "before.json").write_text(content, encoding="utf-8")
    done = project.verify("--since", "before.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert told in last_line(done)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"query_api_user": None}, "query_api_user: is required"),
        ({"product_id": None}, f"product_id: is required; the account has {KEY[:8]} ("),
        ({"product_id": "a/b?c"}, "product_id: "),
        ({"query_url": "http://query.kissmetrics.io/v3"}, "query_url: must start with https://"),
        ({"query_url": "http://127.0.0.1:1"}, "query_url: http://127.0.0.1:1 cannot be reached: "),
    ],
)
def test_a_setting_that_does_not_work_is_one_line(project: Project, settings: dict[str, Any], told: str) -> None:
    project.send([("ada", "Paid", AT)])
    done = project.verify("--snapshot", "before.json", **settings)
    assert done.returncode == 1
    assert told in last_line(done)
    assert not (project.folder / "before.json").exists()


@pytest.mark.parametrize("arguments", [(), ("--snapshot", "a.json", "--since", "a.json")])
def test_either_a_snapshot_or_a_comparison(project: Project, arguments: Sequence[str]) -> None:
    done = project.verify(*arguments)
    assert done.returncode == 2
    assert "give either --snapshot FILE or --since FILE" in done.stderr


def test_a_snapshot_replaces_no_file_that_is_read(project: Project) -> None:
    done = project.verify("--snapshot", str(project.folder / "config.json"))
    assert done.returncode == 1
    assert "are the same file; name another file" in last_line(done)


def run(events: dict[str, dict[str, int]]) -> StoredRun:
    return StoredRun("r", AT, AT + 1, events=json.dumps(events))


def test_events_of_runs_are_added_up_without_regard_to_case() -> None:
    runs = [
        run({"Paid": {"count": 2, "first": 10, "last": 20}, "Left": {"count": 1, "first": 5, "last": 5}}),
        run({}),
        run({"PAID": {"count": 3, "first": 5, "last": 15}}),
    ]
    assert acknowledged(runs) == {"paid": Acknowledged("Paid", 5, 5, 20), "left": Acknowledged("Left", 1, 5, 5)}
