"""Every code is known, says what to do, and is given by some row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapping_streams import ISO, any_type, mapping_of, stream_of

import target_kissmetrics
from target_kissmetrics.mapping.reject_codes import REASONS, Code, Rejected
from target_kissmetrics.mapping.result import Rejection
from target_kissmetrics.mapping.rules import names
from target_kissmetrics.mapping.rules.values import plain_number

PACKAGE = Path(target_kissmetrics.__file__).parent
ELSEWHERE = {
    "not-in-plan": "mapping/rules/tracking_plan.py",
    "schema": "sync/intake.py",
    "no-key": "sync/intake.py",
    "alias-limit": "sync/planner.py",
    "too-many-names": "sync/name_limits.py",
    "call-too-large": "sync/planner.py",
}
"""Codes of what is no mapping's business."""

VERBS = {"check", "cut", "fill", "filter", "fix", "flatten", "if", "rename", "set", "use"}
"""What advice begins with."""

LONG = "x" * 256
HALF = "a\ud800"
DEEP: Any = "end"
for _ in range(60):
    DEEP = {"in": DEEP}


def event(**row: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"kind": "event"}, {"customer_id": "ann", "event": "Purchased", "timestamp": ISO, **row}


def assigned(**row: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"kind": "experiment"}, {"customer_id": "ann", "experiment": "Button", "variant": "red", **row}


def message(**row: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"kind": "segment"}, {
        "type": "track",
        "userId": "ann",
        "event": "Bought",
        "timestamp": ISO,
        "properties": {},
        **row,
    }


def batch(*events: Any, **row: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"kind": "mparticle"}, {
        "mpid": "17",
        "timestamp_unixtime_ms": 1706688000000,
        "events": list(events),
        **row,
    }


def line(**row: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"kind": "kissmetrics"}, {"_p": "ann", "_t": 1706688000, "_n": "Bought", **row}


DATED = {"when": {"type": "string", "format": "date-time"}}
SAMPLES: list[tuple[Code, tuple[dict[str, Any], dict[str, Any]]]] = [
    ("no-identity", event(customer_id=None)),
    ("no-identity", message(userId=None)),
    ("no-identity", batch(mpid=None)),
    ("no-identity", line(_p=None)),
    ("no-identity", ({"kind": "alias"}, {"customer_id": "ann", "previous_id": None})),
    ("no-identity", message(type="alias", previousId=None)),
    ("blocked-identity", event(customer_id="anonymous")),
    ("blocked-identity", message(userId="guest")),
    ("bad-identity", event(customer_id={"id": 1})),
    ("bad-identity", message(userId=[1])),
    ("bad-identity", line(_p=True)),
    ("identity-too-long", event(customer_id=LONG)),
    ("identity-too-long", batch(mpid=LONG)),
    ("no-event-name", event(event=None)),
    ("no-event-name", message(event=None)),
    ("no-event-name", batch({"event_type": "commerce_event", "data": {}})),
    ("no-event-name", batch({"event_type": "commerce_event", "data": {"product_action": {"products": []}}})),
    ("event-name-too-long", event(event=LONG)),
    ("event-name-too-long", message(event=LONG)),
    ("no-timestamp", ({"kind": "event", "timestamp": "timestamp"}, event(timestamp=None)[1])),
    ("no-timestamp", line(_t=None)),
    ("bad-timestamp", event(timestamp="soon")),
    ("bad-timestamp", event(timestamp="2110-01-01")),
    ("bad-timestamp", message(timestamp="soon")),
    ("bad-timestamp", line(_t="soon")),
    ("bad-timestamp", batch({"event_type": "screen_view", "data": {"timestamp_unixtime_ms": "soon"}})),
    ("no-timestamp", event(timestamp=" ")),
    ("no-timestamp", message(timestamp=None)),
    ("no-timestamp", batch({"event_type": "screen_view", "data": {"screen_name": "S"}}, timestamp_unixtime_ms=None)),
    ("future-timestamp", event(timestamp="2090-01-01")),
    ("future-timestamp", message(timestamp="2090-01-01")),
    ("future-timestamp", line(_t=3786912000)),
    ("too-old", event(timestamp="1999-01-01")),
    ("too-old", message(timestamp="1999-01-01")),
    ("too-old", line(_t=5)),
    ("no-type", message(type=None)),
    ("no-type", batch({"data": {}})),
    ("unknown-type", message(type="delete")),
    ("bad-message", message(properties="{")),
    ("bad-message", message(context=[1])),
    ("bad-message", batch(None)),
    ("bad-message", batch("event")),
    ("bad-message", batch(user_attributes=[1])),
    ("no-experiment", assigned(experiment=None)),
    ("no-variant", assigned(variant=None)),
    ("no-property-name", event(**{" , ": "x"})),
    ("no-property-name", batch({"event_type": "user_attribute_change", "data": {}})),
    ("name-too-long", event(**{LONG: "x"})),
    ("name-too-long", assigned(experiment=LONG)),
    ("reserved-name", event(_k="x")),
    ("reserved-name", message(properties={"_k": "x"})),
    ("value-too-long", event(note="x" * 8193)),
    ("bad-number", event(n=float("inf"))),
    ("bad-number", event(n=10**500)),
    ("bad-text", event(note=HALF)),
    ("bad-text", event(customer_id=HALF)),
    ("bad-datetime", event(when="soon")),
    ("bad-amount", event(revenue="12 pcs")),
    ("bad-amount", message(properties={"revenue": "12 pcs"})),
    ("too-deep", event(deep=DEEP)),
]


