"""`kill -9` at random moments over a host that breaks: nothing lost, nothing twice, no STATE ahead of delivery."""

from __future__ import annotations

from pathlib import Path

import pytest
from crashing import ANYWHERE, IN_FILES
from kill_runner import Findings, Job

from target_kissmetrics.kissmetrics.calls import Record


def check(findings: Findings) -> None:
    assert findings.other == []
    assert findings.ahead == []
    assert findings.lost == []
    assert findings.twice == []


@pytest.mark.parametrize("seed", [1])
def test_killed_at_random_moments_the_sandbox_holds_exactly_what_the_source_held(tmp_path: Path, seed: int) -> None:
    findings = Job(tmp_path, seed, rows=100, kills=3, faults=0.05).run()
    check(findings)
    assert findings.kills
    assert findings.states
    assert findings.events


@pytest.mark.parametrize("delivery", ["api", "files"])
def test_killed_at_each_point_between_a_row_and_its_state(tmp_path: Path, delivery: str) -> None:
    points = [(point, 1) for point in (ANYWHERE if delivery == "api" else IN_FILES)]
    findings = Job(tmp_path, 11, rows=60, kills=0, faults=0, delivery=delivery, points=points).run()
    check(findings)
    assert findings.kills == len(points)
    assert findings.runs == len(points) + 1


def test_slices_that_share_a_store_and_are_killed_hold_together_what_the_source_held(tmp_path: Path) -> None:
    findings = Job(tmp_path, 12, rows=60, kills=1, faults=0.02, slices=2).run()
    check(findings)
    assert findings.kills
    assert findings.runs == 4


def test_without_a_kill_a_job_is_one_run(tmp_path: Path) -> None:
    findings = Job(tmp_path, 3, rows=60, kills=0, faults=0.1).run()
    check(findings)
    assert (findings.runs, findings.kills) == (1, 0)
    assert findings.faults


def test_the_job_finds_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that cannot fail proves nothing: here the host takes a call less."""
    from faulty_host import FaultyHost  # noqa: PLC0415 - patched below

    taken: list[Record] = []
    take = FaultyHost.take

    def forgetful(self: FaultyHost, target: str, body: bytes) -> None:
        taken.append(Record("", "", 0))
        if len(taken) % 10:
            take(self, target, body)

    monkeypatch.setattr(FaultyHost, "take", forgetful)
    findings = Job(tmp_path, 4, rows=60, kills=0, faults=0).run()
    assert findings.ahead
    assert findings.lost
