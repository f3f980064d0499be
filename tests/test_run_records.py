"""The ID of a run, and the table of runs, as a command."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commanded import T0, Commanded, messages, row

from target_kissmetrics.sandbox.running import running

RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Commanded]:
    with running() as sandbox:
        yield Commanded(tmp_path, sandbox)


def test_a_run_is_kept_with_its_counts_and_its_events(bench: Commanded) -> None:
    rows = [row(3, "A"), row(1, "a"), row(2, "B"), row(4, "B", user_id="guest"), row(5, "B", plan="x" * 600)]
    bench.run(messages(*rows))
    (run,) = bench.runs()
    assert RUN_ID.fullmatch(run.run_id)
    assert time.time() - 60 < run.started_at <= (run.ended_at or 0) <= time.time()
    assert (run.outcome, run.reason) == ("complete", None)
    counts = json.loads(run.counts)["events"]
    assert (counts["rows"], counts["record_calls"]) == (5, 4)
    assert counts["rejected_by_reason"] == {"blocked-identity": 1}
    assert counts["set_aside_by_reason"] == {"value-too-long": 1}
    assert json.loads(run.events) == {
        "A": {"count": 2, "first": T0 + 1, "last": T0 + 3},
        "B": {"count": 2, "first": T0 + 2, "last": T0 + 5},
    }


@pytest.mark.parametrize("delivery", ["api", "files"])
def test_each_run_is_kept_and_a_replay_is_one(bench: Commanded, delivery: str) -> None:
    config: dict[str, Any] = {"delivery": delivery, "files_url": "import"}
    bench.run(messages(row(1, "A", user_id="guest"), row(2, "A")), **config)
    bench.replay("rejects.jsonl", blocked_identities=[], **config)
    assert [json.loads(run.events)["A"]["count"] for run in bench.runs()] == [1, 1]
    assert len({run.run_id for run in bench.runs()}) == 2


FAILING: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "the host": ([row(1, "A")], {"tracking_url": "http://127.0.0.1:9", "retry_timeout_seconds": 0}),
    "the input": ([row(1, "A"), {"type": "STATE", "value": 1}, {"type": "NONSENSE"}], {}),
    "rejects before the store was opened": ([row(number, "A", user_id="guest") for number in range(101)], {}),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_run_that_fails_is_kept_with_the_reason(bench: Commanded, name: str) -> None:
    rows, config = FAILING[name]
    bench.run(messages(*rows), code=1, **config)
    (run,) = bench.runs()
    assert run.outcome == "failed"
    assert run.reason
    assert "guest" not in run.reason + run.counts


def test_a_run_that_is_stopped_or_killed(bench: Commanded) -> None:
    bench.run(messages(row(1, "A"), row(2, "A"), row(3, "A")), max_calls=2, batch_size_rows=1)
    with bench.start([sys.executable, "-m", "target_kissmetrics"]) as process:
        assert process.stdin is not None
        process.stdin.write("".join(json.dumps(one) + "\n" for one in messages(row(4, "A"))).encode())
        process.stdin.flush()
        assert process.stdout is not None
        assert process.stdout.readline()  # its STATE
        process.kill()
    stopped, killed = sorted(bench.runs(), key=lambda run: run.outcome is None)  # both within a second
    assert (stopped.outcome, stopped.reason) == ("stopped", "stopped by max_calls")
    assert json.loads(stopped.events)["A"]["count"] == 2
    assert (killed.outcome, killed.ended_at, killed.events) == (None, None, "{}")
    assert killed.started_at > T0


def test_a_dry_run_is_not_kept(bench: Commanded) -> None:
    bench.run(messages(row(1, "A")))
    bench.run(messages(row(2, "A")), dry_run=True)
    assert len(bench.runs()) == 1


def test_the_id_is_in_the_first_line_the_metrics_the_report_and_the_rejects(bench: Commanded) -> None:
    given = messages(row(1, "A", user_id="guest"), row(2, "A", plan="x" * 600))
    log = bench.run(given, report_path="{date}-{run_id}.json", rejects_path="rejects-{run_id}-{date}.jsonl")
    (run,) = bench.runs()
    day = f"{run.run_id[:4]}-{run.run_id[4:6]}-{run.run_id[6:8]}"
    assert f"run {run.run_id} of target-kissmetrics" in log.splitlines()[0]
    points = [json.loads(line.partition("METRIC: ")[2]) for line in log.splitlines() if "METRIC: " in line]
    assert {point["tags"].get("run_id") for point in points} == {run.run_id}
    report = json.loads((bench.folder / f"{day}-{run.run_id}.json").read_text(encoding="utf-8"))
    assert report["run_id"] == run.run_id
    file = f"rejects-{run.run_id}-{day}.jsonl"
    assert [line["run_id"] for line in bench.rejects(file)] == [run.run_id] * 2
    assert f"target-kissmetrics-replay {file} --config" in log
    log = bench.replay(file, rejects_path="other-{run_id}.jsonl", max_value_length=599)
    (replayed,) = {other.run_id for other in bench.runs()} - {run.run_id}
    assert f"run {replayed} of target-kissmetrics-replay" in log
    assert [line["run_id"] for line in bench.rejects(file)] == [run.run_id] * 2
    assert "0 lines are left" in bench.replay(file, max_value_length=600, blocked_identities=[])


@pytest.mark.parametrize("setting", ["rejects_path", "report_path"])
@pytest.mark.parametrize("text", ["{host}", "{}", "{run_id }", "{RUN_ID}", "{{run_id}}-{x}"])
def test_another_placeholder_is_one_line(bench: Commanded, setting: str, text: str) -> None:
    log = bench.run(messages(row(1, "A")), code=1, **{setting: f"r-{text}.json"})
    assert re.search(rf"{setting}: '\{{.*\}}' has no meaning in a path; use {{run_id}} or {{date}}", log)
    assert not bench.sandbox.summary()["calls"]
