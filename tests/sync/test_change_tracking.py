"""What is sent of a property, given its last sent value and its pending intents: the rules one by one."""

from __future__ import annotations

from target_kissmetrics.store import digests
from target_kissmetrics.store.intents import Intent, LastSent, NewValue, PropertyIntents
from target_kissmetrics.sync.change_tracking import Sent, forgotten, property_change

ADA = b"a" * 16
DIGESTS = digests.Digests(b"p" * 32)
PLAN = DIGESTS.property_key("Plan")
NOTHING = PropertyIntents()


def said(value: str, time: int) -> NewValue:
    return NewValue(ADA, PLAN, DIGESTS.value(value), time)


def known(value: str, time: int, row_time: int | None = None) -> LastSent:
    return LastSent(DIGESTS.value(value), time, time if row_time is None else row_time)


def intended(*intents: tuple[str, int, int]) -> PropertyIntents:
    return PropertyIntents([Intent(said(value, row_time), time) for value, row_time, time in intents])


class TestWhatIsSent:
    def test_the_first_value_is_sent_with_its_time(self) -> None:
        assert property_change(None, said("gold", 10), NOTHING) == Sent(10, is_last=True)

    def test_an_equal_value_is_not_sent(self) -> None:
        for time in (5, 10, 20):
            assert property_change(known("gold", 10), said("gold", time), NOTHING) is None

    def test_another_later_value_is_sent_with_its_time(self) -> None:
        assert property_change(known("gold", 10), said("free", 11), NOTHING) == Sent(11, is_last=True)

    def test_an_older_value_is_sent_with_its_time_and_is_not_the_last(self) -> None:
        assert property_change(known("gold", 10), said("free", 9), NOTHING) == Sent(9, is_last=False)

    def test_another_value_in_the_same_second_is_sent_one_second_later(self) -> None:
        assert property_change(known("gold", 10), said("free", 10), NOTHING) == Sent(11, is_last=True)

    def test_a_third_value_in_that_second_is_sent_two_seconds_later(self) -> None:
        assert property_change(known("free", 11, row_time=10), said("pro", 10), NOTHING) == Sent(12, is_last=True)

    def test_a_row_that_is_later_than_the_last_one_is_not_an_older_one_because_that_one_moved(self) -> None:
        moved = known("pro", 12, row_time=10)
        assert property_change(moved, said("free", 11), NOTHING) == Sent(13, is_last=True)
        assert property_change(moved, said("free", 12), NOTHING) == Sent(13, is_last=True)
        assert property_change(moved, said("free", 13), NOTHING) == Sent(13, is_last=True)
        assert property_change(moved, said("free", 9), NOTHING) == Sent(9, is_last=False)


class TestIncludeAll:
    def test_an_equal_value_is_sent_with_its_own_time(self) -> None:
        assert property_change(known("gold", 10), said("gold", 20), NOTHING, always=True) == Sent(20, is_last=True)

    def test_an_equal_value_keeps_the_second_it_moved_to(self) -> None:
        moved = known("gold", 12, row_time=10)
        for time in (10, 11, 12):
            assert property_change(moved, said("gold", time), NOTHING, always=True) == Sent(12, is_last=True)

    def test_an_equal_older_value_does_not_replace_the_last_sent_one(self) -> None:
        assert property_change(known("gold", 10), said("gold", 5), NOTHING, always=True) == Sent(5, is_last=False)


class TestIntents:
    def test_what_was_in_flight_keeps_its_second(self) -> None:
        assert property_change(None, said("free", 10), intended(("free", 10, 11))) == Sent(11, is_last=True)

    def test_nothing_else_takes_a_second_that_may_be_taken(self) -> None:
        pending = intended(("gold", 10, 10), ("free", 10, 11))
        assert property_change(None, said("pro", 10), pending) == Sent(12, is_last=True)

    def test_a_value_is_not_sent_before_the_one_that_it_replaces(self) -> None:
        """Run 1 sent the last of two values of one second; run 2 reads them one by one."""
        pending = intended(("free", 10, 10))
        first = property_change(None, said("gold", 10), pending)
        assert first == Sent(11, is_last=True)
        second = property_change(known("gold", 11, row_time=10), said("free", 10), pending)
        assert second == Sent(12, is_last=True)

    def test_an_older_value_keeps_its_second_too(self) -> None:
        pending = intended(("free", 10, 11))
        assert property_change(known("gold", 30), said("free", 10), pending) == Sent(11, is_last=False)

    def test_an_older_value_never_becomes_the_latest(self) -> None:
        pending = intended(("free", 10, 40))
        assert property_change(known("gold", 30), said("free", 10), pending) == Sent(10, is_last=False)


