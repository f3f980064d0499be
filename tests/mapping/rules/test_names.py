from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.kissmetrics.names import folded
from target_kissmetrics.mapping.reject_codes import Rejected
from target_kissmetrics.mapping.rules import names

ANY_TEXT = st.text(st.characters(categories=None), max_size=60) | st.text(" \t_,:\u200b\ufeff\u3164aZ\n", max_size=12)

# Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt), less what is not assigned.
IGNORABLE = [
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x200B, 0x2010)),
    *(*range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0),
    *(*range(0xFFF0, 0xFFF9), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), 0xE0001, *range(0xE0020, 0xE0080)),
    *range(0xE0100, 0xE01F0),
]
SPACES_AND_CONTROLS = [
    code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in {"Cc", "Zs", "Zl", "Zp"}
]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Plan Type", "Plan Type"),
        ("  Plan Type\t\n", "Plan Type"),
        ("a,b:c", "a b c"),
        (",:plan:,", "plan"),
        ("\ufeffplan\u200b", "plan"),
        ("\u00a0plan\u3000", "plan"),
        ("a  b", "a  b"),
        ("caf\u00e9", "caf\u00e9"),
        ("love \u2764\ufe0f", "love \u2764\ufe0f"),
    ],
)
def test_commas_and_colons_become_spaces_and_surrounding_space_is_cut(text: str, name: str) -> None:
    assert names.clean(text) == name
    assert names.event_name(text) == name
    assert names.property_name(text) == name


@pytest.mark.parametrize("text", ["", " ", ",", " : , ", "\u200b", "\ufeff \u00a0", "\u3164\u115f"])
def test_a_name_of_which_nothing_is_left_is_none(text: str) -> None:
    with pytest.raises(Rejected) as event:
        names.event_name(text)
    assert event.value.code == "no-event-name"
    with pytest.raises(Rejected) as field:
        names.property_name(text)
    assert field.value.code == "no-property-name"


@pytest.mark.parametrize("name", ["_k", "_p", "_n", "_t", "_d", "_ip", "_p2", "_", "__", "_anything", "_K"])
@pytest.mark.parametrize("front", ["", " ", ",", ": ", "\t", "\u00a0", "\u200b", "\ufeff\u2060", "\u2066", "\x00"])
def test_a_reserved_name_is_no_property_whatever_stands_invisibly_in_front(front: str, name: str) -> None:
    with pytest.raises(Rejected, match="starts with '_'") as problem:
        names.property_name(front + name)
    assert problem.value.code == "reserved-name"


def test_no_invisible_character_hides_an_underscore() -> None:
    hidden = [code for code in {*IGNORABLE, *SPACES_AND_CONTROLS} if names.clean(f"{chr(code)}_k") != "_k"]
    assert [hex(code) for code in hidden] == []


def test_an_event_may_be_named_with_an_underscore() -> None:
    assert names.event_name("_opened") == "_opened"


@pytest.mark.parametrize("make", [names.event_name, names.property_name])
def test_255_characters_are_a_name_and_256_are_not(make: type[str]) -> None:
    assert make("\u00e4" * 255) == "\u00e4" * 255
    assert make(f" {'x' * 255} ") == "x" * 255
    with pytest.raises(Rejected, match="256 characters, over the limit of 255") as problem:
        make("x" * 256)
    assert problem.value.code in {"event-name-too-long", "name-too-long"}


@pytest.mark.parametrize("make", [names.event_name, names.property_name])
def test_half_a_character_is_no_name(make: type[str]) -> None:
    with pytest.raises(Rejected) as problem:
        make("a\ud800b")
    assert problem.value.code == "bad-text"


def test_names_are_the_same_without_regard_to_case() -> None:
    assert folded("Plan Type") == folded("plan TYPE")
    assert folded("Plan Type") != folded("PlanType")


def test_a_long_run_of_space_inside_a_name_is_looked_at_once() -> None:
    # A pattern that looks for space at the end would begin anew at each of these.
    text = f"a{' ' * 400_000}\u00e9"
    assert names.clean(text) == text


@given(ANY_TEXT)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert names.clean(names.clean(text)) == names.clean(text)


@given(ANY_TEXT)
def test_a_property_name_is_within_every_limit_or_a_problem(text: str) -> None:
    try:
        name = names.property_name(text)
    except Rejected:
        return
    assert 1 <= len(name) <= 255
    assert not name.startswith("_")
    assert not {",", ":"} & set(name)
    assert name == name.strip()
    assert names.property_name(name) == name
    name.encode()


@given(st.text(max_size=300))
def test_an_event_name_is_within_every_limit_or_a_problem(text: str) -> None:
    try:
        name = names.event_name(text)
    except Rejected:
        return
    assert 1 <= len(name) <= 255
    assert names.event_name(name) == name
