"""What is sent of a property, given what is known of it: the rules one by one."""

from __future__ import annotations

from target_kissmetrics.store import digests
from target_kissmetrics.store.changes import (
    Intent,
    Known,
    Said,
    Sent,
    Unanswered,
    forgotten,
    merge,
    once_time,
    property_change,
)

ADA = b"a" * 16
PLAN = digests.property_key("Plan")
NOTHING = Unanswered()


def said(value: str, time: int) -> Said:
    return Said(ADA, PLAN, digests.value(value), time)


def known(value: str, time: int, row_time: int | None = None) -> Known:
    return Known(digests.value(value), time, time if row_time is None else row_time)


def intended(*intents: tuple[str, int, int]) -> Unanswered:
    return Unanswered.of(Intent(said(value, row_time), time) for value, row_time, time in intents)


class TestWhatIsSent:
    def test_the_first_value_is_sent_with_its_time(self) -> None:
        assert property_change(None, said("gold", 10), NOTHING) == Sent(10, remember=True)

    def test_an_equal_value_is_not_sent(self) -> None:
        for time in (5, 10, 20):
            assert property_change(known("gold", 10), said("gold", time), NOTHING) is None

    def test_another_later_value_is_sent_with_its_time(self) -> None:
        assert property_change(known("gold", 10), said("free", 11), NOTHING) == Sent(11, remember=True)

    def test_an_older_value_is_sent_with_its_time_and_not_remembered(self) -> None:
        assert property_change(known("gold", 10), said("free", 9), NOTHING) == Sent(9, remember=False)

    def test_another_value_in_the_same_second_is_sent_one_second_later(self) -> None:
        assert property_change(known("gold", 10), said("free", 10), NOTHING) == Sent(11, remember=True)

    def test_a_third_value_in_that_second_is_sent_two_seconds_later(self) -> None:
        assert property_change(known("free", 11, row_time=10), said("pro", 10), NOTHING) == Sent(12, remember=True)

    def test_a_row_that_is_later_than_the_last_one_is_not_taken_for_an_older_one_because_that_one_moved(self) -> None:
        moved = known("pro", 12, row_time=10)
        assert property_change(moved, said("free", 11), NOTHING) == Sent(13, remember=True)
        assert property_change(moved, said("free", 12), NOTHING) == Sent(13, remember=True)
        assert property_change(moved, said("free", 13), NOTHING) == Sent(13, remember=True)
        assert property_change(moved, said("free", 9), NOTHING) == Sent(9, remember=False)


class TestIncludeAll:
    def test_an_equal_value_is_sent_with_its_own_time(self) -> None:
        assert property_change(known("gold", 10), said("gold", 20), NOTHING, always=True) == Sent(20, remember=True)

    def test_an_equal_value_keeps_the_second_it_moved_to(self) -> None:
        moved = known("gold", 12, row_time=10)
        for time in (10, 11, 12):
            assert property_change(moved, said("gold", time), NOTHING, always=True) == Sent(12, remember=True)

    def test_an_equal_older_value_does_not_turn_the_memory_back(self) -> None:
        assert property_change(known("gold", 10), said("gold", 5), NOTHING, always=True) == Sent(5, remember=False)


class TestIntents:
    def test_what_was_under_way_keeps_its_second(self) -> None:
        assert property_change(None, said("free", 10), intended(("free", 10, 11))) == Sent(11, remember=True)

    def test_nothing_else_takes_a_second_that_may_be_taken(self) -> None:
        unanswered = intended(("gold", 10, 10), ("free", 10, 11))
        assert property_change(None, said("pro", 10), unanswered) == Sent(12, remember=True)

    def test_a_value_is_not_sent_before_the_one_that_it_replaces(self) -> None:
        """Run 1 sent the last of two values of one second; run 2 reads them one by one."""
        unanswered = intended(("free", 10, 10))
        first = property_change(None, said("gold", 10), unanswered)
        assert first == Sent(11, remember=True)
        second = property_change(known("gold", 11, row_time=10), said("free", 10), unanswered)
        assert second == Sent(12, remember=True)

    def test_an_older_value_keeps_its_second_too(self) -> None:
        unanswered = intended(("free", 10, 11))
        assert property_change(known("gold", 30), said("free", 10), unanswered) == Sent(11, remember=False)

    def test_an_older_value_never_becomes_the_latest(self) -> None:
        unanswered = intended(("free", 10, 40))
        assert property_change(known("gold", 30), said("free", 10), unanswered) == Sent(10, remember=False)

    def test_an_event_recorded_once_keeps_its_second(self) -> None:
        event = Said(ADA, digests.once_key("Signed Up"), digests.NO_VALUE, 50)
        unanswered = Unanswered.of([Intent(event._replace(row_time=20), 20)])
        assert once_time({}, event, unanswered) == 20
        assert once_time({}, event, NOTHING) == 50
        assert once_time({event.key: Known(digests.NO_VALUE, 20, 20)}, event, NOTHING) is None


