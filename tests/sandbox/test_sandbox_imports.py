from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_kissmetrics.sandbox.model import Model
from target_kissmetrics.sandbox.rules import IMPORTED_PRODUCT, Call, SandboxError, calls_of_line, label_of
from target_kissmetrics.sandbox.service import calls_of_file

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_700_000_000


def test_an_event() -> None:
    line = '{"_p": "ada", "_t": 1600000000, "_n": "Paid", "Billing Amount": 19.90, "Plan": "Gold"}'
    (call,) = calls_of_line(line, NOW)
    parameters = {"_p": "ada", "_t": "1600000000", "_n": "Paid", "Billing Amount": "19.90", "Plan": "Gold"}
    assert call == Call(IMPORTED_PRODUCT, "/e", parameters, NOW, imported=True)
    assert label_of(call.product) == "import"


def test_properties() -> None:
    (call,) = calls_of_line('{"_p": 5, "_t": "1600000000", "Plan": "Gold"}', NOW)
    assert (call.path, call.parameters["_p"]) == ("/s", "5")


def test_an_alias() -> None:
    (call,) = calls_of_line('{"_p": "ada", "_p2": "device", "_t": 1600000000}', NOW)
    assert (call.path, call.parameters) == ("/a", {"_p": "ada", "_n": "device", "_t": "1600000000"})


def test_an_alias_and_an_event_at_once() -> None:
    calls = calls_of_line('{"_p": "ada", "_p2": "device", "_t": 1600000000, "_n": "Paid"}', NOW)
    assert [call.path for call in calls] == ["/a", "/e"]
    calls = calls_of_line('{"_p": "ada", "_p2": "device", "_t": 1600000000, "Plan": "Gold"}', NOW)
    assert [call.path for call in calls] == ["/a", "/s"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("true", "true"),
        ("false", "false"),
        ("null", ""),
        ("1.50", "1.50"),
        ("1e3", "1000"),
        ("25E-1", "2.5"),
        ("1e999999999999999999999", "1e999999999999999999999"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ('"\\ud800"', "\ufffd"),
        ('"\\ud83d\\ude00"', "😀"),
    ],
)
def test_values_keep_their_digits(written: str, read: str) -> None:
    (call,) = calls_of_line(f'{{"_p": "a", "_t": 1, "x": {written}}}', NOW)
    assert call.parameters["x"] == read


@pytest.mark.parametrize("line", ["{", "[]", "5", '{"a": NaN}', '{"a": {}}', '{"a": [1]}', "[" * 200_000, "\x00"])
def test_a_broken_line(line: str) -> None:
    with pytest.raises(SandboxError):
        calls_of_line(line, NOW)


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_any_flat_object_is_read_and_taken(fields: dict[str, str | int | float]) -> None:
    model = Model()
    for call in calls_of_line(json.dumps(fields), NOW):
        model.take(call)


def test_a_file_is_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "1.json"
    file.write_bytes(
        b'\xef\xbb\xbf{"_p": "ada", "_t": 1600000000, "_n": "Paid"}\r\n\n{"_p": "\xc3\xa9", "_t": 1, "x": 1}'
    )
    assert [call.parameters["_p"] for call in calls_of_file(file, NOW)] == ["ada", "é"]


@pytest.mark.parametrize(
    ("content", "said"), [(b'{}\n{"a"', "line 2: not a JSON object"), (b"{}\n\n\xff", "line 3: .utf-8. codec")]
)
def test_an_error_names_the_line(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "1.json"
    file.write_bytes(content)
    with pytest.raises(SandboxError, match=said):
        list(calls_of_file(file, NOW))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"cannot read .*none\.json"):
        list(calls_of_file(tmp_path / "none.json", NOW))
