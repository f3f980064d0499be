"""What is not change-tracked: seconds for duplicates, events once, aliases, and counts of what Kissmetrics drops."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import Mock

import pytest
from fakes import Database, MemoryStore, pending
from hypothesis import given, settings
from hypothesis import strategies as st
from planning import T0, Run, alias, attributes, bought, calls_of, deleted, once, store_in, times

from target_kissmetrics.kissmetrics.calls import Alias, Record, Set
from target_kissmetrics.mapping.result import EventSlot, Mapped
from target_kissmetrics.store.overlay import OverlayStore
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.sync import change_tracking


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    store = store_in(tmp_path)
    yield store
    store.close()


# Spreading


@settings(deadline=None, max_examples=30)
@given(order=st.permutations(range(6)), start=st.integers(0, 5))
def test_spread_events_keep_their_second_in_any_later_run_and_order(order: list[int], start: int) -> None:
    with TemporaryDirectory() as folder:
        store = store_in(folder)
        first = Run(store).send(*[bought(row) for row in range(6)])
        given_first = {call.properties["row"]: call.time for call in first if isinstance(call, Record)}
        assert len(set(given_first.values())) == 6
        for call in Run(store).send(*[bought(row) for row in order[start:]]):
            assert isinstance(call, Record)
            assert given_first[call.properties["row"]] == call.time
        store.close()


def test_line_items_claim_their_seconds(store: SqlStore) -> None:
    sent = Run(store).send(bought(1, seconds=3), bought(2, seconds=2), bought(3, second=1))
    items = [call.time for call in sent if isinstance(call, Set)]
    assert len(set(items)) == len(items) == 5
    assert sorted(times([call for call in sent if isinstance(call, Record)])) == [0, 3, 5]


# Once


def test_an_event_is_recorded_once_also_over_a_kill(store: SqlStore) -> None:
    assert times(calls_of(Run(store).plan(once("p", 0)))) == [0]
    # Killed before the answer: whichever row comes first now, the event keeps its second.
    run = Run(store)
    assert times(run.send(once("p", 9, "signed up"))) == [0]
    assert run.send(once("p", 9)) == []


# Aliases


def test_a_pair_is_aliased_once_and_nobody_gets_too_many_partners(store: SqlStore) -> None:
    run = Run(store, max_aliases=2)
    sent = run.send(alias("a", "d"), alias("d", "a"), alias("b", "d"), alias("c", "d"), alias("a", "e"))
    pairs = [(call.person, call.other) for call in sent if isinstance(call, Alias)]
    assert pairs == [("a", "d"), ("b", "d"), ("a", "e")]
    assert run.rejected == ["alias-limit"]
    assert Run(store, max_aliases=2).send(alias("d", "a")) == []


# Collisions


def with_items(event: str, second: int, items: int, row: int) -> Mapped:
    sets = [Set("p", T0 + second + index, {"sku": f"{row} {index}"}) for index in range(items)]
    slot = EventSlot(row=row.to_bytes(8, "big"), seconds=max(1, items))
    return Mapped(calls=[Record("p", event, T0 + second), *sets], slots=[slot])


def test_line_items_in_a_second_of_another_event_are_counted(store: SqlStore) -> None:
    run = Run(store)
    run.send(with_items("Viewed", 0, 3, 1), with_items("Viewed", 0, 3, 1), with_items("Left", 1, 0, 2))
    assert run.counts.item_collisions == 0
    run.send(with_items("Added", 1, 3, 3))
    assert run.counts.item_collisions == 2
    assert len([warning for warning in run.warnings if "line items" in warning]) == 1


def test_a_first_item_with_another_value_of_its_event_s_own_property_is_counted(store: SqlStore) -> None:
    numbers = itertools.count()

    def priced(price: str, *items: dict[str, str]) -> Mapped:
        second = T0 + 10 * next(numbers)
        sets = [Set("p", second + index, properties) for index, properties in enumerate(items)]
        slot = EventSlot(row=second.to_bytes(8, "big"), seconds=max(1, len(items)))
        return Mapped(calls=[Record("p", "Bought", second, {"Price": price}), *sets], slots=[slot])

    run = Run(store)
    run.send(priced("30", {"price": "30"}, {"price": "10"}), priced("30", {"sku": "a"}), priced("30", {}))
    assert run.counts.item_collisions == 0
    run.send(priced("30", {"price": "10"}, {"price": "20"}))
    assert run.counts.item_collisions == 1


def test_of_two_amounts_in_one_second_one_is_counted_as_lost(store: SqlStore) -> None:
    def paid(event: str, second: int, row: int) -> Mapped:
        slot = EventSlot(row=row.to_bytes(8, "big"), revenue_property="Billing Amount")
        return Mapped(calls=[Record("p", event, T0 + second, {"Billing Amount": "5"})], slots=[slot])

    run = Run(store)
    run.send(paid("Renewed", 0, 1), paid("Renewed", 0, 1), paid("Upgraded", 1, 2))
    assert (run.counts.collisions, run.counts.amount_collisions) == (0, 0)
    run.send(paid("Upgraded", 0, 3), paid("Renewed", 1, 4))
    assert (run.counts.collisions, run.counts.amount_collisions) == (0, 2)
    run.send(paid("Renewed", 0, 5))
    assert (run.counts.collisions, run.counts.amount_collisions) == (1, 2)


@pytest.mark.parametrize(
    ("may_spread", "remedies"),
    [
        (True, ["set spread_duplicates: true in the stream's entry", "rename the item's with rename"]),
        (False, ["give them times a second apart in the tap", "give the item's field another name in the tap"]),
    ],
)
def test_a_warning_of_collisions_has_a_remedy_of_the_stream_s_kind(
    store: SqlStore, may_spread: bool, remedies: list[str]
) -> None:
    def sold(row: int, second: int) -> Mapped:
        slot = EventSlot(row=row.to_bytes(8, "big"), may_spread=may_spread)
        item = Set("p", T0 + second, {"price": f"{row}"})
        return Mapped(calls=[Record("p", "Sold", T0 + second, {"Price": "9"}), item], slots=[slot])

    run = Run(store)
    run.send(sold(1, 0), sold(2, 0), sold(3, 5))
    for remedy in remedies:
        assert any(remedy in warning for warning in run.warnings)


def test_properties_that_are_not_change_tracked_are_sent_each_time(store: SqlStore) -> None:
    run = Run(store)
    for second in (0, 0, 1):
        item = Set("p", T0 + second, {"sku": "a"})
        assert run.send(Mapped(calls=[item])) == [item]


# Pending intents of a killed run


def test_a_dry_run_after_a_killed_run_decides_as_the_real_run_would(store: SqlStore, tmp_path: Path) -> None:
    first = Run(store)
    first.send(attributes("p", 0, plan="A"))
    first.plan(attributes("p", 0, plan="B"))  # moves on by a second; killed before the answer
    dry = OverlayStore(store_in(tmp_path), dry_run=True)
    run = Run(dry)
    run.send(attributes("q", 0, plan="x"))  # the first plan must not drop the intents
    tried = times(run.send(attributes("p", 1, plan="C")))
    dry.close()
    assert tried == [2]
    assert len(pending(store)) > 0
    assert times(calls_of(Run(store).plan(attributes("p", 1, plan="C")))) == tried


def test_an_intent_of_one_person_leaves_the_others_on_the_fast_path(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    Run(store).send(*[attributes(person, 0, plan="A", city="Oslo") for person in "ab"])
    Run(store).plan(attributes("a", 5, plan="B"))  # killed
    by_property = Mock(wraps=change_tracking._plan_set)
    monkeypatch.setattr(change_tracking, "_plan_set", by_property)
    batch = Run(store).plan(*[attributes(person, 9, plan="A", city="Oslo") for person in "ab"])
    assert [call.args[0].calls[0].person for call in by_property.call_args_list] == ["a"]
    assert [call.person for call in calls_of(batch)] == ["a"]


@pytest.mark.parametrize("known", [[], [attributes("a", 0, plan="A")]], ids=["nobody", "somebody"])
def test_rows_planned_while_a_refused_call_is_in_flight_are_compared_with_its_values(known: list[Mapped]) -> None:
    run = Run(MemoryStore())
    for row in known:
        run.send(row)
    large = "x" * 1200
    batch = run.plan(attributes("a", 5, plan=large))
    run.planner.refused(batch, batch.calls.pop())
    assert calls_of(run.plan(attributes("a", 9, plan=large))) == []
    assert times(calls_of(run.plan(attributes("a", 9, plan="A")))) == [9]


PEOPLE, SECONDS, VALUES = st.sampled_from("ab"), st.integers(0, 3), st.sampled_from(["1", "2", "x" * 40])
NAMED = st.dictionaries(st.sampled_from(["plan", "Plan", "city", "age"]), VALUES, min_size=1, max_size=3).filter(
    lambda named: len({name.lower() for name in named}) == len(named)  # as the mapping gives them
)
ROWS = (
    st.builds(lambda person, second, named: attributes(person, second, **named), PEOPLE, SECONDS, NAMED)
    | st.builds(deleted, PEOPLE, SECONDS)
    | st.builds(once, PEOPLE, SECONDS)
)
RUNS = st.lists(st.lists(st.tuples(st.lists(ROWS, min_size=1, max_size=4), st.booleans()), max_size=3), max_size=4)


@given(RUNS)
def test_a_call_that_is_planned_alone_is_planned_as_property_by_property(
    runs: list[list[tuple[list[Mapped], bool]]],
) -> None:
    outcomes = []
    for alone in (change_tracking._plan_alone, lambda *_: False):
        database, seen = Database(), []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(change_tracking, "_plan_alone", alone)
            for batches in runs:
                run = Run(MemoryStore(database))
                for rows, is_committed in batches:  # a run that does not commit is killed in the end
                    batch = run.plan(*deepcopy(rows))
                    seen.append((calls_of(batch), run.counts.unchanged, sorted(batch.update.people)))
                    if is_committed:
                        run.commit(batch)
        outcomes.append((seen, database.people, database.intents))
    assert outcomes[0] == outcomes[1]


def test_a_complete_run_that_sends_the_rows_again_leaves_no_intent_of_the_killed_one(store: SqlStore) -> None:
    rows = [attributes("a", 5, plan="B"), once("c", 7), alias("a", "d")]
    Run(store).plan(*rows)  # killed
    assert len(pending(store)) > 0
    Run(store).send(*rows)
    assert pending(store) == []
