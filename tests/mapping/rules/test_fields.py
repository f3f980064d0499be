from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.mapping.rules.fields import FirstOf, Globs, Template, getter, glob_pattern, is_empty, spelled

KEYS = st.text("abc.", min_size=1, max_size=4)
ROWS = st.recursive(
    st.dictionaries(KEYS, st.integers(), max_size=3), lambda inner: st.dictionaries(KEYS, inner, max_size=3)
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("plan", "free"),
        ("context.ip", "::1"),
        ("context.page.url", "/"),
        ("dotted.name", "itself"),
        ("absent", None),
        ("context.absent", None),
        ("plan.absent", None),
        ("list.0", None),
        ("context..ip", None),
        (".", None),
    ],
)
def test_a_field_is_a_name_or_a_dotted_path(path: str, value: Any) -> None:
    row = {
        "plan": "free",
        "context": {"ip": "::1", "page": {"url": "/"}},
        "dotted.name": "itself",
        "dotted": {"name": "nested"},
        "list": ["a"],
    }
    assert getter(path)(row) == value


def test_a_dotted_path_is_followed_where_its_name_holds_null() -> None:
    assert getter("a.b")({"a.b": None, "a": {"b": 1}}) == 1


@given(ROWS, st.text("abc.", max_size=8))
def test_reading_any_path_of_any_row_raises_nothing(row: dict[str, Any], path: str) -> None:
    value = getter(path)(row)
    assert value is None or isinstance(value, (int, dict))


@pytest.mark.parametrize("value", [None, "", " ", "\t\n", "\u00a0"])
def test_null_and_blank_text_are_empty(value: Any) -> None:
    assert is_empty(value)


@pytest.mark.parametrize("value", [0, False, "0", [], {}, Decimal(0)])
def test_nought_and_false_are_not_empty(value: Any) -> None:
    assert not is_empty(value)


def test_the_first_field_that_holds_something_is_found() -> None:
    fields = FirstOf(["a", "b.c", "d"])
    assert fields.find({"a": " ", "b": {"c": 0}, "d": 1}) == ("b.c", 0)
    assert list(fields.all({"a": 1, "b": {"c": None}, "d": 2})) == [("a", 1), ("d", 2)]
    assert fields.find({"a": None}) is None
    assert FirstOf([]).find({"a": 1}) is None


@pytest.mark.parametrize("name", ["user_id", "USER_ID", "userId", "User ID", "user-id", "UserID", "userid", "_user_id"])
def test_a_candidate_means_a_name_in_any_spelling(name: str) -> None:
    assert spelled(["customer_id", "user_id"], ["plan", name]) == {"user_id": name}
    assert FirstOf(["customer_id", "user_id"], loose=True).find({"plan": "Gold", name: "u1"}) == (name, "u1")


@pytest.mark.parametrize("name", ["user_ids", "user.id", "$user_id", "user", "iduser"])
def test_a_candidate_does_not_mean_a_name_of_other_letters(name: str) -> None:
    assert spelled(["user_id"], [name]) == {}


@pytest.mark.parametrize(
    ("names", "meant", "warned"),
    [
        (("User_ID", "user_id", "userId"), "user_id", 0),
        (("User_ID", "userId"), "User_ID", 1),
        (("userId", "User_ID"), "userId", 1),
    ],
)
def test_the_exact_spelling_wins_and_of_two_loose_ones_the_first_with_a_warning(
    names: tuple[str, ...], meant: str, warned: int
) -> None:
    warnings: list[str] = []
    assert spelled(["user_id"], names, warnings.append) == {"user_id": meant}
    assert len(warnings) == warned
    fields, warnings = FirstOf(["user_id"], loose=True, warn=warnings.append), []
    assert fields.find(dict.fromkeys(names, 1)) == (meant, 1)


def test_the_order_of_the_candidates_comes_before_the_spelling() -> None:
    assert [*spelled(["customer_id", "user_id"], ["user_id", "CUSTOMER-ID"]).values()] == ["CUSTOMER-ID", "user_id"]


