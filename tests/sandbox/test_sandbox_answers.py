from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.sandbox import answers
from target_kissmetrics.sandbox.model import ARRIVALS_LISTED, Model
from target_kissmetrics.sandbox.rules import Call, product_of

PRODUCT = product_of("abcdefgh-key")
START = 1_704_067_200  # 2024-01-01, a Monday
DAY = 86_400


def call(person: str, event: str = "", second: int = START, other: str = "", **properties: str) -> Call:
    if other:
        return Call(PRODUCT, "/a", {"_p": person, "_n": other}, START)
    given = {"_p": person, "_t": str(second), "_d": "1", **properties}
    return Call(PRODUCT, "/e", {**given, "_n": event}, START) if event else Call(PRODUCT, "/s", given, START)


def model(*calls: Call) -> Model:
    made = Model()
    for one in calls:
        made.take(one)
    return made


def test_calls_are_listed_latest_first_with_what_was_lost_and_cut_short() -> None:
    made = model(call("a", "Paid"), call("a", "Paid"), call("b", x="y" * 20_000), call("a", other="b"))
    listed = answers.calls(made)
    assert [(one["path"], one["not_kept"]) for one in listed] == [
        ("/a", []), ("/s", ["too-long"]), ("/e", ["duplicate-event"]), ("/e", []),
    ]  # fmt: skip
    assert len(listed[1]["parameters"]["x"]) == 256
    assert [one["path"] for one in answers.calls(made, path="/e", limit=1)] == ["/e"]
    assert answers.calls(made, "zzzzzzzz") == []
    assert answers.losses(made) == {"duplicate-event": 1, "too-long": 1}


def test_the_last_thousand_calls_are_remembered() -> None:
    made = model(*(call("a", "Paid", START + n) for n in range(ARRIVALS_LISTED + 5)))
    times = [int(one["parameters"]["_t"]) - START for one in answers.calls(made, limit=5000)]
    assert times == list(range(ARRIVALS_LISTED + 4, 4, -1))


def test_events_are_counted_by_month() -> None:
    made = model(*(call(f"p{n}", ["Paid", "paid"][n % 2], START + n * 10 * DAY) for n in range(5)))
    assert [(one["month"], one["events"]) for one in answers.months(made)] == [("2024-01", 4), ("2024-02", 1)]
    assert answers.months(Model()) == []


EVENTS = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from(["A", "B", "C"]), st.integers(0, 12), st.integers(-999, 999)),
    max_size=40,
)


@given(EVENTS, st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde")), max_size=4))
def test_counts_by_day_and_month_add_up_whatever_is_joined(
    events: list[tuple[str, str, int, int]], joined: list[tuple[str, str]]
) -> None:
    made = model(
        *(
            call(who, what, START + at * 9 * DAY, **{"Billing Amount": f"{cents / 100}"})
            for who, what, at, cents in events
        ),
        *(call(one, other=other) for one, other in joined),
    )
    shown = answers.months(made)
    assert sum(one["events"] for one in shown) == answers.summary(made)["events"]
    months = sum((Decimal(one["revenue"]) for one in shown), Decimal(0))
    assert months == Decimal(answers.summary(made)["revenue"])


@pytest.mark.parametrize("fallen", [1, 5])
def test_what_falls_out_of_a_thousand_is_counted_no_more(fallen: int) -> None:
    made = model(*(call("a", "Paid", START + n * DAY, **{"Billing Amount": "1"}) for n in range(1000 + fallen)))
    shown = answers.months(made)
    assert sum(one["events"] for one in shown) == 1000
    assert sum(Decimal(one["revenue"]) for one in shown) == 1000


def test_revenue_by_month_is_exact() -> None:
    amounts = [(0, "0.10"), (0, "0.2"), (70, "-5"), (70, "none")]
    made = model(
        *(call(f"p{n}", "Paid", START + day * DAY, **{"Billing Amount": text}) for n, (day, text) in enumerate(amounts))
    )
    assert answers.months(made) == [
        {"month": "2024-01", "events": 2, "revenue": "0.30"},
        {"month": "2024-03", "events": 2, "revenue": "-5"},
    ]


def test_people_are_found_by_a_part_of_an_identity_without_case() -> None:
    made = model(call("Ada@example.com", "Paid"), call("bob", "Paid"), call("bob", other="phone of ada"))
    found = answers.people(made, text=" ADA ", limit=1)
    assert [one["identities"] for one in found["people"]] == [["Ada@example.com"]]
    rest = answers.people(made, text=" ADA ", limit=1, after=found["next"])
    assert ([one["identities"] for one in rest["people"]], rest["next"]) == ([["bob", "phone of ada"]], None)
    assert answers.people(made, "zzzzzzzz", text="ada")["people"] == []


def test_months_are_those_of_utc() -> None:
    second = int(datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC).timestamp())
    assert answers.months(model(call("a", "Paid", second)))[0]["month"] == "2024-02"
