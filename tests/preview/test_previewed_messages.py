"""Messages and batches: what a preview tells of them that rows of tables do not have."""

from __future__ import annotations

from typing import Any

import pytest
from preview_streams import previewed

MS = 1_700_000_000_000
BATCH = {"stream": "m", "kind": "mparticle"}
MESSAGE = {"stream": "s", "kind": "segment"}
LINE = {"stream": "k", "kind": "kissmetrics"}


def custom(name: object = "Clicked", at: int = MS, **data: Any) -> dict[str, Any]:
    return {"event_type": "custom_event", "data": {"event_name": name, "timestamp_unixtime_ms": at, **data}}


def batch(*events: Any, **more: Any) -> dict[str, Any]:
    return {"timestamp_unixtime_ms": MS, "user_identities": {"customer_id": "c1"}, "events": list(events), **more}


def message(**more: Any) -> dict[str, Any]:
    return {"type": "track", "userId": "u1", "event": "Paid", "timestamp": "2024-01-31T08:00:00Z", **more}


def test_two_events_of_one_batch_in_one_second_are_told() -> None:
    row = batch(custom(event_id=1), custom(event_id=2), custom("Other", event_id=3))
    stream = previewed("m", [row], BATCH).streams["m"]
    assert stream.collisions == 1
    assert any("1 event would be lost" in text and "(Clicked 1)" in text for text in stream.warnings)


@pytest.mark.parametrize(
    ("entry", "rows"),
    [
        (BATCH, [batch(custom(event_id=n)) for n in range(2)]),
        (MESSAGE, [message(messageId=f"m{n}") for n in range(2)]),
        (LINE, [{"_p": "p", "_n": "Paid", "_t": 1_700_000_000, "n": n} for n in range(2)]),
    ],
)
def test_no_key_is_advised_that_the_kind_does_not_have(entry: dict[str, str], rows: list[dict[str, Any]]) -> None:
    stream = previewed(entry["stream"], rows, entry).streams[entry["stream"]]
    (told,) = [text for text in stream.warnings if "would be lost" in text]
    assert "set spread_duplicates" not in told
    assert "is for kind event" in told


def test_a_message_that_comes_twice_has_no_twin() -> None:
    assert previewed("s", [message(messageId="m1"), message(messageId="m1")], MESSAGE).streams["s"].collisions == 0