def told(entry: Mapping[str, Any], row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give the codes and reasons of what of a row is not sent."""
    fields = {**any_type(row), **DATED}
    mapping = mapping_of(stream_of(fields, entry))
    try:
        return [(rejection.code, rejection.reason) for rejection in mapping.map(row).rejections]
    except Rejected as problem:
        return [(problem.code, str(problem))]


def test_the_codes_that_may_be_written_are_those_that_are_known() -> None:
    assert set(get_args(Code)) == set(REASONS)
    assert len(get_args(Code)) == len(set(get_args(Code)))


@pytest.mark.parametrize("code", REASONS)
def test_each_code_says_in_one_line_what_it_means_and_what_to_do(code: Code) -> None:
    reason = REASONS[code]
    assert re.fullmatch("[a-z]+(-[a-z]+)*", code)
    for text in (reason.meaning, reason.to_do):
        assert text.isprintable()
        assert text == text.strip(" .;")
        assert 20 < len(text) < 250
    assert reason.to_do.split()[0] in VERBS


@pytest.mark.parametrize("code", REASONS)
def test_advice_that_names_keys_of_an_entry_says_that_message_formats_have_none(code: Code) -> None:
    names_a_key = re.search(r"\b(as|name|set) (customer_id|device_id|timestamp|event_name)\b", REASONS[code].to_do)
    assert not names_a_key or "not for message formats" in REASONS[code].to_do


def test_every_code_is_given_by_some_row() -> None:
    assert {code for code, _ in SAMPLES} | set(ELSEWHERE) == set(REASONS)
    for code, module in ELSEWHERE.items():
        assert f'"{code}"' in (PACKAGE / module).read_text(encoding="utf-8")


@pytest.mark.parametrize(("code", "sample"), SAMPLES, ids=[f"{code}-{n}" for n, (code, _) in enumerate(SAMPLES)])
def test_what_is_told_of_a_row_says_what_is_wrong_and_what_to_do(
    code: Code, sample: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    entry, row = sample
    (one,) = told(entry, row)
    assert one[0] == code
    problem, *rest = one[1].split("; ")
    assert problem
    assert [part for part in rest if part.split()[0] in VERBS]
    assert one[1].isprintable()


def test_a_rejection_names_its_field_and_may_have_its_own_advice() -> None:
    problem = Rejected("bad-text", "unpaired surrogate", to_do="write it whole")
    assert (problem.code, problem.field, str(problem)) == ("bad-text", None, "unpaired surrogate; write it whole")
    placed = problem.at("note")
    assert (placed.code, placed.field, placed.reason) == ("bad-text", "note", problem.reason)
    assert Rejected("too-old", "old").reason == f"old; {REASONS['too-old'].to_do}"


def test_a_rejected_part_takes_the_problem_s_field_before_the_one_of_its_place() -> None:
    assert Rejection.of(Rejected("bad-text", "x", "a"), "b")[2:] == ("a", False)
    assert Rejection.of(Rejected("bad-text", "x"), "b", counts_as_row=True)[2:] == ("b", True)


@given(st.text(st.characters(categories=None), max_size=300))
def test_a_name_that_cannot_be_is_told_with_its_advice(text: str) -> None:
    problems: list[Rejected] = []
    try:
        names.property_name(text)
    except Rejected as problem:
        problems.append(problem)
    assert all(problem.reason.endswith(f"; {REASONS[problem.code].to_do}") for problem in problems)


def test_a_number_that_cannot_be_is_told_without_its_digits() -> None:
    with pytest.raises(Rejected) as problem:
        plain_number(10**500)
    assert len(problem.value.reason) < 300
