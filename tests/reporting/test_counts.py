"""What is counted of a stream, by two threads: no field is written by both without a lock."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hostile import feed

from target_kissmetrics import runtime
from target_kissmetrics.kissmetrics.calls import Record
from target_kissmetrics.mapping.result import EventSlot, Mapped
from target_kissmetrics.reporting.counts import StreamCounts, unmatched_in_globs

WRITERS: dict[str, set[str]] = {}


class _WatchedCounter(Counter[str]):
    field = ""

    def __setitem__(self, key: str, value: int) -> None:
        WRITERS.setdefault(self.field, set()).add(threading.current_thread().name)
        super().__setitem__(key, value)


class _WatchedCounts(StreamCounts):
    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Counter):
            watched = _WatchedCounter(value)
            watched.field = name
            value = watched
        elif name != "stream" and value:
            WRITERS.setdefault(name, set()).add(threading.current_thread().name)
        super().__setattr__(name, value)


def lines(stream: str, fields: list[str], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    schema: dict[str, dict[str, dict[str, str]]] = {"properties": {name: {} for name in fields}}
    head = {"type": "SCHEMA", "stream": stream, "key_properties": [], "schema": schema}
    return [head, *({"type": "RECORD", "stream": stream, "record": row} for row in rows)]


def test_no_field_but_rejects_is_written_by_both_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WRITERS.clear()
    monkeypatch.setattr(runtime, "StreamCounts", _WatchedCounts)
    links = [{"user_id": "ada", "previous_id": f"d{number}"} for number in range(6)]
    events = [
        {
            "user_id": "bob",
            "device_id": f"e{number}",
            "event": "E",
            "timestamp": 1704067200,
            "n": number,
            "bad,": "x" * 9000,
        }
        for number in range(6)
    ]
    events += [{"user_id": "guest", "event": "E", "timestamp": 1704067200}, {"user_id": "bob", "_sdc_deleted_at": 1}]
    users = [{"user_id": "ada", "plan": "Gold", "updated_at": 1704067200 + number} for number in range(3)]
    messages = [
        *lines("links", ["user_id", "previous_id"], links),
        *lines("events", ["user_id", "device_id", "event", "timestamp", "n", "bad,", "_sdc_deleted_at"], events),
        *lines("users", ["user_id", "plan", "updated_at"], users),
        {"type": "STATE", "value": 1},
    ]
    data = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    entry = {"stream": "events", "kind": "event", "spread_duplicates": True}
    ended = feed(
        tmp_path, data, streams=[entry], use_customer_id=True, alias_identities=True, max_aliases_per_identity=2
    )
    assert ended.error is None
    assert {"rows", "accepted", "parts", "rejected", "set_aside", "deleted"} <= WRITERS.keys()
    assert {"record_calls", "set_calls", "alias_calls", "unchanged", "moved", "late"} <= WRITERS.keys()
    by_both = {name for name, threads in WRITERS.items() if len(threads) > 1}
    assert by_both == {"rejected", "set_aside"}  # under the lock of the reject policy
    assert {figures["rows"]: (figures["accepted"], figures["rejected"]) for figures in ended.counts} == {
        6: (2, 4),
        8: (6, 1),
        3: (3, 0),
    }


def test_what_is_rejected_late_is_rejected_and_no_longer_accepted() -> None:
    counts = StreamCounts("links", rows=3, accepted=2, parts=3)
    counts.rejected["no-identity"] += 1
    assert not counts.on_probation
    counts.rejected["alias-limit"] += 2
    counts.late += 2
    counts.set_aside["alias-limit"] += 1
    assert counts.on_probation
    assert counts.still_accepted == 0
    assert "rejected: 3 (2 alias-limit, 1 no-identity); properties dropped: 1 (1 alias-limit)" in counts.summary()
    assert counts.figures()["rejected"] == 3


def event(*, amount: bool) -> Mapped:
    mapped = Mapped()
    slot = EventSlot(b"", revenue_property="Billing Amount" if amount else None)
    mapped.add_event(Record("ann", "E", 1_700_000_000, {}), slot)
    return mapped


def test_a_revenue_that_no_row_held_is_warned_of_with_the_count() -> None:
    counts = StreamCounts("a", revenue=("total", "sum"))
    assert counts.warnings() == []
    for _ in range(3):
        counts.accept(event(amount=False))
    (warning,) = counts.warnings()
    assert warning.startswith("revenue 'total/sum' held no amount, or 0, in each of 3 rows; name the field that holds")
    counts.accept(event(amount=True))
    assert counts.warnings() == []


CHOSEN = {"emial": "exclude", "plan": "include", "utm*": "exclude", "address": "exclude"}


def test_a_name_that_no_row_matched_is_warned_of_under_any_schema() -> None:
    counts = StreamCounts("a")
    counts.expect(CHOSEN, is_open=True)
    assert counts.warnings() == []
    counts.rows += 1
    counts.saw({"plan": 1, "address": {"city": "Oslo"}})
    counts.expect(CHOSEN, is_open=True)
    counts.saw({"a": {"utm_source": 1}})
    assert counts.warnings() == [
        "exclude 'emial' matched no field of any row; check its spelling",
        "exclude 'utm*' matched no field of any row; check its spelling",
    ]


def test_a_name_of_an_entry_for_several_streams_is_warned_of_if_none_of_them_has_it() -> None:
    one, other, empty = StreamCounts("a", rows=1), StreamCounts("b"), StreamCounts("c")
    one.expect(CHOSEN, is_open=True, glob="streams[0]")
    one.saw({"plan": 1})
    other.expect({"emial": "exclude", "plan": "include"}, is_open=False, glob="streams[0]")
    empty.expect(CHOSEN, is_open=True, glob="streams[0]")
    assert [counts.warnings() for counts in (one, other, empty)] == [[], [], []]
    assert unmatched_in_globs([one, other, empty]) == [
        "streams[0].exclude 'emial' matched no field of any of its 2 streams; check its spelling"
    ]
    assert unmatched_in_globs([empty]) == []