class TestForgetting:
    def test_what_was_deleted_is_sent_again_when_it_comes_back_whatever_its_value(self) -> None:
        gone = forgotten(known("gold", 10), 20)
        assert property_change(gone, said("gold", 30), NOTHING) == Sent(30, is_last=True)
        assert property_change(gone, said("free", 20), NOTHING) == Sent(20, is_last=True)

    def test_what_comes_back_in_the_second_of_the_last_value_moves_on(self) -> None:
        gone = forgotten(known("gold", 10), 10)
        assert property_change(gone, said("free", 10), NOTHING) == Sent(11, is_last=True)

    def test_what_was_set_after_it_was_deleted_is_not_forgotten(self) -> None:
        assert forgotten(known("gold", 30), 20) is None
        assert forgotten(known("gold", 32, row_time=20), 20) is not None

    def test_what_is_older_than_the_deletion_does_not_count_as_the_latest(self) -> None:
        for gone in (forgotten(None, 20), forgotten(known("free", 5), 20)):
            assert property_change(gone, said("gold", 10), NOTHING) == Sent(10, is_last=False)
            assert property_change(gone, said("gold", 30), NOTHING) == Sent(30, is_last=True)

    def test_forgetting_twice_changes_nothing(self) -> None:
        gone = forgotten(known("gold", 10), 20)
        assert forgotten(gone, 20) is None
        assert forgotten(gone, 10) is None
        assert forgotten(gone, 25) == LastSent(digests.FORGOTTEN, 10, 25)


def test_what_a_run_that_died_may_have_sent_is_taken_back_when_the_source_went_back_to_the_last_sent_value() -> None:
    """Free is the last sent value, Gold was in flight when the run died, and the row says Free again."""
    pending = PropertyIntents([Intent(NewValue(b"p", b"k", b"Gold", 10), 10)])
    known = LastSent(b"Free", 0, 0)
    assert property_change(known, NewValue(b"p", b"k", b"Free", 12), pending) == Sent(12, is_last=True)
    assert property_change(known, NewValue(b"p", b"k", b"Free", 10), pending) == Sent(11, is_last=True)
    # It is older than what may have been sent: nothing to take back.
    assert property_change(known, NewValue(b"p", b"k", b"Free", 9), pending) is None
    # Once that is settled, it is as it always was.
    assert property_change(LastSent(b"Free", 12, 12), NewValue(b"p", b"k", b"Free", 15), pending) is None


def test_a_newer_value_passes_what_had_moved_to_a_later_second() -> None:
    pending = PropertyIntents([Intent(NewValue(b"p", b"k", b"Gold", 10), 13)])
    assert property_change(LastSent(b"Free", 0, 0), NewValue(b"p", b"k", b"Pro", 11), pending) == Sent(14, is_last=True)
    assert property_change(None, NewValue(b"p", b"k", b"Pro", 11), pending) == Sent(14, is_last=True)


def test_a_row_that_changed_nothing_changes_nothing_when_it_is_read_again_after_a_crash() -> None:
    """The commit came through, its STATE did not: the last sent value is newer than the rows that come again."""
    noted = [(b"Free", 2), (b"Gold", 5), (b"Free", 6), (b"Gold", 8)]
    pending = PropertyIntents([Intent(NewValue(b"p", b"k", value, time), time) for value, time in noted])
    known = LastSent(b"Gold", 8, 8)
    assert property_change(known, NewValue(b"p", b"k", b"Free", 3), pending) is None
    assert property_change(known, NewValue(b"p", b"k", b"Free", 6), pending) == Sent(6, is_last=False)
    assert property_change(known, NewValue(b"p", b"k", b"Free", 7), pending) is None
    # What was never read before is older news.
    assert property_change(known, NewValue(b"p", b"k", b"Pro", 7), pending) == Sent(7, is_last=False)
    assert property_change(known, NewValue(b"p", b"k", b"Free", 1), pending) == Sent(1, is_last=False)
