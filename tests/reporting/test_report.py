"""The report of a run: the figures of the summary, what happened when, and nothing of a person."""

from __future__ import annotations

import json
from typing import Any

import pytest
from reported import PERSON, Reported, alias, properties_of, record

from target_kissmetrics.kissmetrics.calls import Outgoing
from target_kissmetrics.reporting import report
from target_kissmetrics.reporting.counts import FIGURES, StreamCounts
from target_kissmetrics.reporting.report import Ending, as_json


def written(run: Reported, **given: Any) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(as_json(run.report(**given)))
    return whole


def test_a_stream_has_the_figures_that_its_metrics_have_under_the_same_names() -> None:
    run = Reported()
    run.send("events", record(), alias())
    run.send("users", properties_of())
    counts = run.stream("events", rows=2)
    counts.rejected.update(["no-identity", "too-old", "too-old"])
    counts.set_aside["bad-amount"] += 1
    counts.unchanged = 4
    whole = written(run)
    events, users = whole["streams"]
    assert events.items() >= counts.figures().items()
    assert events["rejected_by_reason"] == {"too-old": 2, "no-identity": 1}
    assert events["set_aside_by_reason"] == {"bad-amount": 1}
    assert (users["stream"], users["set_calls"], users["rejected_by_reason"]) == ("users", 1, {})
    assert whole["figures"]["rows"] == 5
    assert whole["figures"].keys() == counts.figures().keys()


RUN_KEYS = (
    "format", "target", "run_id", "version", "sdk", "delivery", "client", "settings", "ended_as", "reason", "python",
    "started", "seconds", "retries", "retries_by_cause", "figures", "latency", "over_time", "slowest_calls", "streams",
)  # fmt: skip
STREAM_KEYS = (
    "stream", *FIGURES, "rejected_by_reason", "set_aside_by_reason", "retries", "first_time", "last_time",
    "event_names", "property_names", "latency", "over_time",
)  # fmt: skip


def test_the_keys_are_those_that_programs_read() -> None:
    run = Reported()
    run.send("events", record())
    run.wait(1)
    whole = written(run)
    stream = whole["streams"][0]
    assert tuple(whole) == RUN_KEYS
    assert tuple(stream) == STREAM_KEYS
    assert list(stream["event_names"]) == ["distinct", "more", "listed"]
    assert list(stream["latency"]) == ["median", "p95", "longest"]
    assert list(stream["over_time"][0]) == ["at", "seconds", "rows", "calls", "latency"]
    assert list(whole["slowest_calls"][0]) == ["seconds", "moment", "attempts", "stream", "type", "event"]


def test_retries_are_told_by_stream_and_by_cause() -> None:
    run = Reported()
    run.send("events", record(), attempts=3)
    run.send("users", properties_of(), attempts=2)
    whole = written(run)
    assert [stream["retries"] for stream in whole["streams"]] == [2, 1]
    assert (whole["retries"], whole["retries_by_cause"]) == (3, {"it answered 503": 3})


def test_rate_and_latency_are_told_over_time_by_stream_and_in_all() -> None:
    run = Reported()
    run.wait(0)
    for seconds in (0.1, 0.1, 0.4):
        run.send("events", record(), seconds=seconds)
        run.wait(1)
    run.send("users", properties_of(), seconds=2.0)
    run.wait(1)
    whole = written(run)
    events, users = whole["streams"]
    assert whole["seconds"] == 4
    assert [moment["calls"] for moment in events["over_time"]] == [1, 0, 1, 0, 1, 0, 0, 0]
    assert sum(moment["rows"] for moment in events["over_time"]) == 3
    assert events["latency"]["longest"] == 0.4
    assert events["latency"]["median"] == pytest.approx(0.1, rel=0.1)
    assert users["over_time"][6]["latency"]["longest"] == 2
    assert sum(moment["calls"] for moment in whole["over_time"]) == 4
    assert whole["latency"]["longest"] == 2


def test_calls_that_are_written_to_files_have_a_rate_and_no_latency() -> None:
    run = Reported()
    run.send("events", record(), record(at=1), seconds=None)
    run.wait(1)
    whole = written(run)
    assert sum(moment["calls"] for moment in whole["over_time"]) == 2
    assert whole["latency"] == {"median": None, "p95": None, "longest": None}
    assert whole["slowest_calls"] == []


