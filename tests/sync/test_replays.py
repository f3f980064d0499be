"""Change tracking, whole: whatever the chunks and wherever a run dies, Kissmetrics ends with what the source says."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from target_kissmetrics.kissmetrics.calls import Alias, Call, Record, Set
from target_kissmetrics.mapping.result import Deletion, EventSlot, Mapped
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.store.digests import Digests
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.sync.batch import Batch, BatchRow
from target_kissmetrics.sync.planner import Planner

PRODUCT = b"p" * 16
T0 = 1_700_000_000


class Kissmetrics:
    """Keeps the first value of a property for each person and second."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], dict[int, str]] = {}
        self.events: dict[tuple[str, str, int], str] = {}

    def take(self, call: Call) -> None:
        if isinstance(call, Alias):
            return
        for name, value in call.properties.items():
            self.values.setdefault((call.person, name.lower()), {}).setdefault(call.time, value)
        if isinstance(call, Record):
            self.events.setdefault((call.person, call.event.lower(), call.time), call.properties["row"])

    def now(self) -> dict[tuple[str, str], str]:
        return {key: values[max(values)] for key, values in self.values.items()}


class Run:
    """One process over one store."""

    def __init__(self, store: SqlStore, *, include_all: bool = False, max_aliases: int = 10) -> None:
        self.store = store
        self.rejected: list[str] = []
        self.counts = StreamCounts("s")
        self.planner = Planner(
            store=store,
            digests=Digests(PRODUCT),
            include_all=include_all,
            max_aliases=max_aliases,
            reject=lambda _, code, __: self.rejected.append(code),
            warn=lambda _, __: None,
        )

    def plan(self, *mapped: Mapped) -> tuple[Batch, int | None]:
        batch = Batch(rows=[BatchRow(self.counts, row, {}) for row in mapped])
        self.planner.plan([batch])
        return batch, batch.intents

    def commit(self, batch: Batch, intents: int | None) -> None:
        self.store.commit(batch.update, [] if intents is None else [intents])
        self.planner.committed(batch)

    def send(self, *mapped: Mapped) -> list[Call]:
        batch, intents = self.plan(*mapped)
        self.commit(batch, intents)
        return [call for _, call in batch.calls]


def attributes(person: str, second: int, **properties: str) -> Mapped:
    return Mapped(calls=[Set(person, T0 + second, dict(properties), distinct=True)])


def bought(row: int, second: int = 0, *, person: str = "p", seconds: int = 1) -> Mapped:
    slot = EventSlot(row=row.to_bytes(8, "big"), seconds=seconds, spread=True)
    items = [Set(person, T0 + second + index, {"sku": str(index)}) for index in range(seconds if seconds > 1 else 0)]
    return Mapped(calls=[Record(person, "Bought", T0 + second, {"row": str(row)}), *items], slots=[slot])


def store_in(folder: str | Path) -> SqlStore:
    return SqlStore(f"sqlite:///{Path(folder, 'store.db').as_posix()}", PRODUCT)


def times(calls: Sequence[Call]) -> list[int]:
    return [call.time - T0 for call in calls]


ROWS = st.lists(st.tuples(st.sampled_from("pq"), st.integers(0, 2), st.sampled_from("ABC")), min_size=1, max_size=9)


@settings(deadline=None, max_examples=150)
@given(
    steps=ROWS,
    cuts=st.lists(st.integers(1, 4), min_size=9, max_size=9),
    again=st.lists(st.integers(1, 4), min_size=9, max_size=9),
    crash=st.integers(0, 9),
    taken=st.lists(st.booleans(), min_size=9, max_size=9),
    committed=st.booleans(),
)
def test_after_a_crash_anywhere_and_a_replay_kissmetrics_holds_what_the_source_says(
    steps: list[tuple[str, int, str]],
    cuts: list[int],
    again: list[int],
    crash: int,
    taken: list[bool],
    committed: bool,
) -> None:
    clock: dict[str, int] = {}
    rows = []
    for person, later, value in steps:
        clock[person] = clock.get(person, 0) + later
        rows.append((person, clock[person], value))
    source = {(person, "plan"): value for person, _, value in rows}
    with TemporaryDirectory() as folder:
        held = Kissmetrics()
        first = store_in(folder)
        resumed = _until_crash(Run(first), rows, cuts, crash, taken, committed, held)
        first.close()
        second = store_in(folder)
        run = Run(second)
        for chunk in _chunks(rows[resumed:], again):
            for call in run.send(*[attributes(person, second_, plan=value) for person, second_, value in chunk]):
                held.take(call)
        second.close()
    assert held.now() == source


