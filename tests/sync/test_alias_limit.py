"""The most partners of one identity, counted over all that processes have sent, have on their way, or died with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from target_kissmetrics.kissmetrics.calls import Alias
from target_kissmetrics.mapping.result import Mapped
from target_kissmetrics.reporting.counts import StreamCounts
from target_kissmetrics.store.sql import SqlStore
from target_kissmetrics.sync.batch import Batch, BatchRow
from target_kissmetrics.sync.planner import Planner

PRODUCT = "p" * 16
LIMIT = 2
T0 = 1_700_000_000


class Process:
    """What plans in one process."""

    def __init__(self, url: str) -> None:
        self.store = SqlStore(url, PRODUCT)
        self.rejected: list[str] = []
        self.counts = StreamCounts("links")
        self.planner = Planner(
            store=self.store,
            include_all=False,
            max_aliases=LIMIT,
            reject=lambda row, _: self.rejected.append(row.record["pair"]),
            warn=lambda _, __: None,
        )

    def plan(self, *pairs: str) -> Batch:
        """Plan rows, each an alias of two identities of one letter."""
        rows = [BatchRow(self.counts, Mapped(calls=[Alias(pair[0], pair[1], T0)]), {"pair": pair}) for pair in pairs]
        batch = Batch(rows=rows)
        self.planner.plan([batch])
        return batch

    def commit(self, planned: Batch) -> None:
        """See the calls acknowledged."""
        self.store.commit(planned.update, planned.intents)
        self.planner.committed(planned)


def sent(planned: Batch) -> list[str]:
    calls = [outgoing.call for outgoing in planned.calls]
    return [call.person + call.other for call in calls if isinstance(call, Alias)]


@pytest.fixture
def processes(store_url: str) -> Iterator[tuple[Process, Process]]:
    both = Process(store_url), Process(store_url)
    yield both
    for process in both:
        process.store.close()


def test_what_another_process_has_on_its_way_counts(processes: tuple[Process, Process]) -> None:
    one, other = processes
    assert sent(one.plan("xa")) == ["xa"]
    assert sent(other.plan("xb", "xc", "dx")) == ["xb"]
    assert other.rejected == ["xc", "dx"]
    assert sent(one.plan("xe")) == []
    assert one.rejected == ["xe"]


def test_so_does_what_it_has_sent_and_remembered_since_although_the_identity_is_in_the_cache(
    processes: tuple[Process, Process],
) -> None:
    one, other = processes
    one.plan("xa")  # kept from here on: it is never acknowledged
    other.commit(other.plan("xb"))
    assert sent(one.plan("xc")) == []
    assert one.rejected == ["xc"]


def test_an_alias_that_another_one_has_on_its_way_may_go_twice_and_counts_once(
    processes: tuple[Process, Process],
) -> None:
    one, other = processes
    first = one.plan("xa")
    second = other.plan("ax", "xb", "xc")
    assert (sent(second), other.rejected) == (["ax", "xb"], ["xc"])
    one.commit(first)
    other.commit(second)
    assert sent(one.plan("xa", "bx")) == []
    assert one.rejected == []
    assert one.counts.unchanged == 2


def test_a_run_that_repeats_one_that_died_sends_the_same_aliases_and_not_one_more(store_url: str) -> None:
    died = Process(store_url)
    assert sent(died.plan("xa", "xb", "xc")) == ["xa", "xb"]
    died.store.close()
    again = Process(store_url)
    planned = again.plan("xc", "xb", "xa")
    assert (sent(planned), again.rejected) == (["xb", "xa"], ["xc"])
    again.commit(planned)
    assert sent(again.plan("xa", "xb")) == []
    again.store.close()


def test_the_limit_holds_for_each_of_the_two(processes: tuple[Process, Process]) -> None:
    one, other = processes
    one.plan("xa")
    one.plan("ya")
    assert sent(other.plan("za", "zx")) == ["zx"]
    assert other.rejected == ["za"]
