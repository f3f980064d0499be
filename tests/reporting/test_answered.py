"""Calls answered, to the moment, from many threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from fakes import FakeClock
from reported import record

from target_kissmetrics.reporting.answered import Answered
from target_kissmetrics.reporting.run_recorder import RunRecorder


def test_every_call_is_counted_and_whoever_else_watches_is_told() -> None:
    recorder = RunRecorder(FakeClock())
    answered = Answered(recorder)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: answered.taken(record(at=at), 0.1, 1), range(1000)))
    answered.put_off("it answered 503")
    recorder.tick([])
    assert answered.number == 1000
    assert len(recorder._of_call) == 1000
    assert recorder.causes == {"it answered 503": 1}


def test_it_counts_alone_too() -> None:
    answered = Answered()
    answered.taken(record(), 0.1, 2)
    answered.put_off("reset")
    assert answered.number == 1
