"""`meltano run` ends early, by Ctrl-C, SIGTERM or `max_calls`: its STATE was delivered, and the next run resumes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from meltano_project import MELTANO, ROOT, Project, loader, needs_meltano

from target_kissmetrics.sandbox.running import RunningSandbox, running

pytestmark = [
    pytest.mark.e2e,
    needs_meltano,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals"),
]

SECONDS = 120.0
PEOPLE = 50
"""The sandbox keeps the last 1,000 events of each."""

STATE_ID = "dev:tap-steady-to-target-kissmetrics"

TAP = """
import argparse, json, os, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--config"), parser.add_argument("--state")
arguments, _ = parser.parse_known_args()
state = json.load(open(arguments.state)) if arguments.state else {}
def write(**message):
    sys.stdout.write(json.dumps(message) + "\\n"), sys.stdout.flush()
write(type="SCHEMA", stream="events", key_properties=["id"], schema={"type": "object", "properties": {
    "id": {"type": "integer"}, "user_id": {"type": "string"}, "event": {"type": "string"}, "timestamp": {}}})
PEOPLE = 50
for number in range(state.get("next", 0), int(os.environ["ROWS"])):
    row = {"id": number, "user_id": f"p{number % PEOPLE}", "event": "E", "timestamp": 1704067200 + number}
    write(type="RECORD", stream="events", record=row)
    write(type="STATE", value={"next": number + 1})
    time.sleep(float(os.environ["PAUSE"]))
"""


TARGET = """
import sys
sys.path.insert(0, {root!r})
from target_kissmetrics.target import main
class Noting:
    def __init__(self, out, log):
        self._out, self._log = out, log
    def write(self, text):
        self._log.write(text), self._log.flush()
        return self._out.write(text)
    def __getattr__(self, name):
        return getattr(self._out, name)
with open({log!r}, "a") as log:
    sys.stdout = Noting(sys.stdout, log)
    main()
"""
"""The target, with a log of each STATE before it is emitted."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    tap = tmp_path / "tap-steady"
    tap.write_text(f"#!{sys.executable}\n{TAP}", encoding="utf-8")
    tap.chmod(0o755)
    extractor = {"name": "tap-steady", "namespace": "tap_steady", "executable": str(tap), "capabilities": ["state"]}
    project = Project(tmp_path, [extractor], [])
    noting = tmp_path / "target-noting"
    noting.write_text(
        f"#!{sys.executable}\n{TARGET.format(root=str(ROOT), log=str(tmp_path / 'states'))}", encoding="utf-8"
    )
    noting.chmod(0o755)
    return project


def start(project: Project, rows: int, pause: float, **settings: str) -> subprocess.Popen[bytes]:
    environment = {"MELTANO_SEND_ANONYMOUS_USAGE_STATS": "0", "NO_COLOR": "1", "ROWS": str(rows), "PAUSE": str(pause)}
    with (project.folder / "log").open("ab") as log:
        return subprocess.Popen(
            [str(MELTANO), "run", "tap-steady", "target-kissmetrics"],
            cwd=project.folder,
            env={**os.environ, **environment, **settings},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def events(sandbox: RunningSandbox) -> int:
    return int(sandbox.summary()["events"])


def emitted(project: Project) -> list[int]:
    """Return the positions of the emitted STATE messages, in order."""
    return [json.loads(line)["next"] for line in (project.folder / "states").read_text().splitlines()]


def position(project: Project) -> int:
    """Return the position that Meltano would resume from; 0 if it has no STATE."""
    told = project.run("state", "get", STATE_ID)
    state: dict[str, Any] = json.loads(told[told.index("{") :].splitlines()[0])
    return int(state.get("singer_state", {"next": 0})["next"])


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
def test_the_state_of_meltano_was_delivered_and_the_next_run_resumes(project: Project, how: str) -> None:
    with running() as sandbox:
        project.write([{**loader(tracking_url=sandbox.url), "executable": str(project.folder / "target-noting")}])
        with start(project, 100_000, 0.01) as process:
            deadline = time.monotonic() + SECONDS
            while events(sandbox) < 100:
                assert time.monotonic() < deadline
                assert process.poll() is None, (project.folder / "log").read_text(encoding="utf-8")[-3000:]
                time.sleep(0.05)
            if how == "Ctrl-C":
                os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all of them
            else:
                process.terminate()
            assert process.wait(SECONDS) != 0
        log = (project.folder / "log").read_text(encoding="utf-8")
        kept = position(project)
        delivered = events(sandbox)
        out = emitted(project)
        assert out == sorted(out)
        assert out[-1] <= delivered, log[-3000:]
        # Meltano keeps what the target emitted, or an older STATE if it was stopped before it read the last one.
        assert kept in {0, *out}, (kept, out, log[-3000:])
        with start(project, delivered + 50, 0) as process:
            assert process.wait(SECONDS) == 0, (project.folder / "log").read_text(encoding="utf-8")[-3000:]
        assert position(project) == emitted(project)[-1] == events(sandbox) == delivered + 50
        seconds: list[int] = []
        for person in range(PEOPLE):
            shown = sandbox.person(f"p{person}")
            assert shown is not None
            seconds += [event["timestamp"] for event in shown["events"]]
        assert sorted(seconds) == [1704067200 + number for number in range(delivered + 50)]
        assert "Traceback" not in "".join(line for line in log.splitlines() if "target-kissmetrics" in line)


def test_guards_of_the_environment_end_no_run_with_an_error(project: Project) -> None:
    definition = yaml.safe_load((ROOT / "target-kissmetrics.yml").read_text(encoding="utf-8"))
    with running() as sandbox:
        target = {"executable": str(project.folder / "target-noting"), "settings": definition["settings"]}
        project.write([{**loader(tracking_url=sandbox.url), **target}])
        for sent in (30, 60):
            with start(project, 100_000, 0.001, TARGET_KISSMETRICS_MAX_CALLS="30") as process:
                assert process.wait(SECONDS) == 0, (project.folder / "log").read_text(encoding="utf-8")[-3000:]
            assert position(project) == emitted(project)[-1] == events(sandbox) == sent
            assert sandbox.summary()["calls"] == sent
        log = (project.folder / "log").read_text(encoding="utf-8")
        assert log.count("max_calls: 30 calls were sent") == 2
        with start(project, 100, 0, TARGET_KISSMETRICS_REMEMBER_ONLY="true") as process:
            assert process.wait(SECONDS) == 0, (project.folder / "log").read_text(encoding="utf-8")[-3000:]
        assert position(project) == 100
        assert events(sandbox) == 60