def _chunks(rows: Sequence[tuple[str, int, str]], cuts: list[int]) -> list[Sequence[tuple[str, int, str]]]:
    chunks, start = [], 0
    for size in cuts:
        if start < len(rows):
            chunks.append(rows[start : start + size])
        start += size
    return chunks


def _until_crash(
    run: Run,
    rows: Sequence[tuple[str, int, str]],
    cuts: list[int],
    crash: int,
    taken: list[bool],
    committed: bool,
    held: Kissmetrics,
) -> int:
    """Send chunks until the one in which the run dies; give the row that the last STATE leads to."""
    done = 0
    for number, chunk in enumerate(_chunks(rows, cuts)):
        batch, intents = run.plan(*[attributes(person, second, plan=value) for person, second, value in chunk])
        if number < crash:
            for _, call in batch.calls:
                held.take(call)
            run.commit(batch, intents)
            done += len(chunk)
            continue
        for index, (_, call) in enumerate(batch.calls):
            if committed or taken[index % len(taken)]:
                held.take(call)
        if committed:
            run.commit(batch, intents)
        break
    return done


def test_a_value_that_was_overtaken_by_one_without_an_answer_is_sent_again(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    run, held = Run(store), Kissmetrics()
    _take(held, [*run.send(attributes("p", 0, plan="A")), *run.send(attributes("p", 0, plan="C"))])
    batch, _ = run.plan(attributes("p", 0, plan="A"))
    _take(held, [call for _, call in batch.calls])
    # The run died before the answer; the next one reads the rest in one chunk, where the last value counts.
    _take(held, Run(store).send(attributes("p", 0, plan="A"), attributes("p", 0, plan="C")))
    assert held.now() == {("p", "plan"): "C"}
    store.close()


def deleted(person: str, second: int, name: str = "plan") -> Mapped:
    return Mapped(deletions=[Deletion(person, name, T0 + second)])


def test_a_deleted_attribute_is_sent_again_when_it_comes_back_also_by_the_next_process(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    assert times(Run(store).send(attributes("p", 0, plan="A"), deleted("p", 5, "Plan"))) == [0]
    assert times(Run(store).send(attributes("q", 6, plan="A"), attributes("p", 6, plan="A"))) == [6, 6]
    assert Run(store).send(attributes("p", 7, plan="A")) == []
    store.close()


def test_in_one_chunk_the_order_of_setting_and_deleting_counts(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    rows = [attributes("p", 0, plan="A"), deleted("p", 0), attributes("p", 0, plan="B"), attributes("p", 1, plan="B")]
    assert times(Run(store).send(*rows)) == [0, 1]
    store.close()


def test_what_was_deleted_is_forgotten_only_once_what_came_before_was_answered(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    Run(store).send(attributes("p", 0, plan="A"))
    run = Run(store)
    batch, intents = run.plan(attributes("p", 3, city="Oslo"), deleted("p", 5))
    assert Run(store).send(attributes("p", 6, plan="A")) == []  # as another process would, meanwhile
    run.commit(batch, intents)
    assert times(Run(store).send(attributes("p", 7, plan="A"))) == [7]
    store.close()


@settings(deadline=None, max_examples=150)
@given(
    steps=st.lists(st.tuples(st.integers(1, 2), st.sampled_from(["A", "B", None])), min_size=1, max_size=9),
    cuts=st.lists(st.integers(1, 4), min_size=9, max_size=9),
    again=st.lists(st.integers(1, 4), min_size=9, max_size=9),
    crash=st.integers(0, 9),
    taken=st.booleans(),
    committed=st.booleans(),
)
def test_deletions_over_a_crash_anywhere_leave_the_last_value_at_the_time_it_came_back(
    steps: list[tuple[int, str | None]],
    cuts: list[int],
    again: list[int],
    crash: int,
    taken: bool,
    committed: bool,
) -> None:
    rows, said, changes = _told(steps)
    held = Kissmetrics()
    with TemporaryDirectory() as folder:
        first, done = store_in(folder), 0
        run = Run(first)
        for number, chunk in enumerate(_cut(rows, cuts)):
            batch, intents = run.plan(*chunk)
            if number < crash or taken or committed:
                _take(held, [call for _, call in batch.calls])
            if number < crash or committed:
                run.commit(batch, intents)
            if number == crash:
                break
            done += len(chunk)
        first.close()
        second = store_in(folder)
        run = Run(second)
        for chunk in _cut(rows[done:], again):
            _take(held, run.send(*chunk))
        second.close()
    sent = set(held.values.get(("p", "plan"), {}).items())
    assert changes <= sent <= said


def _take(held: Kissmetrics, calls: Sequence[Call]) -> None:
    for call in calls:
        held.take(call)


def _told(steps: list[tuple[int, str | None]]) -> tuple[list[Mapped], set[tuple[int, str]], set[tuple[int, str]]]:
    """Give rows that set and delete, what they say, and what of it is new: another value, or one that came back."""
    clock, last = 0, None
    rows: list[Mapped] = []
    said, changes = set(), set()
    for later, value in steps:
        clock += later
        rows.append(deleted("p", clock) if value is None else attributes("p", clock, plan=value))
        if value is not None:
            said.add((T0 + clock, value))
            if value != last:
                changes.add((T0 + clock, value))
        last = value
    return rows, said, changes


def _cut(rows: Sequence[Mapped], cuts: list[int]) -> list[Sequence[Mapped]]:
    chunks, start = [], 0
    for size in cuts:
        if start < len(rows):
            chunks.append(rows[start : start + size])
        start += size
    return chunks


def test_what_is_equal_is_not_sent_also_by_the_next_process(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    assert times(Run(store).send(attributes("p", 0, plan="A"))) == [0]
    run = Run(store)
    assert run.send(attributes("p", 5, plan="A"), attributes("p", 6, Plan="A")) == []
    assert run.counts.unchanged == 2
    store.close()


def test_with_include_all_it_is(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    run = Run(store, include_all=True)
    assert times(run.send(attributes("p", 0, plan="A")) + run.send(attributes("p", 5, plan="A"))) == [0, 5]
    store.close()


def test_an_older_value_is_sent_with_its_own_time_and_not_remembered(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    run = Run(store)
    run.send(attributes("p", 10, plan="New"))
    assert times(run.send(attributes("p", 3, plan="Old"))) == [3]
    assert run.send(attributes("p", 11, plan="New")) == []
    store.close()


def test_another_value_in_the_same_second_moves_on_by_one(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    run = Run(store)
    sent = [call for value in "ABC" for call in run.send(attributes("p", 0, plan=value))]
    assert times(sent) == [0, 1, 2]
    assert Run(store).send(attributes("p", 0, plan="C")) == []
    store.close()


def test_rows_of_one_second_go_out_as_one_call_with_the_last_values(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    (call,) = Run(store).send(attributes("p", 0, plan="A", city="Oslo"), attributes("p", 0, Plan="B"))
    assert isinstance(call, Set)
    assert call.properties == {"Plan": "B", "city": "Oslo"}
    store.close()


@settings(deadline=None, max_examples=40)
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


def test_line_items_hold_their_seconds(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    run = Run(store)
    sent = [call for call in run.send(bought(1, seconds=3), bought(2, seconds=2), bought(3, second=1)) if call.time]
    skus = [call.time for call in sent if isinstance(call, Set)]
    assert len(set(skus)) == len(skus) == 5
    assert sorted(times([call for call in sent if isinstance(call, Record)])) == [0, 3, 5]
    store.close()


def test_an_event_is_recorded_once_also_over_a_crash(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    batch, _ = Run(store).plan(Mapped(calls=[Record("p", "Signed Up", T0, once=True)]))
    assert times([call for _, call in batch.calls]) == [0]
    # The run died before the answer: whichever row comes first now, the event keeps its second.
    run = Run(store)
    assert times(run.send(Mapped(calls=[Record("p", "signed up", T0 + 9, once=True)]))) == [0]
    assert run.send(Mapped(calls=[Record("p", "Signed Up", T0 + 9, once=True)])) == []
    store.close()


def test_a_pair_is_aliased_once_and_nobody_gets_too_many_partners(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    run = Run(store, max_aliases=2)
    pairs = [("a", "d"), ("d", "a"), ("b", "d"), ("c", "d"), ("a", "e")]
    sent = run.send(*[Mapped(calls=[Alias(one, other, T0)]) for one, other in pairs])
    assert [(call.person, call.other) for call in sent if isinstance(call, Alias)] == [
        ("a", "d"),
        ("b", "d"),
        ("a", "e"),
    ]
    assert run.rejected == ["alias-limit"]
    assert Run(store, max_aliases=2).send(Mapped(calls=[Alias("d", "a", T0)])) == []
    store.close()


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.sampled_from("ABC"), min_size=1, max_size=12), cut=st.integers(1, 12), again=st.integers(1, 12)
)
def test_a_crash_between_the_commit_and_the_state_changes_no_second(values: list[str], cut: int, again: int) -> None:
    """All was sent and remembered, and nothing struck out yet; then all rows come again, cut elsewhere."""
    rows = [attributes("p", second, plan=value) for second, value in enumerate(values)]
    with TemporaryDirectory() as folder:
        store = store_in(folder)
        run, held = Run(store), Kissmetrics()
        for start in range(0, len(rows), cut):
            batch, _ = run.plan(*rows[start : start + cut])
            for _, call in batch.calls:
                held.take(call)
            store.commit(batch.update, ())
            run.planner.committed(batch)
        before = {key: dict(by_second) for key, by_second in held.values.items()}
        run = Run(store)
        for start in range(0, len(rows), again):
            for call in run.send(*rows[start : start + again]):
                held.take(call)
        store.close()
    assert held.values == before


def with_items(event: str, second: int, items: int, row: int) -> Mapped:
    sets = [Set("p", T0 + second + index, {"sku": f"{event} {index}"}) for index in range(items)]
    slot = EventSlot(row=row.to_bytes(8, "big"), seconds=max(1, items))
    return Mapped(calls=[Record("p", event, T0 + second, {"row": str(row)}), *sets], slots=[slot])


def test_line_items_in_a_second_of_another_event_s_are_counted_and_told_of(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    run = Run(store)
    run.send(with_items("Viewed", 0, 3, 1), with_items("Viewed", 0, 3, 1), with_items("Left", 1, 0, 2))
    assert run.counts.item_collisions == 0
    run.send(with_items("Added", 1, 3, 3))
    assert run.counts.item_collisions == 2
    assert "2 line items that lose a value to another call of their second" in run.counts.summary()
    store.close()


def test_properties_that_are_not_change_tracked_are_sent_each_time(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    run = Run(store)
    for second in (0, 0, 1):
        item = Set("p", T0 + second, {"sku": "a"})
        assert list(run.send(Mapped(calls=[item]))) == [item]
    store.close()


def test_of_two_amounts_in_one_second_one_is_counted_as_lost(tmp_path: Path) -> None:
    def paid(event: str, second: int, row: int) -> Mapped:
        slot = EventSlot(row=row.to_bytes(8, "big"), revenue_property="Billing Amount")
        return Mapped(calls=[Record("p", event, T0 + second, {"Billing Amount": "5"})], slots=[slot])

    store = store_in(tmp_path)
    run = Run(store)
    run.send(paid("Renewed", 0, 1), paid("Renewed", 0, 1), paid("Upgraded", 1, 2))
    assert (run.counts.collisions, run.counts.amount_collisions) == (0, 0)
    run.send(paid("Upgraded", 0, 3), paid("Renewed", 1, 4))
    assert (run.counts.collisions, run.counts.amount_collisions) == (0, 2)
    run.send(paid("Renewed", 0, 5))
    assert (run.counts.collisions, run.counts.amount_collisions) == (1, 2)
    store.close()


def test_a_first_item_with_another_value_of_its_event_s_own_property_is_counted(tmp_path: Path) -> None:
    def bought(price: str, *items: dict[str, str]) -> Mapped:
        second = T0 + 10 * next(numbers)
        sets = [Set("p", second + index, properties) for index, properties in enumerate(items)]
        slot = EventSlot(row=second.to_bytes(8, "big"), seconds=max(1, len(items)))
        return Mapped(calls=[Record("p", "Bought", second, {"Price": price}), *sets], slots=[slot])

    numbers = itertools.count()
    store = store_in(tmp_path)
    run = Run(store)
    run.send(bought("30", {"price": "30"}, {"price": "10"}), bought("30", {"sku": "a"}), bought("30", {}))
    assert run.counts.item_collisions == 0
    run.send(bought("30", {"price": "10"}, {"price": "20"}))
    assert run.counts.item_collisions == 1
    store.close()


def test_what_another_process_has_sent_and_struck_out_between_two_chunks_is_seen(tmp_path: Path) -> None:
    """Although the person is at hand all the time, for the first chunk is still on its way."""
    one, other = Run(store_in(tmp_path)), Run(store_in(tmp_path))
    one.plan(attributes("p", 0, plan="A"))
    other.plan()
    assert times(other.send(attributes("p", 5, plan="B"))) == [5]
    assert times([call for _, call in one.plan(attributes("p", 5, plan="C"))[0].calls]) == [6]
    one.store.close()
    other.store.close()