def test_the_slowest_calls_are_told_without_their_person_event_and_values() -> None:
    run = Reported()
    run.wait(1)
    for number in range(100):
        run.send("events", record("Secret", number, {"Plan": "Gold"}), seconds=number / 10, attempts=1 + number % 2)
    slowest = written(run)["slowest_calls"]
    assert [call["seconds"] for call in slowest[:3]] == [9.9, 9.8, 9.7]
    assert len(slowest) == report.MAX_SLOWEST
    assert slowest[0] == {
        "seconds": 9.9, "moment": 1.0, "attempts": 2, "stream": "events", "type": "record", "event": None,
    }  # fmt: skip
    assert written(run, names=True)["slowest_calls"][0]["event"] == "Secret"


def test_the_first_and_the_last_time_are_those_of_events_and_attributes_in_utc() -> None:
    run = Reported()
    run.send("events", record(at=60), record(at=-3600), record(at=5))
    run.send("links", alias())
    events, links = written(run)["streams"]
    assert (events["first_time"], events["last_time"]) == ("2023-12-31T23:00:00Z", "2024-01-01T00:01:00Z")
    assert (links["first_time"], links["last_time"]) == (None, None)


def test_names_are_counted_without_regard_to_case_and_listed_only_when_asked_for() -> None:
    run = Reported()
    run.send(
        "events", record("Bought", 0, {"Plan": "a", "Size": "b"}), record("bought", 1, {"plan": "c"}), record("Viewed")
    )
    events = written(run)["streams"][0]
    assert events["event_names"] == {"distinct": 2, "more": False, "listed": None}
    assert events["property_names"] == {"distinct": 2, "more": False, "listed": None}
    asked = written(run, names=True)["streams"][0]
    assert sorted(name.lower() for name in asked["event_names"]["listed"]) == ["bought", "viewed"]
    assert len(asked["property_names"]["listed"]) == 2


def test_of_names_that_are_data_only_a_number_is_kept() -> None:
    run = Reported()
    run.send("events", *(record(f"Viewed {number}", number, {f"p{number}": "x"}) for number in range(5000)))
    events = written(run, names=True)["streams"][0]
    assert events["event_names"]["distinct"] == report.MAX_NAMES
    assert events["event_names"]["more"]
    assert events["property_names"]["more"]
    assert len(events["event_names"]["listed"]) <= 100


def test_streams_past_those_that_are_kept_apart_still_count_in_the_whole() -> None:
    run = Reported()
    for number in range(report.MAX_STREAMS + 5):
        run.send(f"stream-{number}", record())
    run.wait(1)
    whole = written(run)
    assert len(whole["streams"]) == report.MAX_STREAMS + 5
    assert whole["streams"][-1]["retries"] is None
    assert whole["streams"][-1]["record_calls"] == 1
    assert sum(moment["calls"] for moment in whole["over_time"]) == report.MAX_STREAMS + 5


@pytest.mark.parametrize("ending", [Ending("complete"), Ending("failed", "host: it answered 404"), Ending("stopped")])
def test_it_says_how_the_run_ended(ending: Ending) -> None:
    whole = written(Reported(), ending=ending)
    assert (whole["ended_as"], whole["reason"]) == (ending.ended_as, ending.reason)
    assert (whole["version"], whole["sdk"], whole["delivery"]) == ("1.2.3", "0.54.0", "api")
    assert whole["streams"] == []


def test_nothing_of_a_person_is_in_it() -> None:
    run = Reported()
    run.send("events", record("Secret Event", 0, {"Secret Name": "secret value"}), alias(), seconds=3.0)
    text = as_json(run.report())
    assert not [one for one in (PERSON, "device-1", "Secret Event", "Secret Name", "secret value") if one in text]


def test_a_calendar_that_does_not_hold_a_time_is_no_reason_to_fail() -> None:
    run = Reported()
    counts: StreamCounts = run.stream("events")
    call = record(at=10**15)
    run.recorder.batch_acknowledged([Outgoing(counts, call)])
    assert written(run)["streams"][0]["last_time"] == str(call.time)