class TestForgetting:
    def test_what_was_deleted_is_sent_again_when_it_comes_back_whatever_its_value(self) -> None:
        gone = forgotten(known("gold", 10), 20)
        assert property_change(gone, said("gold", 30), NOTHING) == Sent(30, remember=True)
        assert property_change(gone, said("free", 20), NOTHING) == Sent(20, remember=True)

    def test_what_comes_back_in_the_second_of_the_last_value_moves_on(self) -> None:
        gone = forgotten(known("gold", 10), 10)
        assert property_change(gone, said("free", 10), NOTHING) == Sent(11, remember=True)

    def test_what_was_set_after_it_was_deleted_is_not_forgotten(self) -> None:
        assert forgotten(known("gold", 30), 20) is None
        assert forgotten(known("gold", 32, row_time=20), 20) is not None

    def test_what_is_older_than_the_deletion_does_not_count_as_the_latest(self) -> None:
        for gone in (forgotten(None, 20), forgotten(known("free", 5), 20)):
            assert property_change(gone, said("gold", 10), NOTHING) == Sent(10, remember=False)
            assert property_change(gone, said("gold", 30), NOTHING) == Sent(30, remember=True)

    def test_forgetting_twice_teaches_nothing_new(self) -> None:
        gone = forgotten(known("gold", 10), 20)
        assert forgotten(gone, 20) is None
        assert forgotten(gone, 10) is None
        assert forgotten(gone, 25) == Known(digests.FORGOTTEN, 10, 25)

    def test_what_another_process_stored_later_stays(self) -> None:
        gone = forgotten(known("gold", 10), 20)
        assert gone is not None
        assert merge({PLAN: known("gold", 10)}, {PLAN: gone}) == {PLAN: gone}
        assert merge({PLAN: known("free", 15)}, {PLAN: gone}) == {PLAN: known("free", 15)}


class TestMerge:
    def test_the_later_second_wins_property_by_property(self) -> None:
        stored = {b"plan": known("gold", 20), b"city": known("Rome", 5)}
        learned = {b"plan": known("free", 10), b"city": known("Oslo", 6), b"age": known("7", 1)}
        assert merge(stored, learned) == {
            b"plan": known("gold", 20),
            b"city": known("Oslo", 6),
            b"age": known("7", 1),
        }

    def test_neither_side_is_changed(self) -> None:
        stored = {b"plan": known("gold", 20)}
        merge(stored, {b"plan": known("free", 30)})
        assert stored == {b"plan": known("gold", 20)}


def test_what_a_run_that_died_may_have_sent_is_taken_back_when_the_source_went_back_to_the_last_known_value() -> None:
    """Free is known, Gold was under way when the run died, and the row says Free again before it is read anew."""
    unanswered = Unanswered.of([Intent(Said(b"p", b"k", b"Gold", 10), 10)])
    known = Known(b"Free", 0, 0)
    assert property_change(known, Said(b"p", b"k", b"Free", 12), unanswered) == Sent(12, remember=True)
    assert property_change(known, Said(b"p", b"k", b"Free", 10), unanswered) == Sent(11, remember=True)
    # It is older than what may have been sent: nothing to take back.
    assert property_change(known, Said(b"p", b"k", b"Free", 9), unanswered) is None
    # Once that is settled, it is as it always was.
    assert property_change(Known(b"Free", 12, 12), Said(b"p", b"k", b"Free", 15), unanswered) is None


def test_a_newer_value_passes_what_had_moved_to_a_later_second() -> None:
    unanswered = Unanswered.of([Intent(Said(b"p", b"k", b"Gold", 10), 13)])
    assert property_change(Known(b"Free", 0, 0), Said(b"p", b"k", b"Pro", 11), unanswered) == Sent(14, remember=True)
    assert property_change(None, Said(b"p", b"k", b"Pro", 11), unanswered) == Sent(14, remember=True)


def test_what_another_process_is_about_to_send_is_passed_as_well() -> None:
    unanswered = Unanswered()
    unanswered.later[7] = Unanswered.of([Intent(Said(b"p", b"k", b"Gold", 10), 10)])
    assert property_change(None, Said(b"p", b"k", b"Pro", 10), unanswered) == Sent(11, remember=True)
    del unanswered.later[7]
    assert property_change(None, Said(b"p", b"k", b"Pro", 10), unanswered) == Sent(10, remember=True)


def test_a_row_that_changed_nothing_changes_nothing_when_it_is_read_again_after_a_crash() -> None:
    """The memory was committed, its STATE did not come out: what is known is newer than the rows that come again."""
    noted = [(b"Free", 2), (b"Gold", 5), (b"Free", 6), (b"Gold", 8)]
    unanswered = Unanswered.of([Intent(Said(b"p", b"k", value, time), time) for value, time in noted])
    known = Known(b"Gold", 8, 8)
    assert property_change(known, Said(b"p", b"k", b"Free", 3), unanswered) is None
    assert property_change(known, Said(b"p", b"k", b"Free", 6), unanswered) == Sent(6, remember=False)
    assert property_change(known, Said(b"p", b"k", b"Free", 7), unanswered) is None
    # What was never read before is older news.
    assert property_change(known, Said(b"p", b"k", b"Pro", 7), unanswered) == Sent(7, remember=False)
    assert property_change(known, Said(b"p", b"k", b"Free", 1), unanswered) == Sent(1, remember=False)
