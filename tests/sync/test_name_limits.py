"""Only so many distinct names of events and properties for one product, over all runs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from fakes import Database, MemoryStore
from planning import T0, attributes, bought

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.result import EventSlot, Mapped, Rejection
from target_kissmetrics.mapping.settings import MappingSettings
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.sync.batch import Batch, BatchRow
from target_kissmetrics.sync.name_limits import NameLimits


class Process:
    """What applies the limits in one process."""

    def __init__(self, store: SqlStore, events: int = 2, properties: int = 3) -> None:
        self.rejected: list[tuple[str | None, bool]] = []
        settings = MappingSettings(max_event_names=events, max_property_names=properties)
        self.limits = NameLimits(store, settings, self._reject)

    def _reject(self, _: BatchRow, parts: Sequence[Rejected | Rejection]) -> None:
        assert {part.code for part in parts} == {"too-many-names"}
        self.rejected += [(part.field, isinstance(part, Rejected)) for part in parts]

    def apply(self, *rows: Mapped) -> list[Call]:
        self.limits.apply([Batch(rows=[BatchRow(StreamCounts("s"), row, {}) for row in rows])])
        return [call for row in rows for call in row.calls]


def event(name: str, place: str = "", **properties: str) -> Mapped:
    mapped = Mapped()
    mapped.add_event(Record("p", name, T0, properties), EventSlot(b"", place=place))
    return mapped


def names(calls: list[Call]) -> list[str]:
    return [call.event for call in calls if isinstance(call, Record)]


def test_a_row_whose_event_would_be_one_more_is_rejected_whole() -> None:
    process = Process(MemoryStore())
    third = bought(3)
    third.calls += [Set("p", T0, {"plan": "Pro"}, distinct=True), Alias("p", "q", T0)]
    assert names(process.apply(event("A"), event("B"), third, event("a"))) == ["A", "B", "a"]
    assert (process.rejected, third.slots) == ([(None, True)], [])


def test_an_event_of_several_takes_its_line_items_with_it_and_the_rest_is_sent() -> None:
    process = Process(MemoryStore(), events=1)
    row = event("A", "events[0]", one="1")
    for number in (1, 2):
        row.add(event(f"B{number}", f"events[{number}]", two="2"))
        row.calls.append(Set("p", T0, {"sku": "x"}))
    row.add(event("A", "events[3]", one="2"))
    row.add(attributes("p", 0, plan="Pro"))
    calls = process.apply(row)
    assert [type(call) for call in calls] == [Record, Record, Set]
    assert [slot.record for slot in row.slots] == [0, 1]
    assert process.rejected == [("events[1]", False), ("events[2]", False)]


def test_a_property_that_would_be_one_more_is_dropped_and_the_amount_is_not() -> None:
    process = Process(MemoryStore(), properties=1)
    amount = {"Billing Amount": "5", "BILLING AMOUNT": "6"}
    calls = process.apply(event("A", plan="1", PLAN="2", other="3", **amount), attributes("p", 1, other="4"))
    assert calls == [Record("p", "A", T0, {"plan": "1", "PLAN": "2", **amount})]
    assert process.rejected == [("other", False), ("other", False)]


def test_a_name_that_many_calls_of_a_row_have_is_rejected_once() -> None:
    process = Process(MemoryStore(), properties=1)
    row = event("A", one="1")
    row.calls += [Set("p", T0 + second, {"one": "1", "Two": "2"}) for second in range(30)]
    assert len(process.apply(row)) == 31
    assert process.rejected == [("Two", False)]


@pytest.mark.parametrize("was_sent", [True, False])
def test_of_an_event_that_was_sent_before_the_name_does_not_count(was_sent: bool) -> None:
    row = event("B", one="1")
    row.slots[0].was_sent = was_sent
    process = Process(MemoryStore(), events=1)
    process.apply(event("A"))
    assert bool(process.apply(row)) is was_sent


def test_names_are_known_to_later_runs_and_a_lower_limit_rejects_only_new_ones(store_url: str) -> None:
    for product, kept in (("p" * 16, ["A", "B"]), ("p" * 16, ["A", "B"]), ("q" * 16, ["C", "B"])):
        store = SqlStore(store_url, product)
        order = ("A", "B", "C") if product[0] == "p" else ("C", "B", "A")
        assert names(Process(store).apply(*map(event, order))) == kept
        store.close()
    store = SqlStore(store_url, "p" * 16)
    assert names(Process(store, events=1).apply(*map(event, "CBA"))) == ["B", "A"]
    assert names(Process(store, events=3).apply(*map(event, "CBA"))) == ["C", "B", "A"]
    store.close()


def test_another_process_knows_the_names_once_it_has_a_new_one_itself() -> None:
    database = Database()
    one, other = (Process(MemoryStore(database), events=3) for _ in range(2))
    assert names(one.apply(event("A"), event("B"))) == ["A", "B"]
    assert names(other.apply(event("C"))) == ["C"]
    assert names(other.apply(event("D"), event("b"))) == ["b"]


def test_new_names_are_stored_before_their_calls_are_sent() -> None:
    database = Database()
    Process(MemoryStore(database)).apply(event("A", one="1"), attributes("p", 1, two="2"))
    assert sorted(database.names.values()) == [False, False, True]
