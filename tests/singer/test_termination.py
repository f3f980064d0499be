"""What asks for the end of a run: a signal counts, also while a run that cannot go on delivers its rest."""

from __future__ import annotations

import signal
import sys

import pytest

from target_kissmetrics.singer.reader import MessageReader, Stopped
from target_kissmetrics.singer.termination import Termination


@pytest.fixture
def termination() -> Termination:
    made = Termination()
    made.reader = MessageReader()
    return made


def test_a_run_that_cannot_go_on_stops_its_reader_and_no_signal_did(termination: Termination) -> None:
    termination.interrupt()
    assert termination.reader is not None
    assert termination.reader.stop_requested
    assert termination.stopped_by is None


def test_a_signal_after_that_counts(termination: Termination) -> None:
    termination.interrupt()
    termination.handle(signal.SIGTERM)
    assert termination.signal_name == "SIGTERM"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal for a thread")
def test_what_wakes_a_reader_that_waits_is_no_signal_that_ends_the_run(termination: Termination) -> None:
    before = signal.signal(signal.SIGTERM, termination.handle)
    try:
        termination.install(termination.handle)
        assert termination.reader is not None
        termination.reader.waiting = True
        with pytest.raises(Stopped):
            termination.interrupt()
        assert termination.stopped_by is None
        termination.handle(signal.SIGINT)
        assert termination.signal_name == "SIGINT"
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
