"""`kill -9` at random moments over a host that breaks: nothing lost, nothing twice, no STATE ahead of delivery.

Under the rule `current`, a call that is repeated with any change is kept twice; under `legacy`, the change is lost.
Some jobs run under each.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
from crashing import ANYWHERE, IN_FILES
from faulty_host import FaultyHost
from kill_runner import Findings, Job

from target_kissmetrics.kissmetrics.calls import Record
from target_kissmetrics.sandbox.model import Duplicates

FORKS = sys.platform != "win32"
"""Where it does not matter how the target was started, it is forked: 20 ms instead of a second."""


def check(findings: Findings) -> None:
    assert findings.other == []
    assert findings.ahead == []
    assert findings.lost == []
    assert findings.twice == []


@pytest.mark.parametrize(("seed", "kills", "duplicates"), [(1, 2, "current"), (2, 1, "legacy")])
def test_killed_at_random_moments_the_sandbox_holds_exactly_what_the_source_held(
    tmp_path: Path, seed: int, kills: int, duplicates: Duplicates
) -> None:
    findings = Job(tmp_path, seed, rows=100, kills=kills, faults=0.05, duplicates=duplicates).run()
    check(findings)
    assert findings.kills
    assert findings.states
    assert findings.events


POINTS = list(ANYWHERE)
HALF = len(POINTS) // 2


@pytest.mark.parametrize(
    ("delivery", "points", "duplicates"),
    [("api", POINTS[:HALF], "legacy"), ("api", POINTS[HALF:], "current"), ("files", [*IN_FILES], "current")],
)
def test_killed_at_each_point_between_a_row_and_its_state(
    tmp_path: Path, delivery: str, points: Sequence[str], duplicates: Duplicates
) -> None:
    once_each = [(point, 1) for point in points]
    findings = Job(
        tmp_path, 11, rows=60, kills=0, faults=0,
        delivery=delivery, points=once_each, duplicates=duplicates, is_forked=FORKS,
    ).run()  # fmt: skip
    check(findings)
    assert findings.kills == len(points)
    assert findings.runs == len(points) + 1


def test_slices_that_share_a_store_and_are_killed_hold_together_what_the_source_held(tmp_path: Path) -> None:
    findings = Job(tmp_path, 12, rows=60, kills=1, faults=0.02, slices=2).run()
    check(findings)
    assert findings.kills
    assert findings.runs == 4


def test_without_a_kill_a_job_is_one_run(tmp_path: Path) -> None:
    findings = Job(tmp_path, 3, rows=60, kills=0, faults=0.1, duplicates="legacy", is_forked=FORKS).run()
    check(findings)
    assert (findings.runs, findings.kills) == (1, 0)
    assert findings.faults


def test_the_job_finds_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that cannot fail proves nothing: here the host takes a call less."""
    taken: list[Record] = []
    take = FaultyHost.take

    def forgetful(self: FaultyHost, target: str, body: bytes) -> None:
        taken.append(Record("", "", 0))
        if len(taken) % 10:
            take(self, target, body)

    monkeypatch.setattr(FaultyHost, "take", forgetful)
    findings = Job(tmp_path, 4, rows=60, kills=0, faults=0, is_forked=FORKS).run()
    assert findings.ahead
    assert findings.lost


def test_under_the_current_rule_the_job_finds_an_event_that_was_repeated_with_another_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = FaultyHost.take

    def taken_twice(self: FaultyHost, target: str, body: bytes) -> None:
        take(self, target, body)
        take(self, f"{target}&version=2", body)

    monkeypatch.setattr(FaultyHost, "take", taken_twice)
    current, legacy = (
        Job(_made(tmp_path / rule), 4, rows=20, kills=0, faults=0, duplicates=rule, is_forked=FORKS).run()
        for rule in get_args(Duplicates)
    )
    assert any("events 'Purchased'" in one for one in current.twice)
    assert not any("events 'Purchased'" in one for one in legacy.twice)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
