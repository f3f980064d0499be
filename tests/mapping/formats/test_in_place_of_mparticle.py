"""SPEC, section 1: mParticle's Kissmetrics event integration, row by row. Each test is named for its row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mapping_messages import MS, event, map_batch, map_segment
from mapping_streams import ISO, SECONDS, aliases_of, map_event, mapping_of, record_of, set_of, stream_of

from target_kissmetrics.config.settings import read_settings
from target_kissmetrics.kissmetrics.calls import Call, Record, Set
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.sync.batch import Batch, BatchRow
from target_kissmetrics.sync.planner import Planner

BOTH: dict[str, Any] = {
    "user_identities": {"customer_id": "c1"},
    "events": [event("custom_event", event_name="Clicked", custom_attributes={"button": "Buy"})],
}


def test_people_and_event_tracking_with_alias() -> None:
    mapped = map_batch(BOTH, alias_identities=True)
    assert record_of(mapped) == Record("d1", "Clicked", SECONDS, {"button": "Buy"})
    assert aliases_of(mapped) == [("d1", "c1")]


def test_user_attribution_campaign_and_referrer() -> None:
    flat = record_of(map_event({"utm_source": "news", "referrer": "https://r.example"})).properties
    context = {"campaign": {"source": "news"}, "page": {"referrer": "https://r.example"}}
    message = record_of(map_segment({"type": "track", "userId": "u1", "event": "E", "context": context})).properties
    assert flat == message == {"Campaign Source": "news", "Referrer": "https://r.example"}


def test_a_b_testing() -> None:
    row = {"customer_id": "ann", "experiment": "Button Color", "variant": "red", "updated_at": ISO}
    mapped = mapping_of(stream_of(row, {"kind": "experiment"})).map(row)
    assert mapped.calls == [Set("ann", SECONDS, {"Button Color": "red"}, distinct=True)]


def test_log_event_and_log_screen_become_events_with_their_attributes() -> None:
    screen = event("screen_view", screen_name="Cart", custom_attributes={"items": 2})
    mapped = map_batch({"events": [*BOTH["events"], screen]})
    assert mapped.calls == [
        Record("d1", "Clicked", SECONDS, {"button": "Buy"}),
        Record("d1", "Cart", SECONDS, {"items": "2"}),
    ]


def test_set_user_identity_and_set_user_attribute() -> None:
    row = {"user_identities": {"email": "a@b.c"}, "user_attributes": {"Plan": "Gold"}, "timestamp_unixtime_ms": MS}
    assert set_of(map_batch(row)).properties == {"Email": "a@b.c", "Plan": "Gold"}


@pytest.mark.parametrize(("flag", "person"), [(False, "d1"), (True, "c1")])
def test_use_customer_id(flag: bool, person: str) -> None:
    assert read_settings({"api_key": "k"}).use_customer_id is False
    assert record_of(map_batch(BOTH, use_customer_id=flag)).person == person


@pytest.mark.parametrize(("flag", "sent"), [(False, [SECONDS]), (True, [SECONDS, SECONDS + 60])])
def test_include_all_user_attributes(tmp_path: Path, flag: bool, sent: list[int]) -> None:
    assert read_settings({"api_key": "k"}).include_all_user_attributes is False
    store = SqlStore(f"sqlite:///{(tmp_path / 'store.db').as_posix()}", "p" * 16)
    batches = [{"user_attributes": {"Plan": "Gold"}, "timestamp_unixtime_ms": MS + later} for later in (0, 60_000)]
    batch = Batch(rows=[BatchRow(StreamCounts("s"), map_batch(batch), {}) for batch in batches])
    Planner(
        store=store,
        include_all=flag,
        max_aliases=10,
        reject=lambda *_: None,
        warn=lambda *_: None,
    ).plan([batch])
    calls: list[Call] = [outgoing.call for outgoing in batch.calls]
    assert [call.time for call in calls] == sent
    store.close()


@pytest.mark.parametrize("name", ["LTV", "revenue", "$Amount"])
def test_revenue_key_takes_the_amount_of_every_ltv_attribute_name(name: str) -> None:
    assert read_settings({"api_key": "k"}).revenue_key == "Billing Amount"
    attributes = {name: "19.90", "$MethodName": "LogLTVIncrease"}
    batch = {"events": [event("custom_event", event_name="Paid", custom_attributes=attributes)]}
    properties = record_of(map_batch(batch, revenue_key="Money", revenue_fields=("revenue", "LTV"))).properties
    assert properties["Money"] == "19.90"
    purchase = event("commerce_event", product_action={"action": "purchase", "total_amount": "19.90"})
    assert record_of(map_batch({"events": [purchase]}, revenue_key="Money")).properties["Money"] == "19.90"


def test_api_key() -> None:
    assert read_settings({"api_key": "k"}).api_key == "k"