@pytest.mark.parametrize("row", [{"Order": {"TOTAL": 5}}, {"order": {"total": 5}}, {"order.Total": 5}])
def test_a_dotted_candidate_is_found_below_an_object_in_any_spelling(row: dict[str, Any]) -> None:
    found = FirstOf(["order.total"], loose=True).find(row)
    assert found is not None
    assert found[1] == 5


def test_rows_without_a_schema_warn_once_of_two_spellings() -> None:
    warnings: list[str] = []
    fields = FirstOf(["user_id"], loose=True, warn=warnings.append)
    for more in range(3):
        assert fields.find({"USER_ID": None, "userId": 1, f"x{more}": 1}) is None
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Purchased", "Purchased"),
        ("{event}", "Opened"),
        ("Viewed {screen.name} Screen", "Viewed Home Screen"),
        ("{event} {count} {event}", "Opened 3 Opened"),
        ("{price}", "1000"),
        ("{ratio}", "0.0000001"),
        ("{yes} {no}", "true false"),
        ("{with space}", "x"),
        ("100% {}", "100% {}"),
        ("{absent}", None),
        ("Viewed {null} Screen", None),
        ("{blank}", None),
        ("{object}", None),
        ("{list}", None),
        ("{nan}", None),
    ],
)
def test_a_template_is_filled_from_the_row_or_not_at_all(text: str, filled: str | None) -> None:
    row = {
        "event": "Opened",
        "screen": {"name": "Home"},
        "count": 3,
        "price": Decimal("1E+3"),
        "ratio": 1e-7,
        "yes": True,
        "no": False,
        "with space": "x",
        "null": None,
        "blank": " ",
        "object": {},
        "list": ["a"],
        "nan": Decimal("NaN"),
    }
    assert Template(text).fill(row) == filled


def test_a_template_tells_its_fields() -> None:
    assert Template("Viewed {a.b} {c}").fields == ("a.b", "c")
    assert Template("Purchased").fields == ()


@given(st.text(max_size=30))
def test_what_a_row_holds_is_no_template(text: str) -> None:
    assert Template("{event}").fill({"event": text, "other": "no"}) == (text if text.strip() else None)


@given(st.text(st.characters(exclude_characters="{}"), max_size=30))
def test_a_constant_stays_as_it_is(text: str) -> None:
    assert Template(text).fill({}) == text


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("plan", "plan", True),
        ("plan", "Plan", False),
        ("plan", "plans", False),
        ("plan*", "plans", True),
        ("utm_*", "utm_source", True),
        ("*", "anything.at.all", True),
        ("pla?", "plan", True),
        ("pla?", "pla", False),
        ("context.*", "context.page.url", True),
        ("context.*", "context", False),
        ("context", "context.page.url", True),
        ("context.page", "context.page.url", True),
        ("context.page", "context.pages", False),
        ("*.url", "context.page.url", True),
        ("a.b", "axb", False),
        ("[ab]", "a", False),
        ("a+", "aa", False),
    ],
)
def test_a_glob_chooses_fields_and_all_that_lies_in_them(glob: str, path: str, matches: bool) -> None:
    assert Globs([glob]).match(path) is matches
    assert Globs(["no.such", glob]).match(path) is matches


def test_no_globs_choose_nothing() -> None:
    assert not Globs([]).match("plan")


@given(st.text(max_size=20))
def test_a_glob_without_stars_matches_itself_alone(text: str) -> None:
    literal = text.replace("*", "").replace("?", "")
    assert glob_pattern(literal).fullmatch(literal)
    assert not glob_pattern(literal).fullmatch(f"{literal}x")
    assert glob_pattern("*").fullmatch(text)


@given(st.text("ab?*", max_size=8), st.text("ab\n", max_size=8))
def test_stars_stand_for_any_text_and_question_marks_for_one_character(glob: str, text: str) -> None:
    def matches(glob: str, text: str) -> bool:
        if not glob:
            return not text
        if glob[0] == "*":
            return matches(glob[1:], text) or (bool(text) and matches(glob, text[1:]))
        return bool(text) and glob[0] in {"?", text[0]} and matches(glob[1:], text[1:])

    assert bool(glob_pattern(glob).fullmatch(text)) is matches(glob, text)
